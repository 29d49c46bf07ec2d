// How connections end from outside: providers that tell by themselves, and the operator's command after a breach.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Webhooks } from '@octokit/webhooks';
import { start as startSlack } from '../../examples/standins/slack.mjs';
import { start as startZendesk } from '../../examples/standins/zendesk.mjs';
import { assertError } from './support/api.mjs';
import { errorOf, failTool, openSession, Stream, toolNames, useTool } from './support/mcp.mjs';
import { BINARY, eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const hmac = (secret, text) => crypto.createHmac('sha256', secret).update(text).digest('hex');
const SECRET = 'the-webhook-secret';

describe('providers that tell of a revocation', () => {
  let world, slack, hook;
  before(async () => {
    slack = await startSlack();
    world = await World.start({ apps: ['github', 'github_oauth'], overrides: { slack: { web: slack.url, api: slack.url } } });
    await world.activate(world.platform, 'slack');
    hook = {};
    for (const app of ['github', 'slack']) {
      hook[app] = await world.platform.api.must(200, 'PUT', `${world.platform.path}/mcp/apps/${app}/provider-webhook`, { secret: SECRET });
    }
  });
  after(async () => {
    await world?.stop();
    await slack?.stop();
  });

  const send = (url, body, headers) => fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
  // Signed by GitHub's own library.
  const github = async (event, notice, { delivery = crypto.randomUUID(), url = hook.github.url } = {}) => {
    const body = JSON.stringify(notice);
    const signature = await new Webhooks({ secret: SECRET }).sign(body);
    return send(url, body, { 'x-github-event': event, 'x-github-delivery': delivery, 'x-hub-signature-256': signature });
  };
  const slackNotice = (notice, { at = Math.floor(Date.now() / 1000) } = {}) => {
    const body = JSON.stringify(notice);
    return send(hook.slack.url, body, { 'x-slack-request-timestamp': String(at), 'x-slack-signature': `v0=${hmac(SECRET, `v0:${at}:${body}`)}` });
  };
  const slackEvent = (event, more = {}) => ({
    token: 'x', team_id: 'T0ACME', api_app_id: 'A0DEMO', type: 'event_callback', event_id: 'Ev1', event_time: Math.floor(Date.now() / 1000), event, ...more,
  });
  const statusOf = async (user) => (await world.connections(user))[0].status;
  const accountOf = async (user) => (await world.connections(user))[0].account;
  const revoked = (id) => ({ action: 'revoked', sender: { id: Number(id), login: 'someone', type: 'User' } });

  test('the address is the platform\'s, and the secret is never shown', async () => {
    const path = `${world.platform.path}/mcp/apps/github/provider-webhook`;
    const { data, body } = await world.platform.api.get(path);
    assert.equal(data.url, `${world.url}/webhooks/providers/${world.platform.id}/github`);
    assert.equal(data.has_secret, true);
    assert.doesNotMatch(JSON.stringify(body), /the-webhook/);
    const other = await world.newPlatform(['github']);
    assertError(await other.api.get(path), 404, 'not_found');
    assert.equal((await other.api.get(`${other.path}/mcp/apps/github/provider-webhook`)).data.has_secret, false);
    assertError(await world.platform.api.put(path, { secret: 'short' }), 400, 'bad_request');
    // An OAuth App of GitHub sends none, and Zendesk's would not say whose token it was.
    assertError(await world.platform.api.get(`${world.platform.path}/mcp/apps/github_oauth/provider-webhook`), 404, 'not_found');
    const reply = await github('github_app_authorization', revoked(1), { url: hook.github.url.replace(world.platform.id, other.id) });
    assert.equal(reply.status, 404, 'no secret, no notices');
  });

  test('GitHub: a withdrawn authorization ends the connection, tells open sessions, and asks GitHub nothing', async () => {
    const user = await world.newConnectedUser({ app: 'github', login: 'octocat' });
    const bystander = await world.newConnectedUser({ app: 'github', login: 'hubot' });
    const { id } = await accountOf(user);
    await useTool(world.mcp(), user.key, 'github_get_me');
    const session = await openSession(world.mcp(), user.key);
    const stream = await Stream.open(world.mcp(), { headers: { accept: 'text/event-stream', authorization: `Bearer ${user.key}`, ...session.headers } });
    const calls = world.github.counters().api_calls;

    assert.equal((await github('ping', { zen: 'Design for failure.' })).status, 200);
    assert.equal((await github('github_app_authorization', revoked(999_999))).status, 200, 'nobody of ours');
    assert.equal(await statusOf(user), 'active');
    const reply = await github('github_app_authorization', revoked(id));
    assert.equal(reply.status, 200);
    assert.equal(await reply.text(), '');
    assert.equal(await statusOf(user), 'needs_reauth');
    assert.equal(await statusOf(bystander), 'active');
    assert.equal(world.github.counters().api_calls, calls);
    await stream.next((m) => m.method === 'notifications/tools/list_changed');
    stream.close();
    const error = errorOf(await failTool(world.mcp(), user.key, 'github_get_me'));
    assert.equal(error.code, 'reauth_required', JSON.stringify(error));
    const [entry] = await world.audit(world.platform, '&event=connection.needs_reauth');
    assert.deepEqual([entry.subject, entry.details.reason, entry.details.app], [user.connectionId, 'revoked_at_provider', 'github']);

    // Connecting again repairs it; the old notice, sent again, ends nothing.
    assert.equal(await world.connect(user, { app: 'github', login: 'octocat' }), user.connectionId);
    assert.equal((await github('github_app_authorization', revoked(id), { delivery: 'again' })).status, 200);
    assert.equal(await statusOf(user), 'active');
    assert.equal((await useTool(world.mcp(), user.key, 'github_get_me')).item.login, 'octocat');
  });

  test('GitHub: a deleted installation ends the connection of its owner', async () => {
    const user = await world.newConnectedUser({ app: 'github', login: 'hubot' });
    const { id } = await accountOf(user);
    const notice = (action, account) => ({ action, installation: { id: 1, account: { id: Number(account), login: 'hubot', type: 'User' } }, sender: { id: 7 } });
    assert.equal((await github('installation', notice('suspend', id))).status, 200);
    assert.equal((await github('installation', notice('deleted', 424_242))).status, 200);
    assert.equal(await statusOf(user), 'active');
    assert.equal((await github('installation', notice('deleted', id))).status, 200);
    assert.equal(await statusOf(user), 'needs_reauth');
  });

  test('Slack: the address is verified, tokens of named people end, an uninstalled app ends all of the workspace', async () => {
    const hello = await slackNotice({ token: 'x', challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P', type: 'url_verification' });
    assert.equal(hello.status, 200);
    assert.match(hello.headers.get('content-type'), /^text\/plain/);
    assert.equal(await hello.text(), '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P');

    const ada = await world.newConnectedUser({ app: 'slack', login: 'ada' });
    const grace = await world.newConnectedUser({ app: 'slack', login: 'grace' });
    const tokens = (oauth) => slackEvent({ type: 'tokens_revoked', tokens: { oauth, bot: ['U0BOT'] } });
    assert.equal((await slackNotice(tokens(['U0GRACE']))).status, 200);
    assert.deepEqual([await statusOf(ada), await statusOf(grace)], ['active', 'needs_reauth']);
    assert.equal((await slackNotice({ ...slackEvent({ type: 'app_uninstalled' }), team_id: 'T0OTHER' })).status, 200);
    assert.equal(await statusOf(ada), 'active');
    // What happened before this token was given does not end it.
    assert.equal((await slackNotice(slackEvent({ type: 'app_uninstalled' }, { event_time: Math.floor(Date.now() / 1000) - 3600 }))).status, 200);
    assert.equal(await statusOf(ada), 'active');
    assert.equal((await slackNotice(slackEvent({ type: 'app_uninstalled' }))).status, 200);
    assert.equal(await statusOf(ada), 'needs_reauth');
  });

  test('what is not signed, old, too long or no JSON is refused', async () => {
    const user = await world.newConnectedUser({ app: 'github', login: 'octocat' });
    const { id } = await accountOf(user);
    const body = JSON.stringify(revoked(id));
    const event = { 'x-github-event': 'github_app_authorization' };
    for (const [headers, text] of [
      [{}, body], [{ 'x-hub-signature-256': 'sha256=' }, body], [{ 'x-hub-signature-256': hmac(SECRET, body) }, body],
      [{ 'x-hub-signature-256': `sha256=${hmac('another secret', body)}` }, body], [{ 'x-hub-signature-256': `sha256=${hmac(SECRET, body)}` }, `${body} `],
      [{ 'x-hub-signature': `sha1=${crypto.createHmac('sha1', SECRET).update(body).digest('hex')}` }, body],
    ]) {
      assert.equal((await send(hook.github.url, text, { ...event, ...headers })).status, 403, JSON.stringify(headers));
    }
    const now = Math.floor(Date.now() / 1000);
    for (const at of [now - 301, now + 301, 'x']) assert.equal((await slackNotice(slackEvent({ type: 'app_uninstalled' }), { at })).status, 403, String(at));
    const signed = (text) => send(hook.github.url, text, { ...event, 'x-hub-signature-256': `sha256=${hmac(SECRET, text)}` });
    assert.equal((await signed('{"action":')).status, 400);
    assert.equal((await signed(`{"a":"${'x'.repeat(1 << 20)}"}`)).status, 413);
    assert.equal((await signed(`${'['.repeat(100)}${']'.repeat(100)}`)).status, 400);
    assert.equal((await fetch(hook.github.url)).status, 405);
    assert.equal((await send(`${world.url}/webhooks/providers/not-a-platform/github`, body)).status, 404);
    assert.equal(await statusOf(user), 'active');
    assert.doesNotMatch(world.server.log(), /the-webhook-secret/);
  });
});

describe('assistiv admin revoke', () => {
  let world, zendesk, platforms;
  const users = [];
  before(async () => {
    zendesk = await startZendesk();
    const place = `${zendesk.url}/t/{subdomain}`;
    world = await World.start({ apps: [], overrides: { zendesk: { web: place, api: place } } });
    platforms = [world.platform, await world.newPlatform([])];
    for (const platform of platforms) await world.activate(platform, 'zendesk');
    for (const [platform, login] of [[0, 'agnes'], [0, 'bert'], [1, 'agnes']]) {
      users.push(await world.newConnectedUser({ app: 'zendesk', login, platform: platforms[platform], vars: { subdomain: 'acme' } }));
    }
  });
  after(async () => {
    await world?.stop();
    await zendesk?.stop();
  });

  /** Beside the running server; the stand-in answers in this process, so nothing here may block. */
  const revoke = (...args) => new Promise((resolve) => {
    const child = spawn(BINARY, ['admin', 'revoke', ...args], { env: { PATH: process.env.PATH, HOME: process.env.HOME, ASSISTIV_DATA_DIR: world.dataDir, ...world.env } });
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => (out[name] += chunk));
    child.once('exit', (status) => resolve({ status, ...out }));
  });
  const me = (user) => useTool(world.mcp('zendesk'), user.key, 'zendesk_get_me');

  test('asks for what it needs', async () => {
    assert.equal((await revoke()).status, 2);
    assert.equal((await revoke('--app', 'nothing')).status, 2);
    assert.equal((await revoke('--app', 'zendesk', '--platform', 'acme')).status, 2);
    assert.equal((await revoke('--app', 'zendesk', '--wait', 'long')).status, 2);
  });

  test('says what it would do', async () => {
    const { status, stdout, stderr } = await revoke('--app', 'zendesk', '--dry-run');
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`${platforms[0].id}  .*: 2 connections, 2 tokens \\(main\\)`));
    assert.match(stdout, new RegExp(`${platforms[1].id}  .*: 1 connections`));
    for (const user of users) await me(user);
    assert.equal(zendesk.counters().token_revokes, 0);
  });

  test('one platform, while the server runs', async () => {
    const { status, stdout, stderr } = await revoke('--app', 'zendesk', '--platform', platforms[1].id);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /ended here: 1 connections/);
    assert.match(stdout, /revoked at the provider: 1, failed: 0, not yet: 0/);
    assert.equal(zendesk.counters().token_revokes, 1);
    assert.equal((await world.connections(users[2]))[0].status, 'revoked');
    await eventually(async () => !(await toolNames(world.mcp('zendesk'), users[2].key)).includes('zendesk_get_ticket')
      || errorOf(await failTool(world.mcp('zendesk'), users[2].key, 'zendesk_get_me')).code === 'not_connected', 'the running server knows');
    await me(users[0]);
    assert.ok((await world.audit(platforms[1], '&event=connection.revocation')).some((e) => e.details.revoked_upstream === true));
    const [ended] = await world.audit(platforms[1], '&event=connection.revoked');
    assert.deepEqual([ended.actor, ended.end_user_id], [{ kind: 'operator', key_id: null }, users[2].id]);
    assert.equal((await platforms[1].api.get(`${platforms[1].path}/audit/verify`)).data.valid, true);
  });

  test('what the provider does not take now is named, and a second run goes on', async () => {
    zendesk.control({ rate_limit: true, rate_limit_times: 1, rate_limit_reset_s: 1 });
    const before = zendesk.counters().token_revokes;
    const first = await revoke('--app', 'zendesk', '--end-user', users[0].id, '--wait', '0');
    assert.equal(first.status, 1, first.stdout + first.stderr);
    assert.match(first.stdout, /ended here: 1 connections/);
    assert.match(first.stdout, new RegExp(`NOT YET REVOKED at the provider: platform ${platforms[0].id}, account acme/\\d+: 1 tries`));
    assert.equal((await world.connections(users[0]))[0].status, 'revoked');
    assert.equal((await world.connections(users[1]))[0].status, 'active');
    const second = await revoke('--app', 'zendesk', '--end-user', users[0].id);
    assert.equal(second.status, 0, second.stdout + second.stderr);
    assert.match(second.stdout, /ended here: 0 connections/);
    assert.equal(zendesk.counters().token_revokes, before + 1);
  });

  test('a provider that wants time gets it', async () => {
    zendesk.control({ rate_limit: true, rate_limit_times: 1, rate_limit_reset_s: 1 });
    const before = zendesk.counters().token_revokes;
    const { status, stdout } = await revoke('--app', 'zendesk');
    assert.equal(status, 0, stdout);
    assert.equal(zendesk.counters().token_revokes, before + 1);
    assert.equal(zendesk.counters().live_access_tokens, 0, 'nothing lives on at the provider');
    assert.match((await revoke('--app', 'zendesk')).stdout, /revoked at the provider: 0, failed: 0, not yet: 0/);
  });
});
