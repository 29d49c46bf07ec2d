// A stand-in for Slack: oauth.v2.access with user and bot tokens, and the Web API methods that the tools use. As the
// real one, it answers 200 with ok:false for everything but rate limits. Everything is in memory.
//
//   node examples/standins/slack.mjs --port 4002
//
// Clients (both answer at /oauth/v2/authorize and /api/oauth.v2.access):
//   demo-slack-app        / demo-slack-app-secret        tokens without an end
//   demo-slack-rotating   / demo-slack-rotating-secret   token rotation: 12 hours, refresh tokens that work once
//
// GET /__control shows counters, POST /__control changes behaviour (control() in provider.mjs).
import { pathToFileURL } from 'node:url';
import { basicCredentials, bearerToken, parseBody, runFromCommandLine, sendJson } from './http.mjs';
import { ProviderStandin, random, sameText } from './provider.mjs';
import { SlackApi } from './slack_api.mjs';

export const CLIENTS = {
  'demo-slack-app': { name: 'Demo Slack app', secret: 'demo-slack-app-secret', appId: 'A0DEMO' },
  'demo-slack-rotating': { name: 'Demo Slack app with rotation', secret: 'demo-slack-rotating-secret', appId: 'A0ROTATE', rotates: true },
};
const CODE_LIFE_MS = 10 * 60 * 1000;
const REFRESH_LIFE_MS = 365 * 86_400_000;

export async function start({ port = 0, expiresIn = 43_200, clients = CLIENTS } = {}) {
  return ProviderStandin.startAs(new SlackStandin(clients, expiresIn), port);
}

const list = (text) => (text ?? '').split(',').map((s) => s.trim()).filter(Boolean);
const fail = (error, more = {}) => ({ ok: false, error, ...more });

class SlackStandin extends ProviderStandin {
  installed = new Map(); // "client team" or "client user" -> token without rotation: a second consent widens it
  ended = new Map(); // token -> what an API call with it says
  usedCodes = new Set();

  constructor(clients, expiresIn) {
    const api = new SlackApi();
    super({ name: 'Slack', clients, people: api.people, expiresIn });
    this.api = api;
  }

  route(req, res, url, body) {
    if (url.pathname === '/oauth/v2/authorize') return this.authorize(req, res, url, body);
    if (url.pathname === '/api/oauth.v2.access') return this.tokenEndpoint(req, res, body);
    if (url.pathname.startsWith('/api/')) return this.apiCall(req, res, url, body);
    return sendJson(res, 404, fail('not_found'));
  }

  authorize(req, res, url, body) {
    const form = req.method === 'POST' ? parseBody(req, body) : null;
    const params = form ? new URLSearchParams(form) : url.searchParams;
    const checked = this.checkRedirect(params);
    const scopes = [...list(params.get('user_scope')), ...list(params.get('scope'))];
    if (!checked.problem && scopes.length === 0) Object.assign(checked, { status: 400, problem: 'No scopes were requested.' });
    // PKCE turns an app into a public client, for good: this app has it off.
    if (!checked.problem && params.has('code_challenge')) Object.assign(checked, { status: 400, problem: 'PKCE is not enabled for this app.' });
    if (checked.problem) return this.showProblem(res, checked);
    if (!form) return this.showAuthorize(req, res, params, checked.client, scopes);
    return this.decide(res, form, checked.redirectUri, {
      userScopes: list(params.get('user_scope')), botScopes: list(params.get('scope')), expiresAt: Date.now() + CODE_LIFE_MS,
    });
  }

  async tokenEndpoint(req, res, body) {
    const form = parseBody(req, body);
    const given = basicCredentials(req) ?? { id: form.client_id, secret: form.client_secret };
    const answer = () => this.tokens(form, given);
    if (await this.tokenFault(res, answer)) return;
    sendJson(res, 200, answer());
  }

  tokens(form, given) {
    const refreshing = form.grant_type === 'refresh_token';
    const problem = (error) => {
      this.counters[refreshing ? 'refresh_errors' : 'exchange_errors']++;
      return fail(error);
    };
    const client = this.clients[given.id];
    if (!client) return problem('invalid_client_id');
    if (!given.secret || !sameText(client.secret, given.secret)) return problem('bad_client_secret');
    if (refreshing) return this.refreshTokens(form, given.id, client, problem);
    if (this.usedCodes.has(form.code)) return problem('code_already_used');
    const code = this.takeCode(form.code);
    if (!code || code.clientId !== given.id) return problem('invalid_code');
    this.usedCodes.add(form.code);
    if (form.redirect_uri !== code.redirectUri) return problem('bad_redirect_uri');
    this.counters.exchanges++;
    const { person } = code;
    const team = this.api.teams.get(person.team);
    return {
      ok: true, app_id: client.appId,
      authed_user: {
        id: person.id, ...(code.userScopes.length && this.issue(given.id, client, { kind: 'user', person, team }, code.userScopes)),
      },
      ...(code.botScopes.length && { ...this.issue(given.id, client, { kind: 'bot', person: team.bot, team }, code.botScopes), bot_user_id: team.bot.id }),
      team: { id: team.id, name: team.name }, enterprise: null, is_enterprise_install: false,
    };
  }

  issue(clientId, client, { kind, person, team }, scopes) {
    const key = `${clientId} ${kind === 'bot' ? team.id : person.id}`;
    const before = this.access.get(this.installed.get(key));
    const all = new Set([...(before?.scopes ?? []), ...scopes]);
    const prefix = `${client.rotates ? 'xoxe.' : ''}${kind === 'bot' ? 'xoxb' : 'xoxp'}-`;
    const token = before && !client.rotates ? this.installed.get(key) : `${prefix}${random()}`;
    const grant = { clientId, kind, person, team, scopes: all, expiresAt: Infinity };
    this.installed.set(key, token);
    this.access.set(token, grant);
    const reply = { access_token: token, token_type: kind, scope: [...all].join(',') };
    if (!client.rotates) return reply;
    grant.expiresAt = Date.now() + this.expiresIn * 1000;
    grant.refreshToken = `xoxe-1-${random(32)}`;
    this.refresh.set(grant.refreshToken, { ...grant, accessToken: token, expiresAt: Date.now() + REFRESH_LIFE_MS });
    return { ...reply, refresh_token: grant.refreshToken, expires_in: this.expiresIn };
  }

  /** Flat, also for a user's token. */
  refreshTokens(form, clientId, client, problem) {
    if (!client.rotates) return problem('token_rotation_not_enabled');
    const old = this.refresh.get(form.refresh_token);
    if (!old || old.clientId !== clientId) return problem('invalid_refresh_token');
    this.refresh.delete(form.refresh_token);
    this.counters.refreshes++;
    const { team } = old;
    return { ok: true, app_id: client.appId, ...this.issue(clientId, client, old, old.scopes), team: { id: team.id, name: team.name }, enterprise: null };
  }

  async apiCall(req, res, url, body) {
    const method = url.pathname.slice('/api/'.length);
    const form = { ...Object.fromEntries(url.searchParams), ...parseBody(req, body) };
    const given = bearerToken(req) ?? form.token;
    const token = this.liveToken(given);
    this.record(req, res, url, body, { as: token && `${token.kind} ${token.person.login}` });
    if (this.failedApi(res)) return;
    const wait = this.limited();
    if (wait !== null) return sendJson(res, 429, fail('ratelimited'), { 'retry-after': String(wait) });
    if (!token) {
      this.counters.api_unauthorized++;
      const expired = this.access.has(given);
      return sendJson(res, 200, fail(!given ? 'not_authed' : expired ? 'token_expired' : (this.ended.get(given) ?? 'invalid_auth')));
    }
    if (method === 'auth.revoke') return sendJson(res, 200, this.revoke(given, form));
    const needed = this.api.needs(method);
    const headers = { 'x-oauth-scopes': [...token.scopes].join(','), ...(needed && { 'x-accepted-oauth-scopes': needed.join(',') }) };
    if (!needed) return sendJson(res, 200, fail('unknown_method', { req_method: method }), headers);
    if (needed.length && !needed.some((s) => token.scopes.has(s))) {
      return sendJson(res, 200, fail('missing_scope', { needed: needed.join(','), provided: [...token.scopes].join(',') }), headers);
    }
    // Methods that read do not understand JSON: its arguments are as good as absent.
    const json = (req.headers['content-type'] ?? '').includes('json');
    const args = json && !this.api.takesJson(method) ? {} : form;
    sendJson(res, 200, this.api.call(method, args, token), headers);
  }

  revoke(given, form) {
    if (form.test === '1' || form.test === 'true') return { ok: true, revoked: false };
    this.counters.token_revokes++;
    this.ended.set(given, 'token_revoked');
    this.drop(given);
    return { ok: true, revoked: true };
  }

  control(change) {
    if (change.revoke_all) for (const token of this.access.keys()) this.ended.set(token, 'token_revoked');
    return super.control(change);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
