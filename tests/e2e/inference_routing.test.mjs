// Which provider is asked, proved by what the stand-ins saw: keys, weights, strategies, failover, waits, the breaker,
// and that nothing leaves the premises when it must not.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { addKey, ask, assertBalanced, DIALECTS, fund, MODEL, post, usageOf } from './support/models.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const FIRST = 'first-key-0123456789';
const SECOND = 'second-key-0123456789';
const PATIENT = { attempts_max: 4, first_byte_timeout_seconds: 5, total_timeout_seconds: 20 };

describe('routing', () => {
  let world, upstream;
  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [] });
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });
  beforeEach(() => upstream.clear());

  async function newTenant(settings = {}, keys = [{ api_key: FIRST, priority: 0 }, { api_key: SECOND, priority: 1 }]) {
    const platform = await world.newPlatform([]);
    await fund(world, platform, { settings: { ...PATIENT, ...settings } });
    for (const key of keys) await addKey(world, platform, upstream, key);
    return platform;
  }
  const keysSeen = () => upstream.exchanges.map((exchange) => exchange.key);
  const refuse = (status, headers) => (x) => x.json(status, { error: { message: 'no', type: 'made_up' } }, headers);
  async function call(platform, options) {
    const reply = await ask(world.url, platform.key, options);
    assert.equal(reply.status, 200, reply.text);
    return reply;
  }

  test('the lower priority goes first; the next one takes over at once, and the first rests as long as it asked', async () => {
    const platform = await newTenant();
    await call(platform);
    upstream.next(refuse(429, { 'retry-after': '60' }));
    assert.equal((await call(platform)).headers.get('x-aig-attempts'), '2');
    await call(platform);
    assert.deepEqual(keysSeen(), [FIRST, FIRST, SECOND, SECOND]);
    const rows = await eventually(async () => {
      const found = await usageOf(platform);
      return found.length === 4 && found;
    }, 'a row for each attempt');
    assert.deepEqual(rows.map((row) => [row.status, row.attempt]).sort(), [['success', 1], ['success', 1], ['success', 2], ['upstream_error', 1]]);
    await assertBalanced(platform);
  });

  for (const [what, script] of Object.entries({
    'a 401': refuse(401), 'a 402': refuse(402), 'a 500': refuse(500), 'a 503': refuse(503), 'a 529': refuse(529), 'HTML': (x) => x.send(200, '<html>'), 'an end within the head': (x) => x.end('HTTP/1.1 2'),
  })) {
    test(`${what} goes on to the other key, streamed too`, async () => {
      for (const stream of [false, true]) {
        const platform = await newTenant();
        upstream.clear();
        upstream.next(script);
        await call(platform, { stream });
        assert.deepEqual(keysSeen(), [FIRST, SECOND]);
      }
    });
  }

  test('what is the caller\'s fault, or has begun, is not tried again', async () => {
    const platform = await newTenant();
    upstream.next(refuse(400));
    assert.equal((await ask(world.url, platform.key)).status, 400);
    upstream.next(refuse(413));
    assert.equal((await ask(world.url, platform.key)).status, 413);
    upstream.next(async (x) => { await x.open('data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'); x.reset(); });
    assert.match((await call(platform, { stream: true })).text, /"error"/);
    assert.deepEqual(keysSeen(), [FIRST, FIRST, FIRST]);
  });

  test('the only key is asked again after the wait that it named', async () => {
    const platform = await newTenant({}, [{ api_key: FIRST }]);
    upstream.next(refuse(429, { 'retry-after-ms': '30' }));
    assert.equal((await call(platform)).headers.get('x-aig-attempts'), '2');
    upstream.next(refuse(429, { 'retry-after': '90' }));
    const reply = await ask(world.url, platform.key);
    assert.deepEqual([reply.status, reply.headers.get('retry-after')], [429, '90']);
    assert.equal(upstream.exchanges.length, 3);
    const told = await ask(world.url, platform.key);
    assert.equal(told.status, 503);
    assert.ok(Number(told.headers.get('retry-after')) > 60);
    assert.equal(upstream.exchanges.length, 3, 'it is left alone');
  });

  test('weights divide the calls; weight 0 serves when nobody else does', async () => {
    const platform = await newTenant({}, [{ api_key: FIRST, weight: 1000 }, { api_key: SECOND, weight: 1 }]);
    for (let i = 0; i < 12; i++) await call(platform);
    assert.ok(keysSeen().filter((key) => key === FIRST).length >= 10);
    const spare = await newTenant({}, [{ api_key: FIRST, weight: 0 }, { api_key: SECOND, weight: 1 }]);
    upstream.clear();
    for (let i = 0; i < 6; i++) await call(spare);
    upstream.next(refuse(500));
    await call(spare);
    assert.deepEqual(keysSeen(), [...Array(7).fill(SECOND), FIRST]);
  });

  test('the fastest and the cheapest are asked first', async () => {
    const platform = await newTenant({ strategy: 'lowest_latency' }, [{ api_key: FIRST }, { api_key: SECOND }]);
    upstream.always((x) => setTimeout(() => upstream.happy(x), x.key === FIRST ? 300 : 0));
    for (let i = 0; i < 15; i++) await call(platform);
    const slow = keysSeen().filter((key) => key === FIRST).length;
    assert.ok(slow >= 1 && slow <= 7, `${slow} of 15 to the slow one`);

    for (const [slug, input] of [['dear', '9'], ['cheap', '1']]) {
      await world.admin.must(201, 'POST', '/v1/admin/providers', { slug, title: slug, dialect: 'openai.chat', flavor: 'compatible', base_url: `${upstream.url}/v1`, open_models: true });
      const put = await world.admin.put('/v1/admin/prices', { prices: [{ provider: slug, model: 'same-model', rates: { input, output: input } }] });
      assert.ok(put.status < 300, JSON.stringify(put.body));
    }
    const thrifty = await newTenant({ strategy: 'lowest_cost' }, []);
    for (const [provider, api_key] of [['dear', FIRST], ['cheap', SECOND]]) {
      await world.admin.must(201, 'POST', `${thrifty.path}/llm-configs`, { provider, api_key, models: ['same-model'] });
    }
    upstream.clear();
    for (let i = 0; i < 5; i++) await call(thrifty, { model: 'same-model' });
    upstream.next(refuse(500));
    await call(thrifty, { model: 'same-model' });
    assert.deepEqual(keysSeen(), [...Array(6).fill(SECOND), FIRST]);
  });

  test('a provider that is down is left alone until one probe has found it well', async () => {
    const platform = await newTenant({ attempts_max: 1 }, [{ api_key: FIRST }]);
    upstream.always(refuse(500));
    for (let i = 0; i < 5; i++) assert.equal((await ask(world.url, platform.key)).status, 502);
    for (let i = 0; i < 5; i++) {
      const reply = await ask(world.url, platform.key);
      assert.equal(reply.status, 503);
      assert.ok(reply.headers.get('retry-after'));
    }
    assert.equal(upstream.exchanges.length, 5);
    // A caller who cannot pay takes the probe's place and gives it back.
    const poor = await world.newUser(platform);
    await platform.api.must(201, 'POST', `${poor.path}/budget`, { max_usd: '0.000001' });
    let probe;
    upstream.always((x) => (probe = x)); // the probe is not answered yet
    await eventually(async () => (await ask(world.url, poor.key)).status === 402, 'the breaker is half open', 30_000);
    const waiting = ask(world.url, platform.key);
    await eventually(() => probe, 'a probe');
    assert.deepEqual((await Promise.all([1, 2, 3].map(() => ask(world.url, platform.key)))).map((reply) => reply.status), [503, 503, 503]);
    assert.equal(upstream.exchanges.length, 6);
    upstream.always();
    upstream.happy(probe);
    assert.equal((await waiting).status, 200);
    await call(platform);
  });

  test('the total time ends a call, however many keys are left', async () => {
    const platform = await newTenant({ first_byte_timeout_seconds: 1, total_timeout_seconds: 2, attempts_max: 10 },
      Array.from({ length: 6 }, (_, i) => ({ api_key: `key-number-${i}-0123456789`, priority: i })));
    upstream.always(() => {});
    assert.equal((await ask(world.url, platform.key)).status, 504);
    assert.ok(upstream.exchanges.length >= 2 && upstream.exchanges.length <= 3, `${upstream.exchanges.length} keys`);
    await assertBalanced(platform);
  });

  test('another model takes over when the first is not there', async () => {
    const platform = await newTenant({ fallbacks: { [MODEL]: ['gpt-4.1-nano'] } }, [{ api_key: FIRST }]);
    upstream.next((x) => x.json(404, { error: { message: 'no such model', code: 'model_not_found' } }));
    assert.equal((await call(platform)).headers.get('x-aig-model'), 'gpt-4.1-nano');
    assert.deepEqual(upstream.exchanges.map((exchange) => exchange.body.model), [MODEL, 'gpt-4.1-nano']);
  });
});

for (const whole of [false, true]) {
  describe(`on the premises: ${whole ? 'the whole server' : 'one platform'}`, () => {
    let world, internet, local, platform;
    before(async () => {
      internet = await startUpstream();
      local = await startUpstream();
      world = await World.start({ apps: [], env: whole ? { ASSISTIV_ON_PREMISE_ONLY: '1' } : {} });
      ({ platform } = world);
      await fund(world, platform, { settings: { ...PATIENT, fallbacks: { 'house-model': [MODEL] }, ...(!whole && { on_premise_only: true }) } });
      for (const [provider, base] of [['openai', '/v1'], ['anthropic', '/v1'], ['google', '/v1beta'], ['xai', '/v1']]) {
        await addKey(world, platform, internet, { provider, base });
      }
      await world.admin.must(201, 'POST', '/v1/admin/providers', {
        slug: 'house-gemini', title: 'Gemini in the house', dialect: 'gemini', flavor: 'google', base_url: `${local.url}/v1beta`, local: true, open_models: true,
      });
      await world.admin.must(201, 'POST', `${platform.path}/llm-configs`, { provider: 'house-gemini', models: ['house-gemini-model'] });
      await addKey(world, platform, local, { provider: 'vllm', local: true, models: ['house-model'] });
    });
    after(async () => {
      await world?.stop();
      await Promise.all([internet?.stop(), local?.stop()]);
    });
    beforeEach(() => [internet, local].forEach((one) => one.clear()));

    function assertRefused(reply, dialect) {
      assert.equal(reply.status, 403, reply.text);
      DIALECTS[dialect].assertError(reply.body, 403);
      assert.match(reply.body.error.message, /premises/, 'it says why');
      assert.equal(internet.exchanges.length, 0, 'something left');
    }

    test('what is local serves, in every dialect', async () => {
      for (const dialect of Object.keys(DIALECTS)) {
        for (const stream of [false, true]) assert.equal((await ask(world.url, platform.key, { dialect, stream, model: 'house-model' })).status, 200);
      }
      assert.equal(local.exchanges.length, 8);
      assert.equal(internet.exchanges.length, 0);
    });

    test('no conversation leaves', async () => {
      for (const model of [MODEL, 'claude-haiku-4-5', 'gemini-2.5-flash', 'grok-3', 'gpt-5-pro', `openai/${MODEL}`]) {
        for (const dialect of Object.keys(DIALECTS)) {
          if (dialect === 'gemini' && model.includes('/')) continue;
          for (const stream of [false, true]) assertRefused(await ask(world.url, platform.key, { dialect, stream, model }), dialect);
        }
      }
      assertRefused(await ask(world.url, platform.key, { dialect: 'responses', change: { store: false } }), 'responses');
    });

    test('no text to embed or to count leaves', async () => {
      assertRefused(await post(world.url, '/v1/embeddings', platform.key, { model: 'text-embedding-3-small', input: 'secret' }), 'chat');
      const { body } = DIALECTS.messages;
      assertRefused(await post(world.url, '/v1/messages/count_tokens', platform.key, body('claude-haiku-4-5')), 'messages');
      assertRefused(await post(world.url, '/v1beta/models/gemini-2.5-flash:countTokens', platform.key, DIALECTS.gemini.body()), 'gemini');
      assert.equal((await post(world.url, '/v1/embeddings', platform.key, { model: 'house-model', input: 'secret' })).status, 200);
      assert.equal(local.exchanges.length, 1);
    });

    test('a fallback model that is elsewhere is not taken', async () => {
      local.always((x) => x.json(404, { error: { message: 'gone', code: 'model_not_found' } }));
      assert.equal((await ask(world.url, platform.key, { model: 'house-model' })).status, 404);
      assert.ok(local.exchanges.length >= 1);
      assert.equal(internet.exchanges.length, 0);
    });

    test('no picture is fetched', async () => {
      const content = [{ type: 'text', text: 'what is it' }, { type: 'image_url', image_url: { url: `${internet.url}/cat.png` } }];
      const change = { messages: [{ role: 'user', content }] };
      const reply = await ask(world.url, platform.key, { model: 'house-gemini-model', change });
      assert.equal(reply.status, 400, reply.text);
      assert.match(reply.body.error.message, /network/, 'it says why');
      await ask(world.url, platform.key, { model: 'house-model', change }); // the house's server may know what to do with it
      assert.equal(internet.exchanges.length, 0);
    });
  });
}
