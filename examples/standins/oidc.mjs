// A strict authorization server (npm `oidc-provider`) with a small resource API behind it: PKCE is required, refresh
// tokens are used once, and a refresh token that is used twice ends the whole grant. Whoever refreshes twice loses.
//
//   node examples/standins/oidc.mjs --port 4002
//
//   GET  /auth                       authorize         POST /token             exchange, refresh
//   POST /token/revocation           revoke            GET  /api/me            who the token belongs to
//   GET, POST /api/echo              what was sent     GET, POST /__control    counters, faults
import crypto from 'node:crypto';
import { pathToFileURL } from 'node:url';
import Provider from 'oidc-provider';
import { bearerToken, escapeHtml, listen, parseBody, readBody, runFromCommandLine, sendHtml, sendJson } from './http.mjs';

export const CLIENT = { client_id: 'oidc-demo', client_secret: 'oidc-demo-secret' };
const CALLBACK = /^http:\/\/(127\.0\.0\.1|localhost)(:\d+)?\/oauth\/callback(\/[a-z0-9_]+)?$/;
const ownTokens = async (ctx, client, token) => token.clientId === client.clientId;
const FOREVER_S = 30 * 24 * 3600;

/** What oidc-provider stores, in memory, so that the stand-in can count and expire it. */
class Store {
  records = new Map(); // "Model id" -> payload

  adapter() {
    const { records } = this;
    return class {
      constructor(model) {
        this.model = model;
      }
      key(id) {
        return `${this.model} ${id}`;
      }
      async upsert(id, payload) {
        records.set(this.key(id), payload);
      }
      async find(id) {
        return records.get(this.key(id));
      }
      async findByUid(uid) {
        return [...records].find(([key, p]) => key.startsWith(`${this.model} `) && p.uid === uid)?.[1];
      }
      async findByUserCode() {}
      async consume(id) {
        records.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
      }
      async destroy(id) {
        records.delete(this.key(id));
      }
      async revokeByGrantId(grantId) {
        for (const [key, payload] of records) if (payload.grantId === grantId) records.delete(key);
      }
    };
  }

  of(model) {
    return [...this.records].filter(([key]) => key.startsWith(`${model} `)).map(([, payload]) => payload);
  }
}

/**
 * @param {object} options
 * @param {number} [options.port] 0 picks a free one
 * @param {number} [options.accessTtl] life of an access token in seconds
 */
export async function start({ port = 0, accessTtl = 3600 } = {}) {
  const store = new Store();
  const counters = { exchanges: 0, refreshes: 0, token_errors: 0, token_faults: 0, grants_killed: 0, revocations: 0, api_calls: 0, api_unauthorized: 0 };
  const settings = { accessTtl, delay_ms: 0, fail_token_endpoint: null, fail_token_times: undefined };
  let provider;
  let callback;

  const server = await listen(async (req, res) => {
    const url = new URL(req.url, server.url);
    if (url.pathname === '/__control') return controlRoute(req, res);
    if (url.pathname.startsWith('/api/')) return api(req, res, url);
    if (url.pathname.startsWith('/interaction/')) return interaction(req, res);
    if (url.pathname === '/token' && req.method === 'POST') {
      if (settings.delay_ms) await new Promise((resolve) => setTimeout(resolve, settings.delay_ms));
      const fault = takeTokenFault();
      if (fault === 'hang') return;
      if (fault === 'lost') {
        res.end = () => res.destroy(); // the work is done, the reply is not sent
        res.write = () => true;
      } else if (fault) return sendJson(res, Number(fault), { error: 'server_error' });
    }
    return callback(req, res);
  }, port);

  provider = new Provider(server.url, {
    adapter: store.adapter(),
    clients: [{
      ...CLIENT, redirect_uris: ['http://127.0.0.1/oauth/callback'], grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'], token_endpoint_auth_method: 'client_secret_post', application_type: 'native',
    }],
    cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
    jwks: { keys: [{ ...crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' }] },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    ttl: { AccessToken: () => settings.accessTtl, RefreshToken: FOREVER_S, Grant: FOREVER_S, Session: 3600, Interaction: 600, AuthorizationCode: 600, IdToken: 3600 },
    features: { devInteractions: { enabled: false }, revocation: { enabled: true, allowedPolicy: ownTokens }, introspection: { enabled: true, allowedPolicy: ownTokens } },
    interactions: { url: (ctx, { uid }) => `/interaction/${uid}` },
    findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  });
  provider.Client.prototype.redirectUriAllowed = (uri) => CALLBACK.test(uri);
  provider.on('grant.success', ({ oidc }) => counters[oidc.params.grant_type === 'refresh_token' ? 'refreshes' : 'exchanges']++);
  provider.on('grant.error', () => counters.token_errors++);
  provider.on('grant.revoked', (ctx) => counters[ctx.path === '/token' ? 'grants_killed' : 'revocations']++);
  callback = provider.callback();

  /** One page for login and consent. */
  async function interaction(req, res) {
    const details = await provider.interactionDetails(req, res);
    if (req.method !== 'POST') {
      return sendHtml(res, 200, `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>Authorize</title><h1>Authorize ${escapeHtml(details.params.client_id)}</h1><form method="post">
        <label>Continue as <input name="login" value="alice" required></label>
        <button name="decision" value="allow">Authorize</button> <button name="decision" value="cancel">Cancel</button></form>`);
    }
    const form = parseBody(req, await readBody(req));
    if (form.decision === 'cancel') {
      return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'The user said no.' });
    }
    const accountId = details.session?.accountId ?? form.login;
    const grant = new provider.Grant({ accountId, clientId: details.params.client_id });
    grant.addOIDCScope(details.params.scope ?? 'openid');
    return provider.interactionFinished(req, res, { login: { accountId }, consent: { grantId: await grant.save() } });
  }

  async function api(req, res, url) {
    counters.api_calls++;
    const token = await provider.AccessToken.find(bearerToken(req) ?? '-');
    if (!token || token.isExpired) {
      counters.api_unauthorized++;
      return sendJson(res, 401, { error: 'invalid_token', message: 'The access token is unknown or expired.' }, { 'www-authenticate': 'Bearer error="invalid_token"' });
    }
    if (url.pathname === '/api/me') return sendJson(res, 200, { id: token.accountId, name: token.accountId });
    if (url.pathname === '/api/echo') {
      const sent = req.method === 'POST' ? parseBody(req, await readBody(req)) : Object.fromEntries(url.searchParams);
      return sendJson(res, 200, { echo: sent, account: token.accountId });
    }
    return sendJson(res, 404, { error: 'not_found', message: 'No such path.' });
  }

  function takeTokenFault() {
    if (!settings.fail_token_endpoint) return null;
    if (settings.fail_token_times !== undefined && settings.fail_token_times-- <= 0) return (settings.fail_token_endpoint = null);
    counters.token_faults++;
    return String(settings.fail_token_endpoint);
  }

  async function controlRoute(req, res) {
    if (req.method === 'POST') control(JSON.parse((await readBody(req)).toString() || '{}'));
    sendJson(res, 200, snapshot());
  }

  /** expire_all (access tokens), access_ttl, delay_ms, fail_token_endpoint ("500" | "hang" | "lost"), fail_token_times, reset_counters. */
  function control({ expire_all, access_ttl, reset_counters, ...rest }) {
    if (expire_all) for (const token of store.of('AccessToken')) token.exp = 1;
    if (access_ttl) settings.accessTtl = access_ttl;
    if (reset_counters) for (const key of Object.keys(counters)) counters[key] = 0;
    Object.assign(settings, rest);
    return snapshot();
  }

  function snapshot() {
    const now = Date.now() / 1000;
    return {
      ...counters,
      live_access_tokens: store.of('AccessToken').filter((t) => t.exp > now).length,
      live_refresh_tokens: store.of('RefreshToken').filter((t) => t.exp > now && !t.consumed).length,
      grants: store.of('Grant').length,
    };
  }

  return { url: server.url, port: server.port, client: CLIENT, control, counters: snapshot, stop: () => server.stop() };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
