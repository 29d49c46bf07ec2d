// Several processes on one database behave as one server.
import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { start as startGitHub } from '../../examples/standins/github.mjs';
import { start as startOidc } from '../../examples/standins/oidc.mjs';
import { Api } from './support/api.mjs';
import { legacyCall, MODERN, modernMeta, openSession, Stream, toolNames, useTool } from './support/mcp.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { followConnect, overridesFor, RETURN_URL, SECRETS, World } from './support/world.mjs';

const MANIFESTS = fileURLToPath(new URL('./manifests', import.meta.url));
const REVOKED_WITHIN_MS = 1000; // what the product promises, not a measurement of this machine

describe('two processes on one database', () => {
  let postgres, github, oidc, one, two, platform;
  const dirs = [];

  before(async () => {
    postgres = startPostgres();
    github = await startGitHub();
    oidc = await startOidc();
    const keys = path.join(tempDir('keys'), 'master-keys.json');
    dirs.push(path.dirname(keys));
    const node = async () => {
      const dataDir = tempDir();
      dirs.push(dataDir);
      return startServer({
        dataDir,
        env: {
          ASSISTIV_DATABASE_URL: postgres.url, ASSISTIV_MASTER_KEYS_FILE: keys, ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1',
          ASSISTIV_MANIFESTS_DIR: MANIFESTS,
          ASSISTIV_CONNECTOR_OVERRIDES: overridesFor(github, { oidc_demo: { web: oidc.url, api: oidc.url } }),
        },
      });
    };
    one = await node();
    two = await node();
    const world = Object.assign(new World(), { server: one, admin: new Api(one.url, one.adminKey) });
    platform = await world.newPlatform([]);
    for (const [app, [client_id, client_secret]] of Object.entries({ github: SECRETS.github, oidc_demo: [oidc.client.client_id, oidc.client.client_secret] })) {
      await platform.api.must(201, 'POST', `${platform.path}/mcp/apps`, { app, client_id, client_secret, return_urls: [RETURN_URL] });
    }
  });
  after(async () => {
    await Promise.all([one?.stop(), two?.stop()]);
    await Promise.all([github?.stop(), oidc?.stop()]);
    postgres?.stop();
    dirs.forEach(stopLeftovers);
  });

  async function newUser() {
    const user = await platform.api.must(201, 'POST', `${platform.path}/end-users`, { external_id: `u-${Math.random()}` });
    return { id: user.id, key: user.api_key.raw_key, keyId: user.api_key.id, path: `${platform.path}/end-users/${user.id}` };
  }

  async function connect(user, app) {
    const link = await platform.api.must(201, 'POST', `${user.path}/connect-links`, { app, return_url: RETURN_URL });
    const back = await followConnect(link.url, { login: app === 'github' ? 'octocat' : 'alice' });
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

  test('one process is killed while it refreshes: the other one goes on', { timeout: 120_000 }, async () => {
    const user = await newUser();
    await connect(user, 'oidc_demo');
    oidc.control({ reset_counters: true, expire_all: true, fail_token_endpoint: 'hang', fail_token_times: 1 });
    const third = await startServer({
      env: {
        ASSISTIV_DATABASE_URL: postgres.url, ASSISTIV_MASTER_KEYS_FILE: path.join(dirs[0], 'master-keys.json'), ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1',
        ASSISTIV_MANIFESTS_DIR: MANIFESTS, ASSISTIV_CONNECTOR_OVERRIDES: overridesFor(github, { oidc_demo: { web: oidc.url, api: oidc.url } }),
      },
    });
    const lost = legacyCall(`${third.url}/mcp/oidc_demo`, user.key, 'tools/call', { name: 'oidc_demo_get_me', arguments: {} }).catch(() => 'gone');
    await new Promise((resolve) => setTimeout(resolve, 500));
    await third.kill();
    assert.equal(await lost, 'gone');
    await eventually(async () => {
      const reply = await legacyCall(`${one.url}/mcp/oidc_demo`, user.key, 'tools/call', { name: 'oidc_demo_get_me', arguments: {} });
      return reply.result && !reply.result.isError;
    }, 'a call through another process', 90_000);
    oidc.control({ fail_token_endpoint: null, fail_token_times: undefined });
    assert.equal(oidc.counters().refreshes, 1);
    assert.equal(oidc.counters().grants_killed, 0);
    stopLeftovers(third.dataDir);
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

  test('the audit chain of work on both is whole', async () => {
    const { data } = await platform.api.get(`${platform.path}/audit/verify`);
    assert.equal(data.valid, true);
    assert.ok(data.entries > 5);
  });
});
