// Who may use which tool: policies, grants, keys, approvals, and what a denial says.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertError } from './support/api.mjs';
import { failTool, legacyCall, textOf, toolNames, useTool } from './support/mcp.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };
const POLICY = { mode: 'all', tools: [], deny: [], require_approval: { classes: [], tools: [] } };

describe('grants', () => {
  let world, platform;
  const policy = (change) => platform.api.must(200, 'PUT', `${platform.path}/mcp/apps/github/policy`, { ...POLICY, ...change });
  const grants = (user, list) => platform.api.must(200, 'PUT', `${user.path}/grants`, { grants: list });
  const names = (user) => toolNames(world.mcp('github'), user.key);
  /** What a denied call says; not granted looks like unknown, or is a tool error. */
  async function denial(user, name, args = {}) {
    const reply = await legacyCall(world.mcp('github'), user.key, 'tools/call', { name, arguments: args });
    if (reply.error) {
      assert.equal(reply.error.code, -32602, JSON.stringify(reply.error));
      return JSON.stringify(reply.error);
    }
    assert.ok(reply.result.isError, JSON.stringify(reply.result));
    return JSON.stringify(reply.result);
  }

  before(async () => {
    world = await World.start();
    ({ platform } = world);
  });
  after(() => world?.stop());

  test('the platform\'s policy: read only, a list, none, and a denied tool', async () => {
    const user = await world.newConnectedUser();
    assert.deepEqual((await platform.api.get(`${platform.path}/mcp/apps/github/policy`)).data, POLICY);
    await policy({ mode: 'read_only' });
    const readable = await names(user);
    assert.ok(readable.includes('github_get_issue') && !readable.includes('github_create_issue') && !readable.includes('github_merge_pull_request'));
    const issues = world.github.counters().requests.length;
    assert.match(await denial(user, 'github_create_issue', { ...AT, title: 'x' }), /platform_policy/);
    assert.equal(world.github.counters().requests.length, issues, 'nothing was sent');
    await policy({ mode: 'list', tools: ['github_get_me', 'github_create_issue'] });
    assert.deepEqual((await names(user)).sort(), ['github_create_issue', 'github_get_me']);
    await policy({ mode: 'none' });
    assert.deepEqual(await names(user), []);
    await policy({ deny: ['github_merge_pull_request'] });
    assert.equal((await names(user)).length, 27);
    assert.match(await denial(user, 'github_merge_pull_request', { ...AT, pull_number: 4 }), /platform_policy/);
    const entries = await world.audit(platform, '&event=tool.denied');
    assert.ok(entries.some((e) => JSON.stringify(e).includes('github_merge_pull_request')));
    await policy({});
  });

  test('an end user\'s grant replaces the policy; a key\'s can only narrow it; deny wins', async () => {
    const user = await world.newConnectedUser();
    await policy({ mode: 'read_only' });
    await grants(user, [{ app: 'github', mode: 'all', deny: ['github_merge_pull_request'] }]);
    assert.equal((await names(user)).length, 27);
    assert.match(await denial(user, 'github_merge_pull_request', { ...AT, pull_number: 4 }), /end_user_grant/);

    const key = await platform.api.must(201, 'POST', `${user.path}/api-keys`, { name: 'narrow' });
    await grants(user, [
      { app: 'github', mode: 'all', deny: ['github_merge_pull_request'] },
      { app: 'github', key_id: key.id, mode: 'list', tools: ['github_get_me', 'github_merge_pull_request'] },
    ]);
    const narrow = { ...user, key: key.raw_key };
    assert.deepEqual(await names(narrow), ['github_get_me']);
    assert.equal((await names(user)).length, 27, 'the other key is as before');
    assert.match(await denial(narrow, 'github_create_issue', { ...AT, title: 'x' }), /key_grant/);

    const { data } = await platform.api.get(`${user.path}/grants`);
    assert.equal(data.grants.length, 2);
    const effective = Object.fromEntries(data.effective.github.map((e) => [e.tool, e]));
    assert.equal(effective.github_merge_pull_request.decision, 'deny');
    assert.equal(effective.github_merge_pull_request.rule, 'end_user_grant');
    assert.equal(effective.github_get_me.decision, 'allow');

    assert.equal((await platform.api.delete(`${user.path}/grants`)).status, 204);
    assert.ok(!(await names(user)).includes('github_create_issue'), 'the policy holds again');
    await policy({});
  });

  test('bad rules are refused with the place', async () => {
    const user = await world.newUser();
    const put = (body) => platform.api.put(`${platform.path}/mcp/apps/github/policy`, body);
    assertError(await put({ ...POLICY, surprise: 1 }), 400, 'bad_request');
    const mode = await put({ ...POLICY, mode: 'most' });
    assert.equal(mode.status, 400);
    assert.equal(mode.body.error.field, '/mode');
    assert.equal((await put({ ...POLICY, deny: ['github_no_such_tool'] })).status, 400);
    assert.equal((await put({ ...POLICY, require_approval: { classes: ['scary'], tools: [] } })).status, 400);
    const grant = (rule) => platform.api.put(`${user.path}/grants`, { grants: [rule] });
    assert.equal((await grant({ app: 'github', mode: 'all', extra: true })).status, 400);
    assert.ok([400, 404, 422].includes((await grant({ app: 'nothing', mode: 'all' })).status));
    assert.ok([400, 404, 422].includes((await grant({ app: 'github', mode: 'all', key_id: world.platform.id })).status));
    assertError(await user.api.put(`${user.path}/grants`, { grants: [] }), 403, 'forbidden');
  });

  test('another tenant\'s users and apps do not exist', async () => {
    const stranger = await world.newPlatform();
    const user = await world.newUser();
    for (const path of [user.path, `${user.path}/grants`, `${user.path}/connections`, platform.path, `${platform.path}/mcp/apps/github/policy`, `${platform.path}/audit`, `${platform.path}/approvals`]) {
      assertError(await stranger.api.get(path), 404, 'not_found');
    }
    assertError(await stranger.api.get(`${stranger.path}/end-users/${user.id}`), 404, 'not_found');
  });

  test('an approval: asked, approved, used once, for exactly these arguments', async () => {
    const user = await world.newConnectedUser();
    await policy({ require_approval: { classes: ['destructive'], tools: ['github_add_issue_comment'] } });
    assert.ok((await names(user)).includes('github_add_issue_comment'), 'a tool that needs approval is listed');
    const args = { ...AT, issue_number: 1, body: 'please' };
    const call = (a = args) => legacyCall(world.mcp('github'), user.key, 'tools/call', { name: 'github_add_issue_comment', arguments: a });
    const asked = await call();
    assert.ok(asked.result.isError);
    assert.match(textOf(asked.result), /approv/i);
    const pending = (await platform.api.get(`${platform.path}/approvals?status=pending&end_user_id=${user.id}`)).body.data;
    assert.equal(pending.length, 1);
    assert.deepEqual(pending[0].arguments, args);
    assert.equal(pending[0].tool, 'github_add_issue_comment');
    assert.equal(pending[0].risk, 'outbound');
    await call();
    assert.equal((await platform.api.get(`${platform.path}/approvals?status=pending&end_user_id=${user.id}`)).body.total, 1, 'asking again makes no second one');

    const decide = (id, what, body = {}) => platform.api.post(`${platform.path}/approvals/${id}/${what}`, body);
    assertError(await user.api.post(`${platform.path}/approvals/${pending[0].id}/approve`), 403, 'forbidden');
    assert.equal((await decide(pending[0].id, 'approve')).data.status, 'approved');
    assert.ok((await call({ ...args, body: 'something else' })).result.isError, 'other arguments are another call');
    const done = await Promise.all([call(), call(), call()]);
    assert.equal(done.filter((r) => !r.result.isError).length, 1, 'one of three at once');
    assert.equal((await platform.api.get(`${platform.path}/approvals/${pending[0].id}`)).data.status, 'used');
    assertError(await decide(pending[0].id, 'deny'), 409, 'conflict');
    const events = (await world.audit()).map((e) => e.event);
    for (const event of ['approval.requested', 'approval.approved', 'approval.used']) assert.ok(events.includes(event), event);
    await policy({});
  });

  test('an approval denied tells the agent why', async () => {
    const user = await world.newConnectedUser();
    await policy({ require_approval: { classes: ['destructive'], tools: [] } });
    const args = { ...AT, pull_number: 4 };
    await failTool(world.mcp('github'), user.key, 'github_merge_pull_request', args);
    const [waiting] = (await platform.api.get(`${platform.path}/approvals?status=pending&end_user_id=${user.id}`)).body.data;
    await platform.api.must(200, 'POST', `${platform.path}/approvals/${waiting.id}/deny`, { reason: 'Not before Monday' });
    assert.match(textOf(await failTool(world.mcp('github'), user.key, 'github_merge_pull_request', args)), /Not before Monday/);
    await policy({});
    await useTool(world.mcp('github'), user.key, 'github_get_pull_request', args);
  });

  test('deactivating an app takes its tools away', async () => {
    const own = await world.newPlatform();
    const user = await world.newConnectedUser({ platform: own });
    const revokes = () => world.github.counters().token_revokes + world.github.counters().grant_revokes;
    const before = revokes();
    assert.equal((await own.api.delete(`${own.path}/mcp/apps/github`)).status, 204);
    assert.ok(!(await toolNames(world.mcp(), user.key)).some((n) => n.startsWith('github_')));
    await eventually(() => revokes() > before, 'the revocation at GitHub'); // in the background: there may be thousands of users
    assert.equal(revokes(), before + 1);
    assert.equal((await legacyCall(world.mcp('github'), user.key, 'tools/call', { name: 'github_get_me', arguments: {} })).error?.code, -32602);
  });
});
