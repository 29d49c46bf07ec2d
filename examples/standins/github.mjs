// A stand-in for GitHub: OAuth and token rules of our own, in front of the GitHub API of the npm package
// `emulate`, which accepts any token and knows neither expiry nor rotation. Everything is in memory.
//
//   node examples/standins/github.mjs --port 4001
//
// Clients (either mode works with the same accounts and repositories):
//   GitHub App  demo-github-app   / demo-github-app-secret    ghu_ tokens that expire, rotating ghr_ tokens
//   OAuth App   demo-oauth-app    / demo-oauth-app-secret     gho_ tokens with scopes, no expiry
//
// GET /__control shows counters, POST /__control changes behaviour (see control() below).
import crypto from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { GitHubApi } from './github_api.mjs';
import {
  basicCredentials, bearerToken, cookies, escapeHtml, listen, parseBody, readBody, redirect, runFromCommandLine, sendHtml, sendJson,
} from './http.mjs';

export const CLIENTS = {
  'demo-github-app': { kind: 'app', name: 'Demo GitHub App', secret: 'demo-github-app-secret' },
  'demo-oauth-app': { kind: 'oauth', name: 'Demo OAuth App', secret: 'demo-oauth-app-secret' },
};
const REFRESH_LIFETIME_S = 15_811_200;
const CODE_LIFETIME_MS = 10 * 60 * 1000;
const DOCS = 'https://docs.github.com/rest';

const random = (bytes = 24) => crypto.randomBytes(bytes).toString('base64url').replace(/[-_]/g, 'x');
const sameText = (a, b) =>
  crypto.timingSafeEqual(crypto.createHash('sha256').update(String(a)).digest(), crypto.createHash('sha256').update(String(b)).digest());

/**
 * @param {object} options
 * @param {number} [options.port] 0 picks a free one
 * @param {number} [options.expiresIn] life of a GitHub App user token in seconds
 * @param {object} [options.clients] replaces CLIENTS; a client may carry `redirect_uris` to be matched exactly
 */
export async function start({ port = 0, expiresIn = 28_800, clients = CLIENTS } = {}) {
  const state = new GitHubState(clients, expiresIn);
  const server = await listen((req, res) => state.handle(req, res), port);
  state.url = server.url;
  state.api = await GitHubApi.start(server.url);
  return {
    url: server.url,
    port: server.port,
    clients,
    control: (change) => state.control(change),
    counters: () => state.snapshot(),
    stop: async () => {
      await server.stop();
      await state.api.stop();
    },
  };
}

class GitHubState {
  codes = new Map(); // code -> {clientId, login, redirectUri, scopes, challenge, expiresAt}
  access = new Map(); // token -> {clientId, login, scopes, expiresAt, refreshToken}
  refresh = new Map(); // token -> {clientId, login, scopes, accessToken, expiresAt}
  grants = new Map(); // "clientId login" -> Set of scopes
  counters = {
    authorize_pages: 0, codes_issued: 0, denials: 0, exchanges: 0, exchange_errors: 0, refreshes: 0, refresh_errors: 0,
    token_revokes: 0, grant_revokes: 0, token_checks: 0, api_calls: 0, api_unauthorized: 0,
  };
  requests = []; // the last API calls, without credentials
  faults = {};
  hanging = new Set(); // replies of the token endpoint that never come

  constructor(clients, expiresIn) {
    this.clients = clients;
    this.expiresIn = expiresIn;
  }

  async handle(req, res) {
    const url = new URL(req.url, this.url);
    const body = await readBody(req);
    if (url.pathname === '/__control') return this.controlRoute(req, res, body);
    if (url.pathname === '/login/oauth/authorize') {
      return req.method === 'POST' ? this.decide(req, res, parseBody(req, body)) : this.authorizePage(req, res, url.searchParams);
    }
    if (url.pathname === '/login/oauth/access_token' && req.method === 'POST') return this.tokenEndpoint(req, res, body);
    const application = /^\/applications\/([^/]+)\/(token|grant)$/.exec(url.pathname);
    if (application) return this.applications(req, res, decodeURIComponent(application[1]), application[2], parseBody(req, body));
    return this.apiCall(req, res, url, body);
  }

  // --- authorize: what the person sees at the provider ---

  checkAuthorize(params) {
    const client = this.clients[params.get('client_id')];
    if (!client) return { status: 404, problem: 'There is no application with this client id.' };
    const redirectUri = params.get('redirect_uri') ?? client.redirect_uris?.[0];
    const known = client.redirect_uris
      ? client.redirect_uris.includes(redirectUri)
      : /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\/oauth\/callback(\/[a-z0-9_]+(\/[0-9a-f-]{36})?)?$/.test(redirectUri ?? '');
    if (!known) return { status: 400, problem: 'The redirect_uri is not associated with this application.' };
    const method = params.get('code_challenge_method');
    if (params.get('code_challenge') && method !== 'S256') return { status: 400, problem: 'code_challenge_method must be S256.' };
    return { client, redirectUri };
  }

  authorizePage(req, res, params) {
    this.counters.authorize_pages++;
    const checked = this.checkAuthorize(params);
    if (checked.problem) return sendHtml(res, checked.status, page('Cannot authorize', `<p>${escapeHtml(checked.problem)}</p>`));
    const scopes = splitScopes(params.get('scope'));
    const signedInAs = cookies(req).standin_user;
    const granted = this.grants.get(`${params.get('client_id')} ${signedInAs}`);
    // As the real one does: who has already said yes to all of this is sent straight back.
    if (signedInAs && granted && scopes.every((s) => granted.has(s)) && params.get('prompt') !== 'select_account') {
      return redirect(res, this.issueCode(params, checked.redirectUri, signedInAs));
    }
    const hidden = [...params].map(([k, v]) => `<input type="hidden" name="${escapeHtml(k)}" value="${escapeHtml(v)}">`).join('');
    const people = this.api.people.map((person, i) =>
      `<label><input type="radio" name="login" value="${person.login}"${i === 0 ? ' checked' : ''}> ${escapeHtml(person.name)} (${person.login})</label>`).join('');
    const wants = checked.client.kind === 'oauth' && scopes.length
      ? `<ul>${scopes.map((s) => `<li><code>${escapeHtml(s)}</code></li>`).join('')}</ul>`
      : '<p>Its permissions were set when the app was registered.</p>';
    sendHtml(res, 200, page(`Authorize ${checked.client.name}`, `
      <p><strong>${escapeHtml(checked.client.name)}</strong> wants to act for you.</p>${wants}
      <form method="post" action="/login/oauth/authorize">${hidden}
        <fieldset><legend>Continue as</legend>${people}</fieldset>
        <p><button name="decision" value="allow" class="primary">Authorize</button>
        <button name="decision" value="cancel">Cancel</button></p>
      </form>`));
  }

  decide(req, res, form) {
    const params = new URLSearchParams(form);
    const checked = this.checkAuthorize(params);
    if (checked.problem) return sendHtml(res, checked.status, page('Cannot authorize', `<p>${escapeHtml(checked.problem)}</p>`));
    if (form.decision === 'cancel') {
      this.counters.denials++;
      const back = new URL(checked.redirectUri);
      back.searchParams.set('error', 'access_denied');
      back.searchParams.set('error_description', 'The user has denied your application access.');
      if (params.has('state')) back.searchParams.set('state', params.get('state'));
      return redirect(res, back.href);
    }
    const person = this.api.people.find((p) => p.login === form.login);
    if (!person) return sendHtml(res, 422, page('Unknown account', '<p>Choose one of the accounts.</p>'));
    redirect(res, this.issueCode(params, checked.redirectUri, person.login), {
      'set-cookie': `standin_user=${person.login}; Path=/login; HttpOnly; SameSite=Lax`,
    });
  }

  issueCode(params, redirectUri, login) {
    const clientId = params.get('client_id');
    const scopes = splitScopes(params.get('scope'));
    const code = random(15);
    this.codes.set(code, {
      clientId, login, redirectUri, scopes, challenge: params.get('code_challenge'), expiresAt: Date.now() + CODE_LIFETIME_MS,
    });
    const key = `${clientId} ${login}`;
    this.grants.set(key, new Set([...(this.grants.get(key) ?? []), ...scopes]));
    this.counters.codes_issued++;
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    if (params.has('state')) back.searchParams.set('state', params.get('state'));
    return back.href;
  }

  // --- token endpoint ---

  async tokenEndpoint(req, res, body) {
    await this.delay();
    const fault = this.takeTokenFault();
    if (fault === 'hang') return this.hanging.add(res); // open and silent
    if (/^\d{3}$/.test(fault ?? '')) return sendJson(res, Number(fault), { message: 'Server Error' });
    const form = parseBody(req, body);
    const answer = form.grant_type === 'refresh_token' ? this.refreshToken(form) : this.exchangeCode(form);
    if (fault === 'lost') return res.destroy(); // the work is done, the caller never hears of it
    // Errors are answered with 200, in the same encoding as a success.
    if ((req.headers.accept ?? '').includes('application/json')) return sendJson(res, 200, answer, { 'cache-control': 'no-store' });
    const text = new URLSearchParams(Object.entries(answer).map(([k, v]) => [k, String(v)])).toString();
    res.writeHead(200, { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', 'cache-control': 'no-store' });
    res.end(text);
  }

  authenticateClient(form) {
    const client = this.clients[form.client_id];
    return client && form.client_secret && sameText(client.secret, form.client_secret) ? client : null;
  }

  exchangeCode(form) {
    const problem = (error, error_description) => {
      this.counters.exchange_errors++;
      return { error, error_description, error_uri: 'https://docs.github.com/apps/troubleshooting' };
    };
    const client = this.authenticateClient(form);
    if (!client) return problem('incorrect_client_credentials', 'The client_id and/or client_secret passed are incorrect.');
    const code = this.codes.get(form.code);
    this.codes.delete(form.code); // single use, also when the rest fails
    if (!code || code.clientId !== form.client_id || code.expiresAt < Date.now()) {
      return problem('bad_verification_code', 'The code passed is incorrect or expired.');
    }
    if (form.redirect_uri !== undefined && form.redirect_uri !== code.redirectUri) {
      return problem('redirect_uri_mismatch', 'The redirect_uri MUST match the registered callback URL for this application.');
    }
    if (code.challenge) {
      const sent = crypto.createHash('sha256').update(form.code_verifier ?? '').digest('base64url');
      if (sent !== code.challenge) return problem('bad_verification_code', 'The code passed is incorrect or expired.');
    }
    this.counters.exchanges++;
    return this.issueTokens(form.client_id, client, code.login, code.scopes);
  }

  refreshToken(form) {
    const problem = (error, error_description) => {
      this.counters.refresh_errors++;
      return { error, error_description, error_uri: 'https://docs.github.com/apps/troubleshooting' };
    };
    const client = this.authenticateClient(form);
    if (!client) return problem('incorrect_client_credentials', 'The client_id and/or client_secret passed are incorrect.');
    const old = this.refresh.get(form.refresh_token);
    if (!old || old.clientId !== form.client_id || old.expiresAt < Date.now()) {
      return problem('bad_refresh_token', 'The refresh token passed is incorrect or expired.');
    }
    this.refresh.delete(form.refresh_token);
    this.access.delete(old.accessToken);
    this.counters.refreshes++;
    return this.issueTokens(form.client_id, client, old.login, old.scopes);
  }

  issueTokens(clientId, client, login, scopes) {
    if (client.kind === 'oauth') {
      const token = `gho_${random()}`;
      this.access.set(token, { clientId, login, scopes: new Set(scopes), expiresAt: Infinity });
      return { access_token: token, scope: scopes.join(','), token_type: 'bearer' };
    }
    const token = `ghu_${random()}`;
    const refreshToken = `ghr_${random(48)}`;
    this.access.set(token, { clientId, login, scopes: null, expiresAt: Date.now() + this.expiresIn * 1000, refreshToken });
    this.refresh.set(refreshToken, { clientId, login, scopes, accessToken: token, expiresAt: Date.now() + REFRESH_LIFETIME_S * 1000 });
    return {
      access_token: token, expires_in: this.expiresIn, refresh_token: refreshToken, refresh_token_expires_in: REFRESH_LIFETIME_S,
      scope: '', token_type: 'bearer',
    };
  }

  // --- revocation and checks, with the client's own credentials ---

  applications(req, res, clientId, what, form) {
    const given = basicCredentials(req);
    const client = this.clients[clientId];
    if (!client || !given || given.id !== clientId || !sameText(given.secret, client.secret)) {
      return sendJson(res, 401, { message: 'Bad credentials', documentation_url: DOCS, status: '401' });
    }
    const token = this.liveToken(form.access_token);
    if (!token || token.clientId !== clientId) return sendJson(res, 404, { message: 'Not Found', documentation_url: DOCS, status: '404' });
    if (req.method === 'POST' && what === 'token') {
      this.counters.token_checks++;
      return sendJson(res, 200, {
        id: 1, token_last_eight: form.access_token.slice(-8), scopes: [...(token.scopes ?? [])], user: { login: token.login },
        app: { client_id: clientId, name: client.name }, expires_at: Number.isFinite(token.expiresAt) ? new Date(token.expiresAt).toISOString() : null,
      });
    }
    if (req.method !== 'DELETE') return sendJson(res, 405, { message: 'Method Not Allowed' });
    if (what === 'token') {
      this.counters.token_revokes++;
      this.drop(form.access_token);
    } else {
      this.counters.grant_revokes++;
      this.dropGrant(clientId, token.login);
    }
    res.writeHead(204).end();
  }

  drop(accessToken) {
    this.refresh.delete(this.access.get(accessToken)?.refreshToken);
    this.access.delete(accessToken);
  }

  dropGrant(clientId, login) {
    for (const [token, t] of this.access) if (t.clientId === clientId && t.login === login) this.drop(token);
    this.grants.delete(`${clientId} ${login}`);
  }

  liveToken(token) {
    const found = this.access.get(token);
    return found && found.expiresAt > Date.now() ? found : null;
  }

  // --- API calls ---

  async apiCall(req, res, url, body) {
    this.counters.api_calls++;
    const { authorization, cookie, ...headers } = req.headers;
    const record = { method: req.method, path: url.pathname, query: url.search, headers, status: 0 };
    this.requests.push(record);
    if (this.requests.length > 200) this.requests.shift();
    res.once('finish', () => (record.status = res.statusCode));
    await this.delay();

    if (!req.headers['user-agent']) {
      return sendJson(res, 403, { message: 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header.' });
    }
    const token = this.liveToken(bearerToken(req));
    if (!token) {
      this.counters.api_unauthorized++;
      return sendJson(res, 401, { message: 'Bad credentials', documentation_url: DOCS, status: '401' });
    }
    const limited = this.rateLimited();
    if (limited) return sendJson(res, limited.status, limited.body, limited.headers);
    const reply = await this.api.call(req, url, body, {
      login: token.login, mode: this.clients[token.clientId].kind, scopes: token.scopes,
    });
    res.writeHead(reply.status, reply.headers);
    res.end(reply.body);
  }

  rateLimited() {
    const kind = this.faults.rate_limit;
    if (!kind) return null;
    if (this.faults.rate_limit_times !== undefined && this.faults.rate_limit_times-- <= 0) {
      this.faults.rate_limit = null;
      return null;
    }
    const reset = Math.floor(Date.now() / 1000) + (this.faults.rate_limit_reset_s ?? 60);
    if (kind === 'primary') {
      return {
        status: 403, body: { message: 'API rate limit exceeded for user ID 2.', documentation_url: DOCS, status: '403' },
        headers: {
          'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '0', 'x-ratelimit-used': '5000', 'x-ratelimit-reset': String(reset),
          'x-ratelimit-resource': 'core',
        },
      };
    }
    return {
      status: kind === 'secondary_429' ? 429 : 403,
      body: { message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.', documentation_url: DOCS, status: '403' },
      headers: { 'retry-after': String(this.faults.rate_limit_reset_s ?? 60), 'x-ratelimit-remaining': '4000' },
    };
  }

  delay() {
    return this.faults.delay_ms ? new Promise((resolve) => setTimeout(resolve, this.faults.delay_ms)) : undefined;
  }

  takeTokenFault() {
    const fault = this.faults.fail_token_endpoint;
    if (!fault) return null;
    if (this.faults.fail_token_times !== undefined && this.faults.fail_token_times-- <= 0) {
      this.faults.fail_token_endpoint = null;
      return null;
    }
    return String(fault);
  }

  // --- control, for tests and the demo ---

  async controlRoute(req, res, body) {
    if (req.method === 'POST') this.control(JSON.parse(body.toString('utf8') || '{}'));
    sendJson(res, 200, this.snapshot());
  }

  /**
   * expire_all, expire_refresh, revoke_all   act at once on all tokens
   * expires_in                               life of the next GitHub App tokens, in seconds
   * rate_limit                               "primary" | "secondary" | "secondary_429" | null, with rate_limit_times, rate_limit_reset_s
   * fail_token_endpoint                      "500" (any status) | "hang" (until it is set anew, then the connection breaks) |
   *                                          "lost" (done, but the reply is lost) | null, with fail_token_times
   * delay_ms                                 before every token and API reply
   * reset_counters                           counters and recorded requests start again
   */
  control({ expire_all, expire_refresh, revoke_all, expires_in, reset_counters, ...faults }) {
    const unknown = Object.keys(faults).filter((key) => !/^(rate_limit|fail_token|delay_ms)/.test(key));
    if (unknown.length) throw new Error(`unknown control: ${unknown}`);
    if (expire_all) for (const token of this.access.values()) token.expiresAt = 0;
    if (expire_refresh) for (const token of this.refresh.values()) token.expiresAt = 0;
    if (revoke_all) [this.access, this.refresh, this.grants].forEach((map) => map.clear());
    if (expires_in) this.expiresIn = expires_in;
    if (reset_counters) {
      for (const key of Object.keys(this.counters)) this.counters[key] = 0;
      this.requests.length = 0;
    }
    Object.assign(this.faults, faults);
    if ('fail_token_endpoint' in faults) {
      this.hanging.forEach((res) => res.destroy());
      this.hanging.clear();
    }
    return this.snapshot();
  }

  snapshot() {
    return {
      ...this.counters,
      live_access_tokens: [...this.access.values()].filter((t) => t.expiresAt > Date.now()).length,
      live_refresh_tokens: [...this.refresh.values()].filter((t) => t.expiresAt > Date.now()).length,
      grants: this.grants.size,
      faults: { ...this.faults },
      requests: [...this.requests],
    };
  }
}

const splitScopes = (text) => (text ?? '').split(/[ ,]+/).filter(Boolean);

const page = (title, content) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f8fa;color:#1f2328}body{padding:0 1rem}main{max-width:26rem;margin:8vh auto;padding:1.5rem;background:#fff;
border:1px solid #d1d9e0;border-radius:8px}h1{font-size:1.3rem;margin-top:0}fieldset{border:1px solid #d1d9e0;border-radius:6px}label{display:block;padding:.3rem 0}
button{font:inherit;padding:.5rem 1rem;border-radius:6px;border:1px solid #d1d9e0;background:#f6f8fa}.primary{background:#1f883d;color:#fff;border-color:#1a7f37}
.note{color:#59636e;font-size:.85rem}</style></head><body><main><h1>${escapeHtml(title)}</h1>${content}
<p class="note">A local stand-in for GitHub. Nothing here leaves this machine.</p></main></body></html>`;

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
