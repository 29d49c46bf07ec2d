// The connect flow as end users meet it: real pages, a real browser, a provider that behaves like GitHub.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { listen, sendHtml } from '../../examples/standins/http.mjs';
import { assertError } from './support/api.mjs';
import { assertGoodPage, continueToProvider, decideAtProvider, DESKTOP, launchBrowser, newVisitor, PHONE } from './support/browser.mjs';
import { World } from './support/world.mjs';

describe('connecting an account in a browser', () => {
  let world, browser, product, pageless;
  const visitors = [];
  const visitor = async (viewport) => {
    const v = await newVisitor(browser, viewport);
    visitors.push(v);
    return v;
  };

  before(async () => {
    world = await World.start();
    browser = await launchBrowser();
    product = await listen((req, res) => sendHtml(res, 200, '<!doctype html><title>Product</title><link rel="icon" href="data:,"><h1>Back at the product</h1>'));
    await world.allowReturn(`${product.url}/done`);
    pageless = await world.newPlatform([]); // it has no page to send people back to: they end on ours
    await world.activate(pageless, 'github', { return_urls: [] });
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
    await world?.stop();
  });

  for (const [name, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    test(`happy path on a ${name}, ending on our own page`, async () => {
      const user = await world.newUser(pageless);
      const { page, problems } = await visitor(viewport);
      const consent = await page.goto((await world.link(user)).url);
      assert.equal(consent.status(), 200);
      await assertGoodPage(page, consent);
      assert.match(await page.locator('body').innerText(), /GitHub/);
      await continueToProvider(page);
      const provider = new URL(page.url()).searchParams;
      assert.equal(provider.get('code_challenge_method'), 'S256');
      assert.ok(provider.get('state').length >= 22, 'at least 128 bits of state');
      assert.equal(provider.get('redirect_uri'), `${world.url}/oauth/callback/github`);
      const [done] = await Promise.all([page.waitForResponse((r) => r.url().startsWith(world.url) && r.status() === 200), decideAtProvider(page)]);
      await assertGoodPage(page, done);
      assert.doesNotMatch(page.url(), /code=|state=/, 'nothing secret stays in the address bar');
      const [connection] = await world.connections(user);
      assert.equal(connection.app, 'github');
      assert.equal(connection.status, 'active');
      assert.equal(connection.account.label, 'octocat');
      assert.deepEqual(problems, []);
    });
  }

  for (const [name, options] of [['the return URL of the link', () => ({ return_url: `${product.url}/done` })], ['the first return URL of the app', () => ({})]]) {
    test(`lands on ${name} with the connection`, async () => {
      const user = await world.newUser();
      const { page, problems } = await visitor();
      await page.goto((await world.link(user, options())).url);
      await continueToProvider(page);
      await decideAtProvider(page);
      const back = new URL(page.url());
      assert.equal(back.origin + back.pathname, `${product.url}/done`);
      assert.equal(back.searchParams.get('status'), 'connected');
      assert.equal(back.searchParams.get('app'), 'github');
      assert.equal(back.searchParams.get('connection_id'), (await world.connections(user))[0].id);
      assert.deepEqual(problems, []);
    });
  }

  test('works by keyboard and without scripts', async () => {
    const user = await world.newUser();
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto((await world.link(user)).url);
    const button = page.locator('form button').first();
    for (let i = 0; i < 10 && !(await button.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press('Tab');
    await Promise.all([page.waitForURL(/\/login\/oauth\/authorize/), page.keyboard.press('Enter')]);
    await decideAtProvider(page);
    assert.equal((await world.connections(user)).length, 1);
    await context.close();
  });

  test('looking at a link does not use it up', async () => {
    const user = await world.newUser();
    const { url } = await world.link(user);
    assert.equal((await fetch(url, { method: 'HEAD' })).status, 200); // as chats do for a preview
    assert.equal((await fetch(url)).status, 200);
    const { page } = await visitor();
    await page.goto(url);
    await continueToProvider(page);
    await decideAtProvider(page);
    assert.equal((await world.connections(user)).length, 1);
  });

  test('a forwarded link is refused once its owner has pressed the button', async () => {
    const user = await world.newUser();
    const { url } = await world.link(user);
    const [owner, early, late] = [await visitor(), await visitor(), await visitor()];
    await early.page.goto(url); // this one sees the page, but comes second to the button
    await owner.page.goto(url);
    await continueToProvider(owner.page);
    const refused = await late.page.goto(url);
    assert.equal(refused.status(), 410);
    await assertGoodPage(late.page, refused);
    assert.equal(await late.page.locator('form').count(), 0);
    const [pressed] = await Promise.all([early.page.waitForResponse((r) => r.request().method() === 'POST'), early.page.locator('form button').first().click()]);
    assert.equal(pressed.status(), 410);
    await early.page.waitForLoadState();
    await assertGoodPage(early.page, pressed);
    assert.ok(!early.page.url().startsWith(world.github.url));
    await decideAtProvider(owner.page); // the owner goes on undisturbed
    assert.equal((await world.connections(user)).length, 1);
  });

  test('the button of one browser does nothing in another', async () => {
    const user = await world.newUser();
    const { url } = await world.link(user);
    const { page } = await visitor();
    await page.goto(url);
    const form = new URLSearchParams(await page.locator('form').evaluate((f) => [...new FormData(f)].map(([k, v]) => [k, String(v)])));
    const origin = new URL(url).origin;
    const stolen = await fetch(url, { method: 'POST', body: form, headers: { origin }, redirect: 'manual' });
    assert.equal(stolen.status, 403, await stolen.text());
    const cookies = (await page.context().cookies()).map((c) => `${c.name}=${c.value}`).join('; ');
    const crossSite = await fetch(url, { method: 'POST', body: form, headers: { origin: 'https://evil.example', cookie: cookies }, redirect: 'manual' });
    assert.equal(crossSite.status, 403, await crossSite.text());
    await continueToProvider(page); // neither used the link up
    await decideAtProvider(page);
    assert.equal((await world.connections(user)).length, 1);
  });

  test('a forwarded provider page does not connect the stranger', async () => {
    const user = await world.newUser();
    const attacker = await visitor();
    await attacker.page.goto((await world.link(user)).url);
    await continueToProvider(attacker.page);
    const victim = await visitor();
    await victim.page.goto(attacker.page.url());
    const [reply] = await Promise.all([
      victim.page.waitForResponse((r) => r.url().startsWith(`${world.url}/oauth/callback`)), decideAtProvider(victim.page, { login: 'hubot' }),
    ]);
    assert.ok(reply.status() >= 400 || /status=error/.test(reply.headers().location ?? ''), `status ${reply.status()}`);
    assert.deepEqual(await world.connections(user), []);
  });

  test('a callback works once', async () => {
    const user = await world.newUser();
    const { page } = await visitor();
    await page.goto((await world.link(user)).url);
    await continueToProvider(page);
    const [callback] = await Promise.all([page.waitForRequest((r) => r.url().includes('/oauth/callback/')), decideAtProvider(page)]);
    const exchanges = world.github.counters().exchanges;
    const replay = await page.goto(callback.url());
    assert.ok(replay.status() >= 400, `status ${replay.status()}`);
    await assertGoodPage(page, replay);
    assert.equal(world.github.counters().exchanges, exchanges);
    assert.equal((await world.connections(user)).length, 1);
  });

  test('a link works once', async () => {
    const user = await world.newUser();
    const { page } = await visitor();
    const { url } = await world.link(user);
    await page.goto(url);
    await continueToProvider(page);
    await decideAtProvider(page);
    const again = await page.goto(url);
    assert.ok(again.status() >= 400, `status ${again.status()}`);
    await assertGoodPage(page, again);
  });

  test('saying no at the provider', async () => {
    const user = await world.newUser();
    const { page, problems } = await visitor();
    await page.goto((await world.link(user, { return_url: `${product.url}/done` })).url);
    await continueToProvider(page);
    await decideAtProvider(page, { decision: 'Cancel' });
    const back = new URL(page.url());
    assert.equal(back.origin, product.url);
    assert.equal(back.searchParams.get('status'), 'error');
    assert.equal(back.searchParams.get('reason'), 'access_denied');
    assert.deepEqual(await world.connections(user), []);

    const other = await world.newUser(pageless);
    await page.goto((await world.link(other)).url);
    await continueToProvider(page);
    const [reply] = await Promise.all([page.waitForResponse((r) => r.url().startsWith(world.url) && r.status() !== 303 && r.status() !== 302), decideAtProvider(page, { decision: 'Cancel' })]);
    await assertGoodPage(page, reply);
    assert.deepEqual(problems.filter((p) => !/status of 4\d\d/.test(p)), []);
  });

  test('an unknown state, a missing code, another app\'s callback', async () => {
    const { page } = await visitor(PHONE);
    const unknown = await page.goto(`${world.url}/oauth/callback/github?code=x&state=never-issued`);
    assert.ok(unknown.status() >= 400 && unknown.status() < 500, `status ${unknown.status()}`);
    await assertGoodPage(page, unknown);
    const evil = await page.goto(`${world.url}/oauth/callback/github?error=%3Cscript%3Ealert(1)%3C/script%3E&state=%22%3E%3Cimg%20src=x%3E`);
    assert.ok(evil.status() >= 400);
    assert.equal(await page.locator('img, script').count(), 0);

    const user = await world.newUser();
    await page.goto((await world.link(user)).url);
    await continueToProvider(page);
    const state = new URL(page.url()).searchParams.get('state');
    const exchanges = world.github.counters().exchanges;
    const mixedUp = await page.goto(`${world.url}/oauth/callback/github_oauth?code=x&state=${state}`);
    assert.ok(mixedUp.status() >= 400, `status ${mixedUp.status()}`);

    const other = await world.newUser(pageless);
    await page.goto((await world.link(other)).url);
    await continueToProvider(page);
    const missing = await page.goto(`${world.url}/oauth/callback/github?state=${new URL(page.url()).searchParams.get('state')}`);
    assert.ok(missing.status() >= 400, `status ${missing.status()}`);
    await assertGoodPage(page, missing);
    assert.equal(world.github.counters().exchanges, exchanges);
    assert.deepEqual([...await world.connections(user), ...await world.connections(other)], []);
  });

  test('an unknown link is a clear page', async () => {
    const { page } = await visitor(PHONE);
    const reply = await page.goto(`${world.url}/connect/${'A'.repeat(43)}`);
    assert.ok(reply.status() >= 400 && reply.status() < 500);
    await assertGoodPage(page, reply);
  });

  test('GET /oauth/authorize with the end user\'s key leads to the connect page', async () => {
    const user = await world.newUser();
    const reply = await user.api.get('/oauth/authorize?app=github');
    assert.equal(reply.status, 302);
    const { page } = await visitor();
    const consent = await page.goto(new URL(reply.headers.get('location'), world.url).href);
    assert.equal(consent.status(), 200);
    await continueToProvider(page);
    await decideAtProvider(page);
    assert.equal((await world.connections(user)).length, 1);
    assertError(await world.admin.as(null).get('/oauth/authorize?app=github'), 401, 'unauthorized');
    assertError(await user.api.get('/oauth/authorize?app=nothing'), 404, 'not_found');
  });

  test('a return URL off the list is refused before anybody clicks', async () => {
    const user = await world.newUser();
    const reply = await world.platform.api.post(`${user.path}/connect-links`, { app: 'github', return_url: `${product.url}/done/../evil` });
    assert.ok([400, 422].includes(reply.status), JSON.stringify(reply.body));
    assert.equal(reply.body.error.field, '/return_url');
    const foreign = await user.api.get(`/oauth/authorize?app=github&return_url=${encodeURIComponent('https://evil.example/')}`);
    assert.ok([400, 422].includes(foreign.status));
  });

  test('connecting the same account again keeps one connection; another account is another one', async () => {
    const user = await world.newConnectedUser();
    await world.connect(user);
    assert.equal((await world.connections(user)).length, 1);
    assert.equal((await world.connections(user))[0].id, user.connectionId);
    assert.ok((await world.audit()).some((e) => e.event === 'connection.reconnected'));
  });

  test('a failing token endpoint ends in an error, not in a half-made connection', async () => {
    const user = await world.newUser();
    world.github.control({ fail_token_endpoint: '500' });
    const { page } = await visitor();
    await page.goto((await world.link(user, { return_url: `${product.url}/done` })).url);
    await continueToProvider(page);
    await decideAtProvider(page);
    world.github.control({ fail_token_endpoint: null });
    assert.equal(new URL(page.url()).searchParams.get('status'), 'error', page.url());
    assert.deepEqual(await world.connections(user), []);
  });
});
