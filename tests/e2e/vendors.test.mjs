// The same rules for GitHub, Slack, Zoho and Zendesk: whatever a vendor answers, or whoever holds a link, the agent gets
// words that it can act on, no token is lost, and the trail says what happened.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { Api } from './support/api.mjs';
import { errorOf, failTool, legacyCall, textOf, useTool } from './support/mcp.mjs';
import { eventually, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { activation, startVendors, VENDORS } from './support/vendors.mjs';
import { followConnect, RETURN_URL, World } from './support/world.mjs';

const reply = (status, body, headers = {}) => (req, res) => {
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(typeof body === 'string' ? body : JSON.stringify(body));
};
const endless = (req, res) => {
  res.writeHead(200, { 'content-type': 'application/json' });
  const more = () => {
    while (!res.destroyed && res.write(`[${' '.repeat(65_536)}`));
    if (!res.destroyed) res.once('drain', more);
  };
  more();
};
const cut = (req, res) => {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': 5000 });
  res.write('{"data":[', () => res.destroy());
};

/** Answers of no use, and the words that an agent finds. */
const ANSWERS = (vendor) => ({
  'a page': reply(200, '<html>maintenance</html>', { 'content-type': 'text/html' }),
  'JSON of another kind': reply(200, '"yes"'),
  'JSON that is cut': reply(200, '{"ok":tr'),
  'a body that is cut': cut,
  'a body without an end': endless,
  'a redirect to the metadata address': reply(302, '', { location: 'http://169.254.169.254/latest/meta-data/' }),
  'a redirect to a private address': reply(307, '', { location: 'http://10.0.0.1/admin' }),
  'a redirect to this machine': reply(308, '', { location: 'http://127.0.0.1:1/' }),
  'an empty 500': reply(500, ''),
  'a 503 page': reply(503, '<h1>Sorry</h1>', { 'content-type': 'text/html' }),
  ...(vendor.name !== 'github' && { 'a no with status 200': reply(200, vendor.no) }),
});

describe('whatever a vendor does', { concurrency: 4 }, () => {
  let world, vendors;
  before(async () => {
    vendors = await startVendors();
    world = new World();
    world.dataDir = tempDir();
    world.env = { ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1', ASSISTIV_CONNECTOR_OVERRIDES: vendors.overrides };
    world.server = await startServer({ dataDir: world.dataDir, env: world.env });
    world.admin = new Api(world.url, world.server.adminKey);
  });
  after(async () => {
    await world?.server?.stop();
    await vendors?.stop();
    if (world) stopLeftovers(world.dataDir);
  });

  for (const name of Object.keys(VENDORS)) {
    describe(name, { concurrency: 1 }, () => {
      let vendor, platform, user;
      const newPlatform = async () => {
        const made = await world.newPlatform([]);
        await made.api.must(201, 'POST', `${made.path}/mcp/apps`, activation(vendor));
        return made;
      };
      const connect = (who) => world.connect(who, { app: vendor.app, login: vendor.login, answers: vendor.answers });
      const newUser = async (at = platform) => {
        const made = await world.newUser(at);
        await connect(made);
        return made;
      };
      const at = () => world.mcp(vendor.app);
      const use = (who, [tool, args]) => useTool(at(), who.key, tool, args);
      const fail = (who, [tool, args]) => failTool(at(), who.key, tool, args);
      const status = async (who) => (await world.connections(who))[0]?.status;
      const when = (pattern, act) => (req, res, pass) => new RegExp(pattern).test(req.url.split('?')[0]) && (act(req, res, pass), true);
      const sentTo = (pattern) => vendor.front.requests.filter(({ url }) => new RegExp(pattern).test(url.split('?')[0]));

      before(async () => {
        vendor = vendors[name];
        platform = await newPlatform();
        user = await newUser();
      });
      afterEach(() => (vendor.front.fault = null));

      test('answers that are none: words, one write, the token stays, an entry in the trail', async () => {
        await use(user, vendor.read);
        for (const [what, answer] of Object.entries(ANSWERS(vendor))) {
          vendor.front.fault = when(vendor.api, answer);
          const told = errorOf(await fail(user, vendor.read));
          assert.equal(told.code, 'upstream', `${what}: ${JSON.stringify(told)}`);
          assert.ok(told.message.length > 20, `${what}: ${told.message}`);
          vendor.front.clear();
          const written = await fail(user, vendor.write);
          assert.equal(errorOf(written).code, 'upstream', `${what}: ${textOf(written)}`);
          assert.equal(sentTo(vendor.api).length, 1, `${what}: a write is not sent again`);
          assert.doesNotMatch(textOf(written), /gh[uo]_|xox|1000\.[0-9a-f]{8}/);
          const [entry] = await world.audit(platform, '&event=tool.called');
          assert.equal(entry.subject, vendor.write[0], JSON.stringify(entry));
          assert.match(JSON.stringify(entry), /upstream/, what);
          vendor.front.fault = null;
          assert.equal(await status(user), 'active', what);
        }
        vendor.front.clear();
        await use(user, vendor.read);
        assert.equal(sentTo(vendor.token).length, 0, 'the same token still works');
      });

      test('endless pages: one request per call, and a cursor', async () => {
        let cursor;
        for (let page = 1; page <= 3; page++) {
          const [body, headers] = vendor.page(page, vendor.front.url);
          vendor.front.fault = when(`${vendor.api}|/repositories/`, reply(200, body, headers));
          vendor.front.clear();
          const { items, next_cursor: next } = await use(user, [vendor.list[0], { ...vendor.list[1], ...(cursor && { cursor }) }]);
          assert.deepEqual(items, []);
          assert.ok(next, 'the agent decides whether it goes on');
          assert.equal(vendor.front.requests.length, 1);
          cursor = next;
        }
      });

      test('a value in a path stays in its place', async () => {
        const values = ['../../../admin', '..', '.', 'a%2f..%2f..', 'a/../../b', 'x?y=1#z', 'a\r\nx-evil: 1', 'a\0b', '{access_token}', '\ud800', ' ', 'ü/ß'];
        for (const value of values) {
          const [[tool, args], may] = vendor.hostile(value);
          vendor.front.clear();
          const answer = await legacyCall(at(), user.key, 'tools/call', { name: tool, arguments: args });
          assert.ok(answer.error || answer.result.isError, `${JSON.stringify(value)}: ${JSON.stringify(answer.result)}`);
          for (const { url } of vendor.front.requests) assert.match(url, may, JSON.stringify(value));
        }
        assert.equal(await status(user), 'active');
      });

      test('a refresh that gets no answer of use loses no token', { timeout: 120_000 }, async () => {
        const faults = Object.entries({
          'a page': reply(200, '<html>sign in</html>', { 'content-type': 'text/html' }), 'JSON that is cut': reply(200, '{"access_tok'),
          'JSON of another kind': reply(200, '[]'), 'no token at all': reply(200, { ok: true }), 'a redirect': reply(302, '', { location: 'http://169.254.169.254/' }),
          'a 429': reply(429, { error: 'slow_down' }, { 'retry-after': '1' }),
        });
        for (const half of [faults.slice(0, 3), faults.slice(3)]) { // five failures in a row would pass for an endpoint that is down
          const people = [];
          for (const [what] of half) people.push([what, await newUser()]);
          vendor.standin.control({ expire_all: true });
          for (const [i, [what, answer]] of half.entries()) {
            vendor.front.fault = when(vendor.token, answer);
            const told = await fail(people[i][1], vendor.read);
            vendor.front.fault = null;
            assert.equal(errorOf(told).code, 'upstream', `${what}: ${textOf(told)}`);
            assert.equal(await status(people[i][1]), 'active', what);
          }
          for (const [what, who] of people) {
            await eventually(async () => !(await legacyCall(at(), who.key, 'tools/call', { name: vendor.read[0], arguments: vendor.read[1] })).result.isError, `a refresh after ${what}`, 90_000);
          }
        }
      });

      test('a vendor that is down, and is back', { timeout: 120_000 }, async () => {
        const who = await newUser();
        await use(who, vendor.read);
        await vendor.front.down();
        for (const call of [vendor.read, vendor.write]) {
          const told = errorOf(await fail(who, call));
          assert.equal(told.code, 'upstream', JSON.stringify(told));
          assert.match(told.message, /reach|respond|answer|connect/i);
        }
        vendor.standin.control({ expire_all: true });
        await fail(who, vendor.read);
        assert.equal(await status(who), 'active');
        await vendor.front.up();
        await eventually(async () => !(await legacyCall(at(), who.key, 'tools/call', { name: vendor.read[0], arguments: vendor.read[1] })).result.isError, 'the vendor at work again', 90_000);
      });

      test('one person of the vendor in two tenants: each has a connection of its own', async () => {
        const [here, there] = [await newUser(), await newUser(await newPlatform())];
        const [mine] = await world.connections(here);
        const [theirs] = await world.connections(there);
        assert.deepEqual(mine.account, theirs.account, 'the same account');
        assert.notEqual(mine.id, theirs.id);
        assert.equal((await here.api.delete(`/v1/me/connections/${theirs.id}`)).status, 404);
        assert.equal((await here.api.delete(`/v1/me/connections/${mine.id}`)).status, 200);
        await use(there, vendor.read);
        await fail(here, vendor.read);
      });

      test('a forwarded page of the vendor connects nobody', async () => {
        const owner = await world.newUser(platform);
        const link = await world.link(owner, { app: vendor.app, return_url: RETURN_URL });
        const page = await followConnect(link.url, { answers: vendor.answers, stopAt: new URL(vendor.front.url).host });
        assert.ok(page.searchParams.get('state').length >= 22, 'at least 128 bits');
        await assert.rejects(followConnect(page.href, { login: vendor.login }), /answered 4\d\d without a form/);
        assert.deepEqual(await world.connections(owner), []);
      });

      test('a storm of 429 costs the vendor one request per call, and its wait is passed on', async () => {
        const storm = await newPlatform();
        const people = [await newUser(storm), await newUser(storm)];
        vendor.front.fault = when(vendor.api, reply(429, { error: 'ratelimited', ok: false, code: 'TOO_MANY_REQUESTS', message: 'Too many requests' }, { 'retry-after': '40' }));
        vendor.front.clear();
        const told = await Promise.all(Array.from({ length: 20 }, (_, i) => fail(people[i % 2], i % 4 ? vendor.read : vendor.write)));
        for (const result of told) {
          const { code, retry_after_s } = errorOf(result);
          assert.equal(code, 'rate_limited', textOf(result));
          assert.ok(retry_after_s > 0 && retry_after_s <= 41, textOf(result));
        }
        assert.ok(sentTo(vendor.api).length <= 20, String(sentTo(vendor.api).length));
        for (const who of people) assert.equal(await status(who), 'active');
      });
    });
  }
});
