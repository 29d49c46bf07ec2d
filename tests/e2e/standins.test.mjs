// The stand-ins themselves: official clients must find them believable, or tests against them prove nothing.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Octokit } from '@octokit/rest';
import { start as startGitHub } from '../../examples/standins/github.mjs';
import { start as startOidc } from '../../examples/standins/oidc.mjs';

const REDIRECT = 'http://127.0.0.1:9/oauth/callback/github';

/** What a person does in a browser, without one. */
async function authorize(url, clientId, { login = 'octocat', decision = 'allow', ...params } = {}) {
  const body = new URLSearchParams({ client_id: clientId, redirect_uri: REDIRECT, state: 's1', login, decision, ...params });
  const reply = await fetch(`${url}/login/oauth/authorize`, { method: 'POST', body, redirect: 'manual' });
  assert.equal(reply.status, 302, await reply.text());
  return new URL(reply.headers.get('location')).searchParams;
}

async function token(url, form, accept = 'application/json') {
  const reply = await fetch(`${url}/login/oauth/access_token`, { method: 'POST', headers: { accept }, body: new URLSearchParams(form) });
  return { status: reply.status, type: reply.headers.get('content-type'), text: await reply.text().then((t) => t) };
}

describe('GitHub stand-in', () => {
  let github;
  const app = { client_id: 'demo-github-app', client_secret: 'demo-github-app-secret' };
  const oauth = { client_id: 'demo-oauth-app', client_secret: 'demo-oauth-app-secret' };
  const exchange = async (client, extra = {}) => {
    const code = (await authorize(github.url, client.client_id, extra)).get('code');
    return JSON.parse((await token(github.url, { ...client, code, redirect_uri: REDIRECT })).text);
  };
  const octokit = (auth) => new Octokit({ baseUrl: github.url, auth, log: { debug() {}, info() {}, warn() {}, error() {} } });
  const me = (accessToken) => fetch(`${github.url}/user`, { headers: { authorization: `Bearer ${accessToken}`, 'user-agent': 't' } });

  before(async () => (github = await startGitHub()));
  after(() => github.stop());

  test('listens on the loopback address only', async () => {
    assert.match(github.url, /^http:\/\/127\.0\.0\.1:/);
  });

  test('passes state back and reports a refusal', async () => {
    assert.equal((await authorize(github.url, app.client_id)).get('state'), 's1');
    const refused = await authorize(github.url, app.client_id, { decision: 'cancel' });
    assert.equal(refused.get('error'), 'access_denied');
    assert.equal(refused.get('state'), 's1');
    assert.equal(refused.get('code'), null);
  });

  test('answers in a form unless JSON is asked for, and errors with 200', async () => {
    const code = (await authorize(github.url, app.client_id)).get('code');
    const good = await token(github.url, { ...app, code }, '*/*');
    assert.match(good.type, /form-urlencoded/);
    assert.match(new URLSearchParams(good.text).get('access_token'), /^ghu_/);
    const again = await token(github.url, { ...app, code });
    assert.equal(again.status, 200);
    assert.equal(JSON.parse(again.text).error, 'bad_verification_code');
    const secret = await token(github.url, { ...app, client_secret: 'wrong', code: 'x' });
    assert.equal(JSON.parse(secret.text).error, 'incorrect_client_credentials');
  });

  test('verifies PKCE', async () => {
    const verifier = crypto.randomBytes(32).toString('base64url');
    const challenge = { code_challenge: crypto.createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
    const bad = (await authorize(github.url, app.client_id, challenge)).get('code');
    assert.equal(JSON.parse((await token(github.url, { ...app, code: bad, code_verifier: 'wrong' })).text).error, 'bad_verification_code');
    const good = (await authorize(github.url, app.client_id, challenge)).get('code');
    assert.match(JSON.parse((await token(github.url, { ...app, code: good, code_verifier: verifier })).text).access_token, /^ghu_/);
  });

  test('rotates refresh tokens: the old pair dies, reuse is refused', async () => {
    const first = await exchange(app);
    assert.equal(first.expires_in, 28800);
    const second = JSON.parse((await token(github.url, { ...app, grant_type: 'refresh_token', refresh_token: first.refresh_token })).text);
    assert.equal((await me(first.access_token)).status, 401);
    assert.equal((await me(second.access_token)).status, 200);
    const reuse = JSON.parse((await token(github.url, { ...app, grant_type: 'refresh_token', refresh_token: first.refresh_token })).text);
    assert.equal(reuse.error, 'bad_refresh_token');
    assert.equal((await me(second.access_token)).status, 200);
  });

  test('refuses unknown and expired tokens', async () => {
    assert.equal((await me('ghu_made_up')).status, 401);
    const { access_token } = await exchange(app);
    github.control({ expire_all: true });
    const reply = await me(access_token);
    assert.equal(reply.status, 401);
    assert.equal((await reply.json()).message, 'Bad credentials');
  });

  test('checks and revokes with the credentials of the client', async () => {
    const { access_token } = await exchange(app);
    const call = (method, what, secret = app.client_secret) =>
      fetch(`${github.url}/applications/${app.client_id}/${what}`, {
        method, body: JSON.stringify({ access_token }), headers: { authorization: `Basic ${btoa(`${app.client_id}:${secret}`)}` },
      });
    assert.equal((await call('POST', 'token', 'wrong')).status, 401);
    assert.equal((await call('POST', 'token')).status, 200);
    assert.equal((await call('DELETE', 'token')).status, 204);
    assert.equal((await call('POST', 'token')).status, 404);
    assert.equal((await me(access_token)).status, 401);
    const other = await exchange(app);
    assert.equal(await fetch(`${github.url}/applications/${app.client_id}/grant`, {
      method: 'DELETE', body: JSON.stringify({ access_token: other.access_token }),
      headers: { authorization: `Basic ${btoa(`${app.client_id}:${app.client_secret}`)}` },
    }).then((r) => r.status), 204);
    assert.equal((await me(other.access_token)).status, 401);
  });

  test('OAuth App tokens carry scopes, and lack of one shows', async () => {
    const narrow = await exchange(oauth, { scope: 'read:user' });
    assert.match(narrow.access_token, /^gho_/);
    assert.equal(narrow.scope, 'read:user');
    assert.equal(narrow.refresh_token, undefined);
    assert.equal((await me(narrow.access_token)).headers.get('x-oauth-scopes'), 'read:user');
    const gh = octokit(narrow.access_token);
    await assert.rejects(gh.repos.get({ owner: 'octocat', repo: 'secret-plans' }), { status: 404 });
    await assert.rejects(gh.issues.create({ owner: 'octocat', repo: 'hello-world', title: 'x' }), (e) => e.status === 403 && e.response.headers['x-accepted-oauth-scopes'].includes('repo'));
    await assert.rejects(gh.activity.listNotificationsForAuthenticatedUser(), { status: 403 });
    const wide = octokit((await exchange(oauth, { scope: 'repo notifications' })).access_token);
    assert.equal((await wide.repos.get({ owner: 'octocat', repo: 'secret-plans' })).data.private, true);
    assert.equal((await wide.activity.listNotificationsForAuthenticatedUser()).data.length, 1);
    await assert.rejects(wide.repos.get({ owner: 'hubot', repo: 'hidden' }), { status: 404 });
  });

  test('primary and secondary rate limits on demand', async () => {
    const { access_token } = await exchange(app);
    github.control({ rate_limit: 'primary', rate_limit_times: 1 });
    const primary = await me(access_token);
    assert.equal(primary.status, 403);
    assert.equal(primary.headers.get('x-ratelimit-remaining'), '0');
    github.control({ rate_limit: 'secondary', rate_limit_times: 1, rate_limit_reset_s: 7 });
    assert.equal((await me(access_token)).headers.get('retry-after'), '7');
    github.control({ rate_limit: null, rate_limit_times: undefined, rate_limit_reset_s: undefined });
    assert.equal((await me(access_token)).status, 200);
  });

  test('a lost reply has done its work', async () => {
    const first = await exchange(app);
    github.control({ fail_token_endpoint: 'lost', fail_token_times: 1 });
    await assert.rejects(token(github.url, { ...app, grant_type: 'refresh_token', refresh_token: first.refresh_token }));
    assert.equal((await me(first.access_token)).status, 401);
    github.control({ fail_token_endpoint: '503', fail_token_times: 1 });
    assert.equal((await token(github.url, { ...app, code: 'x' })).status, 503);
    github.control({ fail_token_endpoint: null, fail_token_times: undefined });
  });

  test('every REST call of the GitHub tools, through the official client', async () => {
    const gh = octokit((await exchange(oauth, { scope: 'repo workflow notifications read:user' })).access_token);
    const at = { owner: 'octocat', repo: 'hello-world' };
    const by = octokit((await exchange(oauth, { scope: 'repo', login: 'hubot' })).access_token);

    assert.equal((await gh.users.getAuthenticated()).data.login, 'octocat');
    assert.ok((await gh.search.repos({ q: 'hello' })).data.total_count >= 1);
    assert.equal((await gh.repos.get(at)).data.full_name, 'octocat/hello-world');
    assert.ok((await gh.repos.listForAuthenticatedUser()).data.some((r) => r.private));
    assert.ok((await gh.search.code({ q: 'hello repo:octocat/hello-world' })).data.total_count >= 1);
    const readme = (await gh.repos.getContent({ ...at, path: 'README.md' })).data;
    assert.match(Buffer.from(readme.content, 'base64').toString(), /hello-world/);
    assert.ok((await gh.repos.listCommits(at)).data.length >= 1);
    assert.equal((await gh.repos.getCommit({ ...at, ref: 'louder' })).data.files[0].filename, 'src/greet.ts');
    assert.ok((await gh.repos.listBranches(at)).data.length >= 2);
    const { data: head } = await gh.git.getRef({ ...at, ref: 'heads/main' });
    await gh.git.createRef({ ...at, ref: 'refs/heads/topic', sha: head.object.sha });
    await assert.rejects(gh.git.createRef({ ...at, ref: 'refs/heads/topic', sha: head.object.sha }), { status: 422 });
    const file = await gh.repos.createOrUpdateFileContents({ ...at, path: 'notes.md', message: 'm', content: btoa('hi'), branch: 'topic' });
    assert.equal(file.status, 201);

    const issue = (await gh.issues.create({ ...at, title: 'From a test', body: 'b', labels: ['bug'] })).data;
    assert.equal((await gh.issues.get({ ...at, issue_number: issue.number })).data.title, 'From a test');
    assert.ok((await gh.issues.listForRepo({ ...at, state: 'open' })).data.some((i) => i.number === issue.number));
    await gh.issues.createComment({ ...at, issue_number: issue.number, body: 'c' });
    assert.equal((await gh.issues.listComments({ ...at, issue_number: issue.number })).data.length, 1);
    assert.equal((await gh.issues.update({ ...at, issue_number: issue.number, state: 'closed', state_reason: 'completed' })).data.state, 'closed');
    assert.ok((await gh.rest.search.issuesAndPullRequests({ q: 'greeting is:issue repo:octocat/hello-world' })).data.total_count >= 1);
    const missing = await gh.request('POST /repos/{owner}/{repo}/issues', { ...at, body: 'no title' }).catch((e) => e);
    assert.equal(missing.status, 422);
    assert.equal(missing.response.data.errors[0].field, 'title');

    const pulls = (await gh.rest.search.issuesAndPullRequests({ q: 'louder is:pr' })).data;
    assert.ok(pulls.items[0].pull_request.url.includes('/pulls/'));
    const pull = (await gh.pulls.create({ ...at, title: 'Notes', head: 'topic', base: 'main' })).data;
    assert.ok((await gh.pulls.list(at)).data.some((p) => p.number === pull.number));
    assert.equal((await gh.issues.get({ ...at, issue_number: pull.number })).data.pull_request.url.includes('/pulls/'), true);
    assert.equal((await gh.pulls.get({ ...at, pull_number: pull.number })).data.head.ref, 'topic');
    assert.equal((await gh.pulls.listFiles({ ...at, pull_number: pull.number })).data[0].filename, 'notes.md');
    await assert.rejects(gh.pulls.createReview({ ...at, pull_number: pull.number, event: 'APPROVE' }), { status: 422 });
    const review = await by.pulls.createReview({ ...at, pull_number: pull.number, event: 'COMMENT', body: 'ok', comments: [{ path: 'notes.md', line: 1, body: 'x' }] }).catch((e) => e);
    assert.ok([200, 201, 403].includes(review.status), String(review));
    assert.equal((await gh.pulls.createReview({ ...at, pull_number: pull.number, event: 'COMMENT', body: 'fine' })).data.state, 'COMMENTED');
    await assert.rejects(gh.pulls.merge({ ...at, pull_number: pull.number, sha: '0'.repeat(40) }), { status: 409 });
    assert.equal((await gh.pulls.merge({ ...at, pull_number: pull.number })).data.merged, true);
    await assert.rejects(gh.pulls.merge({ ...at, pull_number: pull.number }), { status: 405 });

    assert.equal((await gh.actions.listWorkflowRunsForRepo(at)).data.total_count, 1);
    assert.equal((await gh.actions.createWorkflowDispatch({ ...at, workflow_id: 'ci.yml', ref: 'main' })).status, 204);
    assert.equal((await gh.actions.listWorkflowRunsForRepo({ ...at, event: 'workflow_dispatch' })).data.total_count, 1);
    assert.equal((await gh.activity.listNotificationsForAuthenticatedUser()).data[0].subject.type, 'Issue');
  });

  test('pages are linked through the stand-in', async () => {
    const gh = octokit((await exchange(app)).access_token);
    const page = await gh.issues.listForRepo({ owner: 'octocat', repo: 'hello-world', state: 'all', per_page: 1 });
    assert.match(page.headers.link, new RegExp(`<${github.url}/repos/`));
    const all = await gh.paginate(gh.issues.listForRepo, { owner: 'octocat', repo: 'hello-world', state: 'all', per_page: 2 });
    assert.ok(all.length >= 3);
  });

  test('control shows numbers, never tokens', async () => {
    const { access_token, refresh_token } = await exchange(app);
    await me(access_token);
    const text = await (await fetch(`${github.url}/__control`)).text();
    assert.ok(!text.includes(access_token) && !text.includes(refresh_token));
    assert.ok(JSON.parse(text).live_access_tokens >= 1);
  });
});

describe('OIDC stand-in', () => {
  let oidc;
  before(async () => (oidc = await startOidc()));
  after(() => oidc.stop());

  /** Follows redirects with a cookie jar until one leaves the provider. */
  async function authorizeOidc(params, login = 'alice', decision = 'allow') {
    const jar = new Map();
    let next = new URL(`${oidc.url}/auth`);
    next.search = new URLSearchParams({ client_id: oidc.client.client_id, redirect_uri: REDIRECT, response_type: 'code', scope: 'openid', state: 's', ...params });
    let form;
    for (let step = 0; step < 10; step++) {
      const reply = await fetch(next, {
        redirect: 'manual', method: form ? 'POST' : 'GET', body: form, headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') },
      });
      for (const cookie of reply.headers.getSetCookie()) {
        const [pair] = cookie.split(';');
        jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
      }
      form = undefined;
      if (reply.status === 200) form = new URLSearchParams({ login, decision });
      else {
        next = new URL(reply.headers.get('location'), next);
        if (next.href.startsWith(REDIRECT)) return next.searchParams;
      }
    }
    throw new Error('the provider never redirected back');
  }
  const post = async (path, form) => {
    const reply = await fetch(oidc.url + path, { method: 'POST', body: new URLSearchParams({ ...oidc.client, ...form }) });
    return { status: reply.status, ...(await reply.json().catch(() => ({}))) };
  };
  async function connect() {
    const code_verifier = crypto.randomBytes(32).toString('base64url');
    const code_challenge = crypto.createHash('sha256').update(code_verifier).digest('base64url');
    const code = (await authorizeOidc({ code_challenge, code_challenge_method: 'S256' })).get('code');
    return post('/token', { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier });
  }
  const me = (token) => fetch(`${oidc.url}/api/me`, { headers: { authorization: `Bearer ${token}` } });

  test('requires PKCE and reports a refusal', async () => {
    assert.equal((await authorizeOidc({})).get('error'), 'invalid_request');
    const challenge = { code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' };
    assert.equal((await authorizeOidc(challenge, 'alice', 'cancel')).get('error'), 'access_denied');
  });

  test('a second use of a refresh token ends the grant', async () => {
    const first = await connect();
    assert.equal((await me(first.access_token)).status, 200);
    const second = await post('/token', { grant_type: 'refresh_token', refresh_token: first.refresh_token });
    assert.equal(second.status, 200);
    assert.notEqual(second.refresh_token, first.refresh_token);
    const killed = oidc.counters().grants_killed;
    assert.equal((await post('/token', { grant_type: 'refresh_token', refresh_token: first.refresh_token })).error, 'invalid_grant');
    assert.equal(oidc.counters().grants_killed, killed + 1);
    assert.equal((await post('/token', { grant_type: 'refresh_token', refresh_token: second.refresh_token })).error, 'invalid_grant');
    assert.equal((await me(second.access_token)).status, 401);
  });

  test('expires on demand, revokes, and counts', async () => {
    const tokens = await connect();
    oidc.control({ expire_all: true });
    assert.equal((await me(tokens.access_token)).status, 401);
    const fresh = await post('/token', { grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
    const echo = await fetch(`${oidc.url}/api/echo?text=hi`, { headers: { authorization: `Bearer ${fresh.access_token}` } });
    assert.deepEqual((await echo.json()).echo, { text: 'hi' });
    assert.equal((await post('/token/revocation', { token: fresh.refresh_token })).status, 200);
    assert.equal((await post('/token', { grant_type: 'refresh_token', refresh_token: fresh.refresh_token })).error, 'invalid_grant');
  });
});
