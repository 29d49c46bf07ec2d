// Remote MCP servers whose users sign in themselves: discovered, connected in a browser, each with a token of their own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { listen, sendHtml } from '../../examples/standins/http.mjs';
import { assertGoodPage, continueToProvider, launchBrowser, newVisitor } from './support/browser.mjs';
import { errorOf, legacyCall, textOf, toolNames } from './support/mcp.mjs';
import { BINARY, eventually } from './support/server.mjs';
import { SignedInServer } from './support/signed_in_server.mjs';
import { followConnect, RETURN_URL, World } from './support/world.mjs';

describe('sign-in at remote MCP servers', () => {
  let world, browser, wiki, product, base, ann, bob;
  before(async () => {
    world = await World.start({ apps: [] });
    browser = await launchBrowser();
    wiki = await SignedInServer.start();
    product = await listen((req, res) => sendHtml(res, 200, '<!doctype html><title>Product</title><link rel="icon" href="data:,"><h1>Back</h1>'));
    base = `${world.platform.path}/mcp/remote-servers`;
    [ann, bob] = [await world.newUser(), await world.newUser()];
  });
  after(async () => {
    await browser?.close();
    await world?.stop();
    await wiki?.stop();
    await product?.stop();
  });

  const api = (expected, method, path, body) => world.platform.api.must(expected, method, `${base}${path}`, body);
  const register = (expected, app, remote, auth = {}) => api(expected, 'POST', '', { app, title: 'Wiki', url: remote.url, auth: { kind: 'oauth', return_urls: [RETURN_URL, product.url], ...auth } });
  const call = async (who, name) => (await legacyCall(world.mcp(), who.key, 'tools/call', { name, arguments: {} })).result;
  const connect = (user, app, login) => world.connect(user, { app, login });

  test('registered by discovery, with a client of our own there', async () => {
    const server = await register(201, 'own_wiki', wiki);
    assert.deepEqual(server.oauth, { issuer: wiki.issuer, resource: wiki.url, scopes: ['wiki.read'], registration: 'dynamic' });
    assert.match(server.refresh_error, /Nobody has connected/);
    const [[id, client]] = wiki.clients;
    assert.deepEqual(client.redirect_uris, [`${world.url}/oauth/callback/own_wiki/${world.platform.id}`]);
    assert.equal(JSON.stringify(server).includes(client.secret), false);
    assert.match(id, /^client-/);
    await register(409, 'own_wiki', wiki);
    assert.equal(wiki.counts.registrations, 1, 'no second client is left behind');
  });

  test('two users connect, one of them in a browser, and each one\'s token reaches the server', async () => {
    const { page, problems } = await newVisitor(browser);
    const consent = await page.goto((await world.link(ann, { app: 'own_wiki', return_url: product.url })).url);
    await assertGoodPage(page, consent);
    await continueToProvider(page);
    await page.getByLabel('Name').fill('ann');
    await Promise.all([page.waitForURL((url) => url.origin === new URL(product.url).origin), page.getByRole('button', { name: 'Authorize' }).click()]);
    assert.equal(new URL(page.url()).searchParams.get('status'), 'connected');
    assert.deepEqual(problems, []);

    const read = await api(200, 'POST', '/own_wiki/refresh');
    assert.equal(read.refresh_error, null);
    await api(200, 'POST', '/own_wiki/approve', { all: true });
    assert.equal(textOf(await call(ann, 'own_wiki_whoami')), 'whoami: ann');

    const refused = errorOf(await call(bob, 'own_wiki_whoami'));
    assert.equal(refused.code, 'not_connected');
    const end = await followConnect(refused.connect_url, { login: 'bob' });
    assert.equal(end.searchParams.get('status'), 'connected');
    assert.equal(textOf(await call(bob, 'own_wiki_whoami')), 'whoami: bob');
    assert.equal(textOf(await call(ann, 'own_wiki_whoami')), 'whoami: ann');
    assert.ok(wiki.seen.every(({ authorization }) => !authorization.includes(ann.key) && !authorization.includes(bob.key)));
    const [connection] = await world.connections(ann);
    assert.deepEqual([connection.app, connection.status, connection.scopes], ['own_wiki', 'active', ['wiki.read']]);
  });

  test('another platform neither sees nor uses it', async () => {
    const stranger = await world.newPlatform([]);
    const theirs = await world.newUser(stranger);
    assert.deepEqual(await toolNames(world.mcp(), theirs.key), []);
    assert.equal((await legacyCall(world.mcp(), theirs.key, 'tools/call', { name: 'own_wiki_whoami', arguments: {} })).error.code, -32602);
    assert.equal((await stranger.api.send('POST', `${theirs.path}/connect-links`, { app: 'own_wiki' })).status, 404);
    // The same name there is another app, with a client and a callback of its own.
    const same = await stranger.api.must(201, 'POST', `${stranger.path}/mcp/remote-servers`, { app: 'own_wiki', title: 'Wiki', url: wiki.url, auth: { kind: 'oauth', return_urls: [RETURN_URL] } });
    assert.equal(same.tools.length, 0);
    assert.equal([...wiki.clients.values()].at(-1).redirect_uris[0], `${world.url}/oauth/callback/own_wiki/${stranger.id}`);
  });

  test('a refused token is renewed once, and a grant that is gone asks for the user', async () => {
    const before = wiki.counts.refreshes;
    wiki.kill({ access: true });
    await eventually(async () => textOf(await call(ann, 'own_wiki_whoami')) === 'whoami: ann');
    assert.equal(wiki.counts.refreshes, before + 1);
    wiki.kill({ access: true, refresh: true });
    const ended = await eventually(async () => {
      const error = errorOf(await call(ann, 'own_wiki_whoami'));
      return error?.code === 'reauth_required' && (await world.connections(ann))[0].status === 'needs_reauth' ? error : null;
    });
    assert.match(ended.connect_url, /\/connect\//);
    await followConnect(ended.connect_url, { login: 'ann' });
    assert.equal(textOf(await call(ann, 'own_wiki_whoami')), 'whoami: ann');
    assert.equal((await world.connections(ann)).length, 1, 'the same connection was repaired');
  });

  test('a server that wants more leads to a consent that asks for it', async () => {
    const more = errorOf(await call(ann, 'own_wiki_publish'));
    assert.equal(more.code, 'scope_missing');
    assert.deepEqual(more.missing_scopes, ['wiki.read', 'wiki.write']);
    await followConnect(more.connect_url, { login: 'ann' });
    assert.equal(textOf(await call(ann, 'own_wiki_publish')), 'publish: ann');
    assert.deepEqual((await world.connections(ann))[0].scopes, ['wiki.read', 'wiki.write']);
  });

  test('disconnecting revokes at the authorization server', async () => {
    const before = wiki.counts.revocations;
    const [connection] = await world.connections(ann);
    const reply = await ann.api.send('DELETE', `/v1/me/connections/${connection.id}`);
    assert.ok(reply.status < 300, JSON.stringify(reply.body));
    await eventually(() => wiki.counts.revocations === before + 1);
    assert.equal(errorOf(await call(ann, 'own_wiki_whoami')).code, 'not_connected');
  });

  test('the incident command covers them', async () => {
    await connect(ann, 'own_wiki', 'ann');
    assert.ok([...wiki.tokens.values()].some((token) => token.alive));
    const { status, stdout } = await new Promise((resolve) => {
      const child = spawn(BINARY, ['admin', 'revoke', '--app', 'own_wiki', '--platform', world.platform.id],
        { env: { PATH: process.env.PATH, HOME: process.env.HOME, ASSISTIV_DATA_DIR: world.dataDir, ...world.env } });
      let text = '';
      child.stdout.on('data', (data) => (text += data));
      child.stderr.on('data', (data) => (text += data));
      child.on('close', (code) => resolve({ status: code, stdout: text }));
    });
    assert.match(stdout, /ended here: 2 connections/);
    assert.equal(status, 0, stdout);
    assert.ok([...wiki.tokens.values()].every((token) => !token.alive), 'also those that were replaced before');
    assert.equal((await world.connections(ann))[0].status, 'revoked');
  });

  test('a client ID metadata document where the authorization server takes one, and a client of the platform', async () => {
    wiki.documents = true;
    const server = await register(201, 'own_docs', wiki);
    assert.equal(server.oauth.registration, 'document');
    await connect(bob, 'own_docs', 'bob');
    assert.ok(wiki.clients.has(`${world.url}/oauth/clients/own_docs/${world.platform.id}`));
    wiki.clients.set('theirs', { secret: 'of-the-platform', redirect_uris: [`${world.url}/oauth/callback/own_given/${world.platform.id}`] });
    const given = await register(201, 'own_given', wiki, { client_id: 'theirs', client_secret: 'of-the-platform' });
    assert.equal(given.oauth.registration, 'given');
    await connect(bob, 'own_given', 'bob');
    wiki.documents = false;
  });

  describe('hostile or careless metadata is refused, and says why', () => {
    let bad;
    before(async () => {
      bad = await SignedInServer.start();
    });
    after(() => bad.stop());
    const cases = {
      'another issuer': [{ server: (m) => ({ ...m, issuer: 'https://evil.example.com' }) }, /names another issuer/],
      'another resource': [{ resource: (m) => ({ ...m, resource: 'https://mcp.example.com/mcp' }) }, /about another resource/],
      'no authorization server': [{ resource: (m) => ({ ...m, authorization_servers: [] }) }, /names no authorization server/],
      'a metadata address': [{ resource: (m) => ({ ...m, authorization_servers: ['http://169.254.169.254/latest'] }) }, /169\.254\.169\.254/],
      'plain http elsewhere': [{ server: (m) => ({ ...m, token_endpoint: 'http://169.254.169.254/token' }) }, /token_endpoint .*169\.254/],
      'a scheme that is no web address': [{ server: (m) => ({ ...m, authorization_endpoint: 'javascript:alert(1)' }) }, /authorization_endpoint/],
      'no PKCE': [{ server: (m) => ({ ...m, code_challenge_methods_supported: ['plain'] }) }, /PKCE/],
      'a giant document': [{ server: (m) => ({ ...m, padding: 'x'.repeat(1_000_000) }) }, /too large/],
    };
    for (const [name, [change, words]] of Object.entries(cases)) {
      test(name, async () => {
        bad.change = { resource: (m) => m, server: (m) => m, ...change };
        const reply = await world.platform.api.send('POST', base, { app: 'own_bad', title: 'Bad', url: bad.url, auth: { kind: 'oauth' } });
        assert.equal(reply.status, 400);
        assert.match(reply.body.error.message, words);
        assert.equal(bad.counts.registrations, 0);
        assert.equal((await world.platform.api.get(`${base}/own_bad`)).status, 404, 'nothing is kept');
      });
    }

    test('HTML instead of JSON, a redirect, and a refused registration', async () => {
      bad.change = { resource: (m) => m, server: (m) => m };
      const attempt = async (path, reply) => {
        bad.replies.set(path, reply);
        const { status, body } = await world.platform.api.send('POST', base, { app: 'own_bad', title: 'Bad', url: bad.url, auth: { kind: 'oauth' } });
        bad.replies.delete(path);
        assert.equal(status, 400);
        return body.error.message;
      };
      const metadata = '/.well-known/oauth-protected-resource/mcp';
      assert.match(await attempt(metadata, (res) => res.writeHead(200, { 'content-type': 'text/html' }).end('<p>hi')), /no JSON object/);
      assert.match(await attempt(metadata, (res) => res.writeHead(302, { location: wiki.url }).end()), /no protected resource metadata/);
      assert.match(await attempt('/as/register', (res) => res.writeHead(403).end('{}')), /status 403/);
    });
  });
});
