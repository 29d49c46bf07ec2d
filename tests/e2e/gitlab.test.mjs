// GitLab, the fifth app: one manifest and nothing else makes these work.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { start as startGitLab } from '../../examples/standins/gitlab.mjs';
import { errorOf, failTool, legacyCall, textOf, useTool } from './support/mcp.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

describe('GitLab', () => {
  let world, gitlab, user;
  const used = new Set();
  const use = async (name, args, key = user.key) => {
    used.add(`gitlab_${name}`);
    return useTool(world.mcp('gitlab'), key, `gitlab_${name}`, args);
  };
  const fail = (name, args, key = user.key) => failTool(world.mcp('gitlab'), key, `gitlab_${name}`, args);
  const lastCall = () => gitlab.counters().requests.at(-1);

  before(async () => {
    gitlab = await startGitLab();
    world = await World.start({ apps: [], overrides: { gitlab: { web: gitlab.url, api: gitlab.url } } });
    await world.activate(world.platform, 'gitlab', { scopes: ['api'] });
    user = await world.newConnectedUser({ app: 'gitlab', login: 'tanuki' });
  });
  afterEach(() => gitlab.control({ fail_api: null, rate_limit: null, rate_limit_times: undefined }));
  after(async () => {
    await world?.stop();
    await gitlab?.stop();
  });

  test('is connected, with PKCE and the scopes that the platform chose', async () => {
    const [connection] = await world.connections(user);
    assert.deepEqual(connection.account, { id: '201', label: 'tanuki' });
    assert.deepEqual(connection.scopes.sort(), ['api', 'read_user']);
    const someone = await world.newUser();
    await assert.rejects(world.connect(someone, { app: 'gitlab', login: 'tanuki', decision: 'cancel' }), /access_denied/);
  });

  test('reading', async () => {
    assert.equal((await use('get_me')).item.username, 'tanuki');
    const first = await use('list_projects', { limit: 2 });
    assert.deepEqual(first.items.map((p) => p.path), ['acme/website', 'acme/secret-plans']);
    const second = await use('list_projects', { limit: 2, cursor: first.next_cursor });
    assert.deepEqual(second.items.map((p) => p.path), ['acme/attic']);
    assert.equal(second.next_cursor, undefined);
    assert.deepEqual((await use('list_projects', { archived: false, search: 'acme' })).items.length, 2);
    assert.equal((await use('get_project', { project: 'acme/website' })).item.description, 'The public web site');
    assert.equal(lastCall().path, '/api/v4/projects/acme%2Fwebsite', 'a path is one segment');
    assert.equal((await use('get_project', { project: '301' })).item.path, 'acme/website');
    const issues = await use('list_issues', { project: 'acme/website', state: 'opened' });
    assert.deepEqual(issues.items.map((i) => i.number), [1, 2]);
    assert.deepEqual((await use('list_issues', { project: 'acme/website', labels: ['bug'], assignee: 'vixen' })).items[0].assignees, ['vixen']);
    assert.match((await use('get_issue', { project: 'acme/website', issue: 1 })).item.description, /Logo is blurred/);
    assert.equal((await use('list_merge_requests', { project: 'acme/website', state: 'opened' })).items[0].merge_status, 'draft_status');
  });

  test('writing', async () => {
    const { item } = await use('create_issue', { project: 'acme/website', title: 'Dark mode', description: 'Please.', labels: ['wish', 'design'] });
    assert.deepEqual([item.title, item.author, item.labels], ['Dark mode', 'tanuki', ['wish', 'design']]);
    assert.deepEqual(lastCall().body, { title: 'Dark mode', description: 'Please.', labels: 'wish,design' });
    await use('add_issue_comment', { project: 'acme/website', issue: item.number, body: 'I can do it.' });
    assert.equal((await use('get_issue', { project: 'acme/website', issue: item.number })).item.comments, 1);
  });

  test('these were all of the 8', async () => {
    const { result } = await legacyCall(world.mcp('gitlab'), user.key, 'tools/list');
    assert.deepEqual(result.tools.map((t) => t.name).sort(), [...used].sort());
  });

  test('a project of others, a scope that is missing, a limit, and words that GitLab says', async () => {
    const vixen = await world.newConnectedUser({ app: 'gitlab', login: 'vixen' });
    assert.equal(errorOf(await fail('get_project', { project: 'acme/secret-plans' }, vixen.key)).code, 'not_found');
    assert.equal(errorOf(await fail('get_project', { project: '../../user' })).code, 'not_found');
    assert.equal(lastCall().path, '/api/v4/projects/..%2F..%2Fuser', 'no way out of the path');
    assert.match(textOf(await fail('create_issue', { project: 'acme/website', title: ' ' })), /blank/);
    gitlab.control({ rate_limit: true, rate_limit_reset_s: 40 });
    const limited = errorOf(await fail('get_me'));
    assert.deepEqual([limited.code, limited.retry_after_s >= 39], ['rate_limited', true]);
    gitlab.control({ rate_limit: null });

    const reader = await world.newPlatform([]);
    await world.activate(reader, 'gitlab');
    const someone = await world.newConnectedUser({ app: 'gitlab', login: 'tanuki', platform: reader });
    assert.equal((await use('list_projects', {}, someone.key)).items.length, 3);
    const refused = errorOf(await fail('create_issue', { project: 'acme/website', title: 'No' }, someone.key));
    assert.equal(refused.code, 'scope_missing', JSON.stringify(refused));
  });

  test('an expired token is refreshed once for ten calls; a dead one asks for consent', async () => {
    gitlab.control({ expire_all: true, reset_counters: true });
    await Promise.all(Array.from({ length: 10 }, () => use('get_me')));
    assert.equal(gitlab.counters().refreshes, 1);
    const someone = await world.newConnectedUser({ app: 'gitlab', login: 'vixen' });
    gitlab.control({ revoke_all: true });
    assert.equal(errorOf(await fail('get_me', {}, someone.key)).code, 'reauth_required');
    assert.equal((await world.connections(someone))[0].status, 'needs_reauth');
    assert.equal(await world.connect(someone, { app: 'gitlab', login: 'vixen' }), someone.connectionId);
    assert.equal((await use('get_me', {}, someone.key)).item.username, 'vixen');
  });

  test('disconnecting revokes both tokens', async () => {
    const someone = await world.newConnectedUser({ app: 'gitlab', login: 'vixen' });
    const before = gitlab.counters();
    const { data } = await someone.api.delete(`/v1/me/connections/${someone.connectionId}`);
    assert.deepEqual([data.revoked_upstream, data.reason], [true, undefined]);
    await eventually(() => gitlab.counters().token_revokes === before.token_revokes + 1);
    assert.equal(gitlab.counters().live_access_tokens, before.live_access_tokens - 1);
    assert.equal(gitlab.counters().live_refresh_tokens, before.live_refresh_tokens - 1);
  });
});
