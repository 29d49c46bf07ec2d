// Several accounts of one app for one end user: labels, the default, the account argument, repair.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertError } from './support/api.mjs';
import { assertGoodPage, continueToProvider, decideAtProvider, launchBrowser, newVisitor } from './support/browser.mjs';
import { connectLegacyClient, connectModernClient, errorOf, legacyCall, modernCall, textOf, useTool } from './support/mcp.mjs';
import { followConnect, World } from './support/world.mjs';

describe('several accounts of one app', () => {
  let world, user, octocat, hubot;
  const whoami = async (args = {}) => (await useTool(world.mcp(), user.key, 'github_get_me', args)).item.login;
  const change = (id, body, api = user.api) => api.patch(`/v1/me/connections/${id}`, body);
  const schemaOf = async (name, key = user.key) =>
    (await legacyCall(world.mcp(), key, 'tools/list')).result.tools.find((t) => t.name === name).inputSchema;

  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser({ login: 'octocat' });
    octocat = user.connectionId;
  });
  after(() => world?.stop());

  test('with one account there is no such argument', async () => {
    assert.ok(!('account' in (await schemaOf('github_get_me')).properties));
    const reply = await legacyCall(world.mcp(), user.key, 'tools/call', { name: 'github_get_me', arguments: { account: 'octocat' } });
    assert.equal(errorOf(reply.result).code, 'validation');
    const [only] = await world.connections(user);
    assert.equal(only.is_default, true);
    assert.equal(only.label, 'octocat');
  });

  test('a second one brings the argument; the first stays the default', async () => {
    hubot = await world.connect(user, { login: 'hubot' });
    assert.notEqual(hubot, octocat);
    const { account } = (await schemaOf('github_get_issue')).properties;
    assert.match(account.description, /"octocat" \(default\), "hubot"/);
    assert.equal(await whoami(), 'octocat');
    assert.equal(await whoami({ account: 'hubot' }), 'hubot');
    assert.equal(await whoami({ account: 'HUBOT' }), 'hubot');
    assert.equal(await whoami({ account: hubot }), 'hubot');
    assert.deepEqual((await world.connections(user)).map((c) => [c.id, c.is_default]).sort(), [[octocat, true], [hubot, false]].sort());
  });

  test('the official clients of both eras choose an account', async () => {
    for (const connect of [connectLegacyClient, connectModernClient]) {
      const client = await connect(world.mcp(), user.key);
      await client.listTools();
      const mine = await client.callTool({ name: 'github_get_me', arguments: { account: 'hubot' } });
      assert.equal(mine.structuredContent.item.login, 'hubot', textOf(mine));
      await client.close();
    }
    const searching = await modernCall(`${world.mcp()}?tools=search`, user.key, 'tools/call', {
      name: 'call_tool', arguments: { name: 'github_get_me', arguments: { account: 'hubot' } },
    });
    assert.equal(searching.result.structuredContent.item.login, 'hubot');
  });

  test('an account that is nobody\'s, or somebody else\'s, names those to choose from', async () => {
    const other = await world.newConnectedUser({ login: 'octocat' });
    for (const account of ['monalisa', other.connectionId, '']) {
      const reply = await legacyCall(world.mcp(), user.key, 'tools/call', { name: 'github_get_me', arguments: { account } });
      const error = errorOf(reply.result);
      assert.equal(error.code, 'validation');
      assert.match(error.message, /"octocat" \(default\), "hubot"/);
      assert.deepEqual(error.accounts.map((a) => a.label), ['octocat', 'hubot']);
    }
    assert.ok((await world.audit()).some((e) => e.event === 'tool.called' && e.details.connection_id === hubot));
  });

  test('labels and the default are changed by the end user and by the platform', async () => {
    const named = await change(hubot, { label: 'Bot' });
    assert.equal(named.status, 200);
    assert.equal(named.data.label, 'Bot');
    assert.equal(named.data.account.label, 'hubot');
    assert.equal(await whoami({ account: 'bot' }), 'hubot');
    assertError(await change(octocat, { label: 'BOT' }), 409, 'label_taken');
    assertError(await change(octocat, { label: '' }), 400, 'bad_request');
    assertError(await change(octocat, {}), 400, 'bad_request');
    const made = await world.platform.api.patch(`${user.path}/connections/${hubot}`, { is_default: true });
    assert.equal(made.data.is_default, true);
    assert.equal(await whoami(), 'hubot');
    assert.match((await schemaOf('github_get_me')).properties.account.description, /"Bot" \(default\), "octocat"/);
    assert.equal((await change(hubot, { label: null })).data.label, 'hubot');
    assert.equal((await change(octocat, { is_default: true })).status, 200);
    assert.equal(await whoami(), 'octocat');
    const stranger = await world.newUser();
    assertError(await change(octocat, { label: 'mine' }, stranger.api), 404, 'not_found');
    assert.ok((await world.audit()).some((e) => e.event === 'connection.updated' && e.subject === hubot));
  });

  test('a further account gets its name on the connect page', async () => {
    const browser = await launchBrowser();
    try {
      const person = await world.newConnectedUser({ login: 'octocat' });
      const { page, problems } = await newVisitor(browser);
      const shown = await page.goto((await world.link(person)).url);
      await assertGoodPage(page, shown);
      await page.getByLabel(/Name for this account/).fill('  Second  ');
      await continueToProvider(page);
      await decideAtProvider(page, { login: 'hubot' }).catch(() => {}); // the return address is no page
      const labels = (await world.connections(person)).map((c) => c.label).sort();
      assert.deepEqual(labels, ['Second', 'octocat']);
      assert.deepEqual(problems.filter((p) => !p.includes('ERR_')), []);
    } finally {
      await browser.close();
    }
  });

  test('a tool that needs another scope gives the link that widens this connection', async () => {
    const platform = await world.newPlatform([]);
    await world.activate(platform, 'github_oauth', { scopes: ['read:user'] });
    const person = await world.newConnectedUser({ app: 'github_oauth', platform });
    const create = async () => (await legacyCall(world.mcp(), person.key, 'tools/call', {
      name: 'github_oauth_create_issue', arguments: { owner: 'octocat', repo: 'hello-world', title: 'Wider' },
    })).result;
    assert.equal(errorOf(await create()).code, 'scope_missing');
    await platform.api.must(200, 'PATCH', `${platform.path}/mcp/apps/github_oauth`, { scopes: ['read:user', 'repo'] });
    const { connect_url: link } = errorOf(await create());
    assert.match((await followConnect(link, { login: 'hubot' })).href, /reason=account_mismatch/, 'another account is no remedy');
    const back = await followConnect(errorOf(await create()).connect_url, { login: 'octocat' });
    assert.equal(back.searchParams.get('connection_id'), person.connectionId);
    const made = await create();
    assert.ok(!made.isError, textOf(made));
  });

  test('a connection that is connected again is the same one', async () => {
    const person = await world.newConnectedUser({ login: 'octocat' });
    const second = await world.connect(person, { login: 'hubot' });
    const gone = await person.api.delete(`/v1/me/connections/${person.connectionId}`);
    assert.equal(gone.status, 200);
    const { item } = await useTool(world.mcp(), person.key, 'github_get_me');
    assert.equal(item.login, 'hubot', 'the only one that is left is used');
    assert.ok(!('account' in (await schemaOf('github_get_me', person.key)).properties));
    const again = await world.connect(person, { login: 'octocat' });
    assert.equal(again, person.connectionId, 'the same connection');
    assert.notEqual(again, second);
  });
});
