// Zendesk, end to end: connecting in a browser with the end user's own subdomain, every tool against a stand-in, and
// what Zendesk does differently.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { listen, sendHtml } from '../../examples/standins/http.mjs';
import { start as startZendesk } from '../../examples/standins/zendesk.mjs';
import { assertGoodPage, continueToProvider, decideAtProvider, launchBrowser, newVisitor, PHONE } from './support/browser.mjs';
import { errorOf, failTool, legacyCall, textOf, useTool } from './support/mcp.mjs';
import { World } from './support/world.mjs';

const ANSWERS = { var_subdomain: 'acme' };

describe('Zendesk', () => {
  let world, zendesk, user, product;
  const used = new Set();
  const at = () => world.mcp('zendesk');
  const use = async (name, args) => {
    used.add(`zendesk_${name}`);
    return useTool(at(), user.key, `zendesk_${name}`, args);
  };
  const fail = (name, args, key = user.key) => failTool(at(), key, `zendesk_${name}`, args);
  const last = () => zendesk.counters().requests.at(-1);
  const newConnected = (how) => world.newConnectedUser({ app: 'zendesk', login: 'agnes', answers: ANSWERS, ...how });

  before(async () => {
    product = await listen((req, res) => sendHtml(res, 200, '<!doctype html><title>Product</title><link rel="icon" href="data:,"><h1>Back</h1>'));
    zendesk = await startZendesk();
    const url = `${zendesk.url}/t/{subdomain}`;
    world = await World.start({ apps: [], overrides: { zendesk: { web: url, api: url } } });
    await world.activate(world.platform, 'zendesk');
    await world.allowReturn(`${product.url}/done`, 'zendesk');
    user = await newConnected();
  });
  afterEach(() => zendesk.control({ fail_api: null, rate_limit: null, rate_limit_times: undefined, delay_ms: 0, fail_token_endpoint: null, fail_token_times: undefined }));
  after(async () => {
    await product?.stop();
    await world?.stop();
    await zendesk?.stop();
  });

  test('the end user says which Zendesk it is, on the connect page in a browser', async () => {
    const browser = await launchBrowser();
    try {
      const someone = await world.newUser();
      const { page } = await newVisitor(browser, PHONE);
      const consent = await page.goto((await world.link(someone, { app: 'zendesk', return_url: `${product.url}/done` })).url);
      await assertGoodPage(page, consent);
      const field = page.getByLabel('Zendesk subdomain');
      const next = page.getByRole('button', { name: /^Continue/ });
      for (const wrong of ['evil.com#', 'https://acme.zendesk.com', 'Acme', 'acme.zendesk.com', '-acme', 'a/../b', '127.0.0.1:80', 'acme@evil']) {
        await field.fill(wrong);
        const [refused] = await Promise.all([page.waitForResponse((r) => r.request().method() === 'POST'), next.click()]);
        assert.equal(refused.status(), 422, wrong);
        await page.waitForLoadState();
        await assertGoodPage(page, refused);
        assert.equal(await field.inputValue(), wrong, 'to be mended, not typed anew');
        assert.equal(await field.getAttribute('aria-invalid'), 'true');
      }
      await field.fill(' acme ');
      await continueToProvider(page);
      const provider = new URL(page.url());
      assert.equal(provider.pathname, '/t/acme/oauth/authorizations/new');
      assert.equal(provider.searchParams.get('code_challenge_method'), 'S256');
      assert.deepEqual(provider.searchParams.get('scope').split(' ').sort(), ['read', 'tickets:write', 'users:read', 'users:write']);
      await decideAtProvider(page, { login: 'bert' });
      assert.equal(new URL(page.url()).searchParams.get('status'), 'connected', page.url());
      const [connection] = await world.connections(someone);
      assert.equal(connection.account.label, 'bert@acme.example');
      await useTool(at(), someone.key, 'zendesk_get_me');
      assert.equal(last().account, 'acme');
    } finally {
      await browser.close();
    }
  });

  test('a platform may say which Zendesk it is; then nobody is asked', async () => {
    const someone = await world.newConnectedUser({ app: 'zendesk', login: 'agnes', vars: { subdomain: 'globex' } });
    assert.equal((await useTool(at(), someone.key, 'zendesk_get_me')).item.email, 'agnes@globex.example');
    const bad = await world.platform.api.post(`${someone.path}/connect-links`, { app: 'zendesk', vars: { subdomain: 'globex.zendesk.com/' } });
    assert.equal(bad.status, 400);
    assert.equal(bad.body.error.field, '/vars/subdomain');
  });

  test('one end user in two accounts has two connections', async () => {
    const someone = await newConnected();
    await world.connect(someone, { app: 'zendesk', login: 'agnes', answers: { var_subdomain: 'globex' } });
    const labels = (await world.connections(someone)).map((c) => c.account.label);
    assert.deepEqual(labels.sort(), ['agnes@acme.example', 'agnes@globex.example']);
  });

  test('reading tickets', async () => {
    assert.equal((await use('get_me')).item.role, 'agent');
    const { items } = await use('list_tickets', { sort: '-id' });
    assert.deepEqual(items.map((t) => t.id), [3, 2, 1]);
    assert.deepEqual([last().method, last().path, last().query, last().scheme, last().as], ['GET', '/t/acme/api/v2/tickets', { sort: '-id', 'page[size]': '20' }, 'Bearer', 'agnes']);
    const full = (await use('get_ticket', { ticket_id: 1 })).item;
    assert.equal(full.ticket.subject, 'The rocket does not start');
    assert.deepEqual(full.users.map((u) => u.name), ['Carl Customer']);
    assert.equal(full.groups[0].name, 'Support');
    assert.equal((await use('list_ticket_comments', { ticket_id: 1 })).items[0].text, 'It only makes a sad noise.');
    assert.equal((await use('list_ticket_audits', { ticket_id: 1 })).items[0].events[0].type, 'Comment');
    assert.ok((await use('search', { query: 'type:organization customer' })).items.some((r) => r.result_type === 'organization'));
    const found = await use('search_tickets', { query: 'rocket', status: 'open', requester: 'Carl Customer', tags: ['rocket', 'car'], created_after: '2020-01-01', sort_by: 'created_at', sort_order: 'asc' });
    assert.deepEqual([found.total, found.items.map((t) => t.id)], [1, [1]]);
    assert.deepEqual(last().query, {
      query: 'type:ticket rocket status:open requester:"Carl Customer" tags:rocket tags:car created>=2020-01-01', sort_by: 'created_at', sort_order: 'asc', page: '1', per_page: '20',
    });
    assert.equal((await use('list_ticket_fields')).items[1].options[0].value, 'rocket');
    assert.deepEqual((await use('list_views', { active: true })).items.map((v) => v.id), [61]);
    assert.deepEqual((await use('list_view_tickets', { view_id: 61 })).items.map((t) => t.id), [1]);
    assert.equal((await use('list_macros', { category: 'Refund' })).items[0].id, 71);
    const preview = (await use('preview_macro', { ticket_id: 1, macro_id: 71 })).item;
    assert.deepEqual([preview.status, preview.comment, preview.comment_public], ['pending', 'Which order is it about?', true]);
    assert.equal((await use('get_ticket', { ticket_id: 1 })).item.ticket.status, 'open', 'a preview changes nothing');
  });

  test('reading people and articles', async () => {
    assert.deepEqual((await use('search_users', { query: 'customer' })).items.map((u) => u.id), [21, 22]);
    assert.equal((await use('search_users', { external_id: 'crm-7' })).items[0].id, 21);
    assert.equal(errorOf(await fail('search_users', {})).code, 'validation');
    assert.equal((await use('get_user', { user_id: 22 })).item.name, 'Dora Customer');
    assert.equal((await use('search_organizations', { name: 'cust' })).items[0].id, 31);
    assert.equal((await use('list_groups')).items.length, 2);
    assert.equal((await use('search_articles', { query: 'password', label_names: ['account'] })).items[0].id, 81);
    assert.match((await use('get_article', { article_id: 81 })).item.body, /Reset/);
    assert.equal(last().path, '/t/acme/api/v2/help_center/en-us/articles/81', 'in the default language of the help center');
    assert.equal(errorOf(await fail('get_article', { article_id: 81, locale: 'de' })).code, 'not_found');
  });

  test('writing', async () => {
    const made = (await use('create_ticket', {
      subject: 'From an agent', description: 'Please look', requester_name: 'Eve New', requester_email: 'eve@new.example', priority: 'urgent', tags: ['agent'], custom_fields: [{ id: 52, value: 'rocket' }],
    })).item;
    assert.equal(made.status, 'new');
    assert.match(last().headers['idempotency-key'], /\S/);
    assert.deepEqual(last().body, {
      ticket: {
        subject: 'From an agent', comment: { body: 'Please look', public: true }, requester: { name: 'Eve New', email: 'eve@new.example' }, priority: 'urgent', tags: ['agent'],
        custom_fields: [{ id: 52, value: 'rocket' }],
      },
    });
    const ticket_id = made.id;
    const changed = (await use('update_ticket', { ticket_id, status: 'open', assignee_id: 11, updated_stamp: made.updated_at })).item;
    assert.deepEqual(last().body, { ticket: { status: 'open', assignee_id: 11, updated_stamp: made.updated_at, safe_update: true } });
    assert.notEqual(changed.updated_at, made.updated_at);
    assert.equal(errorOf(await fail('update_ticket', { ticket_id, status: 'hold', updated_stamp: made.updated_at })).code, 'conflict');
    await use('update_ticket', { ticket_id, priority: 'low' });
    assert.deepEqual(last().body, { ticket: { priority: 'low' } });
    await use('add_internal_note', { ticket_id, body: 'Only for us' });
    await use('add_public_reply', { ticket_id, body: 'We are on it', status: 'pending' });
    const comments = (await use('list_ticket_comments', { ticket_id, sort: '-created_at' })).items;
    assert.deepEqual(comments.map((c) => [c.text, c.public]), [['We are on it', true], ['Only for us', false], ['Please look', true]]);
    assert.deepEqual((await use('add_ticket_tags', { ticket_id, tags: ['a', 'b'] })).item.tags, ['agent', 'a', 'b']);
    assert.deepEqual((await use('remove_ticket_tags', { ticket_id, tags: ['agent', 'b'] })).item.tags, ['a']);
    assert.deepEqual([last().method, last().body], ['DELETE', { tags: ['agent', 'b'] }]);
    const person = (await use('create_or_update_user', { name: 'Eve Known', email: 'eve@new.example', organization_id: 31 })).item;
    assert.deepEqual([person.id, person.name, person.organization_id], [made.requester_id, 'Eve Known', 31]);
  });

  test('these were all of the 25, with all four hints', async () => {
    const { result } = await legacyCall(at(), user.key, 'tools/list');
    assert.equal(result.tools.length, 25);
    assert.deepEqual(result.tools.map((t) => t.name).filter((name) => !used.has(name)), []);
    for (const tool of result.tools) {
      for (const hint of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) assert.equal(typeof tool.annotations[hint], 'boolean', `${tool.name} ${hint}`);
    }
  });

  test('lists go on by a cursor of ours, by either kind of page', async () => {
    for (const [tool, args] of [['list_tickets', {}], ['search_tickets', { sort_by: 'created_at' }]]) {
      const seen = [];
      let cursor;
      do {
        const page = await use(tool, { ...args, limit: 2, ...(cursor && { cursor }) });
        seen.push(...page.items.map((t) => t.id));
        cursor = page.next_cursor;
      } while (cursor);
      assert.ok(seen.length >= 4, tool);
      assert.equal(new Set(seen).size, seen.length, tool);
    }
  });

  test('errors in every shape become ones that an agent understands', async () => {
    const missing = await fail('get_ticket', { ticket_id: 999 });
    assert.equal(errorOf(missing).code, 'not_found');
    const faults = [
      [{ status: 422, body: { error: 'RecordInvalid', description: 'Record validation errors', details: { subject: [{ description: 'Subject: is too long' }] } } }, 'validation', /Subject: is too long/],
      [{ status: 403, body: { error: { title: 'Forbidden', message: 'You do not have access to this page.' } } }, 'forbidden', /do not have access/],
      [{ status: 400, body: { errors: [{ code: 'InvalidParameter', title: 'Bad cursor', detail: 'page[after] is wrong' }] } }, 'validation', /Bad cursor/],
      [{ status: 200, body: '<html>maintenance</html>', type: 'text/html' }, 'upstream', /./],
      [{ status: 503, body: 'down', type: 'text/plain' }, 'upstream', /./],
    ];
    for (const [fault, code, words] of faults) {
      zendesk.control({ fail_api: fault });
      const result = await fail('add_internal_note', { ticket_id: 1, body: 'x' });
      zendesk.control({ fail_api: null });
      assert.equal(errorOf(result).code, code, textOf(result));
      assert.match(textOf(result), words);
    }
  });

  test('a rate limit in plain text says when to come back', async () => {
    zendesk.control({ rate_limit: true, rate_limit_reset_s: 55 });
    const { code, retry_after_s } = errorOf(await fail('list_tickets', {}));
    zendesk.control({ rate_limit: null });
    assert.deepEqual([code, retry_after_s], ['rate_limited', 55]);
  });

  test('a missing scope is named, by us and by Zendesk', async () => {
    const platform = await world.newPlatform([]);
    await world.activate(platform, 'zendesk', { scopes: ['tickets:read'] });
    const narrow = await newConnected({ platform });
    const note = { ticket_id: 1, body: 'x' };
    const before = zendesk.counters().api_calls;
    assert.equal(errorOf(await fail('add_internal_note', note, narrow.key)).code, 'scope_missing');
    assert.equal(zendesk.counters().api_calls, before, 'known before Zendesk is asked');
    assert.ok((await useTool(at(), narrow.key, 'zendesk_list_tickets')).items.length);
    zendesk.control({ fail_api: { status: 403, body: { error: 'Forbidden', description: 'You are missing the following required scopes: write' } } });
    const result = await fail('add_internal_note', note);
    zendesk.control({ fail_api: null });
    assert.equal(errorOf(result).code, 'scope_missing', textOf(result));
  });

  test('a life that Zendesk does not tell is never missed: the token is refreshed before and after its end', async () => {
    const someone = await newConnected();
    zendesk.control({ reset_counters: true, expire_all: true, delay_ms: 50 });
    await Promise.all(Array.from({ length: 10 }, () => useTool(at(), someone.key, 'zendesk_get_me')));
    zendesk.control({ delay_ms: 0 });
    assert.equal(zendesk.counters().refreshes, 1);
    assert.equal(zendesk.counters().refresh_errors, 0);
    zendesk.control({ expires_in: 2 });
    const brief = await newConnected();
    zendesk.control({ reset_counters: true, expires_in: 1800 });
    await new Promise((resolve) => setTimeout(resolve, 2500)); // its life is over now
    await useTool(at(), brief.key, 'zendesk_get_me');
    assert.deepEqual([zendesk.counters().api_unauthorized, zendesk.counters().refreshes], [0, 1]);
  });

  test('a lost answer to a refresh ends in a connection that must be renewed, never in a wrong one', { timeout: 120_000 }, async () => {
    const someone = await newConnected();
    zendesk.control({ expire_all: true, fail_token_endpoint: 'lost', fail_token_times: 1 });
    const result = await fail('get_me', {}, someone.key);
    zendesk.control({ fail_token_endpoint: null, fail_token_times: undefined });
    assert.equal(errorOf(result).code, 'reauth_required', textOf(result));
    assert.equal((await world.connections(someone))[0].status, 'needs_reauth');
    await world.connect(someone, { app: 'zendesk', login: 'agnes', answers: ANSWERS });
    assert.deepEqual((await world.connections(someone)).map((c) => c.status), ['active'], 'the same connection, repaired');
    await useTool(at(), someone.key, 'zendesk_get_me');
  });

  test('a revoked token: the connection must be made anew', async () => {
    const someone = await newConnected();
    zendesk.control({ revoke_all: true });
    assert.equal(errorOf(await fail('get_me', {}, someone.key)).code, 'reauth_required');
    assert.equal((await world.connections(someone))[0].status, 'needs_reauth');
    await world.connect(user, { app: 'zendesk', login: 'agnes', answers: ANSWERS });
  });

  test('disconnecting revokes the token at the right account', async () => {
    const someone = await newConnected();
    const revokes = zendesk.counters().token_revokes;
    const reply = await world.platform.api.must(200, 'DELETE', `${someone.path}/connections/${someone.connectionId}`);
    assert.equal(reply.revoked_upstream, true);
    assert.equal(zendesk.counters().token_revokes, revokes + 1);
    assert.deepEqual([last().method, last().path], ['DELETE', '/t/acme/api/v2/oauth/tokens/current']);
  });

  test('an account that does not exist is no connection', async () => {
    const someone = await world.newUser();
    const { page } = { page: await fetch((await world.link(someone, { app: 'zendesk' })).url) };
    assert.match(await page.text(), /name="var_subdomain"/);
    await assert.rejects(world.connect(someone, { app: 'zendesk', login: 'agnes', answers: { var_subdomain: 'nobody' } }), /404/);
    assert.deepEqual(await world.connections(someone), []);
  });
});
