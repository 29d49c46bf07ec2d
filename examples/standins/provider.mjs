// What stand-ins for OAuth providers share: codes and tokens in memory, the page on which a person says yes or no, a
// record of API calls, and changes of behaviour on demand. Everything that differs between vendors is in their files.
import crypto from 'node:crypto';
import { cookies, escapeHtml, listen, parseBody, readBody, redirect, sendHtml, sendJson } from './http.mjs';

export const random = (bytes = 24) => crypto.randomBytes(bytes).toString('base64url').replace(/[-_]/g, 'x');
export const sameText = (a, b) =>
  crypto.timingSafeEqual(crypto.createHash('sha256').update(String(a)).digest(), crypto.createHash('sha256').update(String(b)).digest());
export const s256 = (text) => crypto.createHash('sha256').update(text ?? '').digest('base64url');

/** @abstract `route(req, res, url, body)` answers what the base does not; `name` and `people` are for the page. */
export class ProviderStandin {
  codes = new Map(); // code -> what it stands for, and `expiresAt`
  access = new Map(); // token -> {clientId, person, scopes: Set, expiresAt, refreshToken?, ...}
  refresh = new Map(); // token -> {accessToken, expiresAt, ...}
  counters = {
    authorize_pages: 0, codes_issued: 0, denials: 0, exchanges: 0, exchange_errors: 0, refreshes: 0, refresh_errors: 0, token_revokes: 0,
    grant_revokes: 0, api_calls: 0, api_unauthorized: 0,
  };
  requests = []; // the last API calls, without credentials
  faults = {};

  constructor({ name, clients, people, expiresIn }) {
    Object.assign(this, { name, clients, people, expiresIn });
  }

  static async startAs(standin, port) {
    const server = await listen((req, res) => standin.handle(req, res), port);
    standin.url = server.url;
    return {
      url: server.url, port: server.port, clients: standin.clients, stop: server.stop,
      control: (change) => standin.control(change), counters: () => standin.snapshot(),
    };
  }

  async handle(req, res) {
    const url = new URL(req.url, this.url);
    const body = await readBody(req);
    if (url.pathname === '/__control') {
      if (req.method === 'POST') this.control(JSON.parse(body.toString('utf8') || '{}'));
      return sendJson(res, 200, this.snapshot());
    }
    return this.route(req, res, url, body);
  }

  // --- the page ---

  /** The redirect_uri that is good for this client, or a problem for the page. */
  checkRedirect(params) {
    const client = this.clients[params.get('client_id')];
    if (!client) return { status: 404, problem: 'There is no application with this client id.' };
    const redirectUri = params.get('redirect_uri') ?? '';
    const known = client.redirect_uris
      ? client.redirect_uris.includes(redirectUri)
      : /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\/oauth\/callback(\/[a-z0-9_]+(\/[0-9a-f-]{36})?)?$/.test(redirectUri);
    return known ? { client, redirectUri } : { status: 400, problem: 'This redirect_uri is not one of the application.' };
  }

  showProblem(res, { status, problem }) {
    sendHtml(res, status, this.page('Cannot authorize', `<p>${escapeHtml(problem)}</p>`));
  }

  showAuthorize(req, res, params, client, scopes, people = this.people) {
    this.counters.authorize_pages++;
    const hidden = [...params].map(([k, v]) => `<input type="hidden" name="${escapeHtml(k)}" value="${escapeHtml(v)}">`).join('');
    const before = cookies(req).standin_user;
    const choices = people.map((person, i) =>
      `<label><input type="radio" name="login" value="${person.login}"${(before ? person.login === before : i === 0) ? ' checked' : ''}> ${escapeHtml(person.name)} (${person.login})</label>`).join('');
    sendHtml(res, 200, this.page(`Authorize ${client.name}`, `
      <p><strong>${escapeHtml(client.name)}</strong> wants to use your account.</p>
      <ul>${scopes.map((s) => `<li><code>${escapeHtml(s)}</code></li>`).join('')}</ul>
      <form method="post">${hidden}
        <fieldset><legend>Continue as</legend>${choices}</fieldset>
        <p><button name="decision" value="allow" class="primary">Authorize</button>
        <button name="decision" value="cancel">Cancel</button></p>
      </form>`));
  }

  /** The person's answer; `grant` is what the code will stand for. */
  decide(res, form, redirectUri, grant, people = this.people) {
    const back = new URL(redirectUri);
    if (form.state !== undefined) back.searchParams.set('state', form.state);
    if (form.decision === 'cancel') {
      this.counters.denials++;
      back.searchParams.set('error', 'access_denied');
      return redirect(res, back.href);
    }
    const person = people.find((p) => p.login === form.login);
    if (!person) return this.showProblem(res, { status: 422, problem: 'Choose one of the accounts.' });
    const code = random(15);
    this.codes.set(code, { ...grant, person, redirectUri, clientId: form.client_id });
    this.counters.codes_issued++;
    back.searchParams.set('code', code);
    redirect(res, back.href, { 'set-cookie': `standin_user=${person.login}; Path=/; HttpOnly; SameSite=Lax` });
  }

  page(title, content) {
    return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escapeHtml(title)}</title><link rel="icon" href="data:,">
<style>body{font:16px/1.5 system-ui,sans-serif;margin:0;padding:0 1rem;background:#f6f6f8;color:#1f2328}main{max-width:26rem;margin:8vh auto;padding:1.5rem;
background:#fff;border:1px solid #d1d9e0;border-radius:8px}h1{font-size:1.3rem;margin-top:0}fieldset{border:1px solid #d1d9e0;border-radius:6px}
label{display:block;padding:.3rem 0}button{font:inherit;padding:.5rem 1rem;border-radius:6px;border:1px solid #d1d9e0;background:#f6f6f8}
.primary{background:#1f5fd0;color:#fff;border-color:#1f5fd0}.note{color:#59636e;font-size:.85rem}</style></head><body><main><h1>${escapeHtml(title)}</h1>${content}
<p class="note">A local stand-in for ${escapeHtml(this.name)}. Nothing here leaves this machine.</p></main></body></html>`;
  }

  // --- tokens ---

  /** A code is good once, also when what follows fails. */
  takeCode(code) {
    const found = this.codes.get(code);
    this.codes.delete(code);
    return found && found.expiresAt > Date.now() ? found : null;
  }

  liveToken(token) {
    const found = this.access.get(token);
    return found && found.expiresAt > Date.now() ? found : null;
  }

  drop(accessToken) {
    this.refresh.delete(this.access.get(accessToken)?.refreshToken);
    this.access.delete(accessToken);
  }

  /** Answers with a fault that was asked for; true when it did. `work` is done before a reply gets lost. */
  async tokenFault(res, work) {
    if (this.faults.delay_ms) await new Promise((resolve) => setTimeout(resolve, this.faults.delay_ms));
    const fault = this.faults.fail_token_endpoint;
    if (!fault) return false;
    if (this.faults.fail_token_times !== undefined && this.faults.fail_token_times-- <= 0) {
      this.faults.fail_token_endpoint = null;
      return false;
    }
    if (fault === 'lost') {
      work();
      res.destroy();
    } else if (fault !== 'hang') {
      sendJson(res, Number(fault), { error: 'server_error' });
    }
    return true;
  }

  // --- API calls ---

  record(req, res, url, body, more) {
    this.counters.api_calls++;
    const { authorization, cookie, ...headers } = req.headers;
    const { token, ...fields } = parseBody(req, body);
    const record = {
      method: req.method, path: url.pathname, query: Object.fromEntries(url.searchParams), body: body.length ? fields : null, headers,
      scheme: authorization?.split(' ')[0] ?? null, status: 0, ...more,
    };
    this.requests.push(record);
    if (this.requests.length > 300) this.requests.shift();
    res.once('finish', () => (record.status = res.statusCode));
    return record;
  }

  /** Seconds to wait when a rate limit was asked for. */
  limited() {
    if (!this.faults.rate_limit) return null;
    if (this.faults.rate_limit_times !== undefined && this.faults.rate_limit_times-- <= 0) {
      this.faults.rate_limit = null;
      return null;
    }
    return this.faults.rate_limit_reset_s ?? 30;
  }

  // --- control, for tests and the demo ---

  /**
   * expire_all, revoke_all      act at once on all access tokens; revoke_all on refresh tokens too
   * expires_in                  life of the next access tokens, in seconds
   * rate_limit                  true, with rate_limit_times, rate_limit_reset_s
   * fail_token_endpoint         "500" (any status) | "hang" | "lost" (done, but the reply is lost) | null, with fail_token_times
   * fail_api                    an answer of the vendor's API to every call: {status, body, type?} | "lost" (none at all) | null
   * delay_ms                    before every token reply
   * reset_counters              counters and recorded requests start again
   */
  control({ expire_all, revoke_all, expires_in, reset_counters, ...faults }) {
    const unknown = Object.keys(faults).filter((key) => !/^(rate_limit|fail_token|fail_api|delay_ms)/.test(key));
    if (unknown.length) throw new Error(`unknown control: ${unknown}`);
    if (expire_all) for (const token of this.access.values()) token.expiresAt = 0;
    if (revoke_all) [this.access, this.refresh].forEach((map) => map.clear());
    if (expires_in) this.expiresIn = expires_in;
    if (reset_counters) {
      for (const key of Object.keys(this.counters)) this.counters[key] = 0;
      this.requests.length = 0;
    }
    Object.assign(this.faults, faults);
    return this.snapshot();
  }

  failedApi(res) {
    const fault = this.faults.fail_api;
    if (!fault) return false;
    if (fault === 'lost') return Boolean(res.destroy());
    const text = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body);
    res.writeHead(fault.status, { 'content-type': fault.type ?? 'application/json' });
    res.end(text);
    return true;
  }

  snapshot() {
    return {
      ...this.counters,
      live_access_tokens: [...this.access.values()].filter((t) => t.expiresAt > Date.now()).length,
      live_refresh_tokens: [...this.refresh.values()].filter((t) => t.expiresAt > Date.now()).length,
      faults: { ...this.faults },
      requests: [...this.requests],
    };
  }
}
