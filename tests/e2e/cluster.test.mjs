// Several processes on one database behave as one server, also behind an nginx that sends each request to the next one.
import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { start as startOidc } from '../../examples/standins/oidc.mjs';
import { Api } from './support/api.mjs';
import { connectLegacyClient, connectModernClient, legacyCall, MODERN, modernMeta, openSession, post, Stream, textOf, toolNames, useTool } from './support/mcp.mjs';
import { freePort, startNginx } from './support/nginx.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { activation, startVendors, VENDORS } from './support/vendors.mjs';
import { followConnect, RETURN_URL, World } from './support/world.mjs';

const MANIFESTS = fileURLToPath(new URL('./manifests', import.meta.url));
const REVOKED_WITHIN_MS = 1000; // what the product promises, not a measurement of this machine

describe('two processes on one database', () => {
  let postgres, vendors, oidc, one, two, nginx, platform, env;
  const dirs = [];

  before(async () => {
    postgres = startPostgres();
    vendors = await startVendors();
    oidc = await startOidc();
    const keys = path.join(tempDir('keys'), 'master-keys.json');
    dirs.push(path.dirname(keys));
    const port = await freePort();
    env = {
      ASSISTIV_DATABASE_URL: postgres.url, ASSISTIV_MASTER_KEYS_FILE: keys, ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1', ASSISTIV_MANIFESTS_DIR: MANIFESTS,
      ASSISTIV_PUBLIC_URL: `http://127.0.0.1:${port}`,
      ASSISTIV_CONNECTOR_OVERRIDES: JSON.stringify({ ...JSON.parse(vendors.overrides), oidc_demo: { web: oidc.url, api: oidc.url } }),
    };
    one = await node();
    two = await node();
    nginx = await startNginx(port, [one, two]);
    const world = Object.assign(new World(), { server: one, admin: new Api(one.url, one.adminKey) });
    platform = await world.newPlatform([]);
    const { client_id, client_secret } = oidc.client;
    await platform.api.must(201, 'POST', `${platform.path}/mcp/apps`, { app: 'oidc_demo', client_id, client_secret, return_urls: [RETURN_URL] });
    for (const name of Object.keys(VENDORS)) await platform.api.must(201, 'POST', `${platform.path}/mcp/apps`, activation(VENDORS[name]));
  });
  after(async () => {
    await nginx?.stop();
    await Promise.all([one?.stop(), two?.stop()]);
    await Promise.all([vendors?.stop(), oidc?.stop()]);
    postgres?.stop();
    dirs.forEach(stopLeftovers);
  });

  async function node(more) {
    const dataDir = tempDir();
    dirs.push(dataDir);
    return startServer({ dataDir, env: { ...env, ...more } });
  }

  async function newUser() {
    const user = await platform.api.must(201, 'POST', `${platform.path}/end-users`, { external_id: `u-${Math.random()}` });
    return { id: user.id, key: user.api_key.raw_key, keyId: user.api_key.id, path: `${platform.path}/end-users/${user.id}` };
  }

  async function connect(user, app) {
    const { login = 'alice', answers } = Object.values(VENDORS).find((vendor) => vendor.app === app) ?? {};
    const link = await platform.api.must(201, 'POST', `${user.path}/connect-links`, { app, return_url: RETURN_URL });
    const back = await followConnect(link.url, { login, answers });
    assert.equal(back.searchParams.get('status'), 'connected', back.href);
  }

  test('50 parallel calls at expiry, over both, refresh exactly once, and the grant lives', async () => {
    let user;
    for (let round = 1; round <= 3; round++) {
      user = await newUser();
      await connect(user, 'oidc_demo');
      oidc.control({ reset_counters: true, expire_all: true, delay_ms: 30 });
      const replies = await Promise.all(Array.from({ length: 50 }, (_, i) =>
        legacyCall(`${[one, two][i % 2].url}/mcp/oidc_demo`, user.key, 'tools/call', { name: 'oidc_demo_get_me', arguments: {} })));
      for (const reply of replies) assert.ok(reply.result && !reply.result.isError, JSON.stringify(reply.result ?? reply.error));
      const counters = oidc.counters();
      assert.equal(counters.refreshes, 1, `round ${round}`);
      assert.equal(counters.token_errors, 0);
      assert.equal(counters.grants_killed, 0);
      assert.equal(counters.grants, round);
    }
    oidc.control({ delay_ms: 0 });
    assert.equal((await useTool(`${two.url}/mcp/oidc_demo`, user.key, 'oidc_demo_get_me')).item.id, 'alice');
  });

  test('a key revoked on one is refused by the other within a second', async () => {
    const user = await newUser();
    for (let i = 0; i < 5; i++) assert.equal((await new Api(two.url, user.key).get('/v1/me')).status, 200); // now it is cached there
    assert.equal((await platform.api.delete(`${user.path}/api-keys/${user.keyId}`)).status, 204);
    const revokedAt = Date.now();
    let refusedAt;
    while (!refusedAt && Date.now() < revokedAt + 10 * REVOKED_WITHIN_MS) {
      const asked = Date.now();
      if ((await new Api(two.url, user.key).get('/v1/me')).status === 401) refusedAt = asked;
    }
    assert.ok(refusedAt - revokedAt <= REVOKED_WITHIN_MS, `refused after ${refusedAt - revokedAt} ms`);
    assert.equal((await legacyCall(`${two.url}/mcp`, user.key, 'tools/list')).status, 401);
  });

  test('a legacy session opened on one is known by the other', async () => {
    const user = await newUser();
    const session = await openSession(`${one.url}/mcp`, user.key);
    assert.ok((await legacyCall(`${two.url}/mcp`, user.key, 'tools/list', undefined, session.headers)).result);
    const stream = await Stream.open(`${two.url}/mcp`, { headers: { accept: 'text/event-stream', authorization: `Bearer ${user.key}`, ...session.headers } });
    assert.equal(stream.reply.status, 200);
    await connect(user, 'github'); // through the first
    await stream.next((m) => m.method === 'notifications/tools/list_changed');
    await stream.close();
    await fetch(`${one.url}/mcp`, { method: 'DELETE', headers: { authorization: `Bearer ${user.key}`, ...session.headers } });
    await eventually(async () => (await legacyCall(`${two.url}/mcp`, user.key, 'tools/list', undefined, session.headers)).status === 404, 'the end of the session on the other');
  });

  test('a change on one reaches a modern listener on the other', async () => {
    const user = await newUser();
    const stream = await Stream.open(`${two.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${user.key}`,
        'mcp-protocol-version': MODERN, 'mcp-method': 'subscriptions/listen',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true }, _meta: modernMeta() } }),
    });
    await stream.next((m) => m.method === 'notifications/subscriptions/acknowledged');
    await platform.api.must(200, 'PUT', `${user.path}/grants`, { grants: [{ app: 'github', mode: 'read_only' }] });
    await stream.next((m) => m.method === 'notifications/tools/list_changed');
    assert.ok(!(await toolNames(`${two.url}/mcp/github`, user.key)).includes('github_create_issue'));
    await stream.close();
  });

  test('a process is killed that held a stream of the first transport: its session is told to begin again', async () => {
    const user = await newUser();
    const third = await node();
    const authorization = { authorization: `Bearer ${user.key}` };
    const openSse = async (at) => {
      const abort = new AbortController();
      const reply = await fetch(`${at.url}/mcp/sse`, { headers: { ...authorization, accept: 'text/event-stream' }, signal: abort.signal });
      const reader = reply.body.getReader();
      for (let text = ''; ;) {
        const [, id] = /sessionId=([\w-]+)\n/.exec(text) ?? [];
        if (id) return { id, close: () => abort.abort() };
        const { value, done } = await reader.read();
        assert.ok(!done, text);
        text += new TextDecoder().decode(value);
      }
    };
    const { id } = await openSse(third);
    const say = (session) => fetch(`${two.url}/mcp/message?sessionId=${session}`, {
      method: 'POST', headers: { ...authorization, 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    assert.equal((await say(id)).status, 202, 'another process takes messages for it');
    await third.kill();
    // It said last that it is there for 45 seconds: they are over.
    postgres.query(`update mcp_session set read_until = now() where session_id = '${id}' and read_until is not null`);
    const refused = await say(id);
    assert.equal(refused.status, 404);
    assert.match(await refused.text(), /Open the event stream again/);
    const next = await openSse(two);
    assert.equal((await say(next.id)).status, 202);
    next.close();
  });

  test('a process is killed while it refreshes: another one goes on, and what the vendor has rotated away is renewed, never wrong', { timeout: 120_000 }, async () => {
    const third = await node();
    const held = [];
    const unheard = await newUser(); // a refresh that never came to anything
    await connect(unheard, 'oidc_demo');
    oidc.control({ reset_counters: true, expire_all: true, fail_token_endpoint: 'hang', fail_token_times: 1 });
    const me = { name: 'oidc_demo_get_me', arguments: {} };
    const calls = [legacyCall(`${third.url}/mcp/oidc_demo`, unheard.key, 'tools/call', me).catch(() => 'gone')];
    for (const [name, { app, read, token }] of Object.entries(VENDORS)) {
      const user = await newUser();
      await connect(user, app);
      const { front, standin } = vendors[name];
      standin.control({ expire_all: true });
      front.fault = async (req, res, pass) => {
        if (!new RegExp(token).test(req.url.split('?')[0])) return false;
        assert.equal((await pass()).status, 200);
        held.push(res); // the vendor has done it, and nobody hears of it
        return true;
      };
      calls.push(legacyCall(`${third.url}/mcp/${app}`, user.key, 'tools/call', { name: read[0], arguments: read[1] }).catch(() => 'gone'));
      vendors[name].user = user;
    }
    await eventually(() => oidc.counters().token_faults + held.length === calls.length, () => `${held.length} refreshes at the vendors`);
    await third.kill();
    assert.deepEqual(await Promise.all(calls), calls.map(() => 'gone'));
    await Promise.all(Object.entries(VENDORS).map(async ([name, { app, read, rotates }]) => {
      const { user, front } = vendors[name];
      front.fault = null;
      const outcome = await eventually(async () => {
        const { result } = await legacyCall(`${one.url}/mcp/${app}`, user.key, 'tools/call', { name: read[0], arguments: read[1] });
        return !result.isError ? 'works' : /"reauth_required"/.test(textOf(result)) && 'must be renewed';
      }, `an end for ${name}`, 100_000);
      assert.equal(outcome, rotates ? 'must be renewed' : 'works', name);
      if (!rotates) return;
      await connect(user, app);
      await useTool(`${two.url}/mcp/${app}`, user.key, ...read);
    }));
    await eventually(async () => {
      const { result } = await legacyCall(`${one.url}/mcp/oidc_demo`, unheard.key, 'tools/call', me);
      return result && !result.isError;
    }, 'a call through another process', 90_000);
    assert.deepEqual([oidc.counters().refreshes, oidc.counters().grants_killed], [1, 0]);
  });

  describe('behind nginx, without sticky sessions', () => {
    const at = (app) => `${nginx.url}/mcp${app ? `/${app}` : ''}`;
    const bearer = (user, more) => ({ authorization: `Bearer ${user.key}`, ...more });
    const openStream = (user, headers) => Stream.open(at(), { headers: { accept: 'text/event-stream', ...bearer(user, headers) } });
    const changed = (message) => message.method === 'notifications/tools/list_changed';
    const restrict = (user, mode) => platform.api.must(200, 'PUT', `${user.path}/grants`, { grants: [{ app: 'github', mode }] });
    const slow = async (user, app, count) => { // calls that hang at the vendor, spread over both
      const { front, read } = vendors[app];
      const waiting = [];
      front.fault = (req, res) => waiting.push(res);
      const calls = Array.from({ length: count }, () => ({ name: read[0], arguments: read[1] }));
      return { calls, reached: () => eventually(() => waiting.length >= count, () => `${waiting.length} calls at the vendor`), waiting, front };
    };

    test('one session serves at both, and its stream is resumed at the other one', async () => {
      const user = await newUser();
      await connect(user, 'github');
      const { headers } = await openSession(at(), user.key);
      const nodes = new Set();
      for (let i = 0; i < 6; i++) {
        const reply = await legacyCall(at(), user.key, 'tools/list', undefined, headers);
        assert.ok(reply.result, JSON.stringify(reply.error));
        nodes.add(reply.headers.get('x-node'));
      }
      assert.equal(nodes.size, 2, [...nodes].join());

      const stream = await openStream(user, headers);
      await restrict(user, 'read_only');
      const { eventId } = await stream.next(changed);
      await stream.close();
      await restrict(user, 'all');
      let resumed;
      await eventually(async () => {
        resumed = await openStream(user, { ...headers, 'last-event-id': eventId });
        assert.equal(resumed.reply.status, 200);
        if (resumed.reply.headers.get('x-node') !== stream.reply.headers.get('x-node')) return true;
        await resumed.close();
        return false;
      }, 'a stream at the other one');
      assert.notEqual((await resumed.next(changed)).eventId, eventId);
      await resumed.close();
      assert.equal((await fetch(at(), { method: 'DELETE', headers: bearer(user, headers) })).ok, true);
      await eventually(async () => (await Promise.all([1, 2].map(() => legacyCall(at(), user.key, 'tools/list', undefined, headers)))).every((r) => r.status === 404), 'the end of the session at both');
    });

    test('a modern listener hears of a change that was made at either', async () => {
      const user = await newUser();
      await connect(user, 'github');
      const stream = await Stream.open(at(), {
        method: 'POST',
        headers: bearer(user, {
          'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': MODERN, 'mcp-method': 'subscriptions/listen',
        }),
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true }, _meta: modernMeta() } }),
      });
      await stream.next((m) => m.method === 'notifications/subscriptions/acknowledged');
      for (const [server, mode] of [[one, 'read_only'], [two, 'all']]) {
        stream.messages.length = 0;
        await new Api(server.url, platform.key).must(200, 'PUT', `${user.path}/grants`, { grants: [{ app: 'github', mode }] });
        await stream.next(changed);
      }
      await stream.close();
    });

    test('a call is cancelled from wherever the cancellation arrives, and nothing is sent for it', async () => {
      const user = await newUser();
      await connect(user, 'github');
      const { headers } = await openSession(at(), user.key);
      const { calls: [params], reached, waiting, front } = await slow(user, 'github', 1);
      const call = Stream.open(at(), {
        method: 'POST', headers: bearer(user, { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers }),
        body: JSON.stringify({ jsonrpc: '2.0', id: 'slow', method: 'tools/call', params }),
      });
      await reached();
      const nodes = new Set();
      for (let i = 0; i < 2; i++) {
        const reply = await post(at(), user.key, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'slow' } }, headers);
        assert.equal(reply.status, 202);
        nodes.add(reply.headers.get('x-node'));
      }
      assert.equal(nodes.size, 2, 'one of them was the other one');
      await eventually(() => waiting[0].destroyed || waiting[0].socket?.destroyed, 'the end of the call at the vendor');
      const stream = await call;
      await stream.done;
      assert.deepEqual(stream.messages.filter((m) => m.id === 'slow' || m.result || m.error), []);
      front.fault = null;
    });

    for (const [name, { app, read }] of Object.entries(VENDORS)) {
      test(`${name}: 20 calls at expiry, over both, are one refresh`, async () => {
        const user = await newUser();
        await connect(user, app);
        vendors[name].standin.control({ reset_counters: true, expire_all: true });
        const replies = await Promise.all(Array.from({ length: 20 }, () => legacyCall(at(app), user.key, 'tools/call', { name: read[0], arguments: read[1] })));
        for (const reply of replies) assert.ok(reply.result && !reply.result.isError, JSON.stringify(reply.result ?? reply.error));
        assert.equal(new Set(replies.map((r) => r.headers.get('x-node'))).size, 2);
        const { refreshes, refresh_errors } = vendors[name].standin.counters();
        assert.deepEqual([refreshes, refresh_errors], [1, 0]);
      });
    }

    test('one is killed in mid-call: the official clients go on, with the same session', { timeout: 120_000 }, async () => {
      const user = await newUser();
      await connect(user, 'github');
      const clients = [await connectLegacyClient(at('github'), user.key), await connectModernClient(at('github'), user.key, { pin: MODERN })];
      const { calls, reached, waiting, front } = await slow(user, 'github', 8);
      const outcomes = calls.map((call, i) => clients[i % 2].callTool(call).then(() => 'answered', () => 'failed'));
      await reached();
      const port = String(two.port);
      await two.kill();
      front.fault = null;
      for (const res of waiting) if (!res.destroyed) res.writeHead(200, { 'content-type': 'application/json' }).end('{"full_name": "octocat/hello-world"}');
      const ended = await Promise.all(outcomes);
      assert.ok(ended.includes('answered') && ended.includes('failed'), `one node served some: ${ended}`);
      for (let i = 0; i < 4; i++) {
        for (const client of clients) assert.ok(!(await client.callTool(calls[0])).isError);
      }
      two = await node({ ASSISTIV_PORT: port });
      for (let i = 0; i < 4; i++) {
        for (const client of clients) assert.ok(!(await client.callTool(calls[0])).isError);
      }
      await Promise.all(clients.map((client) => client.close()));
    });
  });

  test('the audit chain of work on both is whole', async () => {
    const { data } = await platform.api.get(`${platform.path}/audit/verify`);
    assert.equal(data.valid, true);
    assert.ok(data.entries > 5);
  });
});
