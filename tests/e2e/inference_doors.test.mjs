// What the doors of the inference API promise whatever the provider: keys where each vendor's clients put them, what a
// reply says in its headers, fields that are told and not lost, the cache, state, tools, counts, fallbacks.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { LLMock } from '@copilotkit/aimock';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { start as startModels } from '../../examples/standins/models.mjs';
import { authorizeByHand } from './support/authorize.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const SAY = { role: 'user', content: 'hello' };
const CHAT = { model: 'demo', messages: [SAY] };
const MESSAGE = { model: 'demo', max_tokens: 100, messages: [SAY] };
const CONTENTS = { contents: [{ role: 'user', parts: [{ text: 'hello' }] }] };
const USAGE = { prompt_tokens: 12, completion_tokens: 7, total_tokens: 19, input_tokens: 12, output_tokens: 7 };

const ANSWERS = [
  [/countTokens$/, { totalTokens: 31 }],
  [/count_tokens$/, { input_tokens: 42 }],
  [/\/responses$/, {
    id: 'resp_theirs', object: 'response', created_at: 1, status: 'completed', model: 'm', usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 },
    output: [{ type: 'message', id: 'msg_theirs', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Hi.', annotations: [] }] }],
  }],
];

/** A vendor that keeps what it was sent: counts tokens, answers Responses. */
async function startVendor() {
  const got = [];
  const server = http.createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk)).on('end', () => {
      got.push({ path: request.url, body: JSON.parse(text) });
      const [, answer] = ANSWERS.find(([path]) => path.test(request.url)) ?? [];
      response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { got, url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

describe('inference doors', () => {
  let world, standin, mock, vendor, user, openai;

  before(async () => {
    [standin, vendor] = await Promise.all([startModels(), startVendor()]);
    mock = new LLMock({ port: 0, logLevel: 'silent' });
    mock.on({ userMessage: 'hello' }, { content: 'Hello from the other side.', usage: USAGE });
    await mock.start();
    world = await World.start();
    const price = (model, input, output) => ({ provider: 'openai-compatible', model, rates: { input, output } });
    await world.admin.must(200, 'PUT', '/v1/admin/prices', { prices: [price('demo', '1', '2'), price('tiny', '1', '2')] });
    await outfit(world.platform, '10');
    user = await world.newConnectedUser();
    openai = clientOf(user);
  });
  after(async () => {
    await world?.stop();
    await Promise.all([standin, mock, vendor].map((server) => server?.stop()));
  });

  const configure = (platform, config) => world.admin.must(201, 'POST', `${platform.path}/llm-configs`, config);
  /** The stand-in as the platform's provider, and money. */
  async function outfit(platform, amount) {
    await configure(platform, { provider: 'openai-compatible', base_url: `${standin.url}/v1`, local: true, models: ['demo', 'tiny'] });
    if (amount) await world.admin.must(201, 'POST', `${platform.path}/wallet/topup`, { amount });
    return platform;
  }
  const newPlatform = async (amount = '10') => outfit(await world.newPlatform([]), amount);
  const settings = (platform, inference) => platform.api.must(200, 'PATCH', platform.path, { settings: { inference } });
  const clientOf = (who) => new OpenAI({ apiKey: who.key, baseURL: `${world.url}/v1`, maxRetries: 0 });
  const post = async (who, path, body, headers = {}) => {
    const reply = await fetch(world.url + path, {
      method: 'POST', body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(!headers['x-api-key'] && !headers['x-goog-api-key'] && { authorization: `Bearer ${who.key}` }), ...headers },
    });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, text, json: reply.headers.get('content-type')?.includes('json') ? JSON.parse(text) : null };
  };
  const said = (reply) => Object.fromEntries([...reply.headers].filter(([name]) => name.startsWith('x-aig-')));

  const DOORS = {
    '/v1/chat/completions': CHAT, '/v1/messages': MESSAGE, '/v1/responses': { model: 'demo', input: 'hello' },
    '/v1beta/models/demo:generateContent': CONTENTS, '/v1/embeddings': { model: 'demo', input: 'hello' },
  };
  for (const [path, body] of Object.entries(DOORS)) {
    test(`${path}: a key in any of three headers, and every fact in the reply's`, async () => {
      for (const headers of [{}, { 'x-api-key': user.key }, { 'x-goog-api-key': user.key }]) {
        const reply = await post(user, path, body, headers);
        assert.equal(reply.status, 200, reply.text);
        assert.match(reply.headers.get('x-request-id'), /^req_/);
        const facts = said(reply);
        assert.deepEqual([facts['x-aig-provider'], facts['x-aig-model'], facts['x-aig-attempts']], ['openai-compatible', 'demo', '1']);
        assert.ok(Number(facts['x-aig-cost-usd']) > 0);
        assert.match(facts['x-aig-overhead-us'], /^\d+$/);
      }
      const wrong = await post(user, path, body, { 'x-api-key': 'sk-eu_nobody' });
      assert.equal(wrong.status, 401);
    });
  }

  test('clients find the request\'s id where their vendors put it, in answers and in errors', async () => {
    const anthropic = new Anthropic({ apiKey: user.key, baseURL: world.url, maxRetries: 0 });
    assert.match((await anthropic.messages.create(MESSAGE))._request_id, /^req_/);
    await assert.rejects(anthropic.messages.create({ ...MESSAGE, model: 'nobody' }), (error) => /^req_/.test(error.requestID));
    assert.match((await openai.chat.completions.create(CHAT))._request_id, /^req_/);
    await assert.rejects(openai.chat.completions.create({ ...CHAT, model: 'nobody' }), (error) => /^req_/.test(error.requestID));
  });

  test('a refusal says that nothing was tried', async () => {
    const poor = await newPlatform(null);
    for (const path of ['/v1/chat/completions', '/v1/responses', '/v1/messages']) {
      const reply = await post(poor, path, DOORS[path]);
      assert.equal(reply.status, 402, reply.text);
      assert.deepEqual([reply.headers.get('x-aig-attempts'), reply.headers.get('x-aig-cost-usd')], ['0', '0.00']);
      assert.equal(reply.headers.get('x-should-retry'), 'false');
    }
  });

  test('vectors are paid by their input alone', async () => {
    const reply = await post(user, '/v1/embeddings', { model: 'demo', input: 'eightchr' });
    assert.equal(reply.headers.get('x-aig-cost-usd'), '0.000002', 'two tokens at a dollar per million');
  });

  test('a response that is not stored says so, and nothing that the door does itself counts as dropped', async () => {
    const request = { model: 'demo', input: 'hello', store: false, metadata: { team: 'a' }, truncation: 'disabled' };
    for (const stream of [false, true]) {
      const reply = await post(user, '/v1/responses', { ...request, stream }, { 'x-aig-unsupported': 'strict' });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.headers.get('x-aig-dropped'), null);
      const last = stream ? JSON.parse(reply.text.split('\n').findLast((line) => line.startsWith('data: ')).slice(6)).response : reply.json;
      assert.deepEqual([last.store, last.metadata, last.status], [false, { team: 'a' }, 'completed']);
    }
    const stored = await post(user, '/v1/responses', { ...request, store: true }, { 'x-aig-unsupported': 'strict' });
    assert.deepEqual([stored.status, stored.json.metadata], [200, { team: 'a' }]);
    const kept = await user.api.get(`/v1/responses/${stored.json.id}`);
    assert.deepEqual([kept.status, kept.body.metadata], [200, { team: 'a' }]);
  });

  test('providers that speak Responses are told nothing of our state, nor to keep any', async () => {
    const platform = await outfit(await world.newPlatform(), '10');
    await configure(platform, { provider: 'openai', base_url: `${vendor.url}/v1`, api_key: 'key-of-openai-0123456789' });
    const client = clientOf(await world.newConnectedUser({ platform }));
    const model = 'gpt-5-codex';
    const sent = async (ask) => {
      const answer = await ask;
      return { answer, body: vendor.got.findLast(({ path }) => path.endsWith('/responses')).body };
    };
    const tools = [{ type: 'mcp', server_label: 'github', server_url: world.mcp('github'), require_approval: 'never', allowed_tools: ['github_get_me'] }];
    const first = await sent(client.responses.create({ model, input: 'hello', metadata: { team: 'a' }, tools }));
    assert.deepEqual([first.body.store, first.body.metadata], [false, undefined]);
    assert.deepEqual(first.body.tools.map((tool) => [tool.type, tool.name]), [['function', 'github_get_me']]);
    const { body } = await sent(client.responses.create({ model, input: 'and now', previous_response_id: first.answer.id }));
    assert.deepEqual([body.store, body.previous_response_id, body.input.length], [false, undefined, 3]);
    assert.equal((await sent(client.chat.completions.create({ model, messages: [SAY] }))).body.store, false);
    const untouched = await sent(client.responses.create({ model, input: 'hello', store: false, metadata: { team: 'a' } }));
    assert.deepEqual([untouched.body, untouched.answer.id], [{ model, input: 'hello', store: false, metadata: { team: 'a' } }, 'resp_theirs']);
  });

  test('MCP tools of a stream: every event, in order', async () => {
    const tools = [{ type: 'mcp', server_label: 'github', server_url: world.mcp('github'), require_approval: 'never', allowed_tools: ['github_get_me'] }];
    const events = [];
    for await (const event of await openai.responses.create({ model: 'demo', input: 'use github_get_me', tools, stream: true })) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
    const kinds = events.map((event) => event.type.replace('response.', '')).filter((type, index, all) => type !== 'output_text.delta' || all[index - 1] !== type);
    assert.deepEqual(kinds, [
      'created', 'in_progress',
      'output_item.added', 'mcp_list_tools.in_progress', 'mcp_list_tools.completed', 'output_item.done',
      'output_item.added', 'mcp_call.in_progress', 'mcp_call_arguments.delta', 'mcp_call_arguments.done', 'mcp_call.completed', 'output_item.done',
      'output_item.added', 'content_part.added', 'output_text.delta', 'output_text.done', 'content_part.done', 'output_item.done',
      'completed',
    ]);
    const { response } = events.at(-1);
    assert.deepEqual(response.output.map((item) => item.type), ['mcp_list_tools', 'mcp_call', 'message']);
    assert.match(response.output[1].output, /octocat/);
    for (const [index, item] of response.output.entries()) {
      const done = events.find((event) => event.type === 'response.output_item.done' && event.output_index === index);
      assert.deepEqual(done.item, item, 'what was done is what is in the response');
    }
  });

  test('an access token for one URL, to read, is no way to write through a response', async () => {
    const { tokens } = await authorizeByHand(world.url, user.key, { params: { scope: 'mcp', resource: world.mcp('github') } });
    const tool = { type: 'mcp', server_label: 'github', server_url: world.mcp('github'), require_approval: 'never' };
    const ask = (authorization) =>
      post(user, '/v1/responses', { model: 'demo', input: 'use github_get_me', tools: [{ ...tool, ...(authorization && { authorization }) }] });
    const refused = await ask(tokens.access_token);
    assert.doesNotMatch(refused.text, /octocat/);
    assert.ok(!refused.text.includes(tokens.access_token));
    assert.match(refused.text, /access token is good at its own URL only/);
    assert.match((await ask()).text, /octocat/);
  });

  test('a stream of several turns tells what all of them cost', async () => {
    const tools = [{ type: 'mcp', server_label: 'github', server_url: world.mcp('github'), require_approval: 'never', allowed_tools: ['github_get_me'] }];
    const reply = await post(user, '/v1/responses', { model: 'demo', input: 'use github_get_me', tools, stream: true });
    const [, cost] = /^: x-aig-cost-usd (\S+)$/m.exec(reply.text);
    const id = reply.headers.get('x-request-id');
    const rows = await eventually(async () => {
      const { body } = await user.api.get('/v1/me/usage?limit=10');
      const found = body.data.filter((row) => row.request_id.startsWith(id));
      return found.length === 2 && found;
    }, 'both rows');
    assert.equal(Number(cost).toFixed(9), rows.reduce((sum, row) => sum + Number(row.cost_usd), 0).toFixed(9));
  });

  test('limits are told by /v1/responses too, also when they are reached', async () => {
    const platform = await newPlatform();
    const limited = await world.newUser(platform);
    await platform.api.must(200, 'PUT', `${limited.path}/rate-limits`, { rpd_limit: 2 });
    await eventually(async () => (await limited.api.get('/v1/me/rate-limits')).data.resolution === 'explicit', 'the limit');
    const ask = () => post(limited, '/v1/responses', { model: 'demo', input: 'hello' });
    assert.deepEqual([(await ask()).headers.get('x-ratelimit-limit-requests'), (await ask()).status], ['2', 200]);
    const refused = await ask();
    assert.equal(refused.status, 429, refused.text);
    assert.equal(refused.json.error.type, 'rate_limit_error');
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(refused.headers.get('x-ratelimit-remaining-requests'), '0');
    assert.equal(refused.headers.get('x-aig-attempts'), '0');
  });

  test('the cache: asked for, free, and it says so', async () => {
    const platform = await newPlatform();
    const ask = (wish, extra = {}) => post(platform, '/v1/chat/completions', { ...CHAT, ...extra }, wish && { 'x-cache': wish });
    const hits = async (...wishes) => {
      const out = [];
      for (const wish of wishes) out.push((await ask(wish)).headers.get('x-aig-cache'));
      return out;
    };
    assert.deepEqual(await hits('auto', 'force', 'force', 'skip', 'auto'), [null, 'miss', 'hit', null, null]);
    const hit = await ask('force');
    assert.deepEqual([hit.headers.get('x-aig-cost-usd'), hit.headers.get('x-aig-attempts')], ['0.00', '0']);
    assert.equal((await ask('perhaps')).status, 400);
    const whole = await ask('force', { stream: true });
    const again = await ask('force', { stream: true });
    assert.match(whole.text, /^: x-aig-cost-usd 0\.0/m);
    assert.equal(again.text, whole.text.replace(/^: x-aig-cost-usd .*\n\n/m, ''), 'the same stream, and nothing about another call\'s cost');
    const row = await eventually(async () => (await platform.api.get('/v1/usage?limit=1')).body.data.find((entry) => entry.status === 'cache_hit'), 'the row');
    assert.equal(row.cost_usd, '0.00');
  });

  test('near the end of the money, a model with a long output is asked for a shorter one', async () => {
    const platform = await newPlatform(null);
    await configure(platform, { provider: 'openai', base_url: `${mock.url}/v1`, api_key: 'key-of-openai-0123456789' });
    await world.admin.must(201, 'POST', `${platform.path}/wallet/topup`, { amount: '0.05' });
    for (const model of ['gpt-4.1', 'gpt-5-codex']) {
      const reply = await post(platform, '/v1/chat/completions', { model, messages: [SAY] });
      assert.equal(reply.status, 200, reply.text);
    }
  });

  test('tokens are counted by who speaks the dialect, and else estimated, which is told', async () => {
    const platform = await newPlatform();
    await configure(platform, { provider: 'anthropic', base_url: `${vendor.url}/v1`, api_key: 'key-of-anthropic-0123456789' });
    await configure(platform, { provider: 'google', base_url: `${vendor.url}/v1beta`, api_key: 'key-of-google-0123456789' });
    const counted = await post(platform, '/v1/messages/count_tokens', { ...MESSAGE, model: 'claude-haiku-4-5' });
    assert.deepEqual([counted.json, counted.headers.get('x-aig-token-count')], [{ input_tokens: 42 }, null]);
    assert.deepEqual((await post(platform, '/v1beta/models/gemini-2.5-flash:countTokens', CONTENTS)).json, { totalTokens: 31 });
    assert.deepEqual(vendor.got.map(({ path }) => path).filter((path) => /count/i.test(path)), ['/v1/messages/count_tokens', '/v1beta/models/gemini-2.5-flash:countTokens']);
    for (const [path, body, member] of [['/v1/messages/count_tokens', MESSAGE, 'input_tokens'], ['/v1beta/models/demo:countTokens', CONTENTS, 'totalTokens']]) {
      const guess = await post(platform, path, body);
      assert.equal(guess.headers.get('x-aig-token-count'), 'estimated');
      assert.ok(guess.json[member] > 0, guess.text);
    }
  });

  test('xAI, OpenAI\'s Responses, and servers of one\'s own: the mock as each of them', async () => {
    const platform = await newPlatform();
    await configure(platform, { provider: 'xai', base_url: `${mock.url}/v1`, api_key: 'key-of-xai-0123456789' });
    await configure(platform, { provider: 'openai', base_url: `${mock.url}/v1`, api_key: 'key-of-openai-0123456789', models: ['gpt-5-codex'] });
    await configure(platform, { provider: 'ollama', base_url: `${mock.url}/v1`, local: true });
    const client = clientOf(platform);
    for (const [model, provider] of [['grok-4-fast-non-reasoning', 'xai'], ['gpt-5-codex', 'openai'], ['ollama/llama3.2', 'ollama']]) {
      const { data, response } = await client.chat.completions.create({ model, messages: [SAY] }).withResponse();
      assert.equal(data.choices[0].message.content, 'Hello from the other side.');
      assert.equal(response.headers.get('x-aig-provider'), provider);
      let text = '';
      for await (const chunk of await client.chat.completions.create({ model, messages: [SAY], stream: true })) text += chunk.choices[0]?.delta.content ?? '';
      assert.equal(text, 'Hello from the other side.', model);
    }
  });

  test('aliases, fallbacks, a provider that is away', async () => {
    const platform = await newPlatform();
    await configure(platform, { provider: 'openai', base_url: 'http://127.0.0.1:9/v1', api_key: 'key-of-openai-0123456789' });
    await settings(platform, { aliases: { fast: 'demo' }, fallbacks: { 'gpt-4o-mini': ['fast'] } });
    const client = clientOf(platform);
    assert.equal((await client.models.retrieve('fast')).owned_by, 'openai-compatible');
    assert.equal((await client.chat.completions.create({ ...CHAT, model: 'fast' })).model, 'demo');
    const fell = await post(platform, '/v1/chat/completions', { ...CHAT, model: 'gpt-4o-mini' });
    assert.deepEqual([fell.status, fell.headers.get('x-aig-provider'), fell.headers.get('x-aig-attempts')], [200, 'openai-compatible', '2'], fell.text);
  });

  test('on the premises nothing leaves: not a call, not a fallback, not an image', async () => {
    let connections = 0;
    const outside = http.createServer((request, response) => response.writeHead(200).end('{}')).on('connection', () => connections++);
    await new Promise((resolve) => outside.listen(0, '127.0.0.1', resolve));
    const away = `http://127.0.0.1:${outside.address().port}`;
    try {
      const platform = await newPlatform();
      const MODELS = { openai: 'gpt-4o', anthropic: 'claude-haiku-4-5', google: 'gemini-2.5-flash', xai: 'grok-3' };
      for (const provider of Object.keys(MODELS)) await configure(platform, { provider, base_url: `${away}/v1`, api_key: `key-of-${provider}-0123456789` });
      await configure(platform, { provider: 'google', base_url: standin.url, local: true, models: ['gemini-at-home'] });
      await settings(platform, { on_premise_only: true, fallbacks: { broken: ['gpt-4o'] }, aliases: { smart: 'gpt-4o' } });
      for (const model of [...Object.values(MODELS), 'smart', 'openai/gpt-4o']) {
        for (const stream of [false, true]) {
          const reply = await post(platform, '/v1/chat/completions', { ...CHAT, model, stream });
          assert.deepEqual([reply.status, reply.json.error.code], [403, 'on_premise_only'], model);
        }
        assert.equal((await post(platform, '/v1/messages', { ...MESSAGE, model })).json.error.type, 'permission_error');
        assert.equal((await post(platform, '/v1/responses', { model, input: 'hello' })).json.error.code, 'on_premise_only');
        assert.equal((await post(platform, '/v1/embeddings', { model, input: 'hello' })).status, 403);
        assert.equal((await post(platform, `/v1beta/models/${encodeURIComponent(model)}:generateContent`, CONTENTS)).json.error.status, 'PERMISSION_DENIED');
      }
      const picture = [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, { type: 'image_url', image_url: { url: `${away}/cat.png` } }] }];
      assert.equal((await post(platform, '/v1/chat/completions', { model: 'gemini-at-home', messages: picture })).status, 400);
      assert.equal((await post(platform, '/v1/chat/completions', CHAT)).status, 200);
      assert.equal(connections, 0, 'something left');
      await settings(platform, { on_premise_only: false });
      await eventually(async () => (await post(platform, '/v1/chat/completions', { ...CHAT, model: 'gpt-4o' })).status !== 403, 'the doors are open again');
      assert.ok(connections > 0, 'and then it does leave, so the counter works');
    } finally {
      await new Promise((resolve) => outside.close(resolve));
    }
  });
});
