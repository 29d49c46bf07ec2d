// Cutting what tools cost of a model's context: search mode, a selection of tools, a bound for results.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectLegacyClient, connectModernClient, errorOf, legacyCall, MODERN, modernCall, openSession, post, textOf, toolNames } from './support/mcp.mjs';
import { World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };

describe('a selection of tools', () => {
  let world, user;
  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser();
  });
  after(() => world?.stop());

  const clients = {
    'SDK 1.x (legacy)': (url) => connectLegacyClient(url, user.key),
    'SDK 2.x (modern)': (url) => connectModernClient(url, user.key, { pin: MODERN }),
    'SDK 2.x that chooses': (url) => connectModernClient(url, user.key, 'auto'),
  };

  for (const [label, connect] of Object.entries(clients)) {
    test(`search mode with ${label}`, async () => {
      const client = await connect(`${world.mcp()}?tools=search`);
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map((t) => t.name), ['search_tools', 'get_tool', 'call_tool']);
      const whole = (await (await connect(world.mcp())).listTools()).tools;
      const size = (list) => JSON.stringify(list).length;
      assert.ok(size(tools) * 10 < size(whole), `${size(tools)} of ${size(whole)} bytes`);

      const found = await client.callTool({ name: 'search_tools', arguments: { query: 'create an issue' } });
      assert.equal(found.structuredContent.tools[0].name, 'github_create_issue', textOf(found));
      const got = await client.callTool({ name: 'get_tool', arguments: { name: 'github_create_issue' } });
      const { icons, ...definition } = whole.find((t) => t.name === 'github_create_issue');
      assert.equal(icons.length, 1);
      assert.deepEqual(got.structuredContent.tool, JSON.parse(JSON.stringify(definition)), 'all that a model has use for');
      const made = await client.callTool({ name: 'call_tool', arguments: { name: 'github_create_issue', arguments: { ...AT, title: label } } });
      assert.ok(!made.isError, textOf(made));
      assert.equal(made.structuredContent.item.title, label);
      const wrong = await client.callTool({ name: 'call_tool', arguments: { name: 'github_get_issue', arguments: { ...AT, issue_number: 'x' } } });
      assert.match(textOf(wrong), /issue_number/);
      await assert.rejects(client.callTool({ name: 'call_tool', arguments: { name: 'nothing_such' } }), (e) => e.code === -32602);
      await client.close();
    });

    test(`tools, toolsets and reading only with ${label}`, async () => {
      const two = await connect(`${world.mcp()}?tools=github_get_issue,github_get_me`);
      assert.deepEqual((await two.listTools()).tools.map((t) => t.name).sort(), ['github_get_issue', 'github_get_me']);
      await assert.rejects(two.callTool({ name: 'github_create_issue', arguments: { ...AT, title: 'no' } }), (e) => e.code === -32602);
      await two.close();
      const reading = await connect(`${world.mcp('github')}?toolsets=issues&readonly=true`);
      const { tools } = await reading.listTools();
      assert.ok(tools.length > 0 && tools.every((t) => t.annotations.readOnlyHint), tools.map((t) => t.name).join());
      assert.ok(tools.some((t) => t.name === 'github_list_issues') && !tools.some((t) => t.name === 'github_get_me'));
      await reading.close();
      const misspelt = async () => (await connect(`${world.mcp()}?tools=github_get_isue`)).listTools();
      await assert.rejects(misspelt(), /github_get_isue/);
    });
  }

  test('the audit trail names the tool itself, and grants and approvals hold behind call_tool', async () => {
    const platform = await world.newPlatform();
    const guarded = await world.newConnectedUser({ platform });
    await platform.api.must(200, 'PUT', `${guarded.path}/grants`, {
      grants: [{ app: 'github', mode: 'all', deny: ['github_create_branch'], require_approval: { tools: ['github_create_issue'] } }],
    });
    const url = `${world.mcp()}?tools=search`;
    const call = (name, args) => legacyCall(url, guarded.key, 'tools/call', { name: 'call_tool', arguments: { name, arguments: args } });
    const denied = await call('github_create_branch', { ...AT, branch: 'x' });
    assert.equal(errorOf(denied.result).code, 'denied');
    const waits = await call('github_create_issue', { ...AT, title: 'wait' });
    assert.equal(errorOf(waits.result).code, 'approval_required');
    const done = await call('github_get_me', {});
    assert.ok(!done.result.isError, textOf(done.result));
    const search = await legacyCall(url, guarded.key, 'tools/call', { name: 'search_tools', arguments: { query: 'create branch' } });
    assert.ok(!search.result.structuredContent.tools.some((t) => t.name === 'github_create_branch'), 'what is denied is not found');
    const entries = (await world.audit(platform)).filter((e) => e.event.startsWith('tool.'));
    assert.deepEqual(entries.map((e) => `${e.event} ${e.subject}`).sort(), ['tool.called github_get_me', 'tool.denied github_create_branch', 'tool.denied github_create_issue']);
  });

  test('headers say the same, in both eras', async () => {
    const headers = { 'x-mcp-tools': 'github_get_me' };
    const modern = await modernCall(world.mcp(), user.key, 'tools/list', {}, { headers });
    assert.deepEqual(modern.result.tools.map((t) => t.name), ['github_get_me']);
    const legacy = await legacyCall(world.mcp(), user.key, 'tools/list', {}, headers);
    assert.deepEqual(legacy.result.tools.map((t) => t.name), ['github_get_me']);
    const wrong = await legacyCall(world.mcp(), user.key, 'tools/list', {}, { 'x-mcp-toolsets': 'githob' });
    assert.equal(wrong.status, 400);
    assert.match(wrong.error.message, /"githob"/);
  });

  test('a legacy session keeps what initialize said', async () => {
    const begun = await post(`${world.mcp()}?tools=github_get_me`, user.key, {
      jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'e2e', version: '1' } },
    });
    const session = { 'mcp-session-id': begun.headers.get('mcp-session-id'), 'mcp-protocol-version': '2025-11-25' };
    const { result } = await legacyCall(world.mcp(), user.key, 'tools/list', {}, session);
    assert.deepEqual(result.tools.map((t) => t.name), ['github_get_me']);
    const other = await openSession(world.mcp(), user.key);
    assert.ok((await legacyCall(world.mcp(), user.key, 'tools/list', {}, other.headers)).result.tools.length > 20);
    assert.ok((await toolNames(world.mcp(), user.key)).length > 20);
  });

  test('a bound for results leaves a cursor to the rest', async () => {
    for (let i = 0; i < 12; i++) {
      await legacyCall(world.mcp(), user.key, 'tools/call', { name: 'github_create_issue', arguments: { ...AT, title: `Long ${i}`, body: 'word '.repeat(300) } });
    }
    const list = (cursor) => legacyCall(`${world.mcp()}?max_result_tokens=700`, user.key, 'tools/call', {
      name: 'github_list_issues', arguments: { ...AT, limit: 10, ...(cursor && { cursor }) },
    });
    const first = (await list()).result.structuredContent;
    assert.ok(first.truncated && first.next_cursor && first.items.length < 10, JSON.stringify(first).slice(0, 400));
    assert.match(first.note, /next_cursor/);
    assert.ok(JSON.stringify(first).length <= 2800);
    const second = (await list(first.next_cursor)).result.structuredContent;
    assert.notEqual(second.items[0].number, first.items[0].number);
    const free = await legacyCall(world.mcp(), user.key, 'tools/call', { name: 'github_list_issues', arguments: { ...AT, limit: 10 } });
    assert.equal(free.result.structuredContent.items.length, 10);
  });
});
