// Slack, end to end: connecting in a browser, every tool against a stand-in, and what Slack does differently.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { listen, sendHtml } from '../../examples/standins/http.mjs';
import { CLIENTS, start as startSlack } from '../../examples/standins/slack.mjs';
import { assertGoodPage, continueToProvider, decideAtProvider, launchBrowser, newVisitor } from './support/browser.mjs';
import { errorOf, failTool, legacyCall, textOf, toolNames, useTool } from './support/mcp.mjs';
import { World } from './support/world.mjs';

const ALL_SCOPES = [
  'search:read', 'channels:read', 'groups:read', 'im:read', 'mpim:read', 'channels:history', 'groups:history', 'im:history', 'mpim:history', 'users:read',
  'users:read.email', 'users.profile:read', 'chat:write', 'im:write', 'mpim:write', 'reactions:write', 'channels:write', 'groups:write', 'files:read',
];

describe('Slack', () => {
  let world, slack, user, product;
  const used = new Set();
  const at = () => world.mcp('slack');
  const use = async (name, args) => {
    used.add(`slack_${name}`);
    return useTool(at(), user.key, `slack_${name}`, args);
  };
  const fail = (name, args, key = user.key) => failTool(at(), key, `slack_${name}`, args);
  const lastCall = (method) => slack.counters().requests.findLast((r) => r.path === `/api/${method}`);
  const connectedTo = async (platform, login = 'ada') => world.newConnectedUser({ app: 'slack', login, platform });
  const newPlatform = async (extra) => {
    const platform = await world.newPlatform([]);
    await world.activate(platform, 'slack', extra);
    return platform;
  };

  before(async () => {
    product = await listen((req, res) => sendHtml(res, 200, '<!doctype html><title>Product</title><link rel="icon" href="data:,"><h1>Back</h1>'));
    // Slack widens what a person has given an app before: tests with few scopes need an app of their own.
    const app = (name, more) => ({ [name]: { name, secret: `${name}-secret`, appId: `A-${name}`, ...more } });
    slack = await startSlack({ clients: { ...CLIENTS, ...app('narrow'), ...app('with-bot', { rotates: true }) } });
    world = await World.start({ apps: [], overrides: { slack: { web: slack.url, api: slack.url } } });
    await world.activate(world.platform, 'slack', { scopes: ALL_SCOPES });
    await world.allowReturn(`${product.url}/done`, 'slack');
    user = await connectedTo(world.platform);
  });
  afterEach(() => slack.control({ fail_api: null, rate_limit: null, rate_limit_times: undefined, delay_ms: 0, fail_token_endpoint: null, fail_token_times: undefined }));
  after(async () => {
    await product?.stop();
    await world?.stop();
    await slack?.stop();
  });

  test('is connected in a browser, with the user\'s token only', async () => {
    const browser = await launchBrowser();
    try {
      const someone = await world.newUser();
      const { page, problems } = await newVisitor(browser);
      const consent = await page.goto((await world.link(someone, { app: 'slack', return_url: `${product.url}/done` })).url);
      await assertGoodPage(page, consent);
      assert.match(await page.locator('body').innerText(), /Post messages as you/);
      await continueToProvider(page);
      const asked = new URL(page.url()).searchParams;
      assert.equal(asked.get('user_scope').split(',').sort().join(), [...ALL_SCOPES].sort().join());
      assert.equal(asked.has('scope'), false, 'no bot unless the platform asks for it');
      assert.equal(asked.has('code_challenge'), false, 'PKCE would make the app a public one');
      assert.equal(asked.get('redirect_uri'), `${world.url}/oauth/callback/slack`);
      await decideAtProvider(page, { login: 'grace' });
      assert.equal(new URL(page.url()).searchParams.get('status'), 'connected', page.url());
      const [connection] = await world.connections(someone);
      assert.deepEqual(connection.account, { id: 'T0ACME/U0GRACE', label: 'grace, Acme' });
      assert.deepEqual(connection.scopes.sort(), [...ALL_SCOPES].sort());
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
  });

  test('a refusal at Slack', async () => {
    const someone = await world.newUser();
    await assert.rejects(world.connect(someone, { app: 'slack', login: 'ada', decision: 'cancel' }), /access_denied/);
    assert.deepEqual(await world.connections(someone), []);
  });

  test('reading people and channels', async () => {
    const { item } = await use('get_me');
    assert.deepEqual([item.id, item.real_name, item.workspace], ['U0ADA', 'Ada Lovelace', 'Acme']);
    const channels = (await use('list_channels', {})).items;
    assert.deepEqual(channels.map((c) => c.name), ['general', 'random'], 'public, not archived');
    assert.deepEqual((await use('list_channels', { name_contains: 'RAND' })).items.map((c) => c.id), ['C0RANDOM']);
    assert.deepEqual((await use('list_my_channels', { types: ['public_channel', 'private_channel'] })).items.map((c) => c.name), ['general', 'secret-plans']);
    const sent = lastCall('users.conversations');
    assert.equal(sent.method, 'POST');
    assert.match(sent.headers['content-type'], /x-www-form-urlencoded/);
    assert.deepEqual(sent.body, { types: 'public_channel,private_channel', exclude_archived: 'true', limit: '20', team_id: 'T0ACME' });
    assert.equal(sent.scheme, 'Bearer');
    assert.equal(sent.as, 'user ada');
    assert.equal((await use('get_channel', { channel: 'C0GENERAL' })).item.topic, 'Company-wide');
    assert.deepEqual((await use('list_channel_members', { channel: 'C0GENERAL' })).items.map((m) => m.user), ['U0ADA', 'U0GRACE', 'U0BOT']);
    assert.equal((await use('list_users', {})).items.length, 3);
    assert.equal((await use('get_user', { user: 'U0GRACE' })).item.title, 'Admiral');
    assert.equal((await use('find_user_by_email', { email: 'grace@acme.example' })).item.id, 'U0GRACE');
    assert.equal((await use('get_user_profile', {})).item.title, 'Analyst');
    assert.deepEqual(lastCall('users.profile.get').body, null);
  });

  test('reading messages and files', async () => {
    const { items } = await use('read_channel', { channel: 'C0GENERAL' });
    assert.deepEqual(items.map((m) => m.user), ['U0ADA', 'U0GRACE']);
    const thread = items.find((m) => m.reply_count);
    assert.equal((await use('read_thread', { channel: 'C0GENERAL', thread_ts: thread.ts })).items[1].text, 'I will watch it.');
    assert.match((await use('get_permalink', { channel: 'C0GENERAL', message_ts: thread.ts })).item.permalink, /\/archives\/C0GENERAL\/p/);
    const found = await use('search_messages', { query: 'deployment', from: 'grace', in: 'general', after: '2020-01-01', before: '2099-01-01', sort: 'timestamp' });
    assert.equal(found.total, 1);
    assert.equal(found.items[0].channel, 'C0GENERAL');
    assert.deepEqual(lastCall('search.messages').body, {
      query: 'deployment from:grace in:general before:2099-01-01 after:2020-01-01', sort: 'timestamp', highlight: 'false', page: '1', count: '20', team_id: 'T0ACME',
    });
    assert.equal((await use('search_files', { query: 'noon' })).items[0].id, 'F0NOTES');
    assert.equal((await use('get_file', { file: 'F0NOTES' })).item.content, 'Deployment at noon.\n');
  });

  test('writing', async () => {
    const channel = 'C0GENERAL';
    const { item } = await use('send_message', { channel, text: 'Hello <!channel> & <@U0GRACE>, *all*' });
    const sent = lastCall('chat.postMessage');
    assert.deepEqual(sent.body, { channel, text: 'Hello &lt;!channel> & <@U0GRACE>, *all*', unfurl_links: 'false' }, 'a model cannot call everybody');
    await use('send_message', { channel, text: 'A reply', thread_ts: item.ts, reply_broadcast: true });
    assert.equal(lastCall('chat.postMessage').body.thread_ts, item.ts);
    await use('update_message', { channel, ts: item.ts, text: 'Hello again' });
    assert.match(JSON.stringify(await use('read_thread', { channel, thread_ts: item.ts })), /Hello again/);
    const reaction = { channel, timestamp: item.ts, name: 'thumbsup' };
    await use('add_reaction', reaction);
    await use('add_reaction', reaction); // already_reacted is no failure
    assert.equal((await use('read_channel', { channel })).items[0].reactions[0].count, 1);
    await use('remove_reaction', reaction);
    await use('remove_reaction', reaction);
    assert.deepEqual((await use('delete_message', { channel, ts: item.ts })).item, { deleted: true, channel, ts: item.ts });
    const post_at = Math.floor(Date.now() / 1000) + 3600;
    assert.equal((await use('schedule_message', { channel, text: 'Later', post_at })).item.post_at, post_at);
    const dm = (await use('open_dm', { users: ['U0GRACE'] })).item;
    assert.equal(dm.is_im, true);
    await use('send_message', { channel: dm.id, text: 'Psst' });
    const made = (await use('create_channel', { name: 'by-agent', is_private: false })).item;
    await use('invite_to_channel', { channel: made.id, users: ['U0GRACE'] });
    await use('invite_to_channel', { channel: made.id, users: ['U0GRACE'] }); // already_in_channel
    assert.equal((await use('get_channel', { channel: made.id })).item.num_members, 2);
  });

  test('these were all of the 24, with all four hints', async () => {
    const { result } = await legacyCall(at(), user.key, 'tools/list');
    assert.equal(result.tools.length, 24);
    assert.deepEqual(result.tools.map((t) => t.name).filter((name) => !used.has(name)), []);
    for (const tool of result.tools) {
      for (const hint of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) assert.equal(typeof tool.annotations[hint], 'boolean', `${tool.name} ${hint}`);
    }
  });

  test('lists go on by a cursor of ours', async () => {
    const seen = [];
    let cursor;
    do {
      const page = await use('list_users', { limit: 1, ...(cursor && { cursor }) });
      seen.push(...page.items.map((p) => p.id));
      cursor = page.next_cursor;
    } while (cursor);
    assert.deepEqual(seen, ['U0ADA', 'U0GRACE', 'U0BOT']);
  });

  test('200 with ok: false becomes an error that an agent understands', async () => {
    const codes = [
      ['read_channel', { channel: 'C0NOTHERE' }, 'not_found', /channel_not_found/], ['get_user', { user: 'U0NOBODY' }, 'not_found', /user_not_found/],
      ['create_channel', { name: 'general' }, 'conflict', /name_taken/], ['schedule_message', { channel: 'C0GENERAL', text: 'x', post_at: 1 }, 'validation', /time_in_past/],
      ['read_channel', { channel: 'C9GENERAL' }, 'not_found', /channel_not_found/],
    ];
    for (const [tool, args, code, words] of codes) {
      const result = await fail(tool, args);
      assert.equal(errorOf(result).code, code, textOf(result));
      assert.match(textOf(result), words);
    }
    const grace = await connectedTo(world.platform, 'grace');
    const [message] = (await useTool(at(), user.key, 'slack_search_messages', { query: 'Lunch' })).items;
    const result = await fail('delete_message', { channel: message.channel, ts: message.ts }, grace.key);
    assert.equal(errorOf(result).code, 'forbidden', textOf(result));
  });

  test('what is not Slack\'s answer is no success', async () => {
    const html = { status: 200, body: '<html>maintenance</html>', type: 'text/html' };
    for (const fault of [html, { status: 200, body: '{"ok":tr' }, { status: 200, body: { ok: false, error: 'fatal_error' } }, { status: 500, body: '' }]) {
      slack.control({ fail_api: fault });
      assert.equal(errorOf(await fail('get_user', { user: 'U0ADA' })).code, 'upstream', JSON.stringify(fault));
      const write = errorOf(await fail('send_message', { channel: 'C0GENERAL', text: 'x' }));
      assert.equal(write.code, 'upstream', JSON.stringify(fault));
    }
    slack.control({ fail_api: null });
  });

  test('a rate limit says when to come back, and a short one is waited for', async () => {
    slack.control({ rate_limit: true, rate_limit_reset_s: 40 });
    const { code, retry_after_s } = errorOf(await fail('list_users', {}));
    assert.deepEqual([code, retry_after_s], ['rate_limited', 40]);
    const calls = slack.counters().api_calls;
    assert.equal(errorOf(await fail('send_message', { channel: 'C0GENERAL', text: 'x' })).code, 'rate_limited');
    assert.equal(slack.counters().api_calls, calls + 1, 'a write is not sent again');
    slack.control({ rate_limit: true, rate_limit_times: 1, rate_limit_reset_s: 1 });
    assert.ok((await use('list_users', {})).items.length);
    slack.control({ rate_limit: null, rate_limit_times: undefined });
  });

  test('a missing scope is named, by us and by Slack', async () => {
    const narrow = await connectedTo(await newPlatform({ scopes: ['channels:read'], client_id: 'narrow', client_secret: 'narrow-secret' }));
    const before = slack.counters().api_calls;
    assert.equal(errorOf(await fail('send_message', { channel: 'C0GENERAL', text: 'x' }, narrow.key)).code, 'scope_missing');
    assert.equal(slack.counters().api_calls, before, 'known before Slack is asked');
    const someone = await connectedTo(world.platform, 'grace');
    slack.control({ fail_api: { status: 200, body: { ok: false, error: 'missing_scope', needed: 'chat:write', provided: 'users:read' } } });
    const { code, missing_scopes } = errorOf(await fail('send_message', { channel: 'C0GENERAL', text: 'x' }, someone.key));
    slack.control({ fail_api: null });
    assert.deepEqual([code, missing_scopes], ['scope_missing', ['chat:write']]);
  });

  test('a revoked token: the connection must be made anew', async () => {
    const platform = await newPlatform({ client_id: 'demo-slack-rotating', client_secret: 'demo-slack-rotating-secret' });
    const someone = await connectedTo(platform, 'grace');
    slack.control({ revoke_all: true });
    assert.equal(errorOf(await fail('get_me', {}, someone.key)).code, 'reauth_required');
    assert.equal((await world.connections(someone))[0].status, 'needs_reauth');
    await world.connect(someone, { app: 'slack', login: 'grace' });
    assert.equal((await world.connections(someone))[0].status, 'active');
    assert.equal((await useTool(at(), someone.key, 'slack_get_me')).item.id, 'U0GRACE');
    await world.connect(user, { app: 'slack', login: 'ada' });
  });

  test('token rotation: the flat answer of a refresh is the user\'s, one refresh for many calls', async () => {
    const platform = await newPlatform({ client_id: 'demo-slack-rotating', client_secret: 'demo-slack-rotating-secret' });
    const someone = await connectedTo(platform);
    slack.control({ reset_counters: true, expire_all: true, delay_ms: 50 });
    await Promise.all(Array.from({ length: 10 }, () => useTool(at(), someone.key, 'slack_get_user', { user: 'U0ADA' })));
    slack.control({ delay_ms: 0 });
    assert.equal(slack.counters().refreshes, 1);
    assert.equal(slack.counters().refresh_errors, 0);
    assert.equal((await world.connections(someone))[0].status, 'active');
    await world.connect(user, { app: 'slack', login: 'ada' });
  });

  test('the bot is a second credential of the same connection', async () => {
    const scopes = ['chat:write', 'channels:read', 'channels:history', 'bot:chat:write', 'bot:channels:history'];
    const platform = await newPlatform({ scopes, client_id: 'with-bot', client_secret: 'with-bot-secret' });
    const [ada, grace] = [await connectedTo(platform, 'ada'), await connectedTo(platform, 'grace')];
    const [connection] = await world.connections(ada);
    assert.deepEqual(connection.scopes.sort(), [...scopes, 'users:read'].sort());
    await useTool(at(), ada.key, 'slack_send_message', { channel: 'C0GENERAL', text: 'As me' });
    assert.equal(lastCall('chat.postMessage').as, 'user ada');
    slack.control({ expire_all: true });
    await useTool(at(), ada.key, 'slack_send_message', { channel: 'C0GENERAL', text: 'As the bot', as_bot: true });
    assert.equal(lastCall('chat.postMessage').as, 'bot demo_bot');
    assert.equal(lastCall('chat.postMessage').body.as_bot, undefined);
    const without = await connectedTo(await newPlatform({ scopes: ['chat:write'] }));
    assert.equal(errorOf(await fail('send_message', { channel: 'C0GENERAL', text: 'x', as_bot: true }, without.key)).code, 'scope_missing');
    // The bot is everybody's: it stays when one of them disconnects.
    const reply = await platform.api.must(200, 'DELETE', `${ada.path}/connections/${ada.connectionId}`);
    assert.equal(reply.revoked_upstream, true);
    await useTool(at(), grace.key, 'slack_send_message', { channel: 'C0GENERAL', text: 'Still here', as_bot: true });
    await world.connect(user, { app: 'slack', login: 'ada' });
  });

  test('disconnecting revokes the user\'s token at Slack', async () => {
    const someone = await connectedTo(await newPlatform({ client_id: 'demo-slack-rotating', client_secret: 'demo-slack-rotating-secret' }), 'grace');
    const revokes = slack.counters().token_revokes;
    const reply = await someone.platform.api.must(200, 'DELETE', `${someone.path}/connections/${someone.connectionId}`);
    assert.equal(reply.revoked_upstream, true);
    assert.equal(slack.counters().token_revokes, revokes + 1);
    assert.equal(lastCall('auth.revoke').as, 'user grace');
  });

  test('two workspaces of one person are two connections, told apart by their labels', async () => {
    const someone = await connectedTo(world.platform, 'ada');
    await world.connect(someone, { app: 'slack', login: 'linus' });
    const labels = (await world.connections(someone)).map((c) => c.account.label);
    assert.deepEqual(labels.sort(), ['ada, Acme', 'linus, Other']);
    const workspace = async (args) => (await useTool(at(), someone.key, 'slack_get_me', args)).item.workspace;
    assert.equal(await workspace({}), 'Acme', 'the first one stays the default');
    assert.equal(await workspace({ account: 'linus, Other' }), 'Other');
  });

  test('no token of Slack is ever shown', async () => {
    const names = await toolNames(at(), user.key);
    assert.ok(names.length);
    const seen = JSON.stringify([await world.connections(user), await world.audit()]);
    assert.doesNotMatch(seen, /xox[bpe]/);
  });
});
