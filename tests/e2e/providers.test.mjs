// The operator's catalogue of providers and models, the platforms' keys at them, and what a call through one of them
// leaves in the usage log. Every reply is held against /openapi.json.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import OpenAI from 'openai';
import { assertError } from './support/api.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const KEY = 'acme-key-that-nobody-sees-again';
const ANSWER = {
  id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'acme-large-2026', usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 },
  choices: [{ index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' }],
};

/** A vendor that is in no catalogue; keeps what it was sent. */
async function startVendor() {
  const got = [];
  const server = http.createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => (text += chunk)).on('end', () => {
      got.push({ path: request.url, key: request.headers.authorization, body: JSON.parse(text) });
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(ANSWER));
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { got, url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

describe('providers', () => {
  let world, vendor, platform, provider, model;
  before(async () => {
    vendor = await startVendor();
    world = await World.start({ apps: [] });
    ({ platform } = world);
    const { admin } = world;
    provider = await admin.must(201, 'POST', '/v1/admin/providers', { slug: 'acme', title: 'Acme AI', dialect: 'openai.chat', flavor: 'compatible', base_url: `${vendor.url}/v1` });
    model = await admin.must(201, 'POST', '/v1/admin/models', {
      slug: 'acme-large', provider_id: provider.id, provider_model: 'acme-large-2026', context_tokens: 100_000, max_output_tokens: 4096, aliases: ['large'],
    });
    await admin.must(200, 'PUT', '/v1/admin/prices', { prices: [{ provider: 'acme', model: 'acme-large-2026', rates: { input: '2', output: '10' } }] });
    await admin.must(201, 'POST', `${platform.path}/wallet/topup`, { amount: '1' });
  });
  after(async () => {
    await world?.stop();
    await vendor?.stop();
  });
  const configs = () => `${platform.path}/llm-configs`;
  const listed = async (name) => (await platform.api.get('/v1/models')).body.data.some((one) => one.id === name);

  test('the catalogue: the program\'s rows and the operator\'s', async () => {
    const { admin } = world;
    const known = (await admin.get('/v1/admin/providers?limit=100')).body.data;
    for (const slug of ['openai', 'anthropic', 'google', 'xai', 'ollama', 'vllm', 'acme']) assert.ok(known.some((one) => one.slug === slug), slug);
    assert.deepEqual([provider.source, known.find((one) => one.slug === 'openai').source], ['operator', 'builtin']);
    assertError(await admin.post('/v1/admin/providers', { slug: 'acme', dialect: 'openai.chat' }), 409, 'conflict');
    assertError(await admin.post('/v1/admin/providers', { slug: 'Acme!', dialect: 'openai.chat' }), 400, 'bad_request');
    assertError(await platform.api.get('/v1/admin/providers'), 403, 'forbidden');
    assert.equal((await admin.must(200, 'PATCH', `/v1/admin/providers/${provider.id}`, { title: 'Acme' })).title, 'Acme');
    assert.equal((await admin.must(200, 'PATCH', `/v1/admin/models/${model.id}`, { capabilities: { reasoning: true } })).capabilities.reasoning, true);
    assert.equal((await admin.get(`/v1/admin/models/${model.id}`)).data.slug, 'acme-large');
    assertError(await admin.delete(`/v1/admin/providers/${known.find((one) => one.slug === 'openai').id}`), 409, 'conflict');
  });

  test('a key at a provider: used, changed, and never shown', async () => {
    const made = await platform.api.post(configs(), { provider: 'acme', api_key: KEY, name: 'first' });
    assert.equal(made.status, 201);
    const at = `${configs()}/${made.data.id}`;
    const replies = [made, await platform.api.get(at), await platform.api.get(configs()), await platform.api.patch(at, { priority: 5, weight: 3 })];
    for (const reply of replies) assert.ok(!JSON.stringify(reply.body).includes(KEY), 'the key is in a reply');
    assert.deepEqual([made.data.key_hint, replies[3].data.priority, replies[3].data.weight], ['...gain', 5, 3]);
    assert.ok(await listed('acme-large'));
    const openai = new OpenAI({ apiKey: platform.key, baseURL: `${world.url}/v1`, maxRetries: 0 });
    const { data, response } = await openai.chat.completions.create({ model: 'large', messages: [{ role: 'user', content: 'Can you?' }] }, { headers: { 'x-aig-tag': 'nightly' } }).withResponse();
    assert.equal(data.choices[0].message.content, 'Yes.');
    assert.deepEqual([response.headers.get('x-aig-provider'), response.headers.get('x-aig-model'), response.headers.get('x-aig-cost-usd')], ['acme', 'acme-large-2026', '0.003']);
    const sent = vendor.got.at(-1);
    assert.deepEqual([sent.path, sent.key, sent.body.model], ['/v1/chat/completions', `Bearer ${KEY}`, 'acme-large-2026']);
    await platform.api.must(200, 'PATCH', at, { api_key: 'acme-key-number-two' });
    await eventually(async () => {
      await openai.chat.completions.create({ model: 'acme-large', messages: [{ role: 'user', content: 'And now?' }] });
      return vendor.got.at(-1).key === 'Bearer acme-key-number-two';
    }, 'the new key');
    await platform.api.must(200, 'PATCH', at, { is_active: false });
    await eventually(async () => !(await listed('acme-large')), 'switched off');
    await assert.rejects(openai.chat.completions.create({ model: 'large', messages: [{ role: 'user', content: 'x' }] }), (error) => error.code === 'model_not_found');
    assertError(await world.admin.delete(`/v1/admin/providers/${provider.id}`), 409, 'conflict');
    const audit = (await world.audit(platform)).filter((entry) => entry.event.startsWith('llm_config.'));
    assert.ok(audit.length >= 4 && !JSON.stringify(audit).includes('acme-key'), 'changes are on record, keys are not');
    assert.equal((await platform.api.delete(at)).status, 204);
    assertError(await platform.api.get(at), 404, 'not_found');
  });

  test('faulty configurations, and those of others', async () => {
    assertError(await platform.api.post(configs(), { provider: 'nobody', api_key: 'x' }), 400, 'bad_request');
    assertError(await platform.api.post(configs(), { api_key: 'x' }), 400, 'bad_request');
    assertError(await platform.api.post(configs(), { provider: 'openai', api_key: 'x', surprise: 1 }), 400, 'bad_request');
    assertError(await platform.api.post(configs(), { provider: 'openai', base_url: 'ftp://example.com' }), 400, 'bad_request');
    assertError(await platform.api.post(configs(), { provider: 'ollama' }), 400, 'bad_request');
    const mine = await platform.api.must(201, 'POST', configs(), { provider: 'openai', api_key: 'sk-of-this-platform-0001' });
    const other = await world.newPlatform([]);
    const unserved = await other.api.post('/v1/chat/completions', { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'x' }] });
    assert.deepEqual([unserved.status, unserved.body.error.code], [404, 'model_not_found']);
    assert.match(unserved.body.error.message, /no provider yet.*llm-configs/);
    for (const reply of [await other.api.get(`${configs()}/${mine.id}`), await other.api.get(`${other.path}/llm-configs/${mine.id}`), await other.api.delete(`${other.path}/llm-configs/${mine.id}`)]) {
      assertError(reply, 404, 'not_found');
    }
  });

  test('usage: one row per call, filtered, summed, as CSV', async () => {
    const { api } = platform;
    // Rows come in batches after their calls: sums are compared when every call that was answered is in them.
    await eventually(async () => (await api.get('/v1/usage?status=success')).body.total === vendor.got.length, 'a row for each call');
    const [row] = (await api.get('/v1/usage?tag=nightly')).body.data;
    assert.deepEqual([row.model, row.provider_model, row.total_tokens, row.cost_usd, row.status, row.token_count_method], ['large', 'acme-large-2026', 1100, '0.003', 'success', 'reported']);
    assert.equal((await api.get(`/v1/usage?request_id=${row.request_id}`)).body.total, 1);
    assert.equal((await api.get('/v1/usage?to=2020-01-01')).body.total, 0);
    assertError(await api.get('/v1/usage?from=yesterday'), 400, 'bad_request');
    const total = 0.003 * vendor.got.length;
    for (const by of ['by-day', 'by-tag', 'by-model', 'by-end-user']) {
      const sums = (await api.get(`/v1/usage/${by}`)).body.data;
      assert.equal(sums.reduce((sum, one) => sum + Number(one.cost_usd), 0).toFixed(9), total.toFixed(9), by);
    }
    assert.equal((1 - total).toFixed(9), Number((await api.get(`${platform.path}/wallet`)).data.balance).toFixed(9), 'the wallet paid what the rows say');
    const csv = (await api.get('/v1/usage?format=csv&tag=nightly')).body.trim().split('\n');
    assert.equal(csv.length, 2);
    assert.match(csv[1], /nightly,chat\.completion,acme,large,acme-large-2026/);
  });
});
