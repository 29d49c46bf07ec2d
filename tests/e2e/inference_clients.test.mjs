// The official clients of three vendors against this server, with the providers' mock (not written by us) behind it:
// every client with every provider, in chats, streams and tools; then the state and tools of responses, and the money.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { LLMock } from '@copilotkit/aimock';
import { GoogleGenAI } from '@google/genai';
import { generateText, jsonSchema, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const MODELS = { openai: 'gpt-4o-mini', anthropic: 'claude-haiku-4-5', google: 'gemini-2.5-flash' };
const USAGE = { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19, input_tokens: 12, output_tokens: 7, promptTokenCount: 12, candidatesTokenCount: 7, totalTokenCount: 19 };
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const WEATHER = { name: 'get_weather', description: 'The weather of a city.' };

async function startMock() {
  const mock = new LLMock({ port: 0, logLevel: 'silent' });
  mock.on({ userMessage: 'fail' }, { error: { message: 'a made-up fault', type: 'server_error' }, status: 500 });
  mock.on({ userMessage: 'weather', hasToolResult: false }, { toolCalls: [{ name: 'get_weather', arguments: '{"city":"Rome"}' }], usage: USAGE });
  mock.on({ userMessage: 'weather', hasToolResult: true }, { content: 'Sunny in Rome.', usage: USAGE });
  mock.on({ userMessage: 'who am I', hasToolResult: false }, { toolCalls: [{ name: 'github_get_me', arguments: '{}' }], usage: USAGE });
  mock.on({ userMessage: 'who am I', hasToolResult: true }, { content: 'You are the octocat.', usage: USAGE });
  mock.on({ userMessage: 'hello' }, { content: 'Hello from the other side.', usage: USAGE });
  mock.onEmbedding('embed me', { embedding: [0.25, -0.5, 1] });
  await mock.start();
  return mock;
}

describe('official clients', () => {
  let world, mock, user, openai, anthropic, google;

  before(async () => {
    mock = await startMock();
    world = await World.start({ env: { ASSISTIV_PLATFORM_WALLET_TOPUP: '1' } });
    const { path } = world.platform;
    for (const provider of Object.keys(MODELS)) await configure(path, provider);
    await topUp(world.platform, '10.00');
    user = await world.newConnectedUser();
    openai = clientOf(user);
    anthropic = new Anthropic({ apiKey: user.key, baseURL: world.url, maxRetries: 0 });
    google = new GoogleGenAI({ apiKey: user.key, httpOptions: { baseUrl: world.url } });
  });
  after(async () => {
    await world?.stop();
    await mock?.stop();
  });

  const configure = (path, provider) =>
    world.admin.must(201, 'POST', `${path}/llm-configs`, { provider, base_url: mock.url + (provider === 'google' ? '/v1beta' : '/v1'), api_key: `key-of-${provider}-0123456789` });
  const clientOf = (who, options = {}) => new OpenAI({ apiKey: who.key, baseURL: `${world.url}/v1`, maxRetries: 0, ...options });
  const topUp = (platform, amount) =>
    world.admin.send('POST', `${platform.path}/wallet/topup`, { amount }, { headers: { 'idempotency-key': `topup-${platform.id}-${amount}` } })
      .then((reply) => assert.equal(reply.status, 201, JSON.stringify(reply.body)));
  const balance = async (platform) => Number((await platform.api.must(200, 'GET', `${platform.path}/wallet`)).balance);

  for (const [provider, model] of Object.entries(MODELS)) {
    test(`openai chat -> ${provider}: whole, streamed, tools`, async () => {
      const hello = { model, messages: [{ role: 'user', content: 'hello' }] };
      const whole = await openai.chat.completions.create(hello);
      assert.equal(whole.choices[0].message.content, 'Hello from the other side.');
      assert.equal(whole.choices[0].finish_reason, 'stop');
      let text = '';
      let usage;
      for await (const chunk of await openai.chat.completions.create({ ...hello, stream: true, stream_options: { include_usage: true } })) {
        text += chunk.choices[0]?.delta.content ?? '';
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, 'Hello from the other side.');
      assert.ok(usage, 'the stream tells its usage');
      const tools = [{ type: 'function', function: { ...WEATHER, parameters: PARAMETERS } }];
      const messages = [{ role: 'user', content: 'weather' }];
      const asked = await openai.chat.completions.create({ model, messages, tools });
      const [call] = asked.choices[0].message.tool_calls;
      assert.equal(asked.choices[0].finish_reason, 'tool_calls');
      assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ['get_weather', { city: 'Rome' }]);
      messages.push(asked.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'sunny' });
      const told = await openai.chat.completions.create({ model, messages, tools });
      assert.equal(told.choices[0].message.content, 'Sunny in Rome.');
    });

    test(`openai responses -> ${provider}: whole, streamed`, async () => {
      const whole = await openai.responses.create({ model, input: 'hello' });
      assert.equal(whole.output_text, 'Hello from the other side.');
      assert.equal(whole.status, 'completed');
      const events = [];
      for await (const event of await openai.responses.create({ model, input: 'hello', stream: true })) events.push(event);
      assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
      assert.equal(events[0].type, 'response.created');
      const last = events.at(-1);
      assert.equal(last.type, 'response.completed');
      assert.equal(last.response.output[0].content[0].text, 'Hello from the other side.');
      assert.ok(last.response.usage.total_tokens >= 0);
    });

    test(`anthropic messages -> ${provider}: whole, streamed, tools`, async () => {
      const hello = { model, max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] };
      const whole = await anthropic.messages.create(hello);
      assert.equal(whole.content[0].text, 'Hello from the other side.');
      assert.equal(whole.stop_reason, 'end_turn');
      const streamed = await anthropic.messages.stream(hello).finalMessage();
      assert.equal(streamed.content[0].text, 'Hello from the other side.');
      const tools = [{ ...WEATHER, input_schema: PARAMETERS }];
      const asked = await anthropic.messages.create({ model, max_tokens: 100, tools, messages: [{ role: 'user', content: 'weather' }] });
      const call = asked.content.find((part) => part.type === 'tool_use');
      assert.deepEqual([asked.stop_reason, call.name, call.input], ['tool_use', 'get_weather', { city: 'Rome' }]);
      const told = await anthropic.messages.create({
        model, max_tokens: 100, tools,
        messages: [{ role: 'user', content: 'weather' }, { role: 'assistant', content: asked.content },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'sunny' }] }],
      });
      assert.equal(told.content[0].text, 'Sunny in Rome.');
    });

    test(`google genai -> ${provider}: whole, streamed, tools`, async () => {
      const whole = await google.models.generateContent({ model, contents: 'hello' });
      assert.equal(whole.text, 'Hello from the other side.');
      let text = '';
      for await (const chunk of await google.models.generateContentStream({ model, contents: 'hello' })) text += chunk.text ?? '';
      assert.equal(text, 'Hello from the other side.');
      const config = { tools: [{ functionDeclarations: [{ ...WEATHER, parametersJsonSchema: PARAMETERS }] }] };
      const asked = await google.models.generateContent({ model, contents: 'weather', config });
      assert.deepEqual([asked.functionCalls[0].name, asked.functionCalls[0].args], ['get_weather', { city: 'Rome' }]);
    });

    test(`ai sdk -> ${provider}: strict parsers of both dialects, whole and streamed, a tool round`, async () => {
      const sdks = [createOpenAI({ apiKey: user.key, baseURL: `${world.url}/v1` }).chat(model), createOpenAI({ apiKey: user.key, baseURL: `${world.url}/v1` }).responses(model),
        createAnthropic({ apiKey: user.key, baseURL: `${world.url}/v1` })(model)];
      for (const sdk of sdks) {
        assert.equal((await generateText({ model: sdk, prompt: 'hello', maxRetries: 0 })).text, 'Hello from the other side.');
        const stream = streamText({ model: sdk, prompt: 'hello', maxRetries: 0, onError: ({ error }) => assert.fail(error) });
        let text = '';
        for await (const piece of stream.textStream) text += piece;
        assert.equal(text, 'Hello from the other side.');
        const weather = tool({ description: WEATHER.description, inputSchema: jsonSchema(PARAMETERS) });
        const asked = await generateText({ model: sdk, prompt: 'weather', tools: { get_weather: weather }, maxRetries: 0 });
        assert.deepEqual(asked.toolCalls.map((call) => [call.toolName, call.input]), [['get_weather', { city: 'Rome' }]]);
      }
    });

    test(`a fault of ${provider} is an error of each client's own kind`, async () => {
      // A platform of its own: faults end in a pause for the key that had them.
      const platform = await world.newPlatform([]);
      await configure(platform.path, provider);
      await topUp(platform, '1.00');
      await platform.api.must(200, 'PATCH', platform.path, { settings: { inference: { attempts_max: 1 } } });
      const openai = clientOf(platform);
      const anthropic = new Anthropic({ apiKey: platform.key, baseURL: world.url, maxRetries: 0 });
      const google = new GoogleGenAI({ apiKey: platform.key, httpOptions: { baseUrl: world.url } });
      const rejected = (promise, status) => assert.rejects(promise, (error) => (assert.equal(error.status, status, error.message), true));
      await rejected(openai.chat.completions.create({ model, messages: [{ role: 'user', content: 'fail' }] }), 502);
      await rejected(anthropic.messages.create({ model, max_tokens: 9, messages: [{ role: 'user', content: 'fail' }] }), 502);
      await rejected(google.models.generateContent({ model, contents: 'fail' }), 502);
    });
  }

  test('embeddings and models', async () => {
    const made = await openai.embeddings.create({ model: 'text-embedding-3-small', input: 'embed me', encoding_format: 'float' });
    assert.deepEqual(made.data[0].embedding, [0.25, -0.5, 1]);
    const names = [];
    for await (const model of openai.models.list()) names.push(model.id);
    for (const model of Object.values(MODELS)) assert.ok(names.includes(model), model);
    assert.equal((await openai.models.retrieve('gpt-4o-mini')).owned_by, 'openai');
    const theirs = await anthropic.models.list();
    assert.ok(theirs.data.some((model) => model.id === MODELS.anthropic));
    await assert.rejects(openai.models.retrieve('no-such-model'), (error) => error.status === 404 && error.code === 'model_not_found');
    await assert.rejects(openai.chat.completions.create({ model: 'no-such-model', messages: [{ role: 'user', content: 'x' }] }), OpenAI.NotFoundError);
  });

  test('keys: wrong ones and those of operators are refused, in the shape of each client', async () => {
    const wrong = { key: `sk-eu_${'0'.repeat(64)}` };
    await assert.rejects(clientOf(wrong).models.list(), OpenAI.AuthenticationError);
    await assert.rejects(new Anthropic({ apiKey: wrong.key, baseURL: world.url, maxRetries: 0 }).messages.create({ model: 'x', max_tokens: 1, messages: [] }), Anthropic.AuthenticationError);
    await assert.rejects(clientOf({ key: world.server.adminKey }).models.list(), OpenAI.PermissionDeniedError);
    const reply = await fetch(`${world.url}/v1beta/models/x:generateContent?key=${user.key}`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
    assert.equal(reply.status, 401, 'a key in the address is none');
    assert.equal((await reply.json()).error.status, 'UNAUTHENTICATED');
  });

  test('responses remember, for their owner only, until they are deleted', async () => {
    const first = await openai.responses.create({ model: MODELS.openai, input: 'hello', instructions: 'Be kind.' });
    const next = await openai.responses.create({ model: MODELS.anthropic, input: 'hello again', previous_response_id: first.id });
    assert.equal(next.previous_response_id, first.id);
    const sent = mock.getRequests().at(-1).body.messages.map((message) => message.role);
    assert.deepEqual(sent.filter((role) => role !== 'system'), ['user', 'assistant', 'user']);
    assert.equal((await openai.responses.retrieve(first.id)).output_text, 'Hello from the other side.');
    const items = [];
    for await (const item of openai.responses.inputItems.list(first.id)) items.push(item);
    assert.equal(items[0].content[0].text, 'hello');
    const other = clientOf(await world.newUser());
    await assert.rejects(other.responses.retrieve(first.id), OpenAI.NotFoundError);
    await assert.rejects(other.responses.create({ model: MODELS.openai, input: 'hello', previous_response_id: first.id }), OpenAI.NotFoundError);
    await assert.rejects(clientOf(world.platform).responses.retrieve(first.id), OpenAI.NotFoundError);
    await openai.responses.delete(first.id);
    await assert.rejects(openai.responses.retrieve(first.id), OpenAI.NotFoundError);
    await assert.rejects(openai.responses.create({ model: MODELS.openai, input: 'hello', previous_response_id: next.id }), OpenAI.NotFoundError);
    const passing = await openai.responses.create({ model: MODELS.openai, input: 'hello', store: false });
    await assert.rejects(openai.responses.retrieve(passing.id), OpenAI.NotFoundError);
  });

  const mcp = (extra = {}) => ({ type: 'mcp', server_label: 'github', server_url: world.mcp('github'), require_approval: 'never', ...extra });

  for (const [provider, model] of Object.entries(MODELS)) {
    test(`responses run MCP tools with ${provider}, whole and streamed`, async () => {
      const request = { model, input: 'who am I', tools: [mcp({ allowed_tools: ['github_get_me'] })] };
      const whole = await openai.responses.create(request);
      assert.deepEqual(whole.output.map((item) => item.type), ['mcp_list_tools', 'mcp_call', 'message']);
      assert.deepEqual(whole.output[0].tools.map((one) => one.name), ['github_get_me']);
      assert.match(whole.output[1].output, /octocat/);
      assert.equal(whole.output_text, 'You are the octocat.');
      const types = [];
      let final;
      for await (const event of await openai.responses.create({ ...request, stream: true })) {
        types.push(event.type);
        if (event.type === 'response.completed') final = event.response;
      }
      for (const type of ['response.mcp_list_tools.completed', 'response.mcp_call.in_progress', 'response.mcp_call_arguments.done', 'response.mcp_call.completed', 'response.output_text.done']) {
        assert.ok(types.includes(type), `${type} in ${types}`);
      }
      assert.equal(final.output.at(-1).content[0].text, 'You are the octocat.');
      assert.equal(types.filter((type) => type === 'response.completed').length, 1);
    });
  }

  test('an approval is asked for, given, and refused', async () => {
    const request = { model: MODELS.openai, input: 'who am I', tools: [mcp({ require_approval: 'always', allowed_tools: ['github_get_me'] })] };
    const asked = await openai.responses.create(request);
    const question = asked.output.at(-1);
    assert.deepEqual([question.type, question.name, question.server_label], ['mcp_approval_request', 'github_get_me', 'github']);
    const answer = (approve) => openai.responses.create({
      ...request, previous_response_id: asked.id, input: [{ type: 'mcp_approval_response', approval_request_id: question.id, approve }],
    });
    const allowed = await answer(true);
    assert.match(allowed.output.find((item) => item.type === 'mcp_call').output, /octocat/);
    assert.equal(allowed.output_text, 'You are the octocat.');
    const denied = await answer(false);
    assert.ok(!denied.output.some((item) => item.type === 'mcp_call'));
    await assert.rejects(openai.responses.create({ ...request, input: [{ type: 'mcp_approval_response', approval_request_id: 'mcpr_made_up', approve: true }] }), OpenAI.BadRequestError);
  });

  test('MCP tools are the end user\'s: other servers and keys without one are refused', async () => {
    const ask = (client, entry) => client.responses.create({ model: MODELS.openai, input: 'who am I', tools: [entry] });
    await assert.rejects(ask(openai, mcp({ server_url: 'https://mcp.example.com/mcp' })), OpenAI.BadRequestError);
    const platform = clientOf(world.platform);
    await assert.rejects(ask(platform, mcp()), OpenAI.PermissionDeniedError);
    const through = await ask(platform, mcp({ authorization: `Bearer ${user.key}`, allowed_tools: ['github_get_me'] }));
    assert.equal(through.output_text, 'You are the octocat.');
    const stranger = await world.newUser();
    await assert.rejects(ask(clientOf(stranger), mcp({ authorization: user.key })), OpenAI.PermissionDeniedError);
  });

  test('what a call cost is in the reply, in the usage log, and gone from the wallet', async () => {
    const platform = await world.newPlatform([]);
    await configure(platform.path, 'openai');
    await topUp(platform, '1.00');
    const { data, response } = await clientOf(platform).chat.completions.create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] }).withResponse();
    assert.equal(data.usage.total_tokens, 19);
    const cost = Number(response.headers.get('x-aig-cost-usd'));
    assert.ok(cost > 0, 'the cost is told');
    assert.equal(response.headers.get('x-aig-provider'), 'openai');
    await eventually(async () => Math.abs(await balance(platform) - (1 - cost)) < 1e-9, 'the cost leaves the wallet');
  });

  test('an empty wallet is a 402 that no client repeats', async () => {
    const platform = await world.newPlatform([]);
    await configure(platform.path, 'openai');
    const before = mock.getRequests().length;
    let sent = 0;
    const counting = (...args) => (sent++, fetch(...args));
    await assert.rejects(clientOf(platform, { maxRetries: 3, fetch: counting }).chat.completions.create({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'hello' }] }),
      (error) => error.status === 402 && error.code === 'wallet_insufficient');
    const claude = new Anthropic({ apiKey: platform.key, baseURL: world.url, maxRetries: 3, fetch: counting });
    await assert.rejects(claude.messages.create({ model: 'gpt-4o-mini', max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] }), (error) => error.status === 402);
    assert.equal(sent, 2, 'one request each');
    assert.equal(mock.getRequests().length, before, 'nothing reached the provider');
  });
});
