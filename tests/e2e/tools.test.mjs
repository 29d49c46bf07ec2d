// Every GitHub tool through MCP, and what an agent is told when the provider says no.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorOf, failTool, legacyCall, textOf, toolNames, useTool } from './support/mcp.mjs';
import { World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };

describe('GitHub tools', () => {
  let world, user;
  const used = new Set();
  const use = async (name, args) => {
    used.add(name);
    return useTool(world.mcp('github_oauth'), user.key, name, args);
  };
  const fail = (name, args) => failTool(world.mcp('github_oauth'), user.key, name, args);
  let prefix;
  const t = (name) => `${prefix}${name}`;

  before(async () => {
    world = await World.start({ apps: ['github_oauth', 'github'] });
    user = await world.newConnectedUser({ app: 'github_oauth' });
    const names = await toolNames(world.mcp('github_oauth'), user.key);
    prefix = names.find((name) => name.endsWith('_get_me')).replace(/get_me$/, '');
  });
  after(() => world?.stop());

  test('reading', async () => {
    assert.equal((await use(t('get_me'))).item.login, 'octocat');
    assert.ok((await use(t('search_repositories'), { query: 'hello' })).items.some((r) => r.full_name === 'octocat/hello-world'));
    assert.equal((await use(t('get_repository'), AT)).item.full_name, 'octocat/hello-world');
    assert.ok((await use(t('list_repositories'))).items.length >= 2);
    assert.ok((await use(t('search_code'), { query: 'hello repo:octocat/hello-world' })).items.length >= 1);
    assert.match(JSON.stringify(await use(t('get_file_contents'), { ...AT, path: 'README.md' })), /hello-world/);
    assert.ok((await use(t('list_commits'), AT)).items.length >= 1);
    assert.match(JSON.stringify(await use(t('get_commit'), { ...AT, ref: 'louder' })), /Say it louder/);
    assert.ok((await use(t('list_branches'), AT)).items.some((b) => b.name === 'louder'));
    assert.ok((await use(t('search_issues'), { query: 'greeting', ...AT })).items.length >= 1);
    assert.ok((await use(t('list_issues'), AT)).items.length >= 3);
    assert.equal((await use(t('get_issue'), { ...AT, issue_number: 1 })).item.number, 1);
    assert.match(JSON.stringify(await use(t('list_issue_comments'), { ...AT, issue_number: 1 })), /I can hear it/);
    assert.ok((await use(t('list_pull_requests'), AT)).items.some((p) => p.title === 'Say it louder'));
    assert.equal((await use(t('get_pull_request'), { ...AT, pull_number: 4 })).item.number, 4);
    assert.match(JSON.stringify(await use(t('list_pull_request_files'), { ...AT, pull_number: 4 })), /src\/greet\.ts/);
    assert.ok((await use(t('search_pull_requests'), { query: 'louder' })).items.length >= 1);
    assert.ok((await use(t('list_workflow_runs'), AT)).items.length >= 1);
    assert.ok((await use(t('list_notifications'))).items.length >= 1);
  });

  test('writing', async () => {
    await use(t('create_branch'), { ...AT, branch: 'agent', from_branch: 'main' });
    await use(t('create_or_update_file'), { ...AT, path: 'docs/agent notes.md', content: 'Grüße\n', message: 'Notes', branch: 'agent' });
    assert.match(JSON.stringify(await use(t('get_file_contents'), { ...AT, path: 'docs/agent notes.md', ref: 'agent' })), /Grüße/);
    const issue = (await use(t('create_issue'), { ...AT, title: 'Agent', body: 'b', labels: ['bug'] })).item;
    assert.equal((await use(t('update_issue'), { ...AT, issue_number: issue.number, state: 'closed', state_reason: 'completed' })).item.state, 'closed');
    await use(t('add_issue_comment'), { ...AT, issue_number: issue.number, body: 'done' });
    const pull = (await use(t('create_pull_request'), { ...AT, title: 'Agent notes', head: 'agent', base: 'main' })).item;
    await use(t('create_pull_request_review'), { ...AT, pull_number: pull.number, event: 'COMMENT', body: 'fine' });
    await use(t('merge_pull_request'), { ...AT, pull_number: pull.number });
    await use(t('trigger_workflow'), { ...AT, workflow_id: 'ci.yml', ref: 'main' });
    assert.match(JSON.stringify(await use(t('list_workflow_runs'), { ...AT, event: 'workflow_dispatch' })), /workflow_dispatch/);
  });

  test('these were all of them', async () => {
    const names = await toolNames(world.mcp('github_oauth'), user.key);
    assert.equal(names.length, 28);
    assert.deepEqual(names.filter((name) => !used.has(name)), []);
  });

  test('lists page by an opaque cursor until the end, without repeats', async () => {
    const seen = [];
    let cursor;
    do {
      const page = await use(t('list_issues'), { ...AT, state: 'all', limit: 2, ...(cursor && { cursor }) });
      assert.ok(page.items.length <= 2);
      seen.push(...page.items.map((i) => i.number));
      cursor = page.next_cursor;
      assert.ok(seen.length < 100);
    } while (cursor);
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.length >= 4);
    const foreign = await fail(t('list_issues'), { ...AT, cursor: 'AAAA' });
    assert.match(textOf(foreign), /cursor/);
  });

  test('calls look as GitHub wants them', async () => {
    await use(t('get_me'));
    const { headers } = world.github.counters().requests.at(-1);
    assert.ok(headers['user-agent']);
    assert.ok(headers['x-github-api-version']);
    assert.match(headers.accept, /json/);
    assert.equal(JSON.stringify(headers).includes(user.key), false, 'the caller\'s key stays here');
  });

  test('a path cannot leave its repository', async () => {
    for (const path of ['../../../user', '..', 'a/../../b']) {
      const before = world.github.counters().requests.length;
      await fail(t('get_file_contents'), { ...AT, path });
      const sent = world.github.counters().requests.slice(before).map((r) => r.path);
      assert.ok(sent.every((p) => p.startsWith('/repos/octocat/hello-world/contents')), sent.join());
    }
    await fail(t('get_repository'), { owner: 'octocat/..', repo: 'hello-world' });
    await fail(t('get_repository'), { owner: 'octocat%2f..', repo: 'hello-world?x=1#y' });
  });

  test('not found or no access', async () => {
    const result = await fail(t('get_repository'), { owner: 'hubot', repo: 'hidden' });
    assert.equal(errorOf(result).code, 'not_found');
    assert.match(textOf(result), /not found|access/i);
  });

  test('a conflict and a refused value name what is wrong', async () => {
    assert.match(textOf(await fail(t('merge_pull_request'), { ...AT, pull_number: 4, sha: '0'.repeat(40) })), /modified|head/i);
    assert.match(textOf(await fail(t('create_branch'), { ...AT, branch: 'louder', from_branch: 'main' })), /exists/i);
  });

  test('a rate limit says when to come back', async () => {
    for (const [kind, wait] of [['primary', 45], ['secondary', 30], ['secondary_429', 20]]) {
      world.github.control({ rate_limit: kind, rate_limit_reset_s: wait });
      const result = await fail(t('get_repository'), AT);
      world.github.control({ rate_limit: null });
      const details = errorOf(result);
      assert.equal(details.code, 'rate_limited', `${kind}: ${JSON.stringify(result)}`);
      assert.ok(details.retry_after_s > 0 && details.retry_after_s <= wait + 1, `${kind}: ${JSON.stringify(details)}`);
      assert.match(textOf(result), /\d+/);
    }
  });

  test('a missing scope is named with the way to get it', async () => {
    const platform = await world.newPlatform([]);
    await world.activate(platform, 'github_oauth', { scopes: ['read:user'] });
    const narrow = await world.newConnectedUser({ app: 'github_oauth', platform });
    const reply = await legacyCall(world.mcp('github_oauth'), narrow.key, 'tools/call', { name: t('create_issue'), arguments: { ...AT, title: 'x' } });
    const text = reply.result ? textOf(reply.result) : reply.error.message;
    assert.ok(reply.error || reply.result.isError);
    assert.match(text, /scope/i);
    assert.match(text, /repo/);
  });

  test('what a GitHub App cannot reach is an error that an agent understands', async () => {
    const app = await world.newConnectedUser({ app: 'github' });
    const names = await toolNames(world.mcp('github'), app.key);
    const tool = names.find((n) => n.endsWith('list_notifications'));
    if (tool) assert.match(textOf(await failTool(world.mcp('github'), app.key, tool)), /permission|access|scope/i);
  });

  test('results stay small', async () => {
    const reply = await legacyCall(world.mcp('github_oauth'), user.key, 'tools/call', { name: t('list_issues'), arguments: { ...AT, state: 'all' } });
    assert.ok(JSON.stringify(reply.result.structuredContent).length < 12_000, 'the projection drops what nobody needs');
    const some = await use(t('get_repository'), { ...AT, fields: ['full_name'] });
    assert.deepEqual(Object.keys(some.item), ['full_name']);
  });
});
