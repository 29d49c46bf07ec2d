// The management API as a platform uses it, and what it says to bad input. Every reply is held against /openapi.json.
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { assertError } from './support/api.mjs';
import { World } from './support/world.mjs';

const NOBODY = '01890a5d-ac96-774b-bcce-b302099a8057';

describe('management API', () => {
  let world, platform;
  before(async () => {
    world = await World.start();
    ({ platform } = world);
  });
  after(() => world?.stop());

  test('/openapi.json is a 3.1 document that names every route of the contract', async () => {
    const { body } = await world.admin.as(null).get('/openapi.json');
    assert.match(body.openapi, /^3\.1/);
    for (const route of [
      'POST /v1/platforms', 'GET /v1/platforms', 'GET /v1/platforms/{platform_id}', 'PATCH /v1/platforms/{platform_id}', 'DELETE /v1/platforms/{platform_id}',
      'POST /v1/platforms/{platform_id}/api-keys', 'POST /v1/platforms/{platform_id}/end-users', 'GET /v1/mcp/catalog', 'GET /v1/me', 'GET /v1/me/mcp-config',
      'GET /v1/me/connections', 'PUT /v1/platforms/{platform_id}/mcp/apps/{app}/policy', 'GET /v1/platforms/{platform_id}/audit/verify',
      'GET /healthz', 'GET /readyz', 'GET /metrics', 'GET /v1/version',
    ]) {
      const [method, path] = route.split(' ');
      const shape = path.replace(/\{\w+\}/g, '{}');
      const found = Object.entries(body.paths).find(([p]) => p.replace(/\{\w+\}/g, '{}') === shape);
      assert.ok(found?.[1][method.toLowerCase()], route);
    }
    new Ajv2020({ strict: false }).addSchema(body, 'x');
  });

  test('/openapi.json describes each route: what it takes, what it answers, its errors, its headers', async () => {
    const { body: document } = await world.admin.as(null).get('/openapi.json');
    const ajv = new Ajv2020({ strict: false });
    addFormats(ajv);
    ajv.addSchema(document, 'openapi');
    const validator = (reference) => ajv.compile({ $ref: `openapi${reference}` });
    const names = new Set();
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const where = `${method} ${path}`;
        assert.ok(operation.summary?.length > 5 && operation.tags?.length === 1, where);
        assert.ok(!names.has(operation.operationId), `${where}: ${operation.operationId} names two routes`);
        names.add(operation.operationId);
        const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map((parameter) => `{${parameter.name}}`);
        assert.deepEqual(declared, path.match(/\{\w+\}/g) ?? [], where);
        const inference = /^\/v1(beta)?\/(chat|messages|responses|embeddings|models)/.test(path);
        const agents = { '/v1/agents/api/': /\/LangGraphError$/, '/v1/agents/protocol/': /\/AgentProtocolError$/ }[path.match(/^\/v1\/agents\/\w+\//)?.[0]];
        const oauth = ['/register', '/token', '/revoke'].includes(path);
        for (const [status, response] of Object.entries(operation.responses)) {
          assert.ok(response.description && response.headers['x-request-id'], `${where} ${status}`);
          const schema = response.content?.['application/json']?.schema;
          if (schema?.$ref) validator(schema.$ref);
          if (status === 'default' || status >= '400') assert.match(schema.$ref, inference ? /(OpenAi|Anthropic|Google)Error$/ : oauth ? /\/OAuthError$/ : agents ?? /\/Error$/, where);
        }
        if (inference && method === 'post') assert.ok(operation.responses[200].headers['x-aig-cost-usd'] && operation.responses[402] && operation.responses[429], where);
        const taken = operation.requestBody?.content['application/json'].schema.$ref;
        if (!taken) continue;
        const check = validator(taken);
        for (const example of document.components.schemas[taken.split('/').at(-1)].examples ?? []) {
          assert.ok(check(example), `${taken}: ${ajv.errorsText(check.errors)}`);
        }
      }
    }
    for (const route of [
      'POST /v1/chat/completions', 'POST /v1/responses', 'GET /v1/responses/{response_id}', 'DELETE /v1/responses/{response_id}',
      'POST /v1/messages', 'POST /v1/messages/count_tokens', 'POST /v1beta/models/{model}:generateContent',
      'POST /v1beta/models/{model}:streamGenerateContent', 'POST /v1beta/models/{model}:countTokens', 'POST /v1/embeddings',
      'GET /v1/models', 'GET /v1/models/{model}', 'POST /v1/platforms/{platform_id}/llm-configs', 'GET /v1/admin/providers', 'GET /v1/admin/models',
      'PUT /v1/admin/prices', 'POST /v1/admin/prices/import', 'GET /v1/platforms/{platform_id}/wallet', 'POST /v1/platforms/{platform_id}/wallet/topup',
      'POST /v1/platforms/{platform_id}/end-users/{end_user_id}/budget', 'POST /v1/platforms/{platform_id}/end-users/{end_user_id}/budget/topup',
      'POST /v1/platforms/{platform_id}/end-users/{end_user_id}/budget/debit', 'GET /v1/me/budget', 'GET /v1/me/rate-limits',
      'PUT /v1/platforms/{platform_id}/end-users/{end_user_id}/rate-limits', 'GET /v1/usage', 'GET /v1/usage/by-tag', 'GET /v1/usage/by-model',
      'GET /v1/usage/by-end-user', 'GET /v1/usage/by-day', 'POST /v1/platforms/{platform_id}/webhooks',
      'POST /v1/platforms/{platform_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/replay',
    ]) {
      const [method, path] = route.split(' ');
      assert.ok(document.paths[path]?.[method.toLowerCase()], route);
    }
    const needed = (path) => document.paths[path].post.parameters.find((parameter) => parameter.name === 'Idempotency-Key').required;
    const budget = '/v1/platforms/{platform_id}/end-users/{end_user_id}/budget';
    assert.deepEqual([needed(`${budget}/topup`), needed(`${budget}/debit`), needed('/v1/platforms/{platform_id}/wallet/topup')], [true, true, false]);
  });

  test('platforms', async () => {
    const created = await world.admin.must(201, 'POST', '/v1/platforms', { name: 'Two', settings: { a: 1, b: 2 } });
    assert.match(created.api_key.raw_key, /^sk-plat_[A-Za-z0-9_-]{43,}$/);
    const own = world.admin.as(created.api_key.raw_key);
    const path = `/v1/platforms/${created.id}`;
    const patched = await own.must(200, 'PATCH', path, { name: 'Zwei', settings: { b: null, c: 3 } });
    assert.deepEqual(patched.settings, { a: 1, c: 3 });
    assert.equal(patched.name, 'Zwei');
    assertError(await own.get('/v1/platforms'), 403, 'forbidden');
    assertError(await own.get(platform.path), 404, 'not_found');
    assertError(await own.post('/v1/platforms', { name: 'x' }), 403, 'forbidden');
    const { body } = await world.admin.get('/v1/platforms?limit=1&page=2');
    assert.equal(body.data.length, 1);
    assert.ok(body.total >= 2 && body.page === 2 && body.limit === 1);
    assert.equal((await own.delete(path)).status, 204);
    assertError(await own.get(path), 401, 'unauthorized');
    assertError(await world.admin.get(path), 404, 'not_found');
  });

  test('keys: made, shown once, switched off, revoked, expired', async () => {
    const key = await platform.api.must(201, 'POST', `${platform.path}/api-keys`, { name: 'ci', scopes: ['management'] });
    assert.ok(key.raw_key.startsWith(key.key_prefix));
    const { body } = await platform.api.get(`${platform.path}/api-keys?type=platform`);
    assert.ok(body.data.every((k) => !('raw_key' in k)));
    const api = world.admin.as(key.raw_key);
    assert.equal((await api.get(platform.path)).status, 200);
    await platform.api.must(200, 'PATCH', `${platform.path}/api-keys/${key.id}`, { is_active: false });
    assertError(await api.get(platform.path), 401, 'unauthorized');
    await platform.api.must(200, 'PATCH', `${platform.path}/api-keys/${key.id}`, { is_active: true });
    assert.equal((await api.get(platform.path)).status, 200);
    assert.equal((await platform.api.delete(`${platform.path}/api-keys/${key.id}`)).status, 204);
    assertError(await api.get(platform.path), 401, 'unauthorized');
    const short = await platform.api.must(201, 'POST', `${platform.path}/api-keys`, { expires_at: new Date(Date.now() + 1500).toISOString() });
    assert.equal((await world.admin.as(short.raw_key).get(platform.path)).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 1600));
    assertError(await world.admin.as(short.raw_key).get(platform.path), 401, 'unauthorized');
    assert.equal((await platform.api.post(`${platform.path}/api-keys`, { expires_at: '2001-01-01T00:00:00Z' })).status, 400);
    assert.equal((await platform.api.post(`${platform.path}/api-keys`, { surprise: 1 })).status, 400);
  });

  test('a key without the scope cannot', async () => {
    const user = await world.newUser();
    const key = await platform.api.must(201, 'POST', `${user.path}/api-keys`, { scopes: ['inference'] });
    assertError(await world.admin.as(key.raw_key).get('/v1/me/connections'), 403, 'forbidden');
    const reply = await fetch(world.mcp(), { method: 'POST', headers: { authorization: `Bearer ${key.raw_key}`, 'content-type': 'application/json' }, body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' });
    assert.equal(reply.status, 403);
    assert.match(reply.headers.get('www-authenticate') ?? '', /insufficient_scope/);
  });

  test('end users are idempotent by external_id', async () => {
    const first = await platform.api.post(`${platform.path}/end-users`, { external_id: 'same', metadata: { plan: 'pro' } });
    const second = await platform.api.post(`${platform.path}/end-users`, { external_id: 'same' });
    assert.deepEqual([first.status, second.status], [201, 200]);
    assert.equal(first.data.id, second.data.id);
    assert.notEqual(first.data.api_key.raw_key, second.data.api_key.raw_key);
    for (const { data } of [first, second]) assert.equal((await world.admin.as(data.api_key.raw_key).get('/v1/me')).status, 200);
    const at = `${platform.path}/end-users/${first.data.id}`;
    assert.equal((await platform.api.must(200, 'PATCH', at, { display_name: 'Same' })).display_name, 'Same');
    assert.equal((await platform.api.get(`${platform.path}/end-users?external_id=same`)).body.total, 1);
    await platform.api.must(200, 'PATCH', at, { is_active: false });
    assertError(await world.admin.as(first.data.api_key.raw_key).get('/v1/me'), 401, 'unauthorized');
    assert.equal((await platform.api.delete(at)).status, 204);
    assertError(await platform.api.get(at), 404, 'not_found');
    const many = await Promise.all(Array.from({ length: 10 }, () => platform.api.post(`${platform.path}/end-users`, { external_id: 'race' })));
    assert.equal(many.filter((r) => r.status === 201).length, 1);
    assert.equal(new Set(many.map((r) => r.data.id)).size, 1);
  });

  test('apps', async () => {
    const { body: catalog } = await platform.api.get('/v1/mcp/catalog');
    assert.ok(['github', 'github_oauth'].every((app) => catalog.data.some((a) => (a.app ?? a.id) === app)));
    const app = (await platform.api.get(`${platform.path}/mcp/apps/github`)).data;
    assert.equal(app.callback_url, `${world.url}/oauth/callback/github`);
    assert.equal(JSON.stringify(app).includes('secret'), false);
    const again = { app: 'github', client_id: 'x', client_secret: 'y', return_urls: [] };
    assertError(await platform.api.post(`${platform.path}/mcp/apps`, again), 409, 'conflict');
    const bad = await platform.api.post(`${platform.path}/mcp/apps`, { app: 'github_oauth', client_id: 'x', client_secret: 'y', return_urls: ['javascript:alert(1)'] });
    assert.equal(bad.status, 400);
    assert.match(bad.body.error.field, /^\/return_urls/);
    assert.ok([400, 404].includes((await platform.api.post(`${platform.path}/mcp/apps`, { ...again, app: 'nothing' })).status));
  });

  test('mcp-config has one entry per connected app', async () => {
    const user = await world.newUser();
    assert.deepEqual((await user.api.get('/v1/me/mcp-config')).body.data ?? (await user.api.get('/v1/me/mcp-config')).body, { standard: {}, openai: [] });
    await world.connect(user);
    const { body } = await user.api.get('/v1/me/mcp-config');
    const config = body.data ?? body;
    assert.deepEqual(config.standard.github, { transport: 'streamable_http', url: world.mcp('github'), headers: { Authorization: `Bearer ${user.key}` } });
    assert.equal(config.openai[0].server_url, world.mcp('github'));
    assertError(await platform.api.get('/v1/me/mcp-config'), 403, 'forbidden');
  });

  test('wrong kinds of key, no key, strange ids', async () => {
    const user = await world.newUser();
    assertError(await world.admin.as(null).get(platform.path), 401, 'unauthorized');
    assertError(await world.admin.as('nonsense').get(platform.path), 401, 'unauthorized');
    assertError(await world.admin.as(`sk-plat_${'a'.repeat(43)}`).get(platform.path), 401, 'unauthorized');
    assertError(await user.api.get(platform.path), 403, 'forbidden');
    for (const id of [NOBODY, 'not-a-uuid', '1', '%00', "' OR 1=1 --"]) {
      assertError(await platform.api.get(`${platform.path}/end-users/${encodeURIComponent(id)}`), 404, 'not_found');
    }
    assertError(await world.admin.get(`/v1/platforms/${NOBODY}`), 404, 'not_found');
  });

  test('bad bodies and parameters', async () => {
    const users = `${platform.path}/end-users`;
    assertError(await platform.api.post(users, undefined, { raw: '{"external_id": ' }), 400, 'bad_request');
    for (const raw of ['[]', '"x"', 'null', '1']) assert.equal((await platform.api.post(users, undefined, { raw })).status, 400, raw);
    const wrong = await platform.api.post(users, { external_id: 7 });
    assertError(wrong, 400, 'bad_request');
    assert.equal(wrong.body.error.field, '/external_id');
    assert.equal((await platform.api.post(users, {})).body.error.field, '/external_id');
    assert.equal((await platform.api.post(users, { external_id: '' })).status, 400);
    assert.equal((await platform.api.post(users, { external_id: 'x'.repeat(5000) })).status, 400);
    assert.equal((await platform.api.post(users, { external_id: 'nul\u0000' })).status, 400);
    assert.equal((await platform.api.post(users, { external_id: 'deep' }, { raw: `{"external_id":"d","metadata":${'['.repeat(5000)}${']'.repeat(5000)}}` })).status, 400);
    assertError(await platform.api.post(users, { external_id: 'x' }, { headers: { 'content-type': 'text/plain' } }), 415, 'unsupported_media_type');
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'page=0', 'page=-1', 'page=99999999999999999999']) {
      const reply = await platform.api.get(`${users}?${query}`);
      assertError(reply, 400, 'bad_request');
      assert.ok(['limit', 'page'].includes(reply.body.error.field), query);
    }
    assertError(await platform.api.send('PUT', users, {}), 405, 'method_not_allowed');
    assertError(await platform.api.get('/v1/nothing'), 404, 'not_found');
    const big = await fetch(`${world.url}${users}`, {
      method: 'POST', headers: { authorization: `Bearer ${platform.key}`, 'content-type': 'application/json' }, body: JSON.stringify({ external_id: 'x', metadata: { a: 'x'.repeat(5 << 20) } }),
    }).then((r) => r.status).catch(() => 413); // it may hang up while we still send
    assert.equal(big, 413);
  });

  /** Bytes as they stand; resolves with what came back when the server has hung up or been quiet. */
  const raw = (bytes, quietMs = 3000) => new Promise((resolve) => {
    const socket = net.connect(world.server.port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on('data', (chunk) => (text += chunk));
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });

  test('requests that no honest client sends', async () => {
    const host = 'Host: 127.0.0.1\r\n';
    assert.match(await raw(`POST /v1/platforms HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), /^HTTP\/1\.1 400/);
    assert.match(await raw(`GET /healthz HTTP/1.1\r\n${host}X-Big: ${'a'.repeat(40_000)}\r\n\r\n`), /^HTTP\/1\.1 431/);
    assert.match(await raw(`GET /${'a'.repeat(40_000)} HTTP/1.1\r\n${host}\r\n`), /^HTTP\/1\.1 (414|431|400)/);
    assert.match(await raw(`POST /v1/platforms HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`), /^HTTP\/1\.1 400/);
    assert.match(await raw(`POST /v1/platforms HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`), /^HTTP\/1\.1 400/);
    assert.match(await raw('\x16\x03\x01\x02\x00\x01\x00'), /^(HTTP\/1\.1 400|$)/);
    assert.match(await raw(`GET /healthz HTTP/1.1\r\n${host}\r\nGET /healthz HTTP/1.1\r\n${host}Connection: close\r\n\r\n`), /200[\s\S]*200/);
    assert.equal((await fetch(`${world.url}/healthz`)).status, 200);
  });

  test('audit: what happened is there, in order, and is proven', async () => {
    const own = await world.newPlatform();
    const user = await world.newConnectedUser({ platform: own });
    const entries = await world.audit(own);
    const events = entries.map((e) => e.event);
    for (const event of ['platform.created', 'key.created', 'end_user.created', 'app.created', 'connect.started', 'connection.created']) {
      assert.ok(events.includes(event), `${event} in ${events}`);
    }
    const bySeq = [...entries].sort((a, b) => a.seq - b.seq);
    bySeq.forEach((entry, i) => i > 0 && assert.equal(entry.prev_hash, bySeq[i - 1].hash));
    assert.deepEqual(entries, [...bySeq].reverse(), 'newest first');
    const { data } = await own.api.get(`${own.path}/audit/verify`);
    assert.equal(data.valid, true);
    assert.equal(data.head.hash, bySeq.at(-1).hash);
    const mine = (await own.api.get(`${own.path}/audit?end_user_id=${user.id}`)).body.data;
    assert.ok(mine.length > 0 && mine.every((e) => e.end_user_id === user.id));
    assert.equal(JSON.stringify(entries).includes('raw_key'), false);
  });

  test('operations', async () => {
    const anonymous = world.admin.as(null);
    assert.equal((await anonymous.get('/healthz')).status, 200);
    assert.equal((await anonymous.get('/readyz')).status, 200);
    assert.ok((await anonymous.get('/v1/version')).status === 200);
    const metrics = await (await fetch(`${world.url}/metrics`)).text();
    assert.match(metrics, /^# TYPE \w+ (counter|gauge|histogram)/m);
    const traced = await fetch(`${world.url}/healthz`, { headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' } });
    assert.equal(traced.status, 200);
  });
});
