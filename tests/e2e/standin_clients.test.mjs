// The vendors' own clients talk to the stand-ins of Slack, Zendesk and GitHub: what they accept, and how they take the errors, is
// what makes the tests against the stand-ins worth something. (Every REST call of the GitHub tools through Octokit is in
// standins.test.mjs.)
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { Octokit } from '@octokit/rest';
import { ErrorCode, LogLevel, WebClient } from '@slack/web-api';
import zendeskClient from 'node-zendesk';
import { start as startGitHub } from '../../examples/standins/github.mjs';
import { start as startSlack } from '../../examples/standins/slack.mjs';
import { start as startZendesk } from '../../examples/standins/zendesk.mjs';

const REDIRECT = 'http://127.0.0.1:9/oauth/callback';

/** What a person does in a browser, without one; gives the code. */
async function codeFrom(url, params, login) {
  const body = new URLSearchParams({ response_type: 'code', redirect_uri: REDIRECT, state: 's1', ...params, login, decision: 'allow' });
  const reply = await fetch(url, { method: 'POST', body, redirect: 'manual' });
  assert.equal(reply.status, 302, await reply.text());
  return new URL(reply.headers.get('location')).searchParams.get('code');
}

describe('@slack/web-api and the Slack stand-in', () => {
  let slack, user, bot;
  const options = () => ({ slackApiUrl: `${slack.url}/api/`, retryConfig: { retries: 0 }, rejectRateLimitedCalls: true, logLevel: LogLevel.ERROR });
  const signIn = async (clientId, login, more = {}) => new WebClient(undefined, options()).oauth.v2.access({
    client_id: clientId, client_secret: `${clientId}-secret`, redirect_uri: REDIRECT,
    code: await codeFrom(`${slack.url}/oauth/v2/authorize`, { client_id: clientId, user_scope: 'channels:read,channels:history,users:read,chat:write,search:read', ...more }, login),
  });

  before(async () => {
    slack = await startSlack();
    const granted = await signIn('demo-slack-app', 'ada', { scope: 'chat:write,channels:read' });
    user = new WebClient(granted.authed_user.access_token, options());
    bot = new WebClient(granted.access_token, options());
  });
  afterEach(() => slack.control({ rate_limit: null, fail_api: null }));
  after(() => slack?.stop());

  test('one consent gives the user\'s token and the bot\'s, and both say whose they are', async () => {
    const me = await user.auth.test();
    assert.deepEqual([me.ok, me.user_id, me.team_id], [true, 'U0ADA', 'T0ACME']);
    const robot = await bot.auth.test();
    assert.equal(robot.user_id, 'U0BOT');
    assert.ok(robot.bot_id);
    assert.ok(me.response_metadata.scopes.includes('chat:write'), 'x-oauth-scopes, as the client reads it');
  });

  test('only scopes of the user: no token at the top; rotation: a flat answer, and the old refresh token is over', async () => {
    const plain = await signIn('demo-slack-app', 'grace');
    assert.equal(plain.access_token, undefined);
    assert.match(plain.authed_user.access_token, /^xoxp-/);
    const rotating = await signIn('demo-slack-rotating', 'grace');
    const refresh = (refresh_token) => new WebClient(undefined, options()).oauth.v2.access({
      client_id: 'demo-slack-rotating', client_secret: 'demo-slack-rotating-secret', grant_type: 'refresh_token', refresh_token,
    });
    const next = await refresh(rotating.authed_user.refresh_token);
    assert.ok(next.access_token && next.refresh_token && next.expires_in > 0);
    assert.equal(next.token_type, 'user');
    await assert.rejects(refresh(rotating.authed_user.refresh_token), (error) => error.code === ErrorCode.PlatformError && error.data.error === 'invalid_refresh_token');
  });

  test('pages, messages and threads', async () => {
    const names = [];
    for await (const page of user.paginate('conversations.list', { limit: 1, types: 'public_channel', exclude_archived: true })) names.push(...page.channels.map((c) => c.name));
    assert.deepEqual(names, ['general', 'random']);
    const sent = await user.chat.postMessage({ channel: 'C0GENERAL', text: 'From the official client' });
    assert.equal(sent.message.text, 'From the official client');
    await bot.chat.postMessage({ channel: 'C0GENERAL', thread_ts: sent.ts, text: 'So do I' });
    const { messages } = await user.conversations.replies({ channel: 'C0GENERAL', ts: sent.ts });
    assert.deepEqual(messages.map((m) => m.text), ['From the official client', 'So do I']);
    assert.equal((await user.conversations.history({ channel: 'C0GENERAL', limit: 1 })).messages.length, 1);
    assert.ok((await user.search.messages({ query: 'official' })).messages.total >= 1);
  });

  test('errors are platform errors, limits are limits', async () => {
    const platform = (code, more = () => true) => (error) => error.code === ErrorCode.PlatformError && error.data.error === code && more(error.data);
    await assert.rejects(user.conversations.info({ channel: 'C0NOWHERE' }), platform('channel_not_found'));
    await assert.rejects(user.reactions.add({ channel: 'C0GENERAL', timestamp: '1.1', name: 'eyes' }), platform('missing_scope', (data) => Boolean(data.needed && data.provided)));
    await assert.rejects(new WebClient('xoxp-nobody', options()).auth.test(), platform('invalid_auth'));
    slack.control({ rate_limit: true, rate_limit_reset_s: 7 });
    await assert.rejects(user.users.info({ user: 'U0ADA' }), (error) => error.code === ErrorCode.RateLimitedError && error.retryAfter === 7);
  });

  test('a token that is revoked is dead', async () => {
    const { authed_user: someone } = await signIn('demo-slack-rotating', 'ada');
    const client = new WebClient(someone.access_token, options());
    assert.equal((await client.auth.revoke()).revoked, true);
    await assert.rejects(client.auth.test(), (error) => ['token_revoked', 'invalid_auth'].includes(error.data?.error));
  });
});

describe('node-zendesk and the Zendesk stand-in', () => {
  let zendesk, agent, reader;
  const clientFor = async (scope, login = 'agnes') => {
    const place = `${zendesk.url}/t/acme`;
    const code = await codeFrom(`${place}/oauth/authorizations/new`, { client_id: 'demo-zendesk', scope }, login);
    const reply = await fetch(`${place}/oauth/tokens`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ grant_type: 'authorization_code', code, client_id: 'demo-zendesk', client_secret: 'demo-zendesk-secret', redirect_uri: REDIRECT }),
    });
    return zendeskClient.createClient({ endpointUri: `${place}/api/v2`, oauth: true, token: (await reply.json()).access_token, logger: { info() {}, error() {}, debug() {} } });
  };

  before(async () => {
    zendesk = await startZendesk();
    agent = await clientFor('read tickets:write users:write');
    reader = await clientFor('tickets:read');
  });
  afterEach(() => zendesk.control({ rate_limit: null, fail_api: null }));
  after(() => zendesk?.stop());

  test('people, tickets, comments', async () => {
    const { result: me } = await agent.users.me();
    assert.deepEqual([me.email, me.role], ['agnes@acme.example', 'agent']);
    const { result: made } = await agent.tickets.create({ ticket: { subject: 'From the official client', comment: { body: 'It works.' }, requester_id: 21, tags: ['client'] } });
    assert.ok(made.id > 0);
    assert.equal((await agent.tickets.show(made.id)).result.subject, 'From the official client');
    const { result: changed } = await agent.tickets.update(made.id, { ticket: { status: 'solved', comment: { body: 'Done.', public: false } } });
    assert.equal(changed.status, 'solved');
    const comments = await agent.tickets.getComments(made.id);
    assert.deepEqual(comments.map((c) => [c.body, c.public]), [['It works.', true], ['Done.', false]]);
    const { result: upserted } = await agent.users.createOrUpdate({ user: { name: 'Erik', email: 'erik@customer.example' } });
    assert.equal(upserted.email, 'erik@customer.example');
  });

  test('lists go on by cursor', async () => {
    const tickets = await agent.tickets.list();
    assert.ok(tickets.length >= 1);
    assert.ok((await agent.views.list()).some((v) => v.title === 'Open tickets'));
    assert.ok((await agent.macros.list()).length >= 1);
    assert.deepEqual((await agent.groups.list()).map((g) => g.name).sort(), ['Billing', 'Support']);
  });

  test('errors and limits have Zendesk\'s shapes', async () => {
    // The client puts the status into its words, and into `statusCode` for lists only.
    const status = (wanted) => (error) => error.statusCode === wanted || error.message.includes(`Zendesk Error (${wanted})`);
    await assert.rejects(agent.tickets.show(999_999), status(404));
    await assert.rejects(agent.tickets.create({ ticket: { subject: 'No comment' } }), status(422));
    await assert.rejects(reader.tickets.update(1, { ticket: { status: 'open' } }), status(403));
    zendesk.control({ rate_limit: true, rate_limit_reset_s: 9 });
    // It gives this one back instead of throwing it.
    assert.equal((await agent.users.me()).result.statusCode, 429);
    zendesk.control({ rate_limit: null });
    const nobody = zendeskClient.createClient({ endpointUri: `${zendesk.url}/t/acme/api/v2`, oauth: true, token: 'nothing' });
    await assert.rejects(nobody.users.me(), status(401));
  });
});

describe('Octokit and the GitHub stand-in', () => {
  let github, octokit;
  before(async () => {
    github = await startGitHub();
    const code = await codeFrom(`${github.url}/login/oauth/authorize`, { client_id: 'demo-github-app', redirect_uri: `${REDIRECT}/github` }, 'octocat');
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const exchange = new Octokit({ baseUrl: github.url, log: quiet });
    const { data } = await exchange.request('POST /login/oauth/access_token', {
      client_id: 'demo-github-app', client_secret: 'demo-github-app-secret', code, headers: { accept: 'application/json' },
    });
    octokit = new Octokit({ baseUrl: github.url, auth: data.access_token, log: quiet });
  });
  after(() => github?.stop());

  test('a search, a page after the other, an issue and its comment', async () => {
    const repo = { owner: 'octocat', repo: 'hello-world' };
    const { data: issue } = await octokit.rest.issues.create({ ...repo, title: 'From the official client' });
    await octokit.rest.issues.createComment({ ...repo, issue_number: issue.number, body: 'It works.' });
    const issues = await octokit.paginate(octokit.rest.issues.listForRepo, { ...repo, per_page: 1 });
    assert.ok(issues.length > 1 && issues.some((i) => i.number === issue.number));
    assert.ok((await octokit.rest.search.issuesAndPullRequests({ q: 'official repo:octocat/hello-world is:issue', advanced_search: 'true' })).data.total_count >= 1);
  });

  test('errors are request errors with the documents that GitHub names', async () => {
    await assert.rejects(octokit.rest.repos.get({ owner: 'octocat', repo: 'nothing' }), (error) => error.status === 404 && /Not Found/.test(error.message));
    github.control({ rate_limit: 'secondary', rate_limit_times: 1, rate_limit_reset_s: 5 });
    await assert.rejects(octokit.rest.users.getAuthenticated(), (error) => error.status === 403 && error.response.headers['retry-after'] === '5');
  });
});
