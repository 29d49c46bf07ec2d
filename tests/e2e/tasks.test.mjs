// Tasks (io.modelcontextprotocol/tasks) over the wire: an approval and a slow upstream as tasks, and what becomes of
// them on two processes when one is killed.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { start as startGitHub } from '../../examples/standins/github.mjs';
import { Api } from './support/api.mjs';
import { errorOf, legacyCall, MODERN, modernCall, modernMeta, Stream, textOf } from './support/mcp.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { followConnect, overridesFor, RETURN_URL, SECRETS, World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };
const CAPABILITIES = { extensions: { 'io.modelcontextprotocol/tasks': {} } };

describe('tasks', () => {
  let postgres, github, one, two, platform, keys;
  const dirs = [];
  /** `roles` without worker: a process that answers, and runs no task. */
  const node = async (roles = 'api,mcp,worker') => {
    const dataDir = tempDir();
    dirs.push(dataDir);
    return startServer({
      dataDir,
      env: {
        ASSISTIV_DATABASE_URL: postgres.url, ASSISTIV_MASTER_KEYS_FILE: keys, ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1',
        ASSISTIV_CONNECTOR_OVERRIDES: overridesFor(github), ASSISTIV_ROLE: roles,
      },
    });
  };

  before(async () => {
    postgres = startPostgres();
    github = await startGitHub();
    keys = path.join(tempDir('keys'), 'master-keys.json');
    dirs.push(path.dirname(keys));
    one = await node('api,mcp');
    two = await node();
    const world = Object.assign(new World(), { server: one, admin: new Api(one.url, one.adminKey) });
    platform = await world.newPlatform([]);
    const [client_id, client_secret] = SECRETS.github;
    await platform.api.must(201, 'POST', `${platform.path}/mcp/apps`, { app: 'github', client_id, client_secret, return_urls: [RETURN_URL] });
    await platform.api.must(200, 'PUT', `${platform.path}/mcp/apps/github/policy`, {
      mode: 'all', tools: [], deny: [], require_approval: { classes: [], tools: ['github_create_issue', 'github_get_me'] },
    });
  });
  after(async () => {
    await Promise.all([one?.stop(), two?.stop()]);
    await github?.stop();
    postgres?.stop();
    dirs.forEach(stopLeftovers);
  });

  async function newUser() {
    const user = await platform.api.must(201, 'POST', `${platform.path}/end-users`, { external_id: `u-${Math.random()}` });
    const link = await platform.api.must(201, 'POST', `${platform.path}/end-users/${user.id}/connect-links`, { app: 'github', return_url: RETURN_URL });
    await followConnect(link.url, { login: 'octocat' });
    return { id: user.id, key: user.api_key.raw_key, path: `${platform.path}/end-users/${user.id}` };
  }
  const ask = (at, user, method, params) => modernCall(`${at.url}/mcp`, user.key, method, params, { capabilities: CAPABILITIES, headers: params.taskId ? { 'mcp-name': params.taskId } : {} });
  const call = async (at, user, name, args) => {
    const reply = await ask(at, user, 'tools/call', { name, arguments: args });
    assert.ok(reply.result, JSON.stringify(reply.error));
    return reply.result;
  };
  const get = async (at, user, taskId) => {
    const reply = await ask(at, user, 'tasks/get', { taskId });
    assert.ok(reply.result, JSON.stringify(reply.error));
    return reply.result;
  };
  const until = (at, user, taskId, status, limitMs) => eventually(async () => {
    const task = await get(at, user, taskId);
    return task.status === status && task;
  }, `the task ${status}`, limitMs);
  async function approve(user) {
    const { data } = await platform.api.get(`${platform.path}/approvals?status=pending&end_user_id=${user.id}`);
    assert.equal(data.length, 1);
    await platform.api.must(200, 'POST', `${platform.path}/approvals/${data[0].id}/approve`);
  }
  const issues = () => github.counters().requests.filter((r) => r.method === 'POST' && /\/issues$/.test(r.path ?? r.url)).length;

  test('a call that needs an approval is a task that ends when the platform decides', async () => {
    const user = await newUser();
    const task = await call(one, user, 'github_create_issue', { ...AT, title: 'as a task' });
    assert.equal(task.resultType, 'task');
    assert.equal(task.status, 'working');
    assert.match(task.statusMessage, /approval/);
    const stream = await Stream.open(`${one.url}/mcp`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${user.key}`,
        'mcp-protocol-version': MODERN, 'mcp-method': 'subscriptions/listen',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications: { taskIds: [task.taskId] }, _meta: modernMeta(CAPABILITIES) } }),
    });
    await stream.next((m) => m.method === 'notifications/tasks' && m.params.status === 'working');
    await approve(user);
    const told = await stream.next((m) => m.method === 'notifications/tasks' && m.params.status === 'completed');
    assert.equal(told.params.taskId, task.taskId);
    await stream.close();
    const done = await get(one, user, task.taskId);
    assert.equal(done.result.structuredContent.item.title, 'as a task');
    assert.deepEqual(told.params.result, done.result);
  });

  test('without the extension the call is answered as before', async () => {
    const user = await newUser();
    const args = { name: 'github_create_issue', arguments: { ...AT, title: 'no task' } };
    const modern = await modernCall(`${one.url}/mcp`, user.key, 'tools/call', args);
    assert.equal(modern.result.resultType, 'complete');
    assert.equal(errorOf(modern.result).code, 'approval_required');
    assert.equal(errorOf((await legacyCall(`${one.url}/mcp`, user.key, 'tools/call', args)).result).code, 'approval_required');
  });

  test('an upstream that asks for a long wait is asked again after it', { timeout: 90_000 }, async () => {
    const user = await newUser();
    github.control({ rate_limit: 'secondary_429', rate_limit_times: 1, rate_limit_reset_s: 8 });
    const task = await call(one, user, 'github_list_issues', AT);
    assert.equal(task.resultType, 'task', JSON.stringify(task));
    assert.match(task.statusMessage, /seconds/);
    const done = await until(one, user, task.taskId, 'completed', 40_000);
    assert.ok(!done.result.isError, textOf(done.result));
  });

  test('a process is killed in the middle: what only reads goes on elsewhere, what writes says that it is not known', { timeout: 120_000 }, async () => {
    const [reader, writer] = [await newUser(), await newUser()];
    const reading = await call(one, reader, 'github_get_me', {});
    const writing = await call(one, writer, 'github_create_issue', { ...AT, title: 'lost' });
    github.control({ delay_ms: 20_000 });
    const before = github.counters().requests.length;
    await approve(reader);
    await approve(writer);
    await eventually(() => github.counters().requests.length >= before + 2, 'both calls at the vendor');
    await two.kill();
    github.control({ delay_ms: 0 });
    assert.equal((await get(one, writer, writing.taskId)).status, 'working');
    two = await node();
    assert.equal((await until(one, reader, reading.taskId, 'completed', 60_000)).result.structuredContent.item.login, 'octocat');
    const lost = await until(one, writer, writing.taskId, 'failed', 60_000);
    assert.match(lost.statusMessage, /not known/);
    assert.equal(lost.error.code, -32603);
  });
});
