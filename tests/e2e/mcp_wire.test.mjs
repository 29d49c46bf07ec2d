// MCP on the wire: bare callers, sessions, both eras on one URL, and every refusal with its status and code.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { answer, legacyCall, LEGACY, MODERN, modernCall, modernMeta, openSession, post, Stream } from './support/mcp.mjs';
import { World } from './support/world.mjs';

describe('MCP on the wire', () => {
  let world, user, other, url;
  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser();
    other = await world.newUser();
    url = world.mcp();
  });
  after(() => world?.stop());
  const call = (method, params, headers) => legacyCall(url, user.key, method, params, headers);

  describe('bare callers', () => {
    test('tools/list and tools/call need neither initialize nor a session', async () => {
      const list = await call('tools/list');
      assert.equal(list.status, 200);
      assert.ok(list.result.tools.length >= 28);
      const me = await call('tools/call', { name: 'github_get_me', arguments: {} });
      assert.equal(me.result.structuredContent.item.login, 'octocat');
      assert.equal(me.headers.get('mcp-session-id'), null);
    });

    test('a plain Accept is enough', async () => {
      const reply = await fetch(url, {
        method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${user.key}` },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
      });
      assert.equal(reply.status, 200);
      assert.ok((await answer(reply, 1)).result);
    });

    test('ids come back as they were sent', async () => {
      for (const id of ['a string', 0, 9007199254740991, -1]) {
        const reply = await post(url, user.key, { jsonrpc: '2.0', id, method: 'ping' });
        const message = await answer(reply, id);
        assert.deepEqual(message, { jsonrpc: '2.0', id, result: {} });
      }
    });
  });

  describe('who may come in', () => {
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    test('no key, a wrong key, the wrong kind of key', async () => {
      const none = await post(url, null, list);
      assert.equal(none.status, 401);
      assert.match(none.headers.get('www-authenticate') ?? '', /^Bearer/);
      assert.doesNotMatch(none.headers.get('www-authenticate'), /error=/);
      const wrong = await post(url, `sk-eu_${'x'.repeat(43)}`, list);
      assert.equal(wrong.status, 401);
      assert.match(wrong.headers.get('www-authenticate'), /error="invalid_token"/);
      assert.equal((await post(url, world.platform.key, list)).status, 403);
      assert.equal((await post(url, world.server.adminKey, list)).status, 403);
    });

    test('a key in the address is not taken', async () => {
      for (const name of ['access_token', 'api_key', 'token', 'key']) {
        const reply = await post(`${url}?${name}=${user.key}`, null, list);
        assert.ok([400, 401].includes(reply.status), `${name}: ${reply.status}`);
      }
    });

    test('a foreign Origin is refused, also alone', async () => {
      for (const origin of ['https://evil.example', 'null']) assert.equal((await post(url, user.key, list, { origin })).status, 403, origin);
    });

    test('a foreign Host is refused', async () => {
      const status = await new Promise((resolve, reject) => {
        const request = http.request(url, {
          method: 'POST', headers: { host: 'evil.example', 'content-type': 'application/json', authorization: `Bearer ${user.key}` },
        }, (reply) => (reply.resume(), resolve(reply.statusCode)));
        request.on('error', reject);
        request.end(JSON.stringify(list));
      });
      assert.ok(status >= 400 && status < 500, String(status));
    });

    test('other methods and content types', async () => {
      const put = await fetch(url, { method: 'PUT', headers: { authorization: `Bearer ${user.key}` }, body: '{}' });
      assert.equal(put.status, 405);
      assert.match(put.headers.get('allow'), /POST/);
      assert.equal((await post(url, user.key, list, { 'content-type': 'text/plain' })).status, 415);
    });
  });

  describe('legacy messages', () => {
    test('refusals', async () => {
      const parse = await post(url, user.key, '{"jsonrpc": "2.0", ');
      assert.equal(parse.status, 400);
      assert.equal((await parse.json()).error.code, -32700);
      for (const body of ['[]', '1', 'null', '{}', '{"jsonrpc":"1.0","id":1,"method":"ping"}', '{"jsonrpc":"2.0","id":null,"method":"ping"}', '{"jsonrpc":"2.0","id":{},"method":"ping"}']) {
        const reply = await post(url, user.key, body);
        assert.equal(reply.status, 400, body);
        assert.ok([-32600, -32700].includes((await reply.json()).error.code), body);
      }
      const unknown = await call('tools/unknown');
      assert.equal(unknown.status, 200);
      assert.equal(unknown.error.code, -32601);
      assert.equal((await call('tools/call', { name: 'nope', arguments: {} })).error.code, -32602);
      assert.equal((await call('tools/call', {})).error.code, -32602);
      assert.equal((await call('tools/call', { name: 'github_get_me', arguments: [] })).error.code, -32602);
      assert.equal((await call('tools/list', { cursor: 'made-up' })).error.code, -32602);
      assert.equal((await call('ping', undefined, { 'mcp-protocol-version': '1999-01-01' })).status, 400);
    });

    test('initialize negotiates each version it knows, and offers its own for others', async () => {
      for (const version of ['2024-11-05', '2025-03-26', '2025-06-18', LEGACY]) {
        const { result } = await call('initialize', { protocolVersion: version, capabilities: {}, clientInfo: { name: 'x', version: '1' } });
        assert.equal(result.protocolVersion, version);
      }
      const { result } = await call('initialize', { protocolVersion: '2099-01-01', capabilities: {}, clientInfo: { name: 'x', version: '1' } });
      assert.equal(result.protocolVersion, LEGACY);
    });

    test('a batch is legal in 2025-03-26 only', async () => {
      const batch = [{ jsonrpc: '2.0', id: 1, method: 'ping' }, { jsonrpc: '2.0', id: 2, method: 'tools/list' }];
      const old = await post(url, user.key, batch, { 'mcp-protocol-version': '2025-03-26' });
      assert.equal(old.status, 200);
      const fresh = await post(url, user.key, batch, { 'mcp-protocol-version': LEGACY });
      assert.equal(fresh.status, 400);
    });
  });

  describe('sessions', () => {
    test('live, end, and are not shared', async () => {
      const session = await openSession(url, user.key);
      assert.match(session.session, /^[\x21-\x7e]+$/);
      assert.ok((await call('tools/list', undefined, session.headers)).result);
      assert.equal((await legacyCall(url, other.key, 'tools/list', undefined, session.headers)).status, 404);
      assert.equal((await legacyCall(world.mcp('github'), user.key, 'tools/list', undefined, session.headers)).status, 404);
      const twice = await call('initialize', { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'x', version: '1' } }, session.headers);
      assert.equal(twice.status, 400);
      const ended = await fetch(url, { method: 'DELETE', headers: { authorization: `Bearer ${user.key}`, ...session.headers } });
      assert.ok(ended.ok);
      const gone = await call('tools/list', undefined, session.headers);
      assert.equal(gone.status, 404);
      assert.equal(gone.error.code, -32001);
      assert.equal((await call('tools/list', undefined, { 'mcp-session-id': 'never-issued' })).status, 404);
    });

    test('log level per session', async () => {
      const session = await openSession(url, user.key);
      assert.deepEqual((await call('logging/setLevel', { level: 'warning' }, session.headers)).result, {});
      assert.equal((await call('logging/setLevel', { level: 'loud' }, session.headers)).error.code, -32602);
    });

    test('the GET stream speaks only events', async () => {
      const session = await openSession(url, user.key);
      const stream = await Stream.open(url, { headers: { accept: 'text/event-stream', authorization: `Bearer ${user.key}`, ...session.headers } });
      assert.equal(stream.reply.status, 200);
      assert.match(stream.reply.headers.get('content-type'), /text\/event-stream/);
      assert.match(stream.reply.headers.get('cache-control') ?? '', /no-(cache|store)/);
      await stream.close();
    });
  });

  describe('modern messages', () => {
    const modern = (method, params, options) => modernCall(url, user.key, method, params, options);

    test('discover, list and call', async () => {
      const { result } = await modern('server/discover');
      assert.ok(result.supportedVersions.includes(MODERN));
      assert.equal(result.cacheScope, 'private');
      assert.ok(Number.isInteger(result.ttlMs));
      const list = await modern('tools/list');
      assert.equal(list.result.resultType, 'complete');
      assert.equal(list.result.cacheScope, 'private');
      const me = await modern('tools/call', { name: 'github_get_me', arguments: {} });
      assert.equal(me.result.resultType, 'complete');
      assert.equal(me.result.structuredContent.item.login, 'octocat');
      assert.equal(me.headers.get('mcp-session-id'), null);
    });

    test('refusals', async () => {
      const mismatch = await modern('tools/list', {}, { headers: { 'mcp-method': 'tools/call' } });
      assert.equal(mismatch.status, 400);
      assert.equal(mismatch.error.code, -32020);
      const name = await modern('tools/call', { name: 'github_get_me', arguments: {} }, { headers: { 'mcp-name': 'github_get_issue' } });
      assert.equal(name.error.code, -32020);
      const version = await modern('tools/list', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' } }, { headers: { 'mcp-protocol-version': '2099-01-01' } });
      assert.equal(version.status, 400);
      assert.equal(version.error.code, -32022);
      assert.ok(version.error.data.supported.includes(MODERN));
      assert.equal(version.error.data.requested, '2099-01-01');
      for (const method of ['ping', 'logging/setLevel', 'resources/subscribe', 'initialize', 'nothing/here']) {
        const reply = await modern(method);
        assert.equal(reply.status, 404, method);
        assert.equal(reply.error.code, -32601, method);
      }
      const meta = { ...modernMeta() };
      delete meta['io.modelcontextprotocol/clientCapabilities'];
      const reply = await post(url, user.key, { jsonrpc: '2.0', id: 5, method: 'tools/list', params: { _meta: meta } }, { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' });
      assert.equal(reply.status, 400);
      assert.equal((await reply.json()).error.code, -32602);
      const batch = await post(url, user.key, [{ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: modernMeta() } }], { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' });
      assert.equal(batch.status, 400);
    });

    test('a header may carry its value in base64', async () => {
      const encoded = `=?base64?${Buffer.from('github_get_me').toString('base64')}?=`;
      assert.ok((await modern('tools/call', { name: 'github_get_me', arguments: {} }, { headers: { 'mcp-name': encoded } })).result);
      const bad = await modern('tools/call', { name: 'github_get_me', arguments: {} }, { headers: { 'mcp-name': '=?base64?!!?=' } });
      assert.equal(bad.error.code, -32020);
    });
  });

  test('two users at once see their own', async () => {
    const hubot = await world.newConnectedUser({ login: 'hubot' });
    const logins = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      legacyCall(url, (i % 2 ? hubot : user).key, 'tools/call', { name: 'github_get_me', arguments: {} }).then((r) => r.result.structuredContent.item.login)));
    assert.deepEqual(logins, Array.from({ length: 20 }, (_, i) => (i % 2 ? 'hubot' : 'octocat')));
  });

  test('a client that leaves does not hurt the next one', async () => {
    world.github.control({ delay_ms: 400 });
    const abort = new AbortController();
    const left = fetch(url, {
      method: 'POST', signal: abort.signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${user.key}` },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'github_get_me', arguments: {} } }),
    });
    setTimeout(() => abort.abort(), 100);
    await assert.rejects(left);
    world.github.control({ delay_ms: 0 });
    assert.ok((await call('tools/call', { name: 'github_get_me', arguments: {} })).result);
  });
});
