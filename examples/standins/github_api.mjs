// The API half of the GitHub stand-in: forwards to the npm package `emulate` with a token of the right account and
// adds what it lacks: scope headers and failures, notifications, workflows, files of a pull request, error details.
import net from 'node:net';
import { createEmulator } from 'emulate';

const PEOPLE = [
  { login: 'octocat', name: 'Octo Cat', email: 'octocat@example.com' },
  { login: 'hubot', name: 'Hubot', email: 'hubot@example.com' },
];
const REPOSITORIES = [
  { owner: 'octocat', name: 'hello-world', description: 'A first repository', language: 'TypeScript', topics: ['demo'] },
  { owner: 'octocat', name: 'secret-plans', description: 'Not for everybody', private: true },
  { owner: 'octo-org', name: 'handbook', description: 'How we work' },
  { owner: 'hubot', name: 'hidden', description: 'Only hubot sees this', private: true },
];
const WORKFLOWS = [{ id: 161335, name: 'CI', path: '.github/workflows/ci.yml', state: 'active' }];
const DOCS = 'https://docs.github.com/rest';
const emulateToken = (login) => `standin-${login}`;

/** `emulate` can only be told a port; this makes its server listen on the loopback address. */
async function onLoopback(startServer) {
  const listen = net.Server.prototype.listen;
  let server;
  net.Server.prototype.listen = function (port) {
    server = this;
    return listen.call(this, port, '127.0.0.1');
  };
  try {
    const emulator = await startServer();
    if (!server.listening) await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
    return { emulator, server, url: `http://127.0.0.1:${server.address().port}` };
  } finally {
    net.Server.prototype.listen = listen;
  }
}

export class GitHubApi {
  people = PEOPLE;
  runs = []; // workflow runs, newest first
  notifications = new Map(PEOPLE.map(({ login }) => [login, []]));
  ids = 1000;

  /** @param {string} publicUrl what links in replies start with */
  static async start(publicUrl) {
    const api = new GitHubApi();
    api.publicUrl = publicUrl;
    const { emulator, server, url } = await onLoopback(() =>
      createEmulator({
        service: 'github',
        port: 0,
        baseUrl: publicUrl,
        seed: {
          tokens: Object.fromEntries(PEOPLE.map(({ login }) => [emulateToken(login), { login, scopes: ['repo', 'user', 'workflow', 'notifications'] }])),
          github: {
            users: PEOPLE,
            orgs: [{ login: 'octo-org', name: 'Octo Org', members: [{ login: 'octocat', role: 'admin' }] }],
            repos: REPOSITORIES.map((r) => ({ ...r, auto_init: true })),
          },
        },
      }));
    Object.assign(api, { emulator, server, upstream: url });
    await api.seed();
    return api;
  }

  async stop() {
    const closed = this.emulator.close();
    this.server.closeAllConnections();
    await closed;
  }

  async seed() {
    const as = (login) => async (method, path, body) => {
      const reply = await this.forward(method, path, login, body && Buffer.from(JSON.stringify(body)));
      if (reply.status >= 300) throw new Error(`seeding ${method} ${path}: ${reply.status} ${reply.body}`);
      return JSON.parse(reply.body.toString() || 'null');
    };
    const octocat = as('octocat');
    const repo = '/repos/octocat/hello-world';
    for (const [title, body] of [
      ['Greeting is too quiet', 'It should say hello louder.'],
      ['Add a second greeting', 'Not everybody speaks English.'],
      ['Typo in the README', 'wrold -> world'],
    ]) await octocat('POST', `${repo}/issues`, { title, body, labels: title.startsWith('Typo') ? ['docs'] : [] });
    await as('hubot')('POST', `${repo}/issues/1/comments`, { body: 'I can hear it from here.' });
    const main = await octocat('GET', `${repo}/git/ref/heads/main`);
    await octocat('POST', `${repo}/git/refs`, { ref: 'refs/heads/louder', sha: main.object.sha });
    await octocat('PUT', `${repo}/contents/src/greet.ts`, {
      message: 'Say it louder', branch: 'louder',
      content: Buffer.from('export const greet = () => "HELLO, WORLD";\n').toString('base64'),
    });
    await octocat('POST', `${repo}/pulls`, { title: 'Say it louder', head: 'louder', base: 'main', body: 'Closes #1' });
    const full = await octocat('GET', repo);
    this.notifications.get('octocat').push({
      id: '1', unread: true, reason: 'mention', updated_at: new Date().toISOString(), last_read_at: null,
      subject: { title: 'Greeting is too quiet', type: 'Issue', url: `${this.publicUrl}${repo}/issues/1`, latest_comment_url: null },
      repository: full, url: `${this.publicUrl}/notifications/threads/1`, subscription_url: `${this.publicUrl}/notifications/threads/1/subscription`,
    });
    this.addRun('octocat/hello-world', WORKFLOWS[0], { branch: 'main', sha: main.object.sha, event: 'push', login: 'octocat', status: 'completed', conclusion: 'success' });
  }

  async forward(method, pathAndQuery, login, body, headers = {}) {
    const response = await fetch(this.upstream + pathAndQuery, {
      method, redirect: 'manual', body: body?.length ? body : undefined,
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers, authorization: `Bearer ${emulateToken(login)}` },
    });
    return { status: response.status, headers: Object.fromEntries(response.headers), body: Buffer.from(await response.arrayBuffer()) };
  }

  async getJson(path, login) {
    const reply = await this.forward('GET', path, login);
    return reply.status === 200 ? JSON.parse(reply.body.toString()) : null;
  }

  /** @param {{login: string, mode: 'app'|'oauth', scopes: Set<string>|null}} caller */
  async call(req, url, body, caller) {
    const route = classify(req.method, url.pathname);
    const reply = (await this.refuse(req, route, caller)) ?? (await this.own(req, url, route, body, caller)) ?? (await this.proxied(req, url, route, body, caller));
    return finish(reply, route, caller);
  }

  // --- who may ---

  async refuse(req, route, { login, mode, scopes }) {
    const repository = route.repository && (await this.getJson(`/repos/${route.repository}`, login));
    if (route.repository && !repository) return problem(404, 'Not Found'); // also for those that exist but are not theirs
    if (mode === 'app') {
      // Notifications belong to the person's whole account, which an app's user token does not reach.
      return route.needs === 'notifications' ? problem(403, 'Resource not accessible by integration') : null;
    }
    if (repository) {
      if (repository.private && !scopes.has('repo')) return problem(404, 'Not Found');
      if (route.write && !scopes.has('repo') && !scopes.has('public_repo')) {
        return problem(403, 'Your token has not been granted the required scopes to execute this request.');
      }
      if (route.workflow && !scopes.has('workflow')) {
        return problem(403, 'Your token has not been granted the required scopes: this needs the workflow scope.');
      }
    }
    if (route.needs === 'notifications' && !scopes.has('notifications') && !scopes.has('repo')) {
      return problem(403, "Missing the 'notifications' scope.");
    }
    return null;
  }

  // --- what emulate does not know ---

  async own(req, url, route, body, caller) {
    const { pathname, searchParams } = url;
    const { repository } = route;
    let match;
    if (pathname === '/notifications' && req.method === 'GET') {
      const all = searchParams.get('all') === 'true';
      const participating = searchParams.get('participating') === 'true';
      return this.paged(url, this.notifications.get(caller.login).filter((n) =>
        (all || n.unread) && (!participating || ['author', 'mention', 'assign', 'review_requested'].includes(n.reason)) &&
        within(n.updated_at, searchParams.get('since'), searchParams.get('before'))));
    }
    if (!repository) return null;
    const rest = pathname.slice(`/repos/${repository}`.length);
    if ((match = /^\/pulls\/(\d+)\/files$/.exec(rest)) && req.method === 'GET') {
      const pull = await this.getJson(`/repos/${repository}/pulls/${match[1]}`, caller.login);
      const compared = pull && (await this.getJson(`/repos/${repository}/compare/${pull.base.sha}...${pull.head.sha}`, caller.login));
      return compared ? this.paged(url, compared.files) : problem(404, 'Not Found');
    }
    if (rest === '/actions/workflows' && req.method === 'GET') {
      return json(200, { total_count: WORKFLOWS.length, workflows: WORKFLOWS });
    }
    if (rest === '/actions/runs' && req.method === 'GET') {
      const runs = this.runs.filter((run) => run.repository.full_name === repository &&
        [['branch', run.head_branch], ['event', run.event], ['actor', run.actor.login]].every(([k, v]) => !searchParams.get(k) || searchParams.get(k) === v) &&
        (!searchParams.get('status') || [run.status, run.conclusion].includes(searchParams.get('status'))));
      return this.paged(url, runs, (items) => ({ total_count: runs.length, workflow_runs: items }));
    }
    if ((match = /^\/actions\/workflows\/([^/]+)\/dispatches$/.exec(rest)) && req.method === 'POST') {
      const id = decodeURIComponent(match[1]);
      const workflow = WORKFLOWS.find((w) => String(w.id) === id || w.path.endsWith(`/${id}`));
      if (!workflow) return problem(404, 'Not Found');
      const { ref } = JSON.parse(body.toString() || '{}');
      if (!ref) return problem(422, 'Invalid request.\n\n"ref" wasn\'t supplied.');
      const branch = ref.replace(/^refs\/heads\//, '');
      const head = await this.getJson(`/repos/${repository}/branches/${encodeURIComponent(branch)}`, caller.login);
      if (!head) return problem(422, `No ref found for: ${ref}`);
      this.addRun(repository, workflow, { branch, sha: head.commit.sha, event: 'workflow_dispatch', login: caller.login, status: 'queued', conclusion: null });
      return { status: 204, headers: {}, body: '' };
    }
    if ((match = /^\/issues\/(\d+)$/.exec(rest)) && req.method === 'GET') {
      // A pull request is an issue too; emulate says 404.
      const pull = await this.getJson(`/repos/${repository}/pulls/${match[1]}`, caller.login);
      return pull ? json(200, asIssue(pull)) : null;
    }
    if ((match = /^\/pulls\/(\d+)\/reviews$/.exec(rest)) && req.method === 'POST') {
      const review = JSON.parse(body.toString() || '{}');
      const pull = await this.getJson(`/repos/${repository}/pulls/${match[1]}`, caller.login);
      if (pull && pull.user.login === caller.login && ['APPROVE', 'REQUEST_CHANGES'].includes(review.event)) {
        const verb = review.event === 'APPROVE' ? 'approve' : 'request changes on';
        return problem(422, 'Unprocessable Entity', [`Can not ${verb} your own pull request`]);
      }
      if (['REQUEST_CHANGES', 'COMMENT'].includes(review.event) && !review.body) return problem(422, 'Unprocessable Entity', ['Body is required']);
      if (review.comments) {
        review.comments = review.comments.map((comment) => ({ position: comment.line, ...comment }));
        return this.proxied(req, url, route, Buffer.from(JSON.stringify(review)), caller);
      }
    }
    return null;
  }

  addRun(repository, workflow, { branch, sha, event, login, status, conclusion }) {
    const id = ++this.ids;
    const now = new Date().toISOString();
    this.runs.unshift({
      id, name: workflow.name, path: workflow.path, workflow_id: workflow.id, head_branch: branch, head_sha: sha, display_title: workflow.name,
      run_number: this.runs.length + 1, run_attempt: 1, event, status, conclusion, created_at: now, updated_at: now, run_started_at: now,
      html_url: `${this.publicUrl}/${repository}/actions/runs/${id}`, url: `${this.publicUrl}/repos/${repository}/actions/runs/${id}`,
      actor: { login }, repository: { full_name: repository },
    });
  }

  paged(url, items, wrap = (list) => list) {
    const perPage = Math.min(100, Math.max(1, Number(url.searchParams.get('per_page')) || 30));
    const page = Math.max(1, Number(url.searchParams.get('page')) || 1);
    const headers = {};
    if (items.length > page * perPage) {
      const next = new URL(url);
      next.searchParams.set('page', page + 1);
      headers.link = `<${next.href}>; rel="next"`;
    }
    return json(200, wrap(items.slice((page - 1) * perPage, page * perPage)), headers);
  }

  // --- the rest goes to emulate ---

  async proxied(req, url, route, body, caller) {
    const headers = {};
    for (const name of ['accept', 'content-type', 'x-github-api-version', 'user-agent']) if (req.headers[name]) headers[name] = req.headers[name];
    const reply = await this.forward(req.method, url.pathname + url.search, caller.login, route.write && !body.length ? Buffer.from('{}') : body, headers);
    if (reply.headers.link) reply.headers.link = reply.headers.link.replaceAll(this.upstream, this.publicUrl);
    if (!(reply.headers['content-type'] ?? '').includes('json')) return reply;
    const value = JSON.parse(reply.body.toString() || 'null');
    if (reply.status >= 400) return explain(reply, route, value, JSON.parse(body.toString() || '{}'));
    if (url.pathname === '/search/issues') value.items = value.items.map((item) => (item.head ? asIssue(item) : { ...item, score: 1 }));
    if (url.pathname === '/user/repos' && caller.scopes && !caller.scopes.has('repo')) {
      return json(reply.status, value.filter((repository) => !repository.private), reply.headers);
    }
    return json(reply.status, value, reply.headers);
  }
}

/** What a request touches and which scopes it takes. */
function classify(method, pathname) {
  const repository = /^\/repos\/([^/]+\/[^/]+)/.exec(pathname)?.[1];
  const write = !['GET', 'HEAD'].includes(method);
  const workflow = write && (/\/contents\/\.github\/workflows\//.test(pathname) || /\/dispatches$/.test(pathname));
  if (pathname.startsWith('/notifications')) return { write, needs: 'notifications', accepted: 'notifications, repo' };
  if (repository) return { repository, write, workflow, resource: /\/(issues|pulls|git|contents)/.exec(pathname)?.[1], accepted: workflow ? 'repo, workflow' : write ? 'public_repo, repo' : 'repo' };
  return { write, accepted: pathname === '/user/repos' ? 'repo' : '' };
}

const json = (status, value, headers = {}) => ({ status, headers, body: JSON.stringify(value) });
const problem = (status, message, errors) => json(status, { message, ...(errors && { errors }), documentation_url: DOCS, status: String(status) });
const within = (time, since, before) => (!since || time >= since) && (!before || time < before);

function asIssue(pull) {
  const { head, base, merged, mergeable, mergeable_state, _links, ...issue } = pull;
  const repositoryUrl = pull.url.replace(/\/pulls\/\d+$/, '');
  return {
    ...issue, repository_url: repositoryUrl, url: `${repositoryUrl}/issues/${pull.number}`, comments_url: `${repositoryUrl}/issues/${pull.number}/comments`, score: 1,
    pull_request: { url: pull.url, html_url: pull.html_url, diff_url: pull.diff_url, patch_url: pull.patch_url, merged_at: pull.merged_at ?? null },
  };
}

/** emulate's errors in the words, statuses and details of the real API. */
function explain(reply, route, { message }, sent) {
  if (reply.status === 422 && route.resource === 'issues' && !String(sent.title ?? '').trim() && 'title' in sent === false) {
    return problem(422, 'Validation Failed', [{ resource: 'Issue', code: 'missing_field', field: 'title' }]);
  }
  if (/not mergeable|cannot be merged/.test(message)) return problem(405, message);
  if (/Head sha is out of date/.test(message)) return problem(409, 'Head branch was modified. Review and try the merge again.');
  if (reply.status === 422 && route.resource === 'pulls' && /already exists/i.test(message)) {
    return problem(422, 'Validation Failed', [{ resource: 'PullRequest', code: 'custom', message }]);
  }
  if (reply.status === 422 && /^validation failed$/i.test(message)) {
    return problem(422, 'Validation Failed', [{ resource: 'Resource', code: 'invalid', field: 'body' }]);
  }
  return problem(reply.status, message ?? 'Error');
}

function finish(reply, route, { mode, scopes }) {
  const { 'content-encoding': _e, 'transfer-encoding': _t, connection: _c, 'keep-alive': _k, ...headers } = reply.headers;
  headers['x-github-request-id'] = Math.random().toString(16).slice(2, 10).toUpperCase();
  if (mode === 'oauth') {
    headers['x-oauth-scopes'] = [...scopes].join(', ');
    headers['x-accepted-oauth-scopes'] = route.accepted;
  } else if (route.resource) {
    headers['x-accepted-github-permissions'] = `${{ issues: 'issues', pulls: 'pull_requests' }[route.resource] ?? 'contents'}=${route.write ? 'write' : 'read'}`;
  }
  headers['x-ratelimit-limit'] ??= '5000';
  headers['x-ratelimit-remaining'] ??= '4999';
  headers['x-ratelimit-reset'] ??= String(Math.floor(Date.now() / 1000) + 3600);
  headers['content-type'] ??= 'application/json; charset=utf-8';
  if (reply.status === 204) delete headers['content-type'];
  else headers['content-length'] = String(Buffer.byteLength(reply.body));
  return { status: reply.status, headers, body: reply.body };
}
