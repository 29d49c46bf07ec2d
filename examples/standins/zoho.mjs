// A stand-in for Zoho: accounts servers of several data centres with their token rules, and behind them small CRM,
// Desk and Mail APIs (zoho_api.mjs). Everything is in memory.
//
//   node examples/standins/zoho.mjs --port 4002
//
// One listener plays every host of every data centre: the first segment of a path is the host that is meant, as the
// server sends it with
//   ASSISTIV_CONNECTOR_OVERRIDES='{"zoho_crm": {"hosts": "http://127.0.0.1:4002/{host}"}, ...}'
//
// Client: demo-zoho-client / demo-zoho-client-secret, the same in every data centre.
// GET /__control shows counters, POST /__control changes behaviour (see control() below).
import crypto from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { escapeHtml, listen, parseBody, readBody, redirect, runFromCommandLine, sendHtml, sendJson } from './http.mjs';
import { DATA_CENTRES, PEOPLE, ZohoApi } from './zoho_api.mjs';

export { DATA_CENTRES, PEOPLE };
export const CLIENTS = { 'demo-zoho-client': { name: 'Demo Zoho Client', secret: 'demo-zoho-client-secret' } };

const CODE_LIFETIME_MS = 2 * 60 * 1000;
const WINDOW_MS = 10 * 60 * 1000;
const REFRESHES_PER_WINDOW = 10; // of one refresh token
const REFRESH_TOKENS_MAX = 20; // of one person and client: the next one ends the oldest

const hex = (bytes) => crypto.randomBytes(bytes).toString('hex');
const newToken = () => `1000.${hex(16)}.${hex(16)}`;
const TOO_MANY = {
  error: 'Access Denied', error_description: 'You have made too many requests continuously. Please try again after some time.', status: 'failure',
};

/**
 * @param {object} options
 * @param {number} [options.port] 0 picks a free one
 * @param {number} [options.expiresIn] life of an access token in seconds
 */
export async function start({ port = 0, expiresIn = 3600 } = {}) {
  const state = new ZohoState(expiresIn);
  const server = await listen((req, res) => state.handle(req, res), port);
  state.url = server.url;
  return {
    url: server.url, port: server.port, clients: CLIENTS, stop: server.stop,
    override: { hosts: `${server.url}/{host}` },
    control: (change) => state.control(change),
    counters: () => state.snapshot(),
  };
}

class ZohoState {
  codes = new Map(); // code -> {clientId, person, scopes, redirectUri, offline, consent, expiresAt}
  access = new Map(); // token -> {clientId, person, scopes, refreshToken, expiresAt}
  refresh = new Map(); // token -> {clientId, person, scopes, used: [times]}
  consented = new Set(); // "client person"
  counters = {
    authorize_pages: 0, codes_issued: 0, denials: 0, exchanges: 0, exchange_errors: 0, refreshes: 0, refresh_errors: 0,
    throttled: 0, token_revokes: 0, api_calls: 0, api_unauthorized: 0,
  };
  requests = []; // the last calls of token endpoints and APIs
  faults = {};
  api = new ZohoApi();

  constructor(expiresIn) {
    this.expiresIn = expiresIn;
  }

  async handle(req, res) {
    const url = new URL(req.url, this.url);
    const body = await readBody(req);
    if (url.pathname === '/__control') return this.controlRoute(req, res, body);
    const [, host, rest] = /^\/([^/]+)(\/.*)$/.exec(url.pathname) ?? [];
    const place = placeOf(host);
    if (!place) return sendJson(res, 404, { message: `no such host: ${host}` });
    if (place.kind === 'accounts') return this.accounts(req, res, place.dc, rest, url, body);
    return this.apiCall(req, res, { ...place, host, path: rest, query: url.searchParams }, body);
  }

  async accounts(req, res, dc, path, url, body) {
    if (path === '/oauth/serverinfo') {
      const locations = Object.fromEntries(Object.entries(DATA_CENTRES).map(([name, hosts]) => [name, `https://${hosts.accounts}`]));
      return sendJson(res, 200, { result: 'success', locations });
    }
    if (path === '/oauth/v2/auth') {
      return req.method === 'POST' ? this.decide(res, parseBody(req, body)) : this.authorizePage(res, url);
    }
    if (req.method !== 'POST') return sendJson(res, 405, { error: 'method_not_allowed' });
    this.note(req, { dc, host: DATA_CENTRES[dc].accounts, path, query: url.searchParams }, undefined);
    if (path === '/oauth/v2/token') return this.tokenEndpoint(req, res, dc, parseBody(req, body));
    if (path === '/oauth/v2/token/revoke') return this.revoke(res, dc, url.searchParams.get('token') ?? parseBody(req, body).token);
    return sendJson(res, 404, { error: 'not_found' });
  }

  // --- authorize: what the person sees at the provider ---

  checkAuthorize(params) {
    if (params.get('response_type') !== 'code') return 'response_type must be code.';
    if (!CLIENTS[params.get('client_id')]) return 'Invalid Client';
    const known = /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\/oauth\/callback(\/[a-z0-9_]+)?$/;
    if (!known.test(params.get('redirect_uri') ?? '')) return 'Invalid Redirect Uri';
    const scopes = splitScopes(params.get('scope'));
    return scopes.length && scopes.every((scope) => /^(ZohoCRM|ZohoSearch|Desk|ZohoMail)\.[A-Za-z._]+$/.test(scope)) ? null : 'Scope does not exist';
  }

  authorizePage(res, url) {
    this.counters.authorize_pages++;
    const params = url.searchParams;
    const problem = this.checkAuthorize(params);
    if (problem) return sendHtml(res, 400, page('Error occurred', `<p>${escapeHtml(problem)}</p>`));
    const hidden = [...params].map(([k, v]) => `<input type="hidden" name="${escapeHtml(k)}" value="${escapeHtml(v)}">`).join('');
    const people = PEOPLE.map((person, i) =>
      `<label><input type="radio" name="login" value="${person.login}"${i === 0 ? ' checked' : ''}> ${escapeHtml(person.name)}, ${person.dc} (${person.login})</label>`).join('');
    sendHtml(res, 200, page(`${CLIENTS[params.get('client_id')].name} asks for access`, `
      <ul>${splitScopes(params.get('scope')).map((s) => `<li><code>${escapeHtml(s)}</code></li>`).join('')}</ul>
      <form method="post" action="${escapeHtml(url.pathname)}">${hidden}
        <fieldset><legend>Account</legend>${people}</fieldset>
        <p><button name="decision" value="allow" class="primary">Accept</button>
        <button name="decision" value="cancel">Reject</button></p>
      </form>`));
  }

  decide(res, form) {
    const params = new URLSearchParams(form);
    const problem = this.checkAuthorize(params);
    if (problem) return sendHtml(res, 400, page('Error occurred', `<p>${escapeHtml(problem)}</p>`));
    const back = new URL(params.get('redirect_uri'));
    if (params.has('state')) back.searchParams.set('state', params.get('state'));
    if (form.decision === 'cancel') {
      this.counters.denials++;
      back.searchParams.set('error', 'access_denied');
      return redirect(res, back.href);
    }
    const person = PEOPLE.find((p) => p.login === form.login) ?? PEOPLE[0];
    const code = newToken();
    this.codes.set(code, {
      clientId: params.get('client_id'), person, scopes: splitScopes(params.get('scope')), redirectUri: params.get('redirect_uri'),
      offline: params.get('access_type') === 'offline', consent: params.get('prompt') === 'consent', expiresAt: Date.now() + CODE_LIFETIME_MS,
    });
    this.counters.codes_issued++;
    back.searchParams.set('code', code);
    // Whose account it is decides the data centre, wherever the browser began.
    back.searchParams.set('location', this.faults.location ?? person.dc);
    back.searchParams.set('accounts-server', this.faults.accounts_server ?? `https://${DATA_CENTRES[person.dc].accounts}`);
    redirect(res, back.href);
  }

  // --- token endpoint: errors come with status 200 ---

  async tokenEndpoint(req, res, dc, form) {
    const fault = this.takeTokenFault();
    if (fault === 'hang') return; // the socket stays open and silent
    if (fault === 'throttle') {
      this.counters.throttled++;
      return sendJson(res, 400, TOO_MANY);
    }
    if (/^\d{3}$/.test(fault ?? '')) return sendHtml(res, Number(fault), '<html><body>Zoho</body></html>');
    const client = CLIENTS[form.client_id];
    const refreshing = form.grant_type === 'refresh_token';
    const fail = (error) => {
      this.counters[refreshing ? 'refresh_errors' : 'exchange_errors']++;
      return sendJson(res, 200, { error });
    };
    if (!client) return fail('invalid_client');
    if (client.secret !== form.client_secret) return fail('invalid_client_secret');
    return refreshing ? this.refreshToken(res, dc, form, fail) : this.exchangeCode(res, dc, form, fail);
  }

  exchangeCode(res, dc, form, fail) {
    const code = this.codes.get(form.code);
    this.codes.delete(form.code);
    if (!code || code.person.dc !== dc || code.clientId !== form.client_id || code.expiresAt < Date.now()) return fail('invalid_code');
    if (code.redirectUri !== form.redirect_uri) return fail('invalid_redirect_uri');
    this.counters.exchanges++;
    const key = `${code.clientId} ${code.person.login}`;
    const refreshToken = code.offline && (code.consent || !this.consented.has(key)) ? newToken() : undefined;
    this.consented.add(key);
    if (refreshToken) {
      const mine = [...this.refresh].filter(([, grant]) => grant.clientId === code.clientId && grant.person === code.person);
      if (mine.length >= REFRESH_TOKENS_MAX) this.endGrant(mine[0][0]);
      this.refresh.set(refreshToken, { clientId: code.clientId, person: code.person, scopes: code.scopes, used: [] });
    }
    sendJson(res, 200, { ...this.issueAccess(code, refreshToken), ...(refreshToken && { refresh_token: refreshToken }) });
  }

  refreshToken(res, dc, form, fail) {
    const grant = this.refresh.get(form.refresh_token);
    if (!grant || grant.person.dc !== dc || grant.clientId !== form.client_id) return fail('invalid_code');
    grant.used = grant.used.filter((at) => at > Date.now() - WINDOW_MS);
    if (grant.used.length >= REFRESHES_PER_WINDOW) {
      this.counters.throttled++;
      return sendJson(res, 400, TOO_MANY);
    }
    grant.used.push(Date.now());
    this.counters.refreshes++;
    sendJson(res, 200, this.issueAccess(grant, form.refresh_token)); // the refresh token stays and is not repeated
  }

  issueAccess({ clientId, person, scopes }, refreshToken) {
    const token = newToken();
    this.access.set(token, { clientId, person, scopes, refreshToken, expiresAt: Date.now() + this.expiresIn * 1000 });
    return { access_token: token, api_domain: this.faults.api_domain ?? `https://${DATA_CENTRES[person.dc].api}`, token_type: 'Bearer', expires_in: this.expiresIn };
  }

  revoke(res, dc, token) {
    const grant = this.refresh.get(token);
    if (!grant || grant.person.dc !== dc) return sendJson(res, 400, { status: 'failure', error: 'invalid_token' });
    this.endGrant(token);
    this.counters.token_revokes++;
    sendJson(res, 200, { status: 'success' });
  }

  endGrant(refreshToken) {
    this.refresh.delete(refreshToken);
    for (const [token, info] of this.access) if (info.refreshToken === refreshToken) this.access.delete(token);
  }

  // --- the APIs ---

  apiCall(req, res, call, body) {
    this.counters.api_calls++;
    const json = body.length ? tryJson(body) : undefined;
    this.note(req, call, json);
    const [, token] = /^Zoho-oauthtoken (\S+)$/.exec(req.headers.authorization ?? '') ?? [];
    const info = this.access.get(token);
    // A token is good in its own data centre only.
    const who = info && info.expiresAt > Date.now() && info.person.dc === call.dc ? info : null;
    if (!who) this.counters.api_unauthorized++;
    const answer = this.api.answer({ ...call, method: req.method, body: json, orgId: req.headers.orgid, fault: this.faults.api }, who);
    if (answer.body === undefined) {
      res.writeHead(answer.status, answer.headers);
      return res.end();
    }
    sendJson(res, answer.status, answer.body, answer.headers);
  }

  note(req, { dc, host, path, query }, body) {
    this.requests.push({
      dc, host, method: req.method, path, query: Object.fromEntries([...query].filter(([name]) => name !== 'token')), body,
      orgId: req.headers.orgid, scheme: req.headers.authorization?.split(' ')[0], contentType: req.headers['content-type'],
    });
    if (this.requests.length > 500) this.requests.shift();
  }

  takeTokenFault() {
    const { fail_token_endpoint: fault } = this.faults;
    if (fault && this.faults.fail_token_times !== undefined && this.faults.fail_token_times-- <= 0) return null;
    return fault;
  }

  controlRoute(req, res, body) {
    sendJson(res, 200, req.method === 'POST' ? this.control(JSON.parse(body.toString() || '{}')) : this.snapshot());
  }

  /**
   * Changes behaviour; null switches off.
   *   fail_token_endpoint  "500", "503" (HTML), "throttle" (400 Access Denied), "hang"; fail_token_times: how often
   *   api                  "credits", "concurrency": 429 of the product that is called
   *   location, accounts_server, api_domain  what is said instead of the truth
   *   expires_in           life of the next access tokens in seconds
   *   expire_all, revoke_all, reset_counters, reset_data  once, now
   */
  control({ expires_in, expire_all, revoke_all, reset_counters, reset_data, ...faults } = {}) {
    if (expire_all) for (const info of this.access.values()) info.expiresAt = 0;
    if (revoke_all) [this.access, this.refresh].forEach((map) => map.clear());
    if (expires_in) this.expiresIn = expires_in;
    if (reset_data) this.api = new ZohoApi();
    if (reset_counters) {
      for (const key of Object.keys(this.counters)) this.counters[key] = 0;
      this.requests.length = 0;
    }
    Object.assign(this.faults, faults);
    for (const [name, value] of Object.entries(this.faults)) if (value === null) delete this.faults[name];
    return this.snapshot();
  }

  snapshot() {
    return {
      ...this.counters,
      live_access_tokens: [...this.access.values()].filter((t) => t.expiresAt > Date.now()).length,
      live_refresh_tokens: this.refresh.size,
      faults: { ...this.faults },
      requests: [...this.requests],
    };
  }
}

function placeOf(host) {
  for (const [dc, hosts] of Object.entries(DATA_CENTRES)) {
    for (const [kind, name] of Object.entries(hosts)) if (name === host) return { dc, kind };
  }
  return null;
}

function tryJson(body) {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

const splitScopes = (text) => (text ?? '').split(',').filter(Boolean);

const page = (title, content) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:0;padding:0 1rem;background:#f7f7f5;color:#222}main{max-width:28rem;margin:8vh auto;padding:1.5rem;background:#fff;
border:1px solid #ddd;border-radius:8px}h1{font-size:1.3rem;margin-top:0}fieldset{border:1px solid #ddd;border-radius:6px}label{display:block;padding:.3rem 0}
code{font-size:.85rem;overflow-wrap:anywhere}button{font:inherit;padding:.5rem 1rem;border-radius:6px;border:1px solid #ccc;background:#f7f7f5}.primary{background:#0b6e4f;color:#fff;border-color:#0b6e4f}
.note{color:#666;font-size:.85rem}</style></head><body><main><h1>${escapeHtml(title)}</h1>${content}
<p class="note">A local stand-in for Zoho. Nothing here leaves this machine.</p></main></body></html>`;

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
