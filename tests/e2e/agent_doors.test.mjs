// Agents as models and as MCP tools: the official clients of OpenAI, Anthropic and MCP (both SDKs), a conversation that
// goes on, an approval on the way, the cost, and who may use which agent.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import OpenAI from 'openai';
import { legacyCall, modernCall } from './support/mcp.mjs';
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
  let world, user, stranger, openai, base;

  before(async () => {
    world = await World.start({ apps: [] });
    const { path, api } = world.platform;
    user = await world.newUser();
    stranger = await world.newUser();
    base = `${path}/agents`;
    for (const agent of [HELPER, APPROVER, ADDER, FAILING, { ...HELPER, slug: 'private', end_users: [user.id] }]) await api.must(201, 'POST', base, agent);
    openai = new OpenAI({ apiKey: user.key, baseURL: `${world.url}/v1`, maxRetries: 0 });
  });
  after(() => world?.stop());

  const say = (content) => [{ role: 'user', content }];

  test('models lists the agents that the caller may use', async () => {
    const names = async (who) => (await who.api.get('/v1/models')).body.data.map((model) => model.id).filter((id) => id.startsWith('agent/'));
    assert.deepEqual(await names(user), ['agent/adder', 'agent/approver', 'agent/failing', 'agent/helper', 'agent/private']);
    assert.deepEqual(await names(stranger), ['agent/adder', 'agent/approver', 'agent/failing', 'agent/helper']);
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
    assert.deepEqual(tools.map((tool) => tool.name), ['adder', 'approver', 'failing', 'helper', 'private']);
    assert.deepEqual((await list(stranger)).map((tool) => tool.name), ['adder', 'approver', 'failing', 'helper']);
    assert.deepEqual(tools[0].inputSchema.properties.a, { type: 'integer' });
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
    const again = await legacyCall(url, user.key, 'tools/call', { name: 'approver', arguments: { thread_id: result.structuredContent.thread_id, message: '{"approved": false}' } });
    assert.equal(again.result.structuredContent.answer, 'Decided: false');

    const capabilities = { elicitation: { form: {} } };
    const asked = await modernCall(url, user.key, 'tools/call', call, { capabilities });
    assert.equal(asked.result.resultType, 'input_required', JSON.stringify(asked));
    const [id] = Object.keys(asked.result.inputRequests);
    const inputResponses = { [id]: { action: 'accept', content: { approved: true } } };
    const told = await modernCall(url, user.key, 'tools/call', { ...call, requestState: asked.result.requestState, inputResponses }, { capabilities });
    assert.equal(told.result.structuredContent.answer, 'Decided: true');
  });

  test('what an agent does not take is an error of the tool', async () => {
    const { result } = await legacyCall(`${world.url}/mcp/agents`, user.key, 'tools/call', { name: 'helper', arguments: {} });
    assert.equal(result.isError, true);
    assert.match(result.content[0].text, /validation/);
  });
});
