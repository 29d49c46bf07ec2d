// An MCP client that knows only a URL: what it does for a token, and what its user does in a browser.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';

/** The OAuth provider that the official SDKs want, with its state in memory. `opened` holds where it sent its user. */
export class MemoryProvider {
  opened = [];
  constructor(redirectUrl, { scope, clientMetadataUrl, clientName = 'E2E Agent' } = {}) {
    this.redirectUrl = redirectUrl;
    this.clientMetadataUrl = clientMetadataUrl;
    this.clientMetadata = {
      client_name: clientName, redirect_uris: [redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
      token_endpoint_auth_method: 'none', ...(scope && { scope }),
    };
  }
  state() {
    return (this.lastState = crypto.randomBytes(16).toString('hex'));
  }
  clientInformation = () => this.information;
  saveClientInformation = (information) => (this.information = information);
  tokens = () => this.saved;
  saveTokens = (tokens) => (this.saved = tokens);
  redirectToAuthorization = (url) => this.opened.push(url);
  saveCodeVerifier = (verifier) => (this.verifier = verifier);
  codeVerifier = () => this.verifier;
  discoveryState = () => this.discovered;
  saveDiscoveryState = (state) => (this.discovered = state);
  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'tokens') this.saved = undefined;
    if (scope === 'all' || scope === 'client') this.information = undefined;
  }
}

/** A client's own callback: `next()` resolves with the parameters that the browser brings. */
export async function startCallback() {
  const waiting = [];
  const arrived = [];
  const server = http.createServer((req, res) => {
    const url = new URL(req.url, 'http://127.0.0.1');
    res.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Done</title><link rel="icon" href="data:,"><h1>Done</h1>');
    if (url.pathname !== '/callback') return;
    const next = waiting.shift();
    next ? next(url.searchParams) : arrived.push(url.searchParams);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/callback`,
    next: () => (arrived.length ? Promise.resolve(arrived.shift()) : new Promise((resolve) => waiting.push(resolve))),
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

/** On the sign-in page: paste the key. Resolves on the consent page. */
export async function pasteKey(page, key) {
  await page.getByLabel(/Your key/).fill(key);
  await Promise.all([page.waitForResponse((r) => r.request().method() === 'GET' && r.url().includes('/authorize')), page.getByRole('button', { name: 'Sign in' }).click()]);
  await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
}

export async function press(page, name) {
  await page.getByRole('button', { name, exact: true }).click();
}

// --- the same by hand ---

export const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
export const challengeOf = (verifier) => base64url(crypto.createHash('sha256').update(verifier).digest());
const unescape = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>');
export const form = (fields) => new URLSearchParams(fields);

export async function register(url, more = {}) {
  const reply = await fetch(`${url}/register`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name: 'By hand', redirect_uris: ['http://127.0.0.1:7/cb'], grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none', ...more }),
  });
  assert.equal(reply.status, 201, await reply.clone().text());
  return reply.json();
}

export function authorizeUrl(url, client, more = {}) {
  const verifier = base64url(crypto.randomBytes(32));
  const query = new URLSearchParams({
    response_type: 'code', client_id: client.client_id, redirect_uri: client.redirect_uris[0], state: 's-1', code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256', resource: `${url}/mcp`, ...more,
  });
  for (const [name, value] of Object.entries(more)) if (value === undefined) query.delete(name);
  return { href: `${url}/authorize?${query}`, verifier };
}

/** A browser without scripts: keeps cookies, reads forms. */
export class PlainBrowser {
  cookie = '';
  async visit(href, init = {}) {
    const reply = await fetch(href, { ...init, redirect: 'manual', headers: { ...(this.cookie && { cookie: this.cookie }), ...init.headers } });
    for (const line of reply.headers.getSetCookie()) this.cookie = line.split(';')[0];
    this.html = await reply.clone().text();
    return reply;
  }
  /** The page's form as fields: what a browser would send with nothing changed. */
  fields(decision) {
    const out = new URLSearchParams();
    for (const [tag] of this.html.matchAll(/<input\b[^>]*>/g)) {
      const attribute = (name) => (m => m && unescape(m[1]))(new RegExp(`\\b${name}="([^"]*)"`).exec(tag));
      const type = attribute('type');
      if (type === 'hidden' || ((type === 'checkbox' || type === 'radio') && / checked/.test(tag))) out.append(attribute('name'), attribute('value'));
    }
    if (decision) out.set('decision', decision);
    return out;
  }
  submit(href, fields, headers = {}) {
    return this.visit(href, { method: 'POST', body: fields, headers: { origin: new URL(href).origin, ...headers } });
  }
  /** Signs in with a key; ends on the consent page. */
  async signIn(href, key) {
    await this.visit(href);
    const fields = this.fields('sign_in');
    fields.set('key', key);
    const reply = await this.submit(href, fields);
    assert.equal(reply.status, 303, this.html);
    assert.equal(reply.headers.get('location'), new URL(href).pathname + new URL(href).search);
    return this.visit(href);
  }
  /** Presses a button of the consent page; gives the URL that the client gets. */
  async decide(href, decision = 'allow', change = () => {}) {
    const fields = this.fields(decision);
    change(fields);
    const reply = await this.submit(href, fields);
    assert.equal(reply.status, 200, this.html);
    const [, target] = /id="go" href="([^"]+)"/.exec(this.html) ?? [];
    assert.ok(target, this.html);
    return new URL(unescape(target));
  }
}

export async function token(url, fields, headers = {}) {
  const reply = await fetch(`${url}/token`, { method: 'POST', body: form(fields), headers });
  return { status: reply.status, headers: reply.headers, body: await reply.json() };
}

/** The whole flow by hand, with a key. */
export async function authorizeByHand(url, key, { client, params = {}, change } = {}) {
  client ??= await register(url);
  const { href, verifier } = authorizeUrl(url, client, params);
  const browser = new PlainBrowser();
  await browser.signIn(href, key);
  const back = await browser.decide(href, 'allow', change);
  const code = back.searchParams.get('code');
  const exchange = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: client.redirect_uris[0], client_id: client.client_id };
  const reply = await token(url, exchange);
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return { client, browser, back, exchange, verifier, tokens: reply.body };
}
