// A stand-in for gitlab.com: OAuth with PKCE, tokens of two hours, refresh tokens that work once, revocation, and the
// few calls of the REST API that the tools make. Everything is in memory.
//
//   node examples/standins/gitlab.mjs --port 4005
//
// Client: demo-gitlab / demo-gitlab-secret.
//
// GET /__control shows counters, POST /__control changes behaviour (control() in provider.mjs).
import { pathToFileURL } from 'node:url';
import { bearerToken, parseBody, runFromCommandLine, sendJson } from './http.mjs';
import { ProviderStandin, random, s256, sameText } from './provider.mjs';

export const CLIENTS = { 'demo-gitlab': { name: 'Demo GitLab application', secret: 'demo-gitlab-secret' } };
const CODE_LIFE_MS = 10 * 60 * 1000;
const SCOPES = ['api', 'read_api', 'read_user', 'read_repository', 'write_repository', 'openid', 'profile', 'email'];

const day = (n) => `2026-10-${String(n).padStart(2, '0')}T09:00:00.000Z`;
const PEOPLE = [
  { id: 201, login: 'tanuki', name: 'Tanuki Raccoon', email: 'tanuki@acme.example' },
  { id: 202, login: 'vixen', name: 'Vixen Fox', email: 'vixen@acme.example' },
];
const shown = ({ id, login, name }) => ({ id, username: login, name, state: 'active', web_url: `https://gitlab.example/${login}` });

function projects() {
  const issue = (iid, title, more = {}) => ({
    id: 500 + iid, iid, project_id: 301, title, description: `About: ${title}`, state: 'opened', labels: [], author: shown(PEOPLE[0]), assignees: [],
    milestone: null, due_date: null, confidential: false, user_notes_count: 0, created_at: day(iid), updated_at: day(iid), closed_at: null,
    web_url: `https://gitlab.example/acme/website/-/issues/${iid}`, notes: [], ...more,
  });
  const project = (id, path, members, more = {}) => ({
    id, name: path.split('/').pop(), path_with_namespace: path, description: null, visibility: 'private', default_branch: 'main', archived: false,
    open_issues_count: 0, topics: [], last_activity_at: day(id % 28), web_url: `https://gitlab.example/${path}`, members, issues: [], mergeRequests: [], ...more,
  });
  return [
    project(301, 'acme/website', [201, 202], {
      description: 'The public web site', topics: ['web'], open_issues_count: 2,
      issues: [
        issue(1, 'Logo is blurred', { labels: ['bug'], assignees: [shown(PEOPLE[1])] }), issue(2, 'Add a contact page'),
        issue(3, 'Old news', { state: 'closed', closed_at: day(9) }),
      ],
      mergeRequests: [{
        id: 901, iid: 1, project_id: 301, title: 'Draft: sharpen the logo', state: 'opened', draft: true, source_branch: 'logo', target_branch: 'main', labels: ['bug'],
        author: shown(PEOPLE[1]), reviewers: [shown(PEOPLE[0])], detailed_merge_status: 'draft_status', updated_at: day(12),
        web_url: 'https://gitlab.example/acme/website/-/merge_requests/1',
      }],
    }),
    project(302, 'acme/secret-plans', [201]),
    project(303, 'acme/attic', [201, 202], { archived: true }),
  ];
}

const withStatus = (status, body) => ({ status, body });
const notFound = (what) => withStatus(404, { message: `404 ${what} Not Found` });
const without = ({ members, issues, mergeRequests, notes, ...rest }) => rest;

/** Method, path, the scopes of which one is needed, and what answers: (standin, caller, match, query, args). */
const ROUTES = [
  ['GET', /^\/user$/, ['read_user', 'read_api', 'api'], (api, { person }) => withStatus(200, { ...shown(person), email: person.email, bio: 'Writes software.' })],
  ['GET', /^\/projects$/, ['read_api', 'api'], (api, caller, m, query) => api.list(query, api.projects.filter((p) =>
    p.members.includes(caller.person.id) && (!query.get('search') || p.path_with_namespace.includes(query.get('search')))
      && (!query.get('archived') || String(p.archived) === query.get('archived'))))],
  ['GET', /^\/projects\/([^/]+)$/, ['read_api', 'api'], (api, caller, [, id]) => api.within(caller, id, (project) => withStatus(200, without(project)))],
  ['GET', /^\/projects\/([^/]+)\/issues$/, ['read_api', 'api'], (api, caller, [, id], query) => api.within(caller, id, (project) => api.list(query, api.filter(project.issues, query)))],
  ['GET', /^\/projects\/([^/]+)\/issues\/(\d+)$/, ['read_api', 'api'], (api, caller, [, id, iid]) => api.ofIssue(caller, id, iid, (issue) => withStatus(200, without(issue)))],
  ['GET', /^\/projects\/([^/]+)\/merge_requests$/, ['read_api', 'api'], (api, caller, [, id], query) => api.within(caller, id, (project) => api.list(query, api.filter(project.mergeRequests, query)))],
  ['POST', /^\/projects\/([^/]+)\/issues$/, ['api'], (api, caller, [, id], query, args) => api.within(caller, id, (project) => {
    if (args.title === undefined) return withStatus(400, { error: 'title is missing' });
    if (!args.title.trim()) return withStatus(400, { message: { title: ["can't be blank"] } });
    const iid = project.issues.length + 1;
    const issue = {
      ...project.issues[1], id: 500 + iid, iid, title: args.title, description: args.description ?? null, labels: args.labels ? args.labels.split(',') : [],
      due_date: args.due_date ?? null, confidential: args.confidential ?? false, author: shown(caller.person), user_notes_count: 0, notes: [],
      web_url: `${project.web_url}/-/issues/${iid}`,
    };
    project.issues.push(issue);
    return withStatus(201, without(issue));
  })],
  ['POST', /^\/projects\/([^/]+)\/issues\/(\d+)\/notes$/, ['api'], (api, caller, [, id, iid], query, args) => api.ofIssue(caller, id, iid, (issue) => {
    if (!args.body) return withStatus(400, { error: 'body is missing' });
    const note = { id: 7000 + ++issue.user_notes_count, body: args.body, author: shown(caller.person), system: false, internal: false, created_at: day(20) };
    issue.notes.push(note);
    return withStatus(201, note);
  })],
];

export async function start({ port = 0, expiresIn = 7200, clients = CLIENTS } = {}) {
  return ProviderStandin.startAs(new GitLabStandin(clients, expiresIn), port);
}

class GitLabStandin extends ProviderStandin {
  projects = projects();

  constructor(clients, expiresIn) {
    super({ name: 'GitLab', clients, people: PEOPLE, expiresIn });
  }

  route(req, res, url, body) {
    if (url.pathname === '/oauth/authorize') return this.authorize(req, res, url, body);
    if (url.pathname === '/oauth/token' && req.method === 'POST') return this.tokenEndpoint(req, res, body);
    if (url.pathname === '/oauth/revoke' && req.method === 'POST') return this.revoke(req, res, body);
    if (url.pathname.startsWith('/api/v4/')) return this.apiCall(req, res, url, body);
    return sendJson(res, 404, { error: '404 Not Found' });
  }

  authorize(req, res, url, body) {
    const form = req.method === 'POST' ? parseBody(req, body) : null;
    const params = form ? new URLSearchParams(form) : url.searchParams;
    const checked = this.checkRedirect(params);
    const scopes = (params.get('scope') ?? '').split(' ').filter(Boolean);
    const fault = params.get('response_type') !== 'code' ? 'response_type must be code.'
      : !scopes.length || scopes.some((s) => !SCOPES.includes(s)) ? 'The requested scope is invalid, unknown, or malformed.'
        : params.has('code_challenge') && params.get('code_challenge_method') !== 'S256' ? 'code_challenge_method must be S256.' : null;
    if (!checked.problem && fault) Object.assign(checked, { status: 400, problem: fault });
    if (checked.problem) return this.showProblem(res, checked);
    if (!form) return this.showAuthorize(req, res, params, checked.client, scopes);
    return this.decide(res, form, checked.redirectUri, { scopes, challenge: params.get('code_challenge'), expiresAt: Date.now() + CODE_LIFE_MS });
  }

  async tokenEndpoint(req, res, body) {
    const answer = () => this.tokens(parseBody(req, body));
    if (await this.tokenFault(res, answer)) return;
    const { status, body: reply } = answer();
    sendJson(res, status, reply);
  }

  goodClient(form) {
    const client = this.clients[form.client_id];
    return client && sameText(client.secret, form.client_secret) ? client : null;
  }

  tokens(form) {
    const refreshing = form.grant_type === 'refresh_token';
    const fail = (status, error) => {
      this.counters[refreshing ? 'refresh_errors' : 'exchange_errors']++;
      return withStatus(status, { error, error_description: 'The grant, or the client, is not good.' });
    };
    if (!this.goodClient(form)) return fail(401, 'invalid_client');
    if (refreshing) {
      const old = this.refresh.get(form.refresh_token);
      if (!old || old.clientId !== form.client_id) return fail(400, 'invalid_grant');
      this.drop(old.accessToken);
      this.counters.refreshes++;
      return this.issue(old);
    }
    if (form.grant_type !== 'authorization_code') return fail(400, 'unsupported_grant_type');
    const code = this.takeCode(form.code);
    const verified = code && (!code.challenge || s256(form.code_verifier) === code.challenge);
    if (!code || code.clientId !== form.client_id || code.redirectUri !== form.redirect_uri || !verified) return fail(400, 'invalid_grant');
    this.counters.exchanges++;
    return this.issue({ ...code, scopes: new Set(code.scopes) });
  }

  issue({ clientId, person, scopes }) {
    const [token, refreshToken] = [random(32), random(32)];
    this.access.set(token, { clientId, person, scopes, refreshToken, expiresAt: Date.now() + this.expiresIn * 1000 });
    this.refresh.set(refreshToken, { clientId, person, scopes, accessToken: token, expiresAt: Infinity });
    return withStatus(200, {
      access_token: token, token_type: 'Bearer', expires_in: this.expiresIn, refresh_token: refreshToken, scope: [...scopes].join(' '), created_at: Math.floor(Date.now() / 1000),
    });
  }

  /** Either token of a pair ends both. */
  revoke(req, res, body) {
    const form = parseBody(req, body);
    if (!this.goodClient(form)) return sendJson(res, 403, { error: 'unauthorized_client' });
    this.counters.token_revokes++;
    this.drop(this.refresh.get(form.token)?.accessToken ?? form.token);
    sendJson(res, 200, {});
  }

  apiCall(req, res, url, body) {
    const token = this.liveToken(bearerToken(req));
    this.record(req, res, url, body, { as: token?.person.login ?? null });
    if (this.failedApi(res)) return;
    const wait = this.limited();
    if (wait !== null) {
      res.writeHead(429, { 'content-type': 'text/plain', 'retry-after': String(wait), 'ratelimit-remaining': '0', 'ratelimit-reset': String(Math.floor(Date.now() / 1000) + wait) });
      return res.end('Retry later\n');
    }
    if (!token) {
      this.counters.api_unauthorized++;
      return sendJson(res, 401, { error: 'invalid_token', error_description: 'Token was revoked. You have to re-authorize from the user.' });
    }
    const path = url.pathname.slice('/api/v4'.length);
    for (const [method, pattern, scopes, answer] of ROUTES) {
      const match = req.method === method && pattern.exec(path);
      if (!match) continue;
      if (!scopes.some((scope) => token.scopes.has(scope))) {
        return sendJson(res, 403, { error: 'insufficient_scope', error_description: 'The request requires higher privileges than provided by the access token.', scope: scopes.join(' ') });
      }
      const reply = answer(this, token, match, url.searchParams, parseBody(req, body));
      return sendJson(res, reply.status, reply.body, { 'ratelimit-remaining': '1999', ...this.links(url, reply.pages) });
    }
    return sendJson(res, 404, { error: '404 Not Found' });
  }

  within(caller, id, work) {
    const wanted = decodeURIComponent(id);
    const found = this.projects.find((p) => (p.path_with_namespace === wanted || String(p.id) === wanted) && p.members.includes(caller.person.id));
    return found ? work(found) : notFound('Project');
  }

  ofIssue(caller, id, iid, work) {
    return this.within(caller, id, (project) => {
      const found = project.issues.find((issue) => issue.iid === Number(iid));
      return found ? work(found) : notFound('Issue');
    });
  }

  filter(items, query) {
    const labels = query.get('labels')?.split(',') ?? [];
    const state = query.get('state') ?? 'all';
    return items.filter((item) => (state === 'all' || item.state === state) && labels.every((label) => item.labels.includes(label))
      && (!query.get('search') || item.title.toLowerCase().includes(query.get('search').toLowerCase()))
      && (!query.get('assignee_username') || item.assignees.some((a) => a.username === query.get('assignee_username'))));
  }

  list(query, items) {
    const [size, page] = [Math.min(Number(query.get('per_page') ?? 20), 100), Number(query.get('page') ?? 1)];
    return { status: 200, body: items.slice((page - 1) * size, page * size).map(without), pages: { page, last: Math.max(1, Math.ceil(items.length / size)) } };
  }

  links(url, pages) {
    if (!pages || pages.page >= pages.last) return {};
    const next = new URL(url);
    next.searchParams.set('page', pages.page + 1);
    return { link: `<${next.href}>; rel="next"` };
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
