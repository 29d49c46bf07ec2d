// Whatever a provider or a caller does: the right status in the caller's dialect, every hold settled, and the server
// lives on.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import zlib from 'node:zlib';
import { assertError } from './support/api.mjs';
import { addKey, ask, assertBalanced, DIALECTS, fund, MODEL, onlyRow, openStream, post, usageOf } from './support/models.mjs';
import { eventually } from './support/server.mjs';
import { CHAT, startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const SECRET = 'key-of-the-test-0123456789';
const LONG_HEAD = `HTTP/1.1 200 OK\r\n${'x'.repeat(60)}: y\r\n`;
const BOMB = zlib.gzipSync(Buffer.alloc(64 << 20));
const all = (status) => ({ chat: status, responses: status, messages: status, gemini: status });

/** Writes until the other side has had enough; other sockets get their turn in between. */
async function forever(exchange, bytes) {
  while (!exchange.socket.destroyed && (await exchange.write(bytes))) await new Promise(setImmediate);
}

// What a provider does to a call that has had nothing yet: the caller gets a status, nobody pays.
const FAULTS = {
  'HTML': { script: (x) => x.send(200, '<html>gateway time-out</html>', { 'content-type': 'text/html' }), status: all(502) },
  'half a JSON': { script: (x) => x.send(200, '{"choices":[{"message":', { 'content-type': 'application/json' }), status: all(502) },
  'an endless head': { script: async (x) => { await x.write(LONG_HEAD); await forever(x, `a: ${'b'.repeat(1000)}\r\n`); }, status: all(502) },
  'a compressed bomb': {
    script: (x) => x.send(200, BOMB, { 'content-type': 'application/json', 'content-encoding': 'gzip' }), status: all(502),
  },
  'an endless chunk line': { script: async (x) => { await x.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'); await forever(x, '1'.repeat(4096)); }, status: all(502) },
  'a body without end': { script: async (x) => { await x.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n'); await forever(x, '['.repeat(1 << 18)); }, status: all(502) },
  'a reset before the head': { script: (x) => x.reset(), status: all(502) },
  'an end before the head': { script: (x) => x.end(), status: all(502) },
  'a first byte that never comes': { script: () => {}, status: all(504), settings: { first_byte_timeout_seconds: 1 } },
  'an error with the key in it': {
    script: (x) => x.json(400, { error: { message: `Your request with ${SECRET} was bad`, type: 'invalid_request_error', param: null, code: null } }), status: all(400),
  },
  'a refused key': { script: (x) => x.json(401, { error: { message: `Incorrect API key provided: ${SECRET}` } }), status: all(502) },
  'a redirect': { script: (x) => x.send(307, '', { location: 'http://169.254.169.254/latest/meta-data' }), status: all(502) },
  'a 429': { script: (x) => x.json(429, { error: { message: 'slow down', type: 'rate_limit_error' } }, { 'retry-after': '77' }), status: all(429), retryAfter: '77' },
  'a 529': { script: (x) => x.json(529, { type: 'error', error: { type: 'overloaded_error', message: 'busy' } }), status: { ...all(503), messages: 529 } },
  'an error that is nested too deep': { script: (x) => x.send(500, `${'{"error":'.repeat(5000)}1${'}'.repeat(5000)}`, { 'content-type': 'application/json' }), status: all(502) },
  'bytes that are no UTF-8, everywhere': {
    script: (x) => x.write(Buffer.concat([Buffer.from('HTTP/1.1 500 Oops\r\nx-request-id: \xff\xfe\r\ncontent-length: 4\r\n\r\n', 'latin1'), Buffer.from([0xff, 0xfe, 0, 0xff])])), status: all(502),
  },
};

// What it does to a stream that has begun: the caller gets an error in it, and pays for what came.
const CUTS = {
  'in the middle of an event': { script: async (x) => { await x.open(CHAT.role + CHAT.text() + CHAT.text().slice(0, 40)); x.end(); }, outcome: 'truncated' },
  'by a reset': { script: async (x) => { await x.open(CHAT.role + CHAT.text()); x.reset(); }, outcome: 'truncated' },
  'by silence': { script: (x) => x.open(CHAT.role + CHAT.text()), outcome: 'timeout', settings: { idle_timeout_seconds: 1 } },
  'by an error': { script: (x) => x.open(`${CHAT.role}${CHAT.text()}data: {"error":{"message":"died with ${SECRET}","type":"server_error"}}\n\n`), outcome: 'stream_error' },
  'by an event without end': { script: async (x) => { await x.open(`${CHAT.role}${CHAT.text()}data: {"a":"`); await forever(x, 'a'.repeat(1 << 18)); }, outcome: 'stream_error' },
  'by comments without end': { script: async (x) => { await x.open(CHAT.role + CHAT.text()); await forever(x, `: ${'x'.repeat(1000)}\n\n`); }, outcome: 'timeout', settings: { total_timeout_seconds: 5 } },
  'never: text without end': { script: async (x) => { await x.open(CHAT.role); await forever(x, CHAT.text('on and on and ')); }, outcome: 'timeout', settings: { total_timeout_seconds: 5 } },
};

describe('faults of providers and callers', () => {
  let world, upstream;
  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [], env: { ASSISTIV_TRUSTED_PROXIES: '127.0.0.1', ASSISTIV_DRAIN_TIMEOUT: '2' } });
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });
  /** A platform whose provider is the stand-in; its breaker and its books are its own. */
  async function newTenant({ place = '', ...options } = {}) {
    const platform = await world.newPlatform([]);
    await fund(world, platform, options);
    await addKey(world, platform, upstream, { api_key: SECRET, base: `${place}/v1` });
    return platform;
  }
  async function assertAlive() {
    assert.equal((await fetch(`${world.url}/healthz`)).status, 200);
  }

  describe('of providers', { concurrency: 4 }, () => {
    for (const [name, { script, status, retryAfter, settings }] of Object.entries(FAULTS)) {
      test(`a provider that answers with ${name}`, async () => {
        const place = upstream.at(`/${encodeURIComponent(name)}`, script);
        await Promise.all(Object.keys(DIALECTS).flatMap((dialect) => [false, true].map(async (stream) => {
          const where = `${dialect}, ${stream ? 'streamed' : 'whole'}`;
          const platform = await newTenant({ place, settings });
          const reply = await ask(world.url, platform.key, { dialect, stream });
          assert.equal(reply.status, status[dialect], `${where}: ${reply.text}`);
          DIALECTS[dialect].assertError(reply.body, reply.status);
          assert.ok(reply.headers.get('x-request-id'), where);
          if (retryAfter) assert.equal(reply.headers.get('retry-after'), retryAfter, where);
          const row = await onlyRow(platform);
          assert.deepEqual([row.status, Number(row.cost_usd)], ['upstream_error', 0], where);
          assert.ok(!(reply.text + JSON.stringify(row)).includes(SECRET), `${where}: the key is told`);
          await assertBalanced(platform);
        })));
        assert.ok(!world.server.log().includes(SECRET), 'the key is in the log');
        await assertAlive();
      });
    }

    for (const [name, { script, outcome, settings }] of Object.entries(CUTS)) {
      test(`a stream that is cut ${name}`, async () => {
        const place = upstream.at(`/${encodeURIComponent(name)}`, script);
        await Promise.all(Object.keys(DIALECTS).map(async (dialect) => {
          const platform = await newTenant({ place, settings });
          const reply = await ask(world.url, platform.key, { dialect, stream: true });
          assert.equal(reply.status, 200, reply.text.slice(0, 500));
          assert.match(reply.text.slice(-4000), DIALECTS[dialect].streamError, dialect);
          assert.ok(!reply.text.includes(SECRET), `${dialect}: the key is told`);
          const row = await onlyRow(platform);
          assert.equal(row.status, outcome, dialect);
          assert.ok(Number(row.cost_usd) > 0, dialect);
          await assertBalanced(platform);
        }));
        await Promise.all(upstream.exchanges.filter((exchange) => exchange.path.startsWith(place)).map((exchange) => exchange.closed));
        await assertAlive();
      });
    }
  });

  describe('of callers, and of ours', () => {
    beforeEach(() => upstream.clear());

    test('a caller who leaves in mid-stream ends the provider\'s work and pays for what came', async () => {
      await Promise.all(Object.keys(DIALECTS).map(async (dialect) => {
        const platform = await newTenant();
        let came;
        const arrived = new Promise((resolve) => (came = resolve));
        upstream.next(async (x) => { await x.open(CHAT.role + CHAT.text()); came(x); });
        const stream = openStream(world.url, platform.key, { dialect });
        stream.ended.catch(() => {});
        const exchange = await arrived;
        await stream.head;
        stream.leave();
        await exchange.closed;
        const row = await onlyRow(platform);
        assert.equal(row.status, 'client_gone', dialect);
        assert.ok(row.completion_tokens > 0 && Number(row.cost_usd) > 0, JSON.stringify(row));
        await assertBalanced(platform);
      }));
      await assertAlive();
    });

    test('a caller who leaves a flood of comments ends it too', async () => {
      const platform = await newTenant({ settings: { total_timeout_seconds: 600 } });
      let came;
      const arrived = new Promise((resolve) => (came = resolve));
      upstream.next(async (x) => { await x.open(CHAT.role + CHAT.text()); came(x); await forever(x, ': comment\n\n'.repeat(100)); });
      const stream = openStream(world.url, platform.key);
      const exchange = await arrived;
      await stream.head;
      stream.leave();
      await exchange.closed;
      assert.equal((await onlyRow(platform)).status, 'client_gone');
      await assertBalanced(platform);
    });

    test('a caller who leaves before the first byte ends the call', async () => {
      for (const stream of [false, true]) {
        const platform = await newTenant();
        let came;
        const arrived = new Promise((resolve) => (came = resolve));
        upstream.next((x) => came(x));
        const call = openStream(world.url, platform.key, { stream });
        const exchange = await arrived;
        call.leave();
        await exchange.closed;
        assert.equal((await onlyRow(platform)).status, 'client_gone');
        await assertBalanced(platform);
      }
    });

    test('bodies of callers that are wrong in every way', async () => {
      const platform = await newTenant();
      const utf8 = Buffer.from('{"model":"\xff"}', 'latin1');
      const cases = [
        ['{"model": ', 400], ['', 400], ['null', 400], ['[]', 400], ['{"model":"a","model":"b"}', 400], [utf8, 400],
        [`{"model":"a","x":${'['.repeat(4000)}${']'.repeat(4000)}}`, 400], [Buffer.alloc((4 << 20) + 1, ' '), 413],
      ];
      for (const [dialect, { path, assertError }] of Object.entries(DIALECTS)) {
        for (const [body, status] of cases) {
          const reply = await post(world.url, path(MODEL), platform.key, body);
          assert.equal(reply.status, status, `${dialect} ${String(body).slice(0, 30)}: ${reply.text}`);
          assertError(reply.body, status);
        }
        const anonymous = await post(world.url, path(MODEL), null, '{}');
        assert.equal(anonymous.status, 401);
        assertError(anonymous.body, 401);
        const unknown = await ask(world.url, platform.key, { dialect, model: 'no-such-model' });
        assert.equal(unknown.status, 404, unknown.text);
        assertError(unknown.body, 404);
      }
      assert.equal(upstream.exchanges.length, 0);
      assert.equal((await usageOf(platform)).length, 0);
      await assertAlive();
    });

    test('members of bodies that are of the wrong type or size', async () => {
      const platform = await newTenant();
      const wrong = {
        chat: [{ messages: 5 }, { messages: [] }, { messages: [5] }, { messages: [{ role: 7 }] }, { n: 1e9 }, { n: -1 }, { n: 1.5 }, { max_tokens: -1 }, { max_tokens: 2 ** 63 },
          { max_tokens: 0 }, { max_tokens: '5' }, { max_tokens: 1e300 }, { temperature: 'hot' }, { stream: 'yes' }, { tools: {} }, { tools: [1] }, { model: 5 }, { model: ['gpt-4o-mini'] }],
        responses: [{ input: 5 }, { input: [5] }, { max_output_tokens: -1 }, { max_output_tokens: 2 ** 63 }, { store: 'no' }, { tools: [{ type: 'mcp' }] }, { tools: 7 },
          { previous_response_id: 5 }, { background: true }, { conversation: 'conv_1' }, { max_tool_calls: -1 }],
        messages: [{ messages: 'x' }, { max_tokens: -1 }, { max_tokens: 2 ** 63 }, { messages: [{ role: 'user', content: 7 }] }, { system: 7 }, { tools: [{}] }],
        gemini: [{ contents: 5 }, { contents: [{ parts: 5 }] }, { generationConfig: 5 }, { generationConfig: { candidateCount: 1e9 } }, { generationConfig: { maxOutputTokens: -1 } },
          { generationConfig: { maxOutputTokens: 2 ** 63 } }],
      };
      for (const [dialect, changes] of Object.entries(wrong)) {
        for (const change of changes) {
          const reply = await ask(world.url, platform.key, { dialect, change });
          assert.equal(reply.status, 400, `${dialect} ${JSON.stringify(change)}: ${reply.text}`);
          DIALECTS[dialect].assertError(reply.body, 400);
        }
      }
      for (const body of [{ model: MODEL }, { model: 5, input: 'x' }, { model: MODEL, input: 5 }, { input: 'x' }]) {
        assert.equal((await post(world.url, '/v1/embeddings', platform.key, body)).status, 400, JSON.stringify(body));
      }
      assert.equal(upstream.exchanges.length, 0);
    });

    test('names that would break a header are carried safely', async () => {
      const platform = await newTenant();
      const reply = await ask(world.url, platform.key, { dialect: 'messages', change: { 'odd\r\nset-cookie: a=b': 1, 'größe': 2 } });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.headers.get('set-cookie'), null);
      assert.match(reply.headers.get('x-aig-dropped'), /^[\x20-\x7e]+$/);
      await addKey(world, platform, upstream, { provider: 'openai-compatible' });
      const model = 'llama\r\nset-cookie: a=b';
      const odd = await ask(world.url, platform.key, { model });
      assert.equal(odd.status, 404, odd.text);
      const inPath = await post(world.url, `/v1beta/models/${encodeURIComponent(model)}:generateContent`, platform.key, DIALECTS.gemini.body());
      assert.equal(inPath.status, 404, inPath.text);
      assert.equal(upstream.exchanges.length, 1);
    });

    test('a budget that is gone, and a wallet', async () => {
      const platform = await newTenant();
      const user = await world.newUser(platform);
      await platform.api.must(201, 'POST', `${user.path}/budget`, { max_usd: '0.000001' });
      const poor = await newTenant({ amount: '0.000001' });
      for (const dialect of Object.keys(DIALECTS)) {
        for (const key of [user.key, poor.key]) {
          const reply = await ask(world.url, key, { dialect });
          assert.equal(reply.status, 402, reply.text);
          DIALECTS[dialect].assertError(reply.body, 402);
          assert.equal(reply.headers.get('x-should-retry'), 'false');
        }
      }
      assert.equal(upstream.exchanges.length, 0);
    });

    test('a request id that a caller gives again does not make the second call free', async () => {
      const platform = await newTenant();
      const ids = new Set();
      for (let i = 0; i < 3; i++) {
        const reply = await ask(world.url, platform.key, { headers: { 'x-request-id': 'the-same-again' } });
        assert.equal(reply.status, 200);
        ids.add(reply.headers.get('x-request-id'));
      }
      const rows = await eventually(async () => {
        const found = await usageOf(platform);
        return found.length >= 3 && found;
      }, 'three rows');
      assert.ok(rows.every((row) => Number(row.cost_usd) > 0 && ids.has(row.request_id)));
      assert.ok([...ids].every((id) => id.startsWith('the-same-again')), 'a proxy still finds its id');
      await assertBalanced(platform);
    });

    test('a stored key is not sent to another address', async () => {
      const platform = await newTenant();
      const [config] = await platform.api.must(200, 'GET', `${platform.path}/llm-configs`);
      const path = `${platform.path}/llm-configs/${config.id}`;
      const elsewhere = 'http://127.0.0.1:9/v1';
      assertError(await platform.api.patch(path, { base_url: elsewhere }), 400, 'bad_request');
      await platform.api.must(200, 'PATCH', path, { base_url: `${upstream.url}/other/v1` });
      assert.equal((await ask(world.url, platform.key)).status, 200);
      await platform.api.must(200, 'PATCH', path, { base_url: elsewhere, api_key: 'another-key-0123456789' });
    });

    test('an idempotency key goes on as each end user\'s own', async () => {
      const platform = await newTenant();
      const users = [await world.newUser(platform), await world.newUser(platform)];
      for (const key of [platform.key, users[0].key, users[0].key, users[1].key]) {
        assert.equal((await ask(world.url, key, { headers: { 'idempotency-key': 'order-1' } })).status, 200);
      }
      const sent = upstream.exchanges.map((exchange) => exchange.headers['idempotency-key']);
      assert.equal(sent[0], 'order-1');
      assert.equal(sent[1], sent[2], 'a repetition is one');
      assert.equal(new Set(sent).size, 3, sent.join(' '));
    });

    test('SIGTERM in mid-stream tells the callers, settles the calls and ends the server', async () => {
      const platform = await newTenant();
      const streams = [];
      for (const dialect of Object.keys(DIALECTS)) {
        let came;
        const arrived = new Promise((resolve) => (came = resolve));
        upstream.next(async (x) => { await x.open(CHAT.role + CHAT.text()); came(x); });
        const stream = openStream(world.url, platform.key, { dialect });
        streams.push({ dialect, stream, exchange: await arrived });
        await stream.head;
      }
      const { code } = await world.server.stop();
      assert.equal(code, 0);
      for (const { dialect, stream, exchange } of streams) {
        await exchange.closed;
        await stream.ended;
        assert.match(stream.text, /The server is stopping/, `${dialect}: a stream that just ends looks whole`);
      }
      await world.boot();
      platform.api = world.admin.as(platform.key);
      const rows = await usageOf(platform);
      assert.equal(rows.length, streams.length);
      for (const row of rows) {
        assert.equal(row.status, 'client_gone');
        assert.ok(Number(row.cost_usd) > 0);
      }
      await assertBalanced(platform);
      assert.equal((await ask(world.url, platform.key)).status, 200);
    });
  });
});
