// Apps that platforms bring themselves: submitted, approved by the operator, connected in a browser, used through the MCP
// SDK, and of nobody else.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { listen, sendHtml } from '../../examples/standins/http.mjs';
import { assertError } from './support/api.mjs';
import { assertGoodPage, continueToProvider, decideAtProvider, launchBrowser, newVisitor } from './support/browser.mjs';
import { connectModernClient, legacyCall, textOf, toolNames, useTool } from './support/mcp.mjs';
import { eventually } from './support/server.mjs';
import { SECRETS, World } from './support/world.mjs';

const hints = { readOnly: true, destructive: false, idempotent: true, openWorld: true };

/** An app whose API is the GitHub stand-in, as a platform would describe its own product. */
function manifest(at, { id = 'own_hub', title = 'Acme Hub', version = '1', change = () => {} } = {}) {
  const out = {
    manifest: 1, id, title, version, description: 'The code host of Acme, for its own people.', hosts: [new URL(at).host],
    oauth: {
      client: { auth: 'body' }, pkce: 'S256', scope: { param: 'scope', response_separator: ',', default: ['read:user'], titles: { 'read:user': 'Read your profile at Acme' } },
      authorize: { url: `${at}/login/oauth/authorize` },
      token: { url: `${at}/login/oauth/access_token`, encoding: 'form', headers: { Accept: 'application/json' } },
      refresh: { mode: 'none' }, slots: { main: { access: '/access_token', scope: '/scope' } }, ok: { status: [200], absent: ['/error'] },
      revoke: {
        token: {
          method: 'DELETE', url: `${at}/applications/{client_id}/token`, auth: 'client_basic', encoding: 'json',
          body: { access_token: '{access_token}' }, ok_status: [204],
        },
      },
      identity: { request: { method: 'GET', path: '/user' }, id: '/id', label: '/login' },
    },
    api: { base: at, auth_header: 'Bearer {token}', error: { message: '/message' } },
    tools: [{
      name: `${id}_get_me`, title: 'Who am I', description: 'The account at Acme that was connected.', group: 'account', risk: 'read', hints,
      input: { type: 'object', additionalProperties: false, properties: {} },
      request: { method: 'GET', path: '/user' }, result: { item: '', shape: { login: 'string', id: 'integer' } },
    }],
  };
  change(out);
  return out;
}

describe('A platform\'s own app', () => {
  let world, platform, other, user, product;
  const apps = (of = platform) => `${of.path}/mcp/apps`;
  const submit = (document, of = platform) => of.api.must(201, 'POST', apps(of), { manifest: document });
  const approve = (id) => world.admin.must(200, 'POST', `/v1/admin/manifests/${id}/approve`);
  const activate = (of, app) => {
    const [client_id, client_secret] = SECRETS.github_oauth;
    return of.api.must(201, 'POST', apps(of), { app, client_id, client_secret, return_urls: [`${product.url}/done`] });
  };
  const catalogue = async (of) => (await of.api.get('/v1/mcp/catalog')).body.data.map((app) => app.app);

  before(async () => {
    product = await listen((req, res) => sendHtml(res, 200, '<!doctype html><title>Product</title><link rel="icon" href="data:,"><h1>Back</h1>'));
    world = await World.start({ apps: [] });
    platform = world.platform;
    other = await world.newPlatform([]);
  });
  after(async () => {
    await product?.stop();
    await world?.stop();
  });

  test('waits for the operator, who reads it and approves', async () => {
    const pending = await submit(manifest(world.github.url));
    assert.equal(pending.status, 'pending');
    assert.ok(!(await catalogue(platform)).includes('own_hub'));
    assertError(await platform.api.send('POST', apps(), { app: 'own_hub', client_id: 'a', client_secret: 'b', return_urls: [] }), 404, 'not_found');
    const { body } = await world.admin.get('/v1/admin/manifests?status=pending');
    assert.deepEqual(body.data.map((m) => [m.platform_id, m.app, m.number]), [[platform.id, 'own_hub', 1]]);
    const read = await world.admin.must(200, 'GET', `/v1/admin/manifests/${pending.id}`);
    assert.equal(read.manifest.tools[0].name, 'own_hub_get_me');
    assert.equal((await approve(pending.id)).status, 'serving');
    assert.ok((await catalogue(platform)).includes('own_hub'));
    assertError(await world.admin.send('POST', `/v1/admin/manifests/${pending.id}/refuse`, { reason: 'too late' }), 409, 'conflict');
  });

  test('is connected in a browser and used through the MCP SDK', async () => {
    const app = await activate(platform, 'own_hub');
    assert.ok(app.callback_url.endsWith(`/oauth/callback/own_hub/${platform.id}`), app.callback_url);
    user = await world.newUser(platform);
    const browser = await launchBrowser();
    try {
      const { page, problems } = await newVisitor(browser);
      const consent = await page.goto((await platform.api.must(201, 'POST', `${user.path}/connect-links`, { app: 'own_hub' })).url);
      await assertGoodPage(page, consent);
      assert.match(await page.locator('body').innerText(), /Acme Hub[\s\S]*Read your profile at Acme/);
      await continueToProvider(page);
      await decideAtProvider(page);
      assert.equal(new URL(page.url()).searchParams.get('status'), 'connected');
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
    const client = await connectModernClient(world.mcp('own_hub'), user.key);
    try {
      assert.deepEqual((await client.listTools()).tools.map((t) => t.name), ['own_hub_get_me']);
      const result = await client.callTool({ name: 'own_hub_get_me', arguments: {} });
      assert.equal(result.structuredContent.item.login, 'octocat');
    } finally {
      await client.close();
    }
    assert.ok((await toolNames(world.mcp(), user.key)).includes('own_hub_get_me'));
    await platform.api.must(200, 'PUT', `${platform.path}/mcp/apps/own_hub/policy`, { mode: 'none' });
    assert.deepEqual(await toolNames(world.mcp('own_hub'), user.key), []);
    await platform.api.must(200, 'PUT', `${platform.path}/mcp/apps/own_hub/policy`, { mode: 'all' });
  });

  test('does not exist for another platform, in the words of an app that never was', async () => {
    const stranger = await world.newUser(other);
    const asks = (app) => [
      other.api.send('GET', `${apps(other)}/${app}`),
      other.api.send('POST', apps(other), { app, client_id: 'a', client_secret: 'b', return_urls: [] }),
      other.api.send('GET', `${apps(other)}/${app}/policy`),
      other.api.send('PUT', `${stranger.path}/grants`, { grants: [{ app, mode: 'all' }] }),
      other.api.send('POST', `${stranger.path}/connect-links`, { app }),
      other.api.send('DELETE', `${other.path}/mcp/own-apps/${app}`),
      stranger.api.send('GET', `/oauth/authorize?app=${app}`),
      stranger.api.send('POST', `/mcp/${app}`, { jsonrpc: '2.0', id: 1, method: 'tools/list' }, { headers: { accept: 'application/json, text/event-stream' } }),
      new world.admin.constructor(world.url).send('GET', `/.well-known/oauth-protected-resource/mcp/${app}`),
    ];
    const of = async (app) => (await Promise.all(asks(app))).map(({ status, body }) =>
      JSON.stringify([status, body]).replaceAll(app, 'APP').replaceAll(/"request_id":"[^"]*"/g, ''));
    const known = await of('own_hub');
    assert.deepEqual(known, await of('own_none'));
    assert.equal(known.filter((text) => text.startsWith('[404')).length >= 6, true, known.join('\n'));
    assert.ok(!(await catalogue(other)).includes('own_hub'));
    const called = await legacyCall(world.mcp(), stranger.key, 'tools/call', { name: 'own_hub_get_me', arguments: {} });
    const never = await legacyCall(world.mcp(), stranger.key, 'tools/call', { name: 'own_none_get_me', arguments: {} });
    assert.equal(JSON.stringify(called.error ?? called.result).replaceAll('own_hub', 'own_none'), JSON.stringify(never.error ?? never.result));
    const { body } = await platform.api.get(`${platform.path}/mcp/manifests`);
    assertError(await other.api.send('GET', `${other.path}/mcp/manifests/${body.data[0].id}`), 404, 'not_found');
    assert.equal((await other.api.get(`${other.path}/mcp/manifests`)).body.total, 0);
    assertError(await platform.api.send('GET', '/v1/admin/manifests'), 403, 'forbidden');
  });

  test('serves the approved version while a changed one waits, and two platforms\' apps of one name stay apart', async () => {
    const changed = await submit(manifest(world.github.url, { title: 'Acme Hub 2', version: '2', change: (m) => { m.tools[0].title = 'Who is it'; } }));
    assert.equal(changed.number, 2);
    const titles = async () => (await legacyCall(world.mcp('own_hub'), user.key, 'tools/list')).result.tools.map((t) => t.title);
    assert.deepEqual(await titles(), ['Who am I']);
    const theirs = await submit(manifest(world.github.url, { title: 'Hub of others' }), other);
    await approve(theirs.id);
    assert.equal((await activate(other, 'own_hub')).title, 'Hub of others');
    assert.equal((await platform.api.must(200, 'GET', `${apps()}/own_hub`)).title, 'Acme Hub');
    await approve(changed.id);
    await eventually(async () => (await titles())[0] === 'Who is it', 'the new version');
    assert.equal((await useTool(world.mcp('own_hub'), user.key, 'own_hub_get_me')).item.login, 'octocat');
    const { body } = await platform.api.get(`${platform.path}/mcp/manifests?app=own_hub`);
    assert.deepEqual(body.data.map((m) => [m.number, m.status]), [[2, 'serving'], [1, 'replaced']]);
    assert.equal((await other.api.must(200, 'GET', `${apps(other)}/own_hub`)).title, 'Hub of others');
  });

  test('is refused with a reason that the platform reads', async () => {
    const one = await submit(manifest(world.github.url, { id: 'own_draft', title: 'Draft' }));
    await world.admin.must(200, 'POST', `/v1/admin/manifests/${one.id}/refuse`, { reason: 'We do not know this host.' });
    const read = await platform.api.must(200, 'GET', `${platform.path}/mcp/manifests/${one.id}`);
    assert.deepEqual([read.status, read.reason], ['refused', 'We do not know this host.']);
    await platform.api.must(204, 'DELETE', `${platform.path}/mcp/own-apps/own_draft`);
    assertError(await platform.api.send('GET', `${platform.path}/mcp/manifests/${one.id}`), 404, 'not_found');
  });

  test('names every fault of a manifest with its place', async () => {
    const bad = manifest(world.github.url, {
      change: (m) => {
        m.id = 'github';
        m.hosts = ['169.254.169.254'];
        m.api.headers = { 'X-Api-Key': 'sk-12345' };
        m.tools[0].risk = 'write';
      },
    });
    const reply = await platform.api.send('POST', apps(), { manifest: bad });
    assertError(reply, 400, 'bad_request');
    for (const place of ['/manifest/hosts/0: is an address', '/manifest/api/headers/X-Api-Key: carries a credential', '/manifest/id: must be "own_"', '/manifest/tools/0/risk: ']) {
      assert.ok(reply.body.error.message.includes(place), `${place} in ${reply.body.error.message}`);
    }
    assertError(await platform.api.send('POST', apps(), { manifest: bad, app: 'github' }), 400, 'bad_request');
  });

  test('ends its connections at the provider and can be deleted', async () => {
    assertError(await platform.api.send('DELETE', `${platform.path}/mcp/own-apps/own_hub`), 409, 'conflict');
    const before = world.github.counters().token_revokes;
    await platform.api.must(204, 'DELETE', `${apps()}/own_hub`);
    await platform.api.must(204, 'DELETE', `${platform.path}/mcp/own-apps/own_hub`);
    // The tokens outlive the manifest in the queue, and die all the same.
    await eventually(() => world.github.counters().token_revokes > before, 'the revocation');
    assert.ok(!(await catalogue(platform)).includes('own_hub'));
    assert.ok((await catalogue(other)).includes('own_hub'));
    const gone = await legacyCall(world.mcp(), user.key, 'tools/call', { name: 'own_hub_get_me', arguments: {} });
    assert.ok(!gone.result || gone.result.isError, textOf(gone.result ?? { content: [] }));
    const events = (await world.audit(platform)).map((entry) => entry.event);
    for (const event of ['manifest.submitted', 'manifest.approved', 'manifest.refused', 'manifest.removed']) assert.ok(events.includes(event), event);
  });
});
