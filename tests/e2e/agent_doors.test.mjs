// Agents as models, as MCP tools and over the Agent Protocol: the official clients of OpenAI, Anthropic, Google and MCP
// (both SDKs), a conversation that goes on, an approval on the way, the cost, a client that leaves, and who may use which
// agent.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import OpenAI from 'openai';
import { legacyCall, modernCall } from './support/mcp.mjs';
import { addKey, ask, fund, MODEL, openStream, post, usageOf } from './support/models.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const TALK = { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' };
const SAID = '${[{"type": "ai", "content": "Decided: " + string(state.approved)}]}';

/** Says what it was told, and how many messages there are. */
const ECHOED = '${[{"type": "ai", "content": "Heard: " + state.messages[size(state.messages) - 1].content + " of " + string(size(state.messages))}]}';
const HELPER = {
  slug: 'helper', name: 'Helper',
  graph: {
    spec: 'agentgraph/1', name: 'helper', state: { type: 'object', properties: { messages: TALK } }, input: ['messages'], output: ['messages'],
    nodes: { say: { type: 'transform', write: { messages: ECHOED } } }, edges: [{ from: '__start__', to: 'say' }],
  },
};
/** Ends in a failure. */
const FAILING = {
  slug: 'failing', name: 'Failing',
  graph: {
    spec: 'agentgraph/1', name: 'failing', state: { type: 'object', properties: { messages: TALK } }, input: ['messages'], output: ['messages'],
    nodes: { stop: { type: 'end', status: 'error', error: 'no more paper' } }, edges: [{ from: '__start__', to: 'stop' }],
  },
};
/** Asks a person, then says what they decided. */
const APPROVER = {
  slug: 'approver', name: 'Approver', description: 'Asks before it acts.',
  graph: {
    spec: 'agentgraph/1', name: 'approver',
    state: { type: 'object', properties: { messages: TALK, approved: { type: 'boolean', default: false } } },
    input: ['messages'], output: ['messages', 'approved'],
    nodes: {
      ask: {
        type: 'approval', prompt: 'Send the letter?', write: { approved: '${result.response.approved}' },
        response_schema: { type: 'object', required: ['approved'], properties: { approved: { type: 'boolean' } } },
      },
      tell: { type: 'transform', write: { messages: SAID } },
    },
    edges: [{ from: '__start__', to: 'ask' }, { from: 'ask', to: 'tell' }],
  },
};
/** Asks its model twice. */
const ASKS = { type: 'llm', model: 'default', messages: 'messages', params: { max_tokens: 100 } };
const SPEAKER = {
  slug: 'speaker', name: 'Speaker', model: MODEL,
  graph: {
    spec: 'agentgraph/1', name: 'speaker', state: { type: 'object', properties: { messages: TALK } }, input: ['messages'], output: ['messages'],
    nodes: { first: ASKS, second: ASKS }, edges: [{ from: '__start__', to: 'first' }, { from: 'first', to: 'second' }],
  },
};
/** No conversation: numbers in, a number out. */
const ADDER = {
  slug: 'adder', name: 'Adder',
  graph: {
    spec: 'agentgraph/1', name: 'adder',
    state: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' }, sum: { type: 'integer' } }, required: ['a', 'b'] },
    input: ['a', 'b'], output: ['sum'],
    nodes: { add: { type: 'transform', write: { sum: '${state.a + state.b}' } } },
    edges: [{ from: '__start__', to: 'add' }],
  },
};

describe('doors to agents', () => {
  let world, upstream, user, stranger, openai, base;

  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [] });
    const { path, api } = world.platform;
    user = await world.newUser();
    stranger = await world.newUser();
    base = `${path}/agents`;
    await fund(world, world.platform);
    await addKey(world, world.platform, upstream);
    for (const agent of [HELPER, APPROVER, ADDER, FAILING, SPEAKER, { ...HELPER, slug: 'private', end_users: [user.id] }]) await api.must(201, 'POST', base, agent);
    openai = new OpenAI({ apiKey: user.key, baseURL: `${world.url}/v1`, maxRetries: 0 });
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });

  const say = (content) => [{ role: 'user', content }];

  test('models lists the agents that the caller may use', async () => {
    const names = async (who) => (await who.api.get('/v1/models')).body.data.map((model) => model.id).filter((id) => id.startsWith('agent/'));
    assert.deepEqual(await names(user), ['agent/adder', 'agent/approver', 'agent/failing', 'agent/helper', 'agent/private', 'agent/speaker']);
    assert.deepEqual(await names(stranger), ['agent/adder', 'agent/approver', 'agent/failing', 'agent/helper', 'agent/speaker']);
    assert.equal((await openai.models.retrieve('agent/helper')).id, 'agent/helper');
    const refused = await new OpenAI({ apiKey: stranger.key, baseURL: `${world.url}/v1`, maxRetries: 0 }).chat.completions.create({ model: 'agent/private', messages: say('hello') }).catch((error) => error);
    assert.equal(refused.status, 404);
  });

  test('chat completions: the answer, its cost, what it was', async () => {
    const { data, response } = await openai.chat.completions.create({ model: 'agent/helper', messages: say('hello'), temperature: 0 }).withResponse();
    assert.equal(data.choices[0].message.content, 'Heard: hello of 1');
    assert.deepEqual([data.model, data.choices[0].finish_reason], ['agent/helper', 'stop']);
    assert.deepEqual([data.usage.prompt_tokens, data.usage.completion_tokens, response.headers.get('x-aig-cost-usd')], [0, 0, '0.00']);
    assert.equal(response.headers.get('x-aig-dropped'), 'temperature');
    assert.deepEqual([data.aig.agent, data.aig.status, data.aig.run_id], ['helper', 'success', response.headers.get('x-aig-run')]);
  });

  test('chat completions streamed: the pieces, the usage, what it was', async () => {
    let text = '', usage, facts;
    for await (const chunk of await openai.chat.completions.create({ model: 'agent/helper', messages: say('hello'), stream: true, stream_options: { include_usage: true } })) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
      facts = chunk.aig ?? facts;
    }
    assert.equal(text, 'Heard: hello of 1');
    assert.deepEqual([usage.total_tokens, facts.status], [0, 'success']);
  });

  test('messages of Anthropic: whole and streamed', async () => {
    const anthropic = new Anthropic({ apiKey: user.key, baseURL: world.url, maxRetries: 0 });
    const asked = { model: 'agent/helper', max_tokens: 100, messages: say('hello') };
    assert.equal((await anthropic.messages.create(asked)).content[0].text, 'Heard: hello of 1');
    assert.equal((await anthropic.messages.stream(asked).finalMessage()).content[0].text, 'Heard: hello of 1');
  });

  test('an agent without a conversation takes a JSON object, and says what it takes', async () => {
    const answer = await openai.chat.completions.create({ model: 'agent/adder', messages: say('{"a": 2, "b": 3}') });
    assert.equal(answer.choices[0].message.content, '{"sum":5}');
    const refused = await openai.chat.completions.create({ model: 'agent/adder', messages: say('two and three') }).catch((error) => error);
    assert.equal(refused.status, 400);
    assert.match(refused.message, /JSON object/);
  });

  test('a failure is told in the shape of the dialect, and is not one that clients repeat', async () => {
    const refused = await openai.chat.completions.create({ model: 'agent/failing', messages: say('print') }).catch((error) => error);
    assert.equal(refused.status, 422, refused.message);
    assert.match(refused.message, /The agent failed: no more paper/);
  });

  test('responses: a conversation goes on with previous_response_id', async () => {
    const first = await openai.responses.create({ model: 'agent/helper', input: 'hello' });
    assert.deepEqual([first.status, first.output_text], ['completed', 'Heard: hello of 1']);
    const events = [];
    for await (const event of await openai.responses.create({ model: 'agent/helper', input: 'and now', previous_response_id: first.id, stream: true })) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    const last = events.at(-1);
    assert.equal(last.type, 'response.completed');
    assert.equal(last.response.output[0].content[0].text, 'Heard: and now of 3');
    const gone = await openai.responses.create({ model: 'agent/helper', input: 'hello', previous_response_id: 'resp_other' }).catch((error) => error);
    assert.equal(gone.status, 404);
    const refused = await openai.responses.create({ model: 'agent/helper', input: 'hello', conversation: 'conv_1' }).catch((error) => error);
    assert.equal(refused.status, 400);
  });

  test('an approval in responses: a request that the next response answers', async () => {
    const asked = await openai.responses.create({ model: 'agent/approver', input: 'write to them' });
    const request = asked.output.find((item) => item.type === 'mcp_approval_request');
    assert.equal(asked.output_text, 'Send the letter?');
    assert.equal(request.name, 'ask');
    const answer = (approve) => openai.responses.create({
      model: 'agent/approver', previous_response_id: asked.id, input: [{ type: 'mcp_approval_response', approval_request_id: request.id, approve }],
    });
    assert.equal((await answer(true)).output_text, 'Decided: true');
  });

  test('an approval in chat completions: said, and answered by what comes next in its thread', async () => {
    const asked = await openai.chat.completions.create({ model: 'agent/approver', messages: say('write to them') });
    assert.deepEqual([asked.choices[0].finish_reason, asked.choices[0].message.content, asked.aig.status], ['stop', 'Send the letter?', 'interrupted']);
    assert.equal(asked.aig.interrupts[0].value.type, 'approval');
    const messages = [...say('write to them'), asked.choices[0].message, ...say('{"approved": false}')];
    const told = await openai.chat.completions.create({ model: 'agent/approver', messages, metadata: { thread_id: asked.aig.thread_id } });
    assert.equal(told.choices[0].message.content, 'Decided: false');
    const other = new OpenAI({ apiKey: stranger.key, baseURL: `${world.url}/v1`, maxRetries: 0 });
    const refused = await other.chat.completions.create({ model: 'agent/approver', messages, metadata: { thread_id: asked.aig.thread_id } }).catch((error) => error);
    assert.ok([404, 409].includes(refused.status), String(refused.status));
  });

  test('/mcp/agents lists the agents of the end user, each with its input', async () => {
    const list = async (who) => (await legacyCall(`${world.url}/mcp/agents`, who.key, 'tools/list')).result.tools;
    const tools = await list(user);
    assert.deepEqual(tools.map((tool) => tool.name), ['adder', 'approver', 'failing', 'helper', 'private', 'speaker']);
    assert.deepEqual((await list(stranger)).map((tool) => tool.name), ['adder', 'approver', 'failing', 'helper', 'speaker']);
    assert.deepEqual(tools[0].inputSchema.properties.a, { type: 'integer' });
    assert.deepEqual(['adder', 'helper'].map((name) => tools.find((tool) => tool.name === name).inputSchema.required), [['a', 'b'], ['message']]);
    const unknown = await legacyCall(`${world.url}/mcp/agents`, stranger.key, 'tools/call', { name: 'private', arguments: { message: 'hello' } });
    assert.equal(unknown.error.code, -32602);
    const apps = (await legacyCall(`${world.url}/mcp`, user.key, 'tools/list')).result.tools.map((tool) => tool.name);
    assert.ok(!apps.includes('helper'));
  });

  test('an MCP client calls agents, hears of their progress, and fills in a form on the way', async () => {
    const client = new LegacyClient({ name: 'e2e', version: '1' }, { capabilities: { elicitation: {} } });
    const asked = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message);
      return { action: 'accept', content: { approved: true } };
    });
    await client.connect(new LegacyTransport(new URL(`${world.url}/mcp/agents`), { requestInit: { headers: { authorization: `Bearer ${user.key}` } } }));
    const steps = [];
    const sum = await client.callTool({ name: 'adder', arguments: { a: 20, b: 22 } }, undefined, { onprogress: (progress) => steps.push(progress.message) });
    assert.deepEqual(sum.structuredContent?.output, { sum: 42 }, JSON.stringify(sum));
    assert.deepEqual(steps, ['add']);
    const hello = await client.callTool({ name: 'helper', arguments: { message: 'hello' } });
    assert.deepEqual([hello.content[0].text, hello.structuredContent?.status], ['Heard: hello of 1', 'success'], JSON.stringify(hello));
    const decided = await client.callTool({ name: 'approver', arguments: { message: 'write to them' } });
    assert.equal(decided.structuredContent?.answer, 'Decided: true', JSON.stringify(decided));
    assert.deepEqual(asked, ['Send the letter?']);
    await client.close();
  });

  test('a client that cannot be asked is told how to go on; a modern one answers by repeating the call', async () => {
    const url = `${world.url}/mcp/agents`;
    const call = { name: 'approver', arguments: { message: 'write to them' } };
    const { result } = await legacyCall(url, user.key, 'tools/call', call);
    assert.equal(result.structuredContent.status, 'waiting');
    const answer = (message) => legacyCall(url, user.key, 'tools/call', { name: 'approver', arguments: { thread_id: result.structuredContent.thread_id, message } });
    // One that does not fit the question's response_schema is refused, and the question stays.
    const unfit = await answer('{"approved": "maybe"}');
    assert.deepEqual([unfit.result.isError, /response_schema/.test(unfit.result.content[0].text)], [true, true], JSON.stringify(unfit));
    const again = await answer('{"approved": false}');
    assert.equal(again.result.structuredContent.answer, 'Decided: false');

    const capabilities = { elicitation: { form: {} } };
    const asked = await modernCall(url, user.key, 'tools/call', call, { capabilities });
    assert.equal(asked.result.resultType, 'input_required', JSON.stringify(asked));
    const [id] = Object.keys(asked.result.inputRequests);
    const odd = { [id]: { action: 'accept', content: { approved: 7 } } };
    const refused = await modernCall(url, user.key, 'tools/call', { ...call, requestState: asked.result.requestState, inputResponses: odd }, { capabilities });
    assert.equal(refused.result.isError, true, JSON.stringify(refused));
    const inputResponses = { [id]: { action: 'accept', content: { approved: true } } };
    const told = await modernCall(url, user.key, 'tools/call', { ...call, requestState: asked.result.requestState, inputResponses }, { capabilities });
    assert.equal(told.result.structuredContent.answer, 'Decided: true');
  });

  const MINUTE = 60_000;
  /** The Agent Protocol, as its caller sees it. */
  const protocol = async (method, path, body, who = user) => {
    const reply = await fetch(`${world.url}/v1/agents/protocol${path}`, {
      method, headers: { 'content-type': 'application/json', 'x-api-key': who.key }, ...(body && { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, text, body: reply.headers.get('content-type')?.includes('json') ? JSON.parse(text) : null };
  };

  test('Google\'s client: whole and streamed', async () => {
    const google = new GoogleGenAI({ apiKey: user.key, httpOptions: { baseUrl: world.url } });
    const asked = { model: 'agent/helper', contents: 'hello' };
    assert.equal((await google.models.generateContent(asked)).text, 'Heard: hello of 1');
    let text = '';
    for await (const chunk of await google.models.generateContentStream(asked)) text += chunk.text ?? '';
    assert.equal(text, 'Heard: hello of 1');
    const refused = await post(world.url, '/v1beta/models/agent/private:generateContent', stranger.key, { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] });
    assert.deepEqual([refused.status, refused.body.error.status], [404, 'NOT_FOUND']);
  });

  test('what an agent used and cost is what its model calls used and cost, at every door for models', async () => {
    const usages = {
      chat: (body) => [body.usage.prompt_tokens, body.usage.completion_tokens],
      responses: (body) => [body.usage.input_tokens, body.usage.output_tokens],
      messages: (body) => [body.usage.input_tokens, body.usage.output_tokens],
      gemini: (body) => [body.usageMetadata.promptTokenCount, body.usageMetadata.candidatesTokenCount],
    };
    const costOf = (reply) => reply.headers.get('x-aig-cost-usd') ?? /^: x-aig-cost-usd (\S+)$/m.exec(reply.text)?.[1];
    for (const [dialect, read] of Object.entries(usages)) {
      for (const stream of [false, true]) {
        const change = dialect === 'chat' && stream ? { stream_options: { include_usage: true } } : {};
        const reply = await ask(world.url, user.key, { dialect, model: 'agent/speaker', stream, change });
        assert.equal(reply.status, 200, reply.text);
        const run = reply.headers.get('x-aig-run');
        const rows = await eventually(async () => {
          const found = (await usageOf(world.platform)).filter((row) => row.run_id === run);
          return found.length === 2 && found;
        }, `two usage rows of ${dialect}`, MINUTE);
        const sum = (name) => rows.reduce((total, row) => total + Number(row[name]), 0);
        assert.deepEqual([sum('prompt_tokens'), sum('completion_tokens')], [20, 10]);
        assert.deepEqual(usageIn(dialect, reply, stream, read), [20, 10], `${dialect}: ${reply.text}`);
        if (dialect === 'gemini' && stream) continue; // its stream has no place for the cost
        assert.ok(sum('cost_usd') > 0 && Math.abs(Number(costOf(reply)) - sum('cost_usd')) < 1e-12, `${dialect}: ${costOf(reply)} for ${sum('cost_usd')}`);
      }
    }
  });

  /** Of a stream what its events say last; Anthropic's tell the input at the end, too. */
  function usageIn(dialect, reply, stream, read) {
    if (!stream) return read(reply.body);
    const events = [...reply.text.matchAll(/^data: (\{.*)$/gm)].map(([, text]) => JSON.parse(text));
    return read(events.map((event) => event.response ?? event).findLast((event) => event.usage ?? event.usageMetadata));
  }

  for (const stream of [true, false]) {
    test(`a client that leaves ${stream ? 'a stream' : 'before its answer'} cancels the run and its model call`, async () => {
      const held = new Promise((resolve) => upstream.next((exchange) => resolve(exchange)));
      const opened = openStream(world.url, user.key, { model: 'agent/speaker', stream });
      const exchange = await held;
      const run = await eventually(async () => (await protocol('POST', '/runs/search', { agent_id: 'speaker', status: 'pending' })).body[0], 'the run', MINUTE);
      assert.deepEqual([run.agent_id, run.status, run.messages[0].role], ['speaker', 'pending', 'user']);
      opened.leave();
      await eventually(async () => (await protocol('GET', `/runs/${run.run_id}`)).body.status === 'interrupted', 'the run is cancelled', MINUTE);
      await exchange.closed;
      assert.deepEqual((await protocol('POST', '/runs/search', { agent_id: 'speaker', status: 'pending' })).body, []);
    });
  }

  test('Agent Protocol: agents, their schemas, and who sees which', async () => {
    const found = await protocol('POST', '/agents/search', { limit: 100 });
    const ids = (reply) => reply.body.map((agent) => agent.agent_id).sort();
    assert.deepEqual(ids(found), ['adder', 'approver', 'failing', 'helper', 'private', 'speaker']);
    assert.deepEqual(ids(await protocol('POST', '/agents/search', { limit: 100 }, stranger)), ['adder', 'approver', 'failing', 'helper', 'speaker']);
    assert.deepEqual(ids(await protocol('POST', '/agents/search', { name: 'ADD' })), ['adder']);
    const helper = (await protocol('GET', '/agents/helper')).body;
    assert.deepEqual([helper.name, helper.capabilities], ['Helper', { 'ap.io.messages': true, 'ap.io.streaming': true }]);
    assert.equal((await protocol('GET', '/agents/adder')).body.capabilities['ap.io.messages'], false);
    const schemas = (await protocol('GET', '/agents/adder/schemas')).body;
    assert.deepEqual([schemas.agent_id, schemas.input_schema.properties.a.type], ['adder', 'integer']);
    const refused = await protocol('GET', '/agents/private', undefined, stranger);
    assert.deepEqual([refused.status, refused.body.code, typeof refused.body.message, typeof refused.body.metadata.request_id], [404, 'not_found', 'string', 'string']);
  });

  test('Agent Protocol: runs are waited for, followed, found and deleted', async () => {
    const messages = say('hello');
    const waited = (await protocol('POST', '/runs/wait', { agent_id: 'helper', messages, metadata: { door: 'e2e' }, on_completion: 'keep' })).body;
    const { run } = waited;
    assert.deepEqual(waited.messages.map(({ role, content }) => [role, content]), [['user', 'hello'], ['assistant', 'Heard: hello of 1']]);
    assert.deepEqual([run.status, run.agent_id, run.messages[0].content, waited.values], ['success', 'helper', 'hello', {}]);
    const got = (await protocol('GET', `/runs/${run.run_id}`)).body;
    assert.deepEqual([got.run_id, got.thread_id, got.metadata.door], [run.run_id, run.thread_id, 'e2e']);
    assert.deepEqual((await protocol('GET', `/runs/${run.run_id}/wait`)).body.messages, waited.messages);
    assert.deepEqual((await protocol('POST', '/runs/search', { metadata: { door: 'e2e' }, status: 'success' })).body.map((one) => one.run_id), [run.run_id]);
    assert.equal((await protocol('GET', `/runs/${run.run_id}`, undefined, stranger)).status, 404);

    const sum = (await protocol('POST', '/runs/wait', { agent_id: 'adder', input: { a: 2, b: 3 } })).body;
    assert.deepEqual([sum.values.sum, sum.messages, sum.run.input], [5, undefined, { a: 2, b: 3 }]);
    const streamed = await protocol('POST', '/runs/stream', { agent_id: 'adder', input: { a: 2, b: 3 }, stream_mode: ['updates'], on_completion: 'keep' });
    assert.match(streamed.text, /event: updates\r?\ndata: \{"add":\{"sum":5\}\}/);
    const again = await protocol('GET', `${streamed.headers.get('content-location')}/stream`);
    assert.match(again.text, /event: updates/);

    const made = (await protocol('POST', '/runs', { agent_id: 'failing', messages, on_completion: 'keep' })).body;
    const failed = (await protocol('GET', `/runs/${made.run_id}/wait`)).body;
    assert.deepEqual([failed.run.status, failed.run.error.message], ['error', 'no more paper']);
    assert.equal((await protocol('POST', `/runs/${made.run_id}/cancel?wait=true`)).status, 204);
    assert.equal((await protocol('DELETE', `/runs/${made.run_id}`)).status, 204);
    assert.equal((await protocol('GET', `/runs/${made.run_id}`)).status, 404);

    const noAgent = await protocol('POST', '/runs/wait', { messages });
    assert.deepEqual([noAgent.status, noAgent.body.metadata.field], [422, '/agent_id']);
    assert.equal((await protocol('POST', '/runs/wait', { agent_id: 'helper', messages, stream_mode: 'debug' })).status, 422);
    assert.equal((await protocol('POST', '/runs', { agent_id: 'helper', messages, thread_id: crypto.randomUUID() })).status, 404);
  });

  test('Agent Protocol: a thread, its states, what it waits for, and a command that answers', async () => {
    const thread_id = crypto.randomUUID();
    assert.equal((await protocol('POST', '/threads', { thread_id, metadata: { of: 'e2e' } })).body.status, 'idle');
    assert.equal((await protocol('POST', '/threads', { thread_id })).status, 409);
    const asked = (await protocol('POST', '/runs/wait', { agent_id: 'approver', thread_id, messages: say('write to them') })).body;
    assert.deepEqual([asked.run.status, asked.interrupts[0].value.prompt], ['interrupted', 'Send the letter?']);
    const waiting = (await protocol('POST', '/threads/search', { metadata: { of: 'e2e' }, status: 'interrupted' })).body;
    assert.deepEqual(waiting.map((one) => [one.thread_id, one.interrupts[0].id]), [[thread_id, asked.interrupts[0].id]]);
    const answer = await protocol('POST', `/threads/${thread_id}/commands`, {
      id: 1, method: 'input.respond', params: { namespace: [], interrupt_id: asked.interrupts[0].id, response: { approved: true } },
    });
    assert.equal(answer.body.type, 'success', answer.text);
    const told = await eventually(async () => {
      const { body } = await protocol('GET', `/threads/${thread_id}`);
      return body.status === 'idle' && body;
    }, 'the run goes on', MINUTE);
    assert.deepEqual([told.values.approved, told.messages.at(-1).content], [true, 'Decided: true']);

    const states = (await protocol('GET', `/threads/${thread_id}/history?limit=2`)).body;
    assert.deepEqual(states.map((state) => state.messages.length), [2, 1]);
    const older = (await protocol('GET', `/threads/${thread_id}/history?before=${states[1].checkpoint.checkpoint_id}`)).body;
    assert.ok(older.every((state) => state.checkpoint.checkpoint_id < states[1].checkpoint.checkpoint_id));
    const changed = await protocol('PATCH', `/threads/${thread_id}`, { metadata: { seen: true }, messages: say('one more thing'), values: { approved: false } });
    assert.deepEqual([changed.body.metadata.of, changed.body.metadata.seen, changed.body.values.approved, changed.body.messages.length], ['e2e', true, false, 3], changed.text);
    const copy = (await protocol('POST', `/threads/${thread_id}/copy`)).body;
    assert.deepEqual(copy.messages.map(({ content }) => content), changed.body.messages.map(({ content }) => content));
    assert.equal((await protocol('GET', `/threads/${thread_id}`, undefined, stranger)).status, 404);
    assert.equal((await protocol('DELETE', `/threads/${copy.thread_id}`)).status, 204);
    assert.equal((await protocol('GET', `/threads/${copy.thread_id}`)).status, 404);
  });

  test('Agent Protocol: items are kept by namespace', async () => {
    const item = { namespace: ['notes', 'a'], key: 'k', value: { n: 1 } };
    assert.equal((await protocol('PUT', '/store/items', item)).status, 204);
    assert.deepEqual((await protocol('GET', '/store/items?namespace=notes&namespace=a&key=k')).body.value, { n: 1 });
    assert.deepEqual((await protocol('POST', '/store/items/search', { namespace_prefix: ['notes'] })).body.items.map((one) => one.key), ['k']);
    assert.deepEqual((await protocol('POST', '/store/namespaces', {})).body, [['notes', 'a']]);
    assert.equal((await protocol('GET', '/store/items?namespace=notes&namespace=a&key=k', undefined, stranger)).status, 404);
    assert.equal((await protocol('DELETE', '/store/items', { namespace: ['notes', 'a'], key: 'k' })).status, 204);
    assert.equal((await protocol('GET', '/store/items?namespace=notes&namespace=a&key=k')).status, 404);
  });

  test('what an agent does not take is an error of the tool', async () => {
    const { result } = await legacyCall(`${world.url}/mcp/agents`, user.key, 'tools/call', { name: 'helper', arguments: {} });
    assert.equal(result.isError, true);
    assert.match(result.content[0].text, /validation/);
  });
});
