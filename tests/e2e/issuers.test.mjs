// A platform's own OpenID provider: its registration, its tokens in place of keys, and signing in there in a real browser.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { authorizeUrl, PlainBrowser, press, register, startCallback, token } from './support/authorize.mjs';
import { assertGoodPage, launchBrowser, newVisitor } from './support/browser.mjs';
import { legacyCall, modernCall } from './support/mcp.mjs';
import { newKey, signJwt, startOpenId } from './support/openid.mjs';
import { World } from './support/world.mjs';

describe('registered issuers', () => {
  let world, idp, issuer, user, audience, base;
  before(async () => {
    world = await World.start();
    base = world.url;
    audience = own(world.platform);
    idp = await startOpenId();
    user = await world.newUser(world.platform, 'alice');
    issuer = await world.platform.api.must(201, 'POST', `${world.platform.path}/issuers`, {
      issuer: idp.url, client_id: idp.client.id, client_secret: idp.client.secret, audiences: [audience],
    });
  });
  after(async () => {
    await idp?.stop();
    await world?.stop();
  });
  const own = (platform) => `${base}/platforms/${platform.id}`; // an audience that names it
  const list = (bearer, call = legacyCall) => call(world.mcp(), bearer, 'tools/list');
  const send = (platform, body) => platform.api.post(`${platform.path}/issuers`, body);

  test('are registered by discovery, shown without their secret, and belong to their platform', async () => {
    assert.equal(issuer.own_audience, audience);
    assert.equal(issuer.redirect_uri, `${base}/oauth/sign-in/callback`);
    assert.deepEqual([issuer.issuer, issuer.end_user_claim, issuer.has_client_secret, issuer.creates_end_users], [idp.url, 'sub', true, false]);
    assert.ok(!JSON.stringify(issuer).includes(idp.client.secret));
    const path = `${world.platform.path}/issuers`;
    assert.deepEqual((await world.platform.api.get(path)).body.data.map((i) => i.id), [issuer.id]);
    const other = await world.newPlatform([]);
    assert.equal((await other.api.get(`${path}/${issuer.id}`)).status, 404);
    assert.equal((await other.api.get(`${other.path}/issuers/${issuer.id}`)).status, 404);
    assert.equal((await user.api.get(path)).status, 403);
    assert.ok((await world.audit()).some((e) => e.event === 'issuer.registered' && e.subject === issuer.id));
  });

  test('that cannot be used, or would be ambiguous, are refused', async () => {
    const other = await world.newPlatform([]);
    for (const [wrong, status] of [
      [{ issuer: `${idp.url}/` }, 400], [{ issuer: idp.url.replace('127.0.0.1', 'localhost') }, 400], [{ issuer: 'http://10.0.0.1' }, 400], [{ issuer: 'https://169.254.169.254' }, 400],
      [{ issuer: `${idp.url}?x=1` }, 400], [{ issuer: base }, 400], [{ issuer: 'nonsense' }, 400], [{ audiences: 'x' }, 400], [{ tenant: 'x' }, 400],
      [{ client_id: idp.client.id }, 409],
    ]) {
      const reply = await send(other, { issuer: idp.url, client_id: 'another', audiences: [own(other)], ...wrong });
      assert.equal(reply.status, status, `${JSON.stringify(wrong)}: ${JSON.stringify(reply.body)}`);
    }
    idp.metadata = { jwks_uri: 'http://10.0.0.1/jwks' };
    assert.equal((await send(other, { issuer: idp.url, client_id: 'another' })).status, 400);
    idp.metadata = {};
    assert.equal((await send(other, { issuer: idp.url, client_id: 'another', audiences: [own(other)] })).status, 201);
  });

  test('take nothing that is made for another platform, whoever comes first', async () => {
    const [late, thief] = [await world.newPlatform([]), await world.newPlatform([])];
    const site = await startOpenId();
    try {
      for (const platform of [late, thief]) await world.newUser(platform, 'alice');
      const claim = (api, platform, audiences) => api.post(`${platform.path}/issuers`, { issuer: site.url, client_id: `of-${platform.id}`, audiences });
      for (const squatted of [own(late), base, world.mcp(), 'api://default']) {
        const reply = await claim(thief.api, thief, [own(thief), squatted]);
        assert.equal(reply.status, 400, squatted);
        assert.match(JSON.stringify(reply.body), /the platform's id.*\/audiences/s);
      }
      const { id } = (await claim(thief.api, thief, [own(thief)])).body.data;
      assert.equal((await thief.api.patch(`${thief.path}/issuers/${id}`, { audiences: [own(late)] })).status, 400);
      assert.equal((await list(site.token(own(late)))).status, 401);
      assert.equal((await claim(late.api, late, [own(late)])).status, 201);
      assert.equal((await world.admin.as(site.token(own(late))).get('/v1/me')).body.data.platform.id, late.id);
      // The operator may register what names nobody, and never what is somebody's.
      const byOperator = (audiences) => world.admin.patch(`${thief.path}/issuers/${id}`, { audiences });
      assert.equal((await byOperator([own(late)])).status, 409);
      assert.equal((await byOperator(['api://default'])).status, 200);
      assert.equal((await world.admin.as(site.token('api://default')).get('/v1/me')).body.data.platform.id, thief.id);
    } finally {
      await site.stop();
    }
  });

  describe('tokens', () => {
    test('are the end user, at MCP and at the REST API, with every algorithm that is allowed', async () => {
      const fresh = await world.newPlatform([]);
      await world.newUser(fresh, 'alice');
      const site = await startOpenId();
      site.keys = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'].map((alg) => newKey(alg));
      try {
        assert.equal((await send(fresh, { issuer: site.url, client_id: 'x', audiences: [own(fresh)] })).status, 201);
        for (const key of site.keys) {
          const me = await world.admin.as(site.token(own(fresh), {}, { key })).get('/v1/me');
          assert.equal(me.status, 200, `${key.alg} ${JSON.stringify(me.body)}`);
          assert.equal(me.body.data.end_user.external_id, 'alice');
          assert.equal(me.body.data.platform.id, fresh.id);
        }
      } finally {
        await site.stop();
      }
      for (const call of [legacyCall, modernCall]) assert.equal((await list(idp.token(audience), call)).status, 200);
      assert.equal((await world.admin.as(idp.token(audience)).get('/v1/me')).body.data.end_user.id, user.id);
    });

    test('open nothing but what is that end user\'s', async () => {
      const bearer = world.admin.as(idp.token(audience, { pid: 'x', platform_id: 'x', scope: 'admin management' }));
      assert.equal((await bearer.get(`${world.platform.path}/end-users`)).status, 403);
      assert.equal((await bearer.get('/v1/platforms')).status, 403);
    });

    test('that are not good get 401 and the way to a good one', async () => {
      const now = Math.floor(Date.now() / 1000);
      const [key] = idp.keys;
      const claims = { iss: idp.url, sub: 'alice', aud: audience, iat: now, exp: now + 300 };
      const good = signJwt(key, claims);
      const [head, body, signature] = good.split('.');
      const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const publicPem = Buffer.from(JSON.stringify(key.jwk));
      const { createHmac } = await import('node:crypto');
      const hs = `${encode({ alg: 'HS256', kid: key.kid })}.${body}`;
      const bad = {
        none: `${encode({ alg: 'none' })}.${body}.`, 'none with a signature': `${encode({ alg: 'none' })}.${body}.${signature}`,
        HS256: `${hs}.${createHmac('sha256', publicPem).update(hs).digest('base64url')}`, 'another key': signJwt({ ...newKey('RS256'), kid: key.kid }, claims),
        'another algorithm with this key': signJwt({ ...key, alg: 'PS256' }, claims), 'a changed body': `${head}.${encode({ ...claims, sub: 'bob' })}.${signature}`,
        'no signature': `${head}.${body}.`, 'wrong iss': signJwt(key, { ...claims, iss: 'https://evil.example' }), 'wrong aud': signJwt(key, { ...claims, aud: 'https://evil.example' }),
        'for the client': signJwt(key, { ...claims, aud: idp.client.id }), 'no aud': signJwt(key, { ...claims, aud: undefined }), expired: signJwt(key, { ...claims, exp: now - 61 }),
        'no exp': signJwt(key, { ...claims, exp: undefined }), 'not yet': signJwt(key, { ...claims, nbf: now + 120 }), 'issued in the future': signJwt(key, { ...claims, iat: now + 120 }),
        'a stranger': signJwt(key, { ...claims, sub: 'mallory' }), 'bound to a key': signJwt(key, { ...claims, cnf: { jkt: 'x' } }), 'a logout token': signJwt(key, claims, { typ: 'logout+jwt' }),
        critical: signJwt(key, claims, { crit: ['x'] }), oversized: signJwt(key, { ...claims, filler: 'x'.repeat(9000) }),
      };
      for (const [what, bearer] of Object.entries(bad)) {
        const reply = await list(bearer);
        assert.equal(reply.status, 401, what);
        assert.match(reply.headers.get('www-authenticate'), /error="invalid_token".*resource_metadata="/, what);
      }
      assert.equal((await list(good)).status, 200);
      assert.ok(idp.counters.jwks < 10, 'strangers do not make us ask for keys again and again');
      assert.ok([400, 401].includes((await fetch(`${world.mcp()}?access_token=${good}`, { method: 'POST', body: '{}' })).status));
    });

    test('make end users only where the registration says so, and end with it', async () => {
      const path = `${world.platform.path}/issuers/${issuer.id}`;
      const carol = idp.token(audience, { sub: 'carol' });
      assert.equal((await list(carol)).status, 401);
      await world.platform.api.must(200, 'PATCH', path, { creates_end_users: true });
      assert.equal((await list(carol)).status, 200, 'the refusal was not kept');
      assert.equal((await world.platform.api.get(`${world.platform.path}/end-users?external_id=carol`)).body.data.length, 1);
      await world.platform.api.must(200, 'PATCH', path, { audiences: [] });
      assert.equal((await list(carol)).status, 401);
      await world.platform.api.must(200, 'PATCH', path, { audiences: [audience], creates_end_users: false });
      assert.equal((await list(carol)).status, 200);
    });
  });

  describe('signing in on our page', () => {
    let browser, callback;
    before(async () => {
      browser = await launchBrowser();
      callback = await startCallback();
    });
    after(async () => {
      await browser?.close();
      await callback?.stop();
    });
    const slug = async () => (await world.platform.api.get(world.platform.path)).body.data.slug;
    const pick = async (page) => {
      await page.getByLabel(/short name/).fill(await slug());
      await page.getByRole('button', { name: 'Continue', exact: true }).click();
      await page.getByRole('heading', { name: 'Acme login' }).waitFor();
    };

    test('goes through the provider and ends with a token', async () => {
      const client = await register(base, { redirect_uris: [callback.url] });
      const { href, verifier } = authorizeUrl(base, client);
      const { page, problems, close } = await newVisitor(browser);
      await assertGoodPage(page, await page.goto(href));
      await pick(page);
      const asked = idp.seen.at(-1);
      assert.deepEqual([asked.response_type, asked.client_id, asked.code_challenge_method, asked.scope], ['code', idp.client.id, 'S256', 'openid']);
      assert.ok(asked.nonce && asked.state && asked.nonce !== asked.state);
      await page.getByRole('button', { name: 'Be alice' }).click();
      await page.getByRole('button', { name: 'Allow', exact: true }).waitFor();
      assert.match(await page.locator('main').innerText(), /alice/);
      const [params] = await Promise.all([callback.next(), press(page, 'Allow')]);
      const reply = await token(base, { grant_type: 'authorization_code', code: params.get('code'), code_verifier: verifier, client_id: client.client_id });
      assert.equal(reply.status, 200, JSON.stringify(reply.body));
      assert.equal((await list(reply.body.access_token)).status, 200);
      await page.getByRole('heading', { name: 'Done' }).waitFor();
      assert.deepEqual(problems, []);
      await close();
      const done = (await world.audit()).find((e) => e.event === 'sign_in.completed');
      assert.deepEqual([done.details.how, done.details.issuer_id, done.end_user_id], ['provider', issuer.id, user.id]);
    });

    test('somebody whom the platform does not know, and a no, end on a page of ours', async () => {
      const client = await register(base, { redirect_uris: [callback.url] });
      const { href } = authorizeUrl(base, client);
      const { page, close } = await newVisitor(browser);
      const come = async (words) => {
        await page.goto(href);
        await pick(page);
        const [answer] = await Promise.all([page.waitForResponse((r) => r.url().includes('/oauth/sign-in/callback')), page.getByRole('button', { name: /^Be / }).click()]);
        assert.equal(answer.status(), 400);
        await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
        assert.match(await page.locator('main').innerText(), words);
        assert.equal(await page.getByRole('link', { name: /Try again/ }).getAttribute('href'), new URL(href).pathname + new URL(href).search);
      };
      idp.subject = 'nobody';
      await come(/no account for you/);
      idp.subject = 'alice';
      idp.answer = { code: undefined, error: 'access_denied' };
      await come(/says no/);
      idp.answer = { iss: 'https://evil.example' };
      await come(/no answer that can be used/);
      idp.answer = {};
      idp.idToken = { nonce: 'of another sign-in' };
      await come(/no answer that can be used/);
      idp.idToken = {};
      await close();
    });

    test('an answer works in its own browser and once', async () => {
      const client = await register(base);
      const { href } = authorizeUrl(base, client);
      const mine = new PlainBrowser();
      await mine.visit(href);
      const fields = mine.fields('provider');
      fields.set('platform', await slug());
      await mine.submit(href, fields);
      const [, out] = /id="go" href="([^"]+)"/.exec(mine.html);
      const answer = await fetch(out.replaceAll('&amp;', '&'), { method: 'POST', redirect: 'manual' });
      const back = answer.headers.get('location');
      assert.ok(back.startsWith(issuer.redirect_uri), back);
      const victim = new PlainBrowser();
      await victim.visit(href);
      assert.equal((await victim.visit(back)).status, 400, 'nobody can be signed in as somebody else');
      assert.equal((await fetch(back, { redirect: 'manual' })).status, 400);
      const done = await mine.visit(back);
      assert.deepEqual([done.status, done.headers.get('location')], [303, new URL(href).pathname + new URL(href).search]);
      assert.equal((await mine.visit(back)).status, 400);
      const unknown = new PlainBrowser();
      await unknown.visit(href);
      const wrong = unknown.fields('provider');
      wrong.set('platform', 'no-such-product');
      assert.equal((await unknown.submit(href, wrong)).status, 401);
      assert.match(unknown.html, /no product of this name/);
    });
  });
});
