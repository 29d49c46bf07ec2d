// One tenant's providers, keys, conversations, cache, money and reports are nobody else's; nor are one end user's
// another's.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { assertError } from './support/api.mjs';
import { addKey, ask, DIALECTS, fund, MODEL, post, usageOf } from './support/models.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

describe('tenants', () => {
  let world, upstream, ours, theirs, anna, bert;
  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [] });
    [ours, theirs] = [world.platform, await world.newPlatform([])];
    for (const [platform, api_key] of [[ours, 'our-key-0123456789abcdef'], [theirs, 'their-key-0123456789abcdef']]) {
      await fund(world, platform);
      platform.config = await addKey(world, platform, upstream, { api_key });
    }
    [anna, bert] = [await world.newUser(ours), await world.newUser(ours)];
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });
  beforeEach(() => upstream.clear());

  test('a call goes out with the key of the caller\'s platform', async () => {
    for (const key of [ours.key, anna.key, theirs.key]) assert.equal((await ask(world.url, key)).status, 200);
    assert.deepEqual(upstream.exchanges.map((exchange) => exchange.key), ['our-key-0123456789abcdef', 'our-key-0123456789abcdef', 'their-key-0123456789abcdef']);
    for (const { text, headers } of upstream.exchanges) {
      for (const secret of [ours.key, anna.key, theirs.key]) assert.ok(!(text + JSON.stringify(headers)).includes(secret), 'a key of ours went out');
    }
  });

  test('a configuration does not exist for another platform, nor for an end user', async () => {
    const inOurs = `${ours.path}/llm-configs/${ours.config.id}`;
    const asTheirs = `${theirs.path}/llm-configs/${ours.config.id}`;
    for (const path of [inOurs, asTheirs]) {
      assertError(await theirs.api.get(path), 404, 'not_found');
      assertError(await theirs.api.patch(path, { is_active: false }), 404, 'not_found');
      assertError(await theirs.api.delete(path), 404, 'not_found');
    }
    assertError(await theirs.api.get(`${ours.path}/llm-configs`), 404, 'not_found');
    assertError(await anna.api.get(inOurs), 403, 'forbidden');
    const read = await ours.api.get(inOurs);
    assert.equal(read.status, 200);
    assert.ok(!JSON.stringify(read.body).includes('our-key'));
  });

  test('models are those of the caller\'s platform', async () => {
    const empty = await world.newPlatform([]);
    assert.deepEqual((await empty.api.get('/v1/models')).body.data, []);
    assert.equal((await ask(world.url, empty.key)).status, 404);
    assert.ok((await anna.api.get('/v1/models')).body.data.some((model) => model.id === MODEL));
  });

  test('a stored response is its end user\'s alone', async () => {
    const made = await ask(world.url, anna.key, { dialect: 'responses' });
    assert.equal(made.status, 200, made.text);
    const path = `/v1/responses/${made.body.id}`;
    for (const who of [bert.api, theirs.api, ours.api]) {
      assert.equal((await who.get(path)).status, 404);
      assert.equal((await who.get(`${path}/input_items`)).status, 404);
      assert.equal((await who.delete(path)).status, 404);
    }
    upstream.clear();
    for (const key of [bert.key, theirs.key, ours.key]) {
      const reply = await ask(world.url, key, { dialect: 'responses', change: { previous_response_id: made.body.id } });
      assert.equal(reply.status, 404, reply.text);
    }
    assert.equal(upstream.exchanges.length, 0);
    assert.equal((await ask(world.url, anna.key, { dialect: 'responses', change: { previous_response_id: made.body.id } })).status, 200);
    assert.equal((await anna.api.get(path)).status, 200);
  });

  test('the cache is a platform\'s and a dialect\'s own', async () => {
    const cached = async (key, options = {}) => (await ask(world.url, key, { ...options, headers: { 'x-cache': 'force' } })).headers.get('x-aig-cache');
    assert.equal(await cached(ours.key), 'miss');
    assert.equal(await cached(ours.key), 'hit');
    assert.equal(await cached(theirs.key), 'miss');
    assert.equal(await cached(ours.key, { dialect: 'messages' }), 'miss');
    assert.equal(await cached(ours.key, { stream: true }), 'miss');
    assert.equal(upstream.exchanges.length, 4);
  });

  test('what was used and paid is seen by its owner only', async () => {
    const tagged = await ask(world.url, anna.key, { headers: { 'x-aig-tag': 'annas' } });
    const id = tagged.headers.get('x-request-id');
    const found = (who, query) => eventually(async () => {
      const rows = await usageOf(who, query);
      return rows.length > 0 && rows;
    }, 'a row');
    assert.equal((await found(ours, `&request_id=${id}`))[0].end_user_id, anna.id);
    for (const query of [`&request_id=${id}`, '&tag=annas', `&end_user_id=${anna.id}`]) assert.deepEqual(await usageOf(theirs, query), []);
    for (const path of ['usage', 'usage/by-end-user', 'wallet', 'wallet/transactions', 'webhooks', 'rate-limits', `end-users/${anna.id}/budget`, `end-users/${anna.id}/rate-limits`]) {
      assertError(await theirs.api.get(`${ours.path}/${path}`), 404, 'not_found');
      assertError(await anna.api.get(`${ours.path}/${path}`), 403, 'forbidden');
    }
    assertError(await theirs.api.get(`${theirs.path}/end-users/${anna.id}/budget`), 404, 'not_found');
    assert.deepEqual((await bert.api.get(`/v1/me/usage?request_id=${id}`)).data, []);
    assert.deepEqual((await bert.api.get(`/v1/me/usage?end_user_id=${anna.id}`)).data, []);
    assert.equal((await anna.api.get(`/v1/me/usage?request_id=${id}`)).data.length, 1);
  });

  test('the same idempotency key of two platforms is two', async () => {
    const key = { headers: { 'idempotency-key': 'the-same' } };
    for (const platform of [ours, theirs]) {
      const user = await world.newUser(platform);
      await platform.api.must(201, 'POST', `${user.path}/budget`, { max_usd: '5' });
      const reply = await platform.api.post(`${user.path}/budget/debit`, { amount_usd: '1' }, key);
      assert.deepEqual([reply.status, reply.headers.get('idempotent-replayed')], [201, null]);
      assert.equal((await platform.api.get(`${user.path}/budget`)).data.used_usd, '1.00');
    }
  });

  test('keys of the wrong kind or scope call no model', async () => {
    const { raw_key } = await ours.api.must(201, 'POST', `${ours.path}/api-keys`, { scopes: ['management'] });
    for (const [dialect, { path, body, assertError: assertEnvelope }] of Object.entries(DIALECTS)) {
      for (const key of [raw_key, world.admin.key]) {
        const reply = await post(world.url, path(MODEL), key, body(MODEL));
        assert.equal(reply.status, 403, `${dialect}: ${reply.text}`);
        assertEnvelope(reply.body, 403);
      }
    }
    assert.equal(upstream.exchanges.length, 0);
  });
});
