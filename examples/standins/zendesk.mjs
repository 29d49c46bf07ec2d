// A stand-in for Zendesk: OAuth with PKCE and tokens that end, and the Support and Help Center API that the tools use.
// Every account has its own host at Zendesk; here it is a folder: http://127.0.0.1:4003/t/acme, so that a server is
// pointed at it with {"zendesk": {"web": "http://127.0.0.1:4003/t/{subdomain}", "api": the same}}. In memory.
//
//   node examples/standins/zendesk.mjs --port 4003
//
// Client: demo-zendesk / demo-zendesk-secret, in the accounts acme and globex.
//
// GET /__control shows counters, POST /__control changes behaviour (control() in provider.mjs).
import { pathToFileURL } from 'node:url';
import { bearerToken, parseBody, runFromCommandLine, sendHtml, sendJson } from './http.mjs';
import { ProviderStandin, random, s256, sameText } from './provider.mjs';
import { ZendeskApi } from './zendesk_api.mjs';

export const CLIENTS = { 'demo-zendesk': { name: 'Demo Zendesk client', secret: 'demo-zendesk-secret' } };
const CODE_LIFE_MS = 120 * 1000;
const EXPIRES_IN = { fallback: 1800, min: 300, max: 172_800 };
const REFRESH_EXPIRES_IN = { fallback: 2_592_000, min: 604_800, max: 7_776_000 };

export async function start({ port = 0, expiresIn, clients = CLIENTS } = {}) {
  return ProviderStandin.startAs(new ZendeskStandin(clients, expiresIn), port);
}

const oauthError = (error, error_description) => ({ error, error_description });

class ZendeskStandin extends ProviderStandin {
  accounts = new Map(['acme', 'globex'].map((subdomain) => [subdomain, new ZendeskApi(subdomain)]));

  constructor(clients, expiresIn) {
    super({ name: 'Zendesk', clients, people: [], expiresIn });
  }

  route(req, res, url, body) {
    const at = /^\/t\/([^/]+)(\/.*)$/.exec(url.pathname);
    const account = at && this.accounts.get(at[1]);
    if (!account) return sendHtml(res, 404, this.page('No help desk here', '<p>There is no account of this name.</p>'));
    const path = at[2].replace(/\.json$/, '');
    if (path === '/oauth/authorizations/new') return this.authorize(req, res, url, body, account);
    if (path === '/oauth/tokens' && req.method === 'POST') return this.tokenEndpoint(req, res, body, account);
    if (path.startsWith('/api/v2/')) return this.apiCall(req, res, url, path.slice('/api/v2'.length), body, account);
    return sendJson(res, 404, { error: 'InvalidEndpoint', description: 'Not found' });
  }

  authorize(req, res, url, body, account) {
    const form = req.method === 'POST' ? parseBody(req, body) : null;
    const params = form ? new URLSearchParams(form) : url.searchParams;
    const checked = this.checkRedirect(params);
    const scopes = (params.get('scope') ?? '').split(' ').filter(Boolean);
    if (!checked.problem && params.get('response_type') !== 'code') Object.assign(checked, { status: 400, problem: 'response_type must be code.' });
    if (!checked.problem && (scopes.length === 0 || scopes.some((s) => !/^([a-z_]+:)?(read|write)$/.test(s)))) {
      Object.assign(checked, { status: 400, problem: 'The requested scope is invalid.' });
    }
    if (!checked.problem && params.has('code_challenge') && params.get('code_challenge_method') !== 'S256') {
      Object.assign(checked, { status: 400, problem: 'code_challenge_method must be S256.' });
    }
    if (checked.problem) return this.showProblem(res, checked);
    if (!form) return this.showAuthorize(req, res, params, checked.client, scopes, account.agents);
    return this.decide(res, form, checked.redirectUri, {
      scopes, account, challenge: params.get('code_challenge'), expiresAt: Date.now() + CODE_LIFE_MS,
    }, account.agents);
  }

  async tokenEndpoint(req, res, body, account) {
    const answer = () => this.tokens(parseBody(req, body), account);
    if (await this.tokenFault(res, answer)) return;
    const { status, reply } = answer();
    sendJson(res, status, reply);
  }

  tokens(form, account) {
    const refreshing = form.grant_type === 'refresh_token';
    const problem = (status, error, words) => {
      this.counters[refreshing ? 'refresh_errors' : 'exchange_errors']++;
      return { status, reply: oauthError(error, words) };
    };
    const client = this.clients[form.client_id];
    if (!client || (form.client_secret !== undefined && !sameText(client.secret, form.client_secret))) {
      return problem(401, 'invalid_client', 'Client authentication failed.');
    }
    const lives = [[form.expires_in, EXPIRES_IN], [form.refresh_token_expires_in, REFRESH_EXPIRES_IN]];
    for (const [asked, { min, max }] of lives) {
      if (asked !== undefined && !(Number.isInteger(asked) && asked >= min && asked <= max)) return problem(400, 'invalid_request', 'The life of a token is out of bounds.');
    }
    if (refreshing) {
      const old = this.refresh.get(form.refresh_token);
      if (!old || old.expiresAt < Date.now() || old.clientId !== form.client_id || old.account !== account) {
        return problem(400, 'invalid_grant', 'The provided authorization grant is invalid, expired or revoked.');
      }
      this.refresh.delete(form.refresh_token);
      this.access.delete(old.accessToken);
      this.counters.refreshes++;
      return { status: 200, reply: this.issue(form, old) };
    }
    if (form.grant_type !== 'authorization_code') return problem(400, 'unsupported_grant_type', 'This grant type is not supported.');
    const code = this.takeCode(form.code);
    const verified = code?.challenge ? s256(form.code_verifier) === code.challenge : form.client_secret !== undefined;
    if (!code || code.account !== account || code.clientId !== form.client_id || code.redirectUri !== form.redirect_uri || !verified) {
      return problem(400, 'invalid_grant', 'The provided authorization grant is invalid, expired or revoked.');
    }
    this.counters.exchanges++;
    return { status: 200, reply: this.issue(form, { ...code, scopes: new Set(code.scopes) }) };
  }

  issue(form, { clientId, person, account, scopes }) {
    const life = this.expiresIn ?? form.expires_in ?? EXPIRES_IN.fallback;
    const refreshLife = form.refresh_token_expires_in ?? REFRESH_EXPIRES_IN.fallback;
    const token = random(32);
    const refreshToken = random(32);
    const grant = { clientId, person, account, scopes };
    this.access.set(token, { ...grant, refreshToken, expiresAt: Date.now() + life * 1000 });
    this.refresh.set(refreshToken, { ...grant, accessToken: token, expiresAt: Date.now() + refreshLife * 1000 });
    return {
      access_token: token, refresh_token: refreshToken, token_type: 'bearer', scope: [...scopes].join(' '),
      // As found in the field: the life is told only to those who have asked for one.
      ...(form.expires_in !== undefined && { expires_in: life }), ...(form.refresh_token_expires_in !== undefined && { refresh_token_expires_in: refreshLife }),
    };
  }

  apiCall(req, res, url, path, body, account) {
    const given = bearerToken(req);
    const token = this.liveToken(given);
    const good = token?.account === account ? token : null;
    this.record(req, res, url, body, { as: good?.person.login ?? null, account: account.subdomain });
    if (this.failedApi(res)) return;
    const wait = this.limited();
    if (wait !== null) {
      res.writeHead(429, { 'content-type': 'text/plain', 'retry-after': String(wait), 'x-rate-limit': '700', 'x-rate-limit-remaining': '0' });
      return res.end('Number of allowed API requests per minute exceeded');
    }
    if (!good) return this.unauthorized(res, path, given);
    if (path === '/oauth/tokens/current') return this.currentToken(req, res, given, good);
    const headers = { 'x-rate-limit': '700', 'x-rate-limit-remaining': '699' };
    let args = {};
    if (body.length) {
      if (!(req.headers['content-type'] ?? '').includes('application/json')) return sendJson(res, 415, { error: 'Unsupported Media Type' }, headers);
      args = parseBody(req, body);
    }
    const reply = account.call(req.method, path, url.searchParams, args, good, req.headers);
    if (reply.list) Object.assign(headers, { 'ratelimit-limit': '100', 'ratelimit-remaining': '99', 'ratelimit-reset': '42' });
    if (reply.status === 204) return res.writeHead(204, headers).end();
    sendJson(res, reply.status, reply.body, headers);
  }

  unauthorized(res, path, given) {
    this.counters.api_unauthorized++;
    if (given) return sendJson(res, 401, oauthError('invalid_token', 'The access token provided is expired, revoked, malformed or invalid for other reasons.'));
    if (path === '/users/me') return sendJson(res, 200, { user: { id: null, name: 'Anonymous user', email: 'invalid@example.com', role: 'end-user' } });
    return sendJson(res, 401, { error: "Couldn't authenticate you" });
  }

  currentToken(req, res, given, token) {
    if (req.method === 'DELETE') {
      this.counters.token_revokes++;
      this.drop(given);
      return res.writeHead(204).end();
    }
    return sendJson(res, 200, { token: { id: 1, user_id: token.person.id, scopes: [...token.scopes], expires_at: new Date(token.expiresAt).toISOString() } });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
