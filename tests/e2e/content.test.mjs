// What /mcp has beside tools: resources, subscriptions, completions, declared extensions; with the official clients of both eras.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectLegacyClient, connectModernClient, legacyCall, MODERN, modernCall, modernMeta, openSession, Stream, textOf } from './support/mcp.mjs';
import { World } from './support/world.mjs';

const CONNECTIONS = 'assistiv://connections';

describe('resources of real sessions', () => {
  let world, user;
  const clients = {
    'SDK 1.x (legacy)': (key, url = world.mcp()) => connectLegacyClient(url, key),
    'SDK 2.x (modern)': (key, url = world.mcp()) => connectModernClient(url, key, { pin: MODERN }),
  };
  const listen = (key, notifications) => Stream.open(world.mcp(), {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications, _meta: modernMeta() } }),
    headers: {
      'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${key}`,
      'mcp-protocol-version': MODERN, 'mcp-method': 'subscriptions/listen',
    },
  });

  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser();
  });
  after(() => world?.stop());

  for (const [label, connect] of Object.entries(clients)) {
    test(`connections, documentation and completions with ${label}`, async () => {
      const client = await connect(user.key);
      const { resources } = await client.listResources();
      const mine = `${CONNECTIONS}/${user.connectionId}`;
      assert.deepEqual(resources.map((r) => r.uri), [CONNECTIONS, mine, 'assistiv://apps/github']);
      const { contents: [all] } = await client.readResource({ uri: CONNECTIONS });
      const [connection] = JSON.parse(all.text).connections;
      assert.equal(connection.app, 'github');
      assert.equal(connection.status, 'active');
      assert.deepEqual(JSON.parse((await client.readResource({ uri: mine })).contents[0].text), connection);
      assert.doesNotMatch(all.text, /gh[uor]_|token|secret/i);

      const { resourceTemplates } = await client.listResourceTemplates();
      assert.ok(resourceTemplates.some((t) => t.uriTemplate === 'assistiv://tools/{tool}'), JSON.stringify(resourceTemplates));
      const { contents: [doc] } = await client.readResource({ uri: 'assistiv://tools/github_get_issue' });
      assert.equal(doc.mimeType, 'text/markdown');
      assert.match(doc.text, /issue_number/);
      await assert.rejects(client.readResource({ uri: 'assistiv://tools/github_nothing' }));

      const { completion } = await client.complete({ ref: { type: 'ref/resource', uri: 'assistiv://tools/{tool}' }, argument: { name: 'tool', value: 'github_get_i' } });
      assert.deepEqual(completion.values, ['github_get_issue']);
      await client.close();
    });
  }

  test('another user and another platform see nothing of it', async () => {
    const uri = `${CONNECTIONS}/${user.connectionId}`;
    const same = await world.newConnectedUser({ login: 'hubot' });
    const other = await world.newConnectedUser({ platform: await world.newPlatform() });
    for (const stranger of [same, other]) {
      assert.equal((await legacyCall(world.mcp(), stranger.key, 'resources/read', { uri })).error.code, -32002);
      assert.equal((await modernCall(world.mcp(), stranger.key, 'resources/read', { uri })).error.code, -32602);
    }
  });

  test('what the grants take away is not documented', async () => {
    const guarded = await world.newConnectedUser();
    await guarded.platform.api.must(200, 'PUT', `${guarded.path}/grants`, { grants: [{ app: 'github', mode: 'all', deny: ['github_merge_pull_request'] }] });
    const read = (name) => modernCall(world.mcp(), guarded.key, 'resources/read', { uri: `assistiv://tools/${name}` });
    assert.ok((await read('github_get_issue')).result);
    assert.equal((await read('github_merge_pull_request')).error.code, -32602);
  });

  test('subscribers of both eras hear of their connections, and only they', async () => {
    const person = await world.newConnectedUser({ login: 'octocat' });
    const uri = `${CONNECTIONS}/${person.connectionId}`;
    const session = await openSession(world.mcp(), person.key);
    assert.equal(session.result.capabilities.resources.subscribe, true);
    const headers = { ...session.headers, authorization: `Bearer ${person.key}`, accept: 'text/event-stream' };
    const standing = await Stream.open(world.mcp(), { headers });
    assert.deepEqual((await legacyCall(world.mcp(), person.key, 'resources/subscribe', { uri }, session.headers)).result, {});
    const listening = await listen(person.key, { resourcesListChanged: true, resourceSubscriptions: [uri] });
    await listening.next((m) => m.method === 'notifications/subscriptions/acknowledged');
    const stranger = await listen(user.key, { resourcesListChanged: true, resourceSubscriptions: [uri, CONNECTIONS] });
    const honoured = await stranger.next((m) => m.method === 'notifications/subscriptions/acknowledged');
    assert.deepEqual(honoured.params.notifications, { resourcesListChanged: true, resourceSubscriptions: [CONNECTIONS] });
    const own = await openSession(world.mcp(), user.key);
    assert.equal((await legacyCall(world.mcp(), user.key, 'resources/subscribe', { uri }, own.headers)).error.code, -32002);

    await person.api.must(200, 'PATCH', `/v1/me/connections/${person.connectionId}`, { label: 'Renamed' });
    for (const stream of [standing, listening]) {
      const told = await stream.next((m) => m.method === 'notifications/resources/updated');
      assert.equal(told.params.uri, uri);
    }
    await listening.next((m) => m.method === 'notifications/resources/list_changed');
    assert.equal(JSON.parse((await modernCall(world.mcp(), person.key, 'resources/read', { uri })).result.contents[0].text).label, 'Renamed');

    await person.api.must(200, 'DELETE', `/v1/me/connections/${person.connectionId}`);
    assert.equal((await modernCall(world.mcp(), person.key, 'resources/read', { uri })).error.code, -32602);
    await world.connect(user, { login: 'hubot' });
    await stranger.next((m) => m.method === 'notifications/resources/updated');
    assert.ok(!stranger.messages.some((m) => m.params?.uri === uri), JSON.stringify(stranger.messages));
    for (const stream of [standing, listening, stranger]) await stream.close();
  });

  for (const [label, connect] of Object.entries(clients)) {
    test(`a result that was cut is kept whole, with ${label}`, async () => {
      const person = await world.newConnectedUser();
      const at = { owner: 'octocat', repo: 'hello-world' };
      const client = await connect(person.key, `${world.mcp()}?max_result_tokens=700`);
      const title = `Kept ${label} ${'wörter '.repeat(25)}`;
      for (let i = 0; i < 6; i++) {
        const made = await client.callTool({ name: 'github_create_issue', arguments: { ...at, title: `${title} ${i}` } });
        assert.ok(!made.isError, textOf(made));
      }
      const cut = await client.callTool({ name: 'github_list_issues', arguments: { ...at, limit: 6 } });
      assert.ok(cut.structuredContent.truncated, textOf(cut));
      const link = cut.content.find((c) => c.type === 'resource_link');
      assert.ok(link && cut.structuredContent.note.includes(link.uri), JSON.stringify(cut));
      let text = '';
      for (let uri = link.uri; uri; ) {
        const { contents: [part] } = await client.readResource({ uri });
        text += part.text;
        uri = part._meta['assistiv/next'];
      }
      const whole = JSON.parse(text);
      assert.equal(whole.items.length, 6);
      assert.ok(whole.items.length > cut.structuredContent.items.length);

      const own = (who, uri = link.uri) => modernCall(world.mcp(), who.key, 'resources/read', { uri });
      assert.ok((await own(person)).result, 'at any address of the caller');
      assert.equal((await own(user)).error.code, -32602, 'another user');
      const second = await person.platform.api.must(201, 'POST', `${person.path}/api-keys`, {});
      assert.equal((await own({ key: second.raw_key })).error.code, -32602, 'another key of the same user');
      await person.api.must(200, 'DELETE', `/v1/me/connections/${person.connectionId}`);
      assert.equal((await own(person)).error.code, -32602, 'the connection is gone');
      await client.close();
    });
  }

  test('clients that do not know links in results get none', async () => {
    const old = { 'mcp-protocol-version': '2025-03-26' };
    const { result } = await legacyCall(`${world.mcp()}?max_result_tokens=700`, user.key, 'tools/call', {
      name: 'github_list_issues', arguments: { owner: 'octocat', repo: 'hello-world', limit: 6 },
    }, old);
    assert.ok(result.structuredContent?.truncated ?? JSON.parse(result.content[0].text).truncated, JSON.stringify(result).slice(0, 300));
    assert.deepEqual(result.content.map((c) => c.type), ['text']);
    assert.match(textOf(result), /assistiv:\/\/results\//);
  });

  for (const [label, connect] of Object.entries(clients)) {
    test(`prompts of the manifests with ${label}`, async () => {
      const person = await world.newConnectedUser({ login: 'octocat' });
      const client = await connect(person.key);
      const { prompts } = await client.listPrompts();
      assert.deepEqual(prompts.map((p) => p.name), ['github_summarize_issue', 'github_triage_issues']);
      assert.deepEqual(prompts[0].arguments.filter((a) => a.required).map((a) => a.name), ['owner', 'repo', 'issue_number']);
      const at = { owner: 'octocat', repo: 'hello-world' };
      const { messages } = await client.getPrompt({ name: 'github_summarize_issue', arguments: { ...at, issue_number: '7' } });
      assert.match(messages[0].content.text, /issue 7 of octocat\/hello-world/);
      assert.doesNotMatch(messages[0].content.text, /[{}]|special attention/);
      const wrong = (name, args) => assert.rejects(client.getPrompt({ name, arguments: args }), (e) => e.code === -32602);
      await wrong('github_summarize_issue', at);
      await wrong('github_triage_issues', { ...at, depth: 'none' });
      await wrong('slack_catch_up', { channel: 'general' });
      const complete = async (name, value) => (await client.complete({
        ref: { type: 'ref/prompt', name: 'github_triage_issues' }, argument: { name, value },
      })).completion.values;
      assert.deepEqual(await complete('depth', 'b'), ['bodies']);
      assert.deepEqual(await complete('account', ''), [], 'there is one account only');
      await world.connect(person, { login: 'hubot' });
      assert.deepEqual(await complete('account', ''), ['octocat', 'hubot']);
      const chosen = await client.getPrompt({ name: 'github_triage_issues', arguments: { ...at, account: 'hubot' } });
      assert.match(chosen.messages[0].content.text, /the account hubot/);
      await client.close();
    });
  }

  test('a prompt whose tools are not allowed is not there', async () => {
    const person = await world.newConnectedUser();
    const names = async () => (await modernCall(world.mcp(), person.key, 'prompts/list')).result.prompts.map((p) => p.name);
    await person.platform.api.must(200, 'PUT', `${person.path}/grants`, { grants: [{ app: 'github', mode: 'all', deny: ['github_list_issue_comments'] }] });
    assert.deepEqual(await names(), ['github_triage_issues']);
    const stranger = await world.newUser();
    assert.deepEqual((await modernCall(world.mcp(), stranger.key, 'prompts/list')).result.prompts, [], 'not connected');
  });

  test('the extensions that are served are declared', async () => {
    const { result } = await modernCall(world.mcp(), user.key, 'server/discover');
    assert.deepEqual(Object.keys(result.capabilities.extensions).sort(), [
      'io.modelcontextprotocol/enterprise-managed-authorization', 'io.modelcontextprotocol/oauth-client-credentials', 'io.modelcontextprotocol/tasks',
    ]);
    const { result: legacy } = await openSession(world.mcp(), user.key);
    assert.equal(legacy.capabilities.extensions, undefined);
  });
});
