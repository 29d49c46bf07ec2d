// MCP clients that know only a URL: discovery, registration, consent in a real browser, tokens, and who tries to cheat.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UnauthorizedError as LegacyUnauthorized } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport, UnauthorizedError as ModernUnauthorized } from '@modelcontextprotocol/client';
import { listen } from '../../examples/standins/http.mjs';
import { authorizeByHand, authorizeUrl, form, MemoryProvider, pasteKey, PlainBrowser, press, register, startCallback, token } from './support/authorize.mjs';
import { assertGoodPage, DESKTOP, launchBrowser, newVisitor, PHONE } from './support/browser.mjs';
import { legacyCall, modernCall, textOf } from './support/mcp.mjs';
import { ROOT, tempDir } from './support/server.mjs';
import { World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };
const GENERATIONS = {
  'SDK 1.x': { Client: LegacyClient, Transport: LegacyTransport, Unauthorized: LegacyUnauthorized, options: {}, finish: (t, p) => t.finishAuth(p.get('code')) },
  'SDK 2.x': {
    Client: ModernClient, Transport: ModernTransport, Unauthorized: ModernUnauthorized, options: { versionNegotiation: { mode: 'auto' } }, finish: (t, p) => t.finishAuth(p),
  },
};

describe('authorization', () => {
  let world, user, browser, callback, base;
  before(async () => {
    world = await World.start();
    base = world.url;
    user = await world.newConnectedUser();
    browser = await launchBrowser();
    callback = await startCallback();
  });
  after(async () => {
    await browser?.close();
    await callback?.stop();
    await world?.stop();
  });
  const json = async (address) => {
    const reply = await fetch(address);
    assert.equal(reply.status, 200, address);
    return reply.json();
  };
  const status = async (bearer, address = world.mcp()) => (await legacyCall(address, bearer, 'tools/list')).status;

  describe('discovery', () => {
    test('a URL leads to its metadata and on to the authorization server', async () => {
      for (const [address, where] of [[world.mcp(), '/mcp'], [world.mcp('github'), '/mcp/github']]) {
        const challenge = (await legacyCall(address, null, 'tools/list')).headers.get('www-authenticate');
        assert.doesNotMatch(challenge, /error=|offline_access/);
        assert.match(challenge, /scope="mcp mcp:write"/);
        const [, metadata] = /resource_metadata="([^"]+)"/.exec(challenge);
        assert.equal(metadata, `${base}/.well-known/oauth-protected-resource${where}`);
        const resource = await json(metadata);
        assert.equal(resource.resource, address);
        assert.deepEqual(resource.authorization_servers, [base]);
        assert.deepEqual(resource.bearer_methods_supported, ['header']);
        assert.ok(!resource.scopes_supported.includes('offline_access'));
      }
      assert.equal((await json(`${base}/.well-known/oauth-protected-resource`)).resource, world.mcp());
      for (const address of ['oauth-authorization-server', 'openid-configuration']) {
        const server = await json(`${base}/.well-known/${address}`);
        assert.equal(server.issuer, base);
        assert.deepEqual(server.code_challenge_methods_supported, ['S256']);
        assert.equal(server.authorization_response_iss_parameter_supported, true);
        assert.equal(server.client_id_metadata_document_supported, true);
      }
      const { keys } = await json(`${base}/.well-known/jwks.json`);
      assert.ok(keys.length >= 1 && keys.every((k) => k.kty === 'EC' && k.use === 'sig' && !('d' in k)), JSON.stringify(keys));
    });

    test('what is not there is a clean 404', async () => {
      for (const where of ['oauth-protected-resource/mcp/nothing', 'oauth-protected-resource/v1', 'oauth-authorization-server/mcp', 'openid-configuration/mcp'])
        assert.equal((await fetch(`${base}/.well-known/${where}`)).status, 404, where);
    });

    test('pages of other origins may read it and ask for tokens', async () => {
      const headers = { origin: 'https://inspector.example' };
      const seen = await fetch(`${base}/.well-known/oauth-protected-resource/mcp`, { headers });
      assert.equal(seen.headers.get('access-control-allow-origin'), '*');
      const asked = await fetch(`${base}/token`, { method: 'OPTIONS', headers: { ...headers, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } });
      assert.equal(asked.headers.get('access-control-allow-origin'), '*');
      assert.match(asked.headers.get('access-control-allow-headers'), /content-type/);
      const page = await fetch(`${base}/authorize`, { headers });
      assert.equal(page.headers.get('access-control-allow-origin'), null);
    });
  });

  for (const [name, sdk] of Object.entries(GENERATIONS)) {
    describe(`the official ${name}`, () => {
      const connect = async (provider, address = world.mcp()) => {
        const client = new sdk.Client({ name: 'e2e', version: '1' }, { capabilities: {}, ...sdk.options });
        const transport = new sdk.Transport(new URL(address), { authProvider: provider });
        try {
          await client.connect(transport);
          return { client };
        } catch (error) {
          assert.ok(error instanceof sdk.Unauthorized, String(error));
          return { transport };
        }
      };

      test('authorizes with a pasted key, works, refreshes, and is shut out when the user takes it back', async () => {
        const provider = new MemoryProvider(callback.url);
        const { transport } = await connect(provider);
        assert.equal(provider.opened.length, 1);
        const { page, problems, close } = await newVisitor(browser, name === 'SDK 1.x' ? DESKTOP : PHONE);
        const signIn = await page.goto(provider.opened[0].href);
        await assertGoodPage(page, signIn);
        assert.match(await page.locator('main').innerText(), /E2E Agent/);
        await pasteKey(page, user.key);
        await assertGoodPage(page, await page.reload());
        const words = await page.locator('main').innerText();
        for (const word of [/E2E Agent/, /a program on this computer/, /GitHub/, /28 tools/, /Only read/]) assert.match(words, word);
        const [params] = await Promise.all([callback.next(), press(page, 'Allow')]);
        assert.equal(params.get('state'), provider.lastState);
        assert.equal(params.get('iss'), base);
        await page.getByRole('heading', { name: 'Done' }).waitFor();
        assert.deepEqual(problems, []);
        await close();
        await sdk.finish(transport, params);
        const { client } = await connect(provider);
        assert.equal((await client.listTools()).tools.filter((t) => t.name.startsWith('github_')).length, 28);
        const made = await client.callTool({ name: 'github_create_issue', arguments: { ...AT, title: `From ${name}`, body: 'x' } });
        assert.ok(!made.isError, textOf(made));

        const before = provider.saved;
        provider.saved = { ...before, access_token: `${before.access_token.slice(0, -6)}AAAAAA` }; // as if it had expired
        const me = { name: 'github_get_me', arguments: {} };
        assert.ok(!(await client.callTool(me)).isError, 'the client refreshes by itself');
        assert.notEqual(provider.saved.refresh_token, before.refresh_token);
        assert.equal(provider.opened.length, 1, 'without asking its user again');

        const { body } = await user.api.get('/v1/me/authorizations');
        const [mine] = body.data;
        assert.equal(mine.client.name, 'E2E Agent');
        assert.equal(mine.client.redirect_host, '127.0.0.1');
        assert.deepEqual(mine.tools['*'], { mode: 'all' });
        assert.equal((await user.api.delete(`/v1/me/authorizations/${mine.id}`)).status, 204);
        assert.equal(await status(provider.saved.access_token), 401);
        await assert.rejects(client.callTool(me));
        assert.equal(provider.opened.length, 2, 'it must ask its user again');
        await client.close();
      });
    });
  }

  test('a one-time link of the platform signs its user in', async () => {
    const stranger = await world.newUser();
    const link = await world.platform.api.must(201, 'POST', `${stranger.path}/sign-in-links`);
    assert.equal((await fetch(link.url)).status, 200, 'a preview does not use it up');
    const { page, problems, close } = await newVisitor(browser);
    await assertGoodPage(page, await page.goto(link.url));
    const [done] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST'), press(page, 'Sign in')]);
    await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
    await assertGoodPage(page, done);
    const provider = new MemoryProvider(callback.url);
    const transport = new LegacyTransport(new URL(world.mcp()), { authProvider: provider });
    await assert.rejects(new LegacyClient({ name: 'e2e', version: '1' }).connect(transport), LegacyUnauthorized);
    await page.goto(provider.opened[0].href);
    const [params] = await Promise.all([callback.next(), press(page, 'Allow')]);
    await transport.finishAuth(params.get('code'));
    assert.equal(await status(provider.saved.access_token), 200);
    const me = (await stranger.api.get('/v1/me/authorizations')).body.data;
    assert.equal(me.length, 1);
    await page.getByRole('heading', { name: 'Done' }).waitFor();
    assert.deepEqual(problems, []);
    const again = await page.goto(link.url);
    assert.equal(again.status(), 410);
    await close();
    const events = (await world.audit()).map((e) => e.event);
    for (const event of ['sign_in.link_created', 'sign_in.completed', 'authorization.granted']) assert.ok(events.includes(event), event);
  });

  test('saying no goes back to the client with access_denied', async () => {
    const client = await register(base, { redirect_uris: [callback.url] });
    const { href } = authorizeUrl(base, client);
    const { page, close } = await newVisitor(browser);
    await page.goto(href);
    await pasteKey(page, user.key);
    const [params] = await Promise.all([callback.next(), press(page, 'Do not allow')]);
    assert.deepEqual([params.get('error'), params.get('state'), params.get('iss'), params.get('code')], ['access_denied', 's-1', base, null]);
    await close();
  });

  test('a wrong key, a platform key and a key without tools are turned away on the page', async () => {
    const client = await register(base);
    const { href } = authorizeUrl(base, client);
    const narrow = await world.platform.api.must(201, 'POST', `${user.path}/api-keys`, { scopes: ['connections'] });
    for (const key of [`sk-eu_${'0'.repeat(64)}`, world.platform.key, narrow.raw_key, 'nonsense', '']) {
      const visitor = new PlainBrowser();
      await visitor.visit(href);
      const fields = visitor.fields('sign_in');
      fields.set('key', key);
      assert.equal((await visitor.submit(href, fields)).status, 401);
      assert.match(visitor.html, /not a key of an end user/);
      if (key) assert.ok(!visitor.html.includes(key), 'the key is not shown again');
    }
  });

  describe('what a token may do', () => {
    test('only what was ticked, by list and by call', async () => {
      const { tokens } = await authorizeByHand(base, user.key, {
        change: (fields) => {
          fields.delete('tool');
          for (const name of ['github_get_issue', 'github_create_issue']) fields.append('tool', name);
        },
      });
      const { result } = await legacyCall(world.mcp(), tokens.access_token, 'tools/list');
      assert.deepEqual(result.tools.map((t) => t.name).filter((n) => n.startsWith('github_')).sort(), ['github_create_issue', 'github_get_issue']);
      const refused = await legacyCall(world.mcp(), tokens.access_token, 'tools/call', { name: 'github_get_me', arguments: {} });
      assert.match(JSON.stringify(refused), /consent/);
      const own = await legacyCall(world.mcp(), user.key, 'tools/list');
      assert.ok(own.result.tools.length > 20, 'the key itself is as it was');
    });

    test('nothing with an app that was left out', async () => {
      const { tokens } = await authorizeByHand(base, user.key, { change: (fields) => fields.delete('app') });
      const { result } = await legacyCall(world.mcp(), tokens.access_token, 'tools/list');
      assert.deepEqual(result.tools.filter((t) => t.name.startsWith('github_')), []);
    });

    test('the rules of the key that was pasted bind it, too', async () => {
      const other = await world.newConnectedUser();
      await world.platform.api.must(200, 'PUT', `${other.path}/grants`, { grants: [{ app: 'github', key_id: other.keyId, mode: 'list', tools: ['github_get_me'] }] });
      const { tokens } = await authorizeByHand(base, other.key);
      const { result } = await legacyCall(world.mcp(), tokens.access_token, 'tools/list');
      assert.deepEqual(result.tools.map((t) => t.name).filter((n) => n.startsWith('github_')), ['github_get_me']);
      assert.equal((await world.platform.api.delete(`${other.path}/api-keys/${other.keyId}`)).status, 204);
      assert.equal(await status(tokens.access_token), 401, 'and it ends with the key');
    });

    test('reading only: a call that changes something asks for all scopes in one challenge', async () => {
      const { tokens } = await authorizeByHand(base, user.key, { change: (fields) => fields.set('level', 'read') });
      assert.equal(tokens.scope, 'mcp');
      const write = { name: 'github_create_issue', arguments: { ...AT, title: 'no', body: 'no' } };
      for (const call of [legacyCall, modernCall]) {
        const reply = await call(world.mcp(), tokens.access_token, 'tools/call', write);
        assert.equal(reply.status, 403);
        const challenge = reply.headers.get('www-authenticate');
        assert.match(challenge, /error="insufficient_scope"/);
        assert.match(challenge, /scope="mcp mcp:write"/);
        assert.match(challenge, /resource_metadata="/);
        assert.match(reply.error.message, /authorize again/);
        const read = await call(world.mcp(), tokens.access_token, 'tools/call', { name: 'github_get_me', arguments: {} });
        assert.equal(read.status, 200, JSON.stringify(read));
        assert.ok(!read.result.isError);
      }
      const batch = await fetch(world.mcp(), {
        method: 'POST', headers: { authorization: `Bearer ${tokens.access_token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify([{ jsonrpc: '2.0', id: 1, method: 'ping' }, { jsonrpc: '2.0', id: 2, method: 'tools/call', params: write }]),
      });
      assert.equal(batch.status, 403);
    });

    test('only at the address that it was made for', async () => {
      const all = (await authorizeByHand(base, user.key)).tokens.access_token;
      const one = (await authorizeByHand(base, user.key, { params: { resource: world.mcp('github') } })).tokens.access_token;
      assert.equal(await status(all), 200);
      assert.equal(await status(one, world.mcp('github')), 200);
      for (const [bearer, address] of [[all, world.mcp('github')], [one, world.mcp()]]) {
        const reply = await legacyCall(address, bearer, 'tools/list');
        assert.equal(reply.status, 401);
        assert.match(reply.headers.get('www-authenticate'), /error="invalid_token".*resource_metadata="/);
      }
      for (const where of ['/v1/me', '/v1/me/authorizations', '/v1/me/connections', '/v1/chat/completions', `${world.platform.path}/end-users`])
        assert.equal((await fetch(base + where, { method: where.includes('chat') ? 'POST' : 'GET', headers: { authorization: `Bearer ${all}` } })).status, 401, where);
      assert.ok([400, 401].includes((await fetch(`${world.mcp()}?access_token=${all}`, { method: 'POST', body: '{}' })).status));
    });
  });

  describe('attacks', () => {
    test('a code that is used twice ends its tokens', async () => {
      const { exchange, tokens } = await authorizeByHand(base, user.key);
      assert.equal(await status(tokens.access_token), 200);
      const replay = await token(base, exchange);
      assert.deepEqual([replay.status, replay.body.error], [400, 'invalid_grant']);
      assert.equal(await status(tokens.access_token), 401);
      const refresh = await token(base, { grant_type: 'refresh_token', refresh_token: tokens.refresh_token, client_id: exchange.client_id });
      assert.equal(refresh.body.error, 'invalid_grant');
    });

    test('a stolen code is worth nothing without its verifier, its client and its redirect URI', async () => {
      const client = await register(base);
      const { href, verifier } = authorizeUrl(base, client);
      const visitor = new PlainBrowser();
      await visitor.signIn(href, user.key);
      const code = (await visitor.decide(href)).searchParams.get('code');
      const good = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: client.redirect_uris[0], client_id: client.client_id };
      const other = await register(base);
      for (const [wrong, error] of [
        [{ code_verifier: 'x'.repeat(43) }, 'invalid_grant'], [{ code_verifier: '' }, 'invalid_grant'], [{ redirect_uri: 'http://127.0.0.1:7/other' }, 'invalid_grant'],
        [{ client_id: other.client_id }, 'invalid_grant'], [{ client_id: 'mcp_unknown' }, 'invalid_client'], [{ resource: 'https://evil.example/mcp' }, 'invalid_target'],
        [{ resource: world.mcp('github') }, 'invalid_target'], [{ grant_type: 'password' }, 'unsupported_grant_type'],
      ]) {
        const reply = await token(base, { ...good, ...wrong });
        assert.equal(reply.body.error, error, JSON.stringify(wrong));
        assert.equal(reply.status, error === 'invalid_client' ? 401 : 400);
        assert.equal(reply.headers.get('cache-control'), 'no-store');
      }
      assert.equal((await token(base, good)).status, 200, 'and none of it used the code up');
    });

    test('nobody is sent to an address that was not registered', async () => {
      const client = await register(base);
      for (const redirect_uri of ['https://evil.example/cb', 'http://127.0.0.1:7/cb/../x', 'javascript:alert(1)', 'http://127.0.0.1.evil.example:7/cb', '//evil.example']) {
        const reply = await fetch(authorizeUrl(base, client, { redirect_uri }).href, { redirect: 'manual' });
        assert.equal(reply.status, 400, redirect_uri);
        assert.equal(reply.headers.get('location'), null);
        assert.doesNotMatch(await reply.text(), /evil\.example|javascript:/);
      }
      const unknown = await fetch(authorizeUrl(base, { ...client, client_id: 'mcp_unknown' }).href, { redirect: 'manual' });
      assert.deepEqual([unknown.status, unknown.headers.get('location')], [400, null]);
      const floating = await fetch(authorizeUrl(base, client, { redirect_uri: 'http://127.0.0.1:50123/cb' }).href, { redirect: 'manual' });
      assert.equal(floating.status, 200, 'the port of a loopback address may be another one (RFC 8252)');
    });

    test('nobody whom we do not know is sent to a client by an address of ours', async () => {
      const client = await register(base, { redirect_uris: ['https://evil.example/cb'], client_name: 'Your bank' });
      const { href } = authorizeUrl(base, client, { scope: 'admin' });
      const { page, close } = await newVisitor(browser);
      const reply = await page.goto(href);
      assert.equal(reply.status(), 400);
      await assertGoodPage(page, reply);
      assert.equal(new URL(page.url()).host, new URL(base).host);
      assert.match(await page.locator('main').innerText(), /evil\.example/);
      const back = new URL(await page.getByRole('link', { name: 'go back to the application' }).getAttribute('href'));
      assert.deepEqual([back.host, back.searchParams.get('error'), back.searchParams.get('state'), back.searchParams.get('iss')], ['evil.example', 'invalid_scope', 's-1', base]);
      await close();
    });

    test('faults go back to the client with state and issuer once its user has signed in', async () => {
      const client = await register(base);
      const visitor = new PlainBrowser();
      await visitor.signIn(authorizeUrl(base, client).href, user.key);
      for (const [wrong, error] of [
        [{ code_challenge: undefined }, 'invalid_request'], [{ code_challenge_method: 'plain' }, 'invalid_request'], [{ response_type: 'token' }, 'unsupported_response_type'],
        [{ resource: 'https://evil.example/mcp' }, 'invalid_target'], [{ scope: 'admin' }, 'invalid_scope'],
      ]) {
        const reply = await visitor.visit(authorizeUrl(base, client, wrong).href);
        assert.equal(reply.status, 302, JSON.stringify(wrong));
        const to = new URL(reply.headers.get('location'));
        assert.equal(`${to.origin}${to.pathname}`, client.redirect_uris[0]);
        assert.deepEqual([to.searchParams.get('error'), to.searchParams.get('state'), to.searchParams.get('iss')], [error, 's-1', base]);
      }
    });

    test('a consent form works in its own browser, for its own request, from our own page, once', async () => {
      const client = await register(base);
      const { href } = authorizeUrl(base, client);
      const visitor = new PlainBrowser();
      const page = await visitor.signIn(href, user.key);
      assert.equal(page.headers.get('x-frame-options'), 'DENY');
      assert.match(page.headers.get('content-security-policy'), /frame-ancestors 'none'/);
      assert.match(page.headers.get('cache-control'), /no-store/);
      const fields = visitor.fields('allow');
      const cookie = visitor.cookie;
      const refused = async (address, body, headers) => {
        const reply = await fetch(address, { method: 'POST', body, redirect: 'manual', headers: { origin: base, cookie, ...headers } });
        assert.equal(reply.status, 400, await reply.text());
      };
      await refused(href, fields, { origin: 'https://evil.example' });
      await refused(href, fields, { origin: 'null', 'sec-fetch-site': 'cross-site' });
      await refused(href, fields, { cookie: '' });
      await refused(href, fields, { cookie: cookie.replace(/=.*/, `=${'A'.repeat(43)}`) });
      await refused(href, form({ decision: 'allow' }));
      await refused(authorizeUrl(base, client, { scope: 'mcp' }).href, fields);
      const second = await world.newUser();
      const attacker = new PlainBrowser();
      await attacker.signIn(href, second.key);
      await refused(href, attacker.fields('allow')); // a form of the attacker's session in the victim's browser
      assert.ok(await visitor.decide(href));
      await refused(href, fields);
    });

    test('an answer of ours names its issuer, so that a client cannot be led to mix servers up', async () => {
      const provider = new MemoryProvider(callback.url);
      const transport = new ModernTransport(new URL(world.mcp()), { authProvider: provider });
      await assert.rejects(new ModernClient({ name: 'e2e', version: '1' }).connect(transport));
      const visitor = new PlainBrowser();
      await visitor.signIn(provider.opened[0].href, user.key);
      const params = (await visitor.decide(provider.opened[0].href)).searchParams;
      const mixed = new URLSearchParams(params);
      mixed.set('iss', 'https://evil.example');
      await assert.rejects(transport.finishAuth(mixed), /iss/i);
      await transport.finishAuth(params);
      assert.ok(provider.saved.access_token);
    });

    test('secrets of confidential clients are checked, in the header and in the body', async () => {
      for (const method of ['client_secret_basic', 'client_secret_post']) {
        const client = await register(base, { token_endpoint_auth_method: method });
        assert.ok(client.client_secret);
        const { href, verifier } = authorizeUrl(base, client);
        const visitor = new PlainBrowser();
        await visitor.signIn(href, user.key);
        const fields = { grant_type: 'authorization_code', code: (await visitor.decide(href)).searchParams.get('code'), code_verifier: verifier };
        const basic = (secret) => ({ authorization: `Basic ${Buffer.from(`${client.client_id}:${secret}`).toString('base64')}` });
        const none = await token(base, { ...fields, client_id: client.client_id });
        assert.deepEqual([none.status, none.body.error], [401, 'invalid_client']);
        const wrong = await token(base, fields, basic('wrong'));
        assert.equal(wrong.status, 401);
        assert.match(wrong.headers.get('www-authenticate'), /^Basic/);
        const inBody = { ...fields, client_id: client.client_id, client_secret: client.client_secret };
        const good = await (method === 'client_secret_basic' ? token(base, fields, basic(client.client_secret)) : token(base, inBody));
        assert.equal(good.status, 200, JSON.stringify(good.body));
      }
    });

    test('revocation ends the authorization and says nothing about strange tokens', async () => {
      const { client, tokens } = await authorizeByHand(base, user.key);
      const revoke = (fields) => fetch(`${base}/revoke`, { method: 'POST', body: form(fields) });
      const other = await register(base);
      assert.equal((await revoke({ token: tokens.refresh_token, client_id: other.client_id })).status, 200);
      assert.equal((await revoke({ token: 'unknown', client_id: client.client_id })).status, 200);
      assert.equal(await status(tokens.access_token), 200);
      assert.equal((await revoke({ token: tokens.refresh_token, client_id: client.client_id })).status, 200);
      assert.equal(await status(tokens.access_token), 401);
      assert.equal((await revoke({ client_id: client.client_id })).status, 400);
    });

    test('bad registrations are refused in the protocol\'s words', async () => {
      const send = async (body, type = 'application/json') => {
        const reply = await fetch(`${base}/register`, { method: 'POST', body, headers: { 'content-type': type } });
        return [reply.status, (await reply.json()).error];
      };
      assert.deepEqual(await send('{'), [400, 'invalid_client_metadata']);
      assert.deepEqual(await send('{}', 'text/plain'), [400, 'invalid_client_metadata']);
      assert.deepEqual(await send('{}'), [400, 'invalid_redirect_uri']);
      assert.deepEqual(await send('{"redirect_uris":["http://evil.example/"]}'), [400, 'invalid_redirect_uri']);
      assert.deepEqual(await send(JSON.stringify({ redirect_uris: ['https://a.example/'], client_name: 'x'.repeat(20000) })), [400, 'invalid_client_metadata']);
    });

    test('names of clients are shown as text and nothing else', async () => {
      const client = await register(base, { client_name: '<script>alert(1)</script>\u202e<img src=x>' });
      const { page, close } = await newVisitor(browser);
      await page.goto(authorizeUrl(base, client).href);
      assert.equal(await page.locator('main script, main img').count(), 0);
      assert.match(await page.locator('main').innerText(), /<script>alert\(1\)<\/script>/);
      assert.ok(!(await page.content()).includes('\u202e'));
      await close();
    });
  });

  describe('client ID metadata documents', () => {
    let site, body;
    before(async () => {
      site = await listen((req, res) => {
        if (req.url === '/moved.json') return res.writeHead(302, { location: '/client.json' }).end();
        const document = { client_id: `${site.url}${req.url}`, client_name: 'From a document', redirect_uris: [callback.url], grant_types: ['authorization_code', 'refresh_token'] };
        res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...document, ...body }));
      });
    });
    after(() => site?.stop());

    test('the official SDK 2.x uses one instead of a registration', async () => {
      const provider = new MemoryProvider(callback.url, { clientMetadataUrl: `${site.url}/client.json` });
      // The SDK takes https addresses only; what it would do is written down here for the address of the test.
      provider.information = { client_id: provider.clientMetadataUrl, issuer: base };
      const transport = new ModernTransport(new URL(world.mcp()), { authProvider: provider });
      await assert.rejects(new ModernClient({ name: 'e2e', version: '1' }).connect(transport), ModernUnauthorized);
      const { page, close } = await newVisitor(browser);
      await page.goto(provider.opened[0].href);
      const words = await page.locator('main').innerText();
      assert.match(words, /From a document/);
      assert.ok(words.includes(new URL(site.url).host), words);
      await pasteKey(page, user.key);
      const [params] = await Promise.all([callback.next(), press(page, 'Allow')]);
      await transport.finishAuth(params);
      assert.equal(await status(provider.saved.access_token), 200);
      await close();
    });

    test('one that lies, moves, or is not there is not used', async () => {
      const at = (where) => fetch(authorizeUrl(base, { client_id: where, redirect_uris: [callback.url] }).href, { redirect: 'manual' });
      body = { client_id: 'https://claude.ai/client.json' };
      assert.equal((await at(`${site.url}/liar.json`)).status, 400);
      body = {};
      assert.equal((await at(`${site.url}/moved.json`)).status, 400);
      assert.equal((await at('http://10.0.0.1/client.json')).status, 400);
      assert.equal((await at('https://169.254.169.254/latest/meta-data')).status, 400);
      assert.equal((await at(`${site.url}/good.json`)).status, 200);
    });
  });

  test('the conformance suite of authorization servers passes without a warning', async () => {
    const port = 3999;
    const client = await register(base, { redirect_uris: [`http://127.0.0.1:${port}/callback`] });
    const results = tempDir('conformance');
    const suite = path.join(ROOT, 'tests/js/node_modules/@modelcontextprotocol/conformance/dist/index.js');
    const args = ['authorization', '--url', base, '--client-id', client.client_id, '--resource', world.mcp(), '-p', String(port), '-o', results];
    const child = spawn(process.execPath, [suite, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let followed = false;
    const follow = async (href) => {
      const visitor = new PlainBrowser();
      await visitor.signIn(href, user.key);
      await fetch(await visitor.decide(href));
    };
    const steps = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
        const [href] = new RegExp(`${base}/authorize\\?\\S+`).exec(output) ?? [];
        if (href && !followed && /\s$/.test(output)) {
          followed = true;
          steps.push(follow(href));
        }
      });
    }
    const code = await new Promise((resolve) => child.once('close', resolve));
    await Promise.all(steps);
    assert.ok(followed, output);
    const checks = fs.readdirSync(results, { recursive: true }).filter((f) => path.basename(f) === 'checks.json').flatMap((f) => JSON.parse(fs.readFileSync(path.join(results, f), 'utf8')));
    assert.ok(checks.length > 0, output);
    assert.deepEqual(checks.filter((c) => !['SUCCESS', 'INFO'].includes(c.status)).map((c) => `${c.status} ${c.id}: ${c.errorMessage ?? c.description}`), []);
    assert.equal(code, 0, output);
  });

  test('a flood of registrations from one address is stopped', async () => {
    let last;
    for (let i = 0; i < 70 && last?.status !== 429; i++) {
      last = await fetch(`${base}/register`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ redirect_uris: ['https://a.example/cb'] }) });
    }
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get('retry-after')) > 0);
    assert.equal((await last.json()).error, 'temporarily_unavailable');
  });
});
