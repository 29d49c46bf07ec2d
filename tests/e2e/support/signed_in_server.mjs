// An MCP server whose users sign in at an authorization server of its own, which checks its clients strictly.
import crypto from 'node:crypto';
import { basicCredentials, bearerToken, listen, parseBody, readBody, redirect, sendHtml, sendJson } from '../../../examples/standins/http.mjs';

const random = () => crypto.randomBytes(18).toString('base64url');
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const READ = { annotations: { readOnlyHint: true }, inputSchema: { type: 'object' } };

export class SignedInServer {
  clients = new Map(); // client_id -> {secret?, redirect_uris, registration}
  codes = new Map();
  tokens = new Map(); // access token -> {login, client, scope, expires, alive}
  refreshes = new Map(); // refresh token -> grant
  seen = []; // {method, token, login} of what came with a good token
  counts = { exchanges: 0, refreshes: 0, revocations: 0, registrations: 0 };
  lifetime = 3600;
  scope = 'wiki.read';
  documents = false; // client ID metadata documents
  change = { resource: (metadata) => metadata, server: (metadata) => metadata }; // of the two documents
  replies = new Map(); // path -> (res) => void, instead of ours

  static async start() {
    const self = new SignedInServer();
    self.server = await listen((req, res) => self.handle(req, res));
    return self;
  }
  get origin() { return this.server.url; }
  get url() { return `${this.origin}/mcp`; }
  get issuer() { return `${this.origin}/as`; }
  stop() { return this.server.stop(); }

  /** What the server takes from its users at a stroke. */
  kill({ access = true, refresh = false }) {
    if (access) for (const token of this.tokens.values()) token.alive = false;
    if (refresh) this.refreshes.clear();
  }

  async handle(req, res) {
    const url = new URL(req.url, this.origin);
    const body = parseBody(req, await readBody(req));
    const scripted = this.replies.get(url.pathname);
    if (scripted) return scripted(res);
    const resource = `${this.origin}/.well-known/oauth-protected-resource/mcp`;
    switch (url.pathname) {
      case '/mcp': return this.mcp(req, res, body, resource);
      case '/.well-known/oauth-protected-resource/mcp':
        return sendJson(res, 200, this.change.resource({ resource: this.url, authorization_servers: [this.issuer], scopes_supported: ['wiki.read', 'wiki.write'] }));
      case '/.well-known/oauth-authorization-server/as':
        return sendJson(res, 200, this.change.server({
          issuer: this.issuer, authorization_endpoint: `${this.issuer}/authorize?from=metadata`, token_endpoint: `${this.issuer}/token`,
          registration_endpoint: `${this.issuer}/register`, revocation_endpoint: `${this.issuer}/revoke`, code_challenge_methods_supported: ['S256'],
          token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'], authorization_response_iss_parameter_supported: true,
          client_id_metadata_document_supported: this.documents,
        }));
      case '/as/register': return this.register(res, body);
      case '/as/authorize': return req.method === 'POST' ? this.decide(res, body) : this.ask(res, Object.fromEntries(url.searchParams));
      case '/as/token': return this.token(req, res, body);
      case '/as/revoke': return this.revoke(req, res, body);
      default: return sendJson(res, 404, { error: 'not_found' });
    }
  }

  register(res, body) {
    this.counts.registrations += 1;
    const client = { secret: random(), redirect_uris: body.redirect_uris, registration: body };
    const client_id = `client-${random()}`;
    this.clients.set(client_id, client);
    sendJson(res, 201, { ...body, client_id, client_secret: client.secret, client_secret_expires_at: 0 });
  }

  async ask(res, query) {
    if (this.documents && /^https?:/.test(query.client_id) && !this.clients.has(query.client_id)) {
      const document = await (await fetch(query.client_id)).json();
      if (document.client_id === query.client_id) this.clients.set(query.client_id, { redirect_uris: document.redirect_uris });
    }
    const client = this.clients.get(query.client_id);
    if (!client?.redirect_uris.includes(query.redirect_uri)) return sendHtml(res, 400, 'unknown client or redirect');
    const good = query.response_type === 'code' && query.code_challenge_method === 'S256' && query.code_challenge && query.resource === this.url && query.from === 'metadata';
    if (!good) return sendHtml(res, 400, `bad request: ${escaped(JSON.stringify(query))}`);
    const fields = Object.entries(query).map(([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`).join('');
    return sendHtml(res, 200, `<!doctype html><title>Sign in</title><link rel="icon" href="data:,"><form method="post" action="/as/authorize">${fields}
      <label>Name <input name="login"></label><p id="scope">${escaped(query.scope ?? '')}</p><button>Authorize</button></form>`);
  }

  decide(res, body) {
    const code = random();
    this.codes.set(code, { login: body.login, client: body.client_id, redirect_uri: body.redirect_uri, challenge: body.code_challenge, scope: body.scope, resource: body.resource });
    const back = new URL(body.redirect_uri);
    for (const [name, value] of Object.entries({ code, state: body.state, iss: this.issuer })) back.searchParams.set(name, value);
    redirect(res, back.href);
  }

  client(req, body) {
    const basic = basicCredentials(req);
    const id = basic?.id ?? body.client_id;
    const client = this.clients.get(id);
    return client && (client.secret ?? undefined) === basic?.secret ? id : null;
  }

  token(req, res, body) {
    const client = this.client(req, body);
    if (!client) return sendJson(res, 401, { error: 'invalid_client' });
    if (body.resource !== this.url) return sendJson(res, 400, { error: 'invalid_target' });
    let grant;
    if (body.grant_type === 'authorization_code') {
      const code = this.codes.get(body.code);
      this.codes.delete(body.code);
      const challenge = crypto.createHash('sha256').update(body.code_verifier ?? '').digest('base64url');
      if (!code || code.client !== client || code.redirect_uri !== body.redirect_uri || code.challenge !== challenge) return sendJson(res, 400, { error: 'invalid_grant' });
      grant = code;
      this.counts.exchanges += 1;
    } else {
      grant = this.refreshes.get(body.refresh_token);
      this.refreshes.delete(body.refresh_token);
      if (!grant || grant.client !== client) return sendJson(res, 400, { error: 'invalid_grant' });
      this.counts.refreshes += 1;
    }
    const [access, refresh] = [random(), random()];
    this.tokens.set(access, { login: grant.login, client, scope: grant.scope, expires: Date.now() + this.lifetime * 1000, alive: true, refresh });
    this.refreshes.set(refresh, grant);
    return sendJson(res, 200, { access_token: access, token_type: 'Bearer', expires_in: this.lifetime, refresh_token: refresh, scope: grant.scope });
  }

  revoke(req, res, body) {
    if (!this.client(req, body)) return sendJson(res, 401, { error: 'invalid_client' });
    this.counts.revocations += 1;
    this.refreshes.delete(body.token);
    for (const [access, token] of this.tokens) if (access === body.token || token.refresh === body.token) token.alive = false;
    res.writeHead(200).end();
  }

  mcp(req, res, message, metadata) {
    const token = this.tokens.get(bearerToken(req));
    if (!token?.alive || token.expires <= Date.now()) {
      return sendJson(res, 401, { error: 'unauthorized' }, { 'www-authenticate': `Bearer realm="wiki, and more", resource_metadata="${metadata}", scope="${this.scope}"` });
    }
    this.seen.push({ method: message.method, login: token.login, authorization: req.headers.authorization });
    if (message.id === undefined) return res.writeHead(202).end();
    const result = (value) => sendJson(res, 200, { jsonrpc: '2.0', id: message.id, result: value });
    if (message.method === 'initialize') return result({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'wiki', version: '1' } });
    if (message.method === 'tools/list') return result({ tools: [{ name: 'whoami', description: 'Who calls.', ...READ }, { name: 'publish', description: 'Publishes.', ...READ }] });
    if (message.method !== 'tools/call') return sendJson(res, 200, { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'Method not found' } });
    if (message.params.name === 'publish' && !token.scope.split(' ').includes('wiki.write')) {
      return sendJson(res, 403, { error: 'insufficient_scope' }, { 'www-authenticate': `Bearer error="insufficient_scope", scope="wiki.read wiki.write", resource_metadata="${metadata}"` });
    }
    return result({ content: [{ type: 'text', text: `${message.params.name}: ${token.login}` }] });
  }
}
