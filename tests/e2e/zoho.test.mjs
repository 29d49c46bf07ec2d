// Zoho CRM, Desk and Mail in two data centres: connecting in a real browser, every tool once, and what happens when
// the provider says no.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { listen, sendHtml, sendJson } from '../../examples/standins/http.mjs';
import { DATA_CENTRES, start as startZoho } from '../../examples/standins/zoho.mjs';
import { launchBrowser, newVisitor } from './support/browser.mjs';
import { errorOf, failTool, textOf, toolNames, useTool } from './support/mcp.mjs';
import { eventually } from './support/server.mjs';
import { RETURN_URL, World } from './support/world.mjs';

const APPS = ['zoho_crm', 'zoho_desk', 'zoho_mail'];
const CLIENT = { client_id: 'demo-zoho-client', client_secret: 'demo-zoho-client-secret', return_urls: [RETURN_URL] };
const DC = { patricia: 'us', amelia: 'eu', arjun: 'in' };

describe('Zoho', () => {
  let world, zoho, browser, product;
  before(async () => {
    zoho = await startZoho();
    const overrides = Object.fromEntries(APPS.map((app) => [app, zoho.override]));
    world = await World.start({ apps: [], overrides });
    product = await listen((req, res) => sendHtml(res, 200, '<!doctype html><title>Product</title><link rel="icon" href="data:,"><h1>Back</h1>'));
    for (const app of APPS) await world.activate(world.platform, app, { ...CLIENT, return_urls: [RETURN_URL, `${product.url}/done`] });
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await product?.stop();
    await world?.stop();
    await zoho?.stop();
  });

  afterEach(() => zoho.control({ api: null, location: null, accounts_server: null, api_domain: null, fail_token_endpoint: null }));

  const connected = async (app, login) => {
    const user = await world.newUser();
    user.connectionId = await world.connect(user, { app, login });
    return user;
  };
  const mcp = (app) => world.mcp(app);
  const last = () => zoho.counters().requests.at(-1);
  const stateOf = async (user) => (await world.connections(user))[0]?.status;

  /** Opens a connect link in Chromium and says yes or no at Zoho. Resolves to the page that is back with us. */
  async function connectInBrowser(user, app, login, decision = 'Accept') {
    const { page, problems, close } = await newVisitor(browser);
    await page.goto((await world.link(user, { app, return_url: `${product.url}/done` })).url);
    await Promise.all([page.waitForURL(/\/oauth\/v2\/auth/), page.locator('form button').first().click()]);
    const asked = new URL(page.url());
    await page.getByRole('radio', { name: new RegExp(`\\(${login}\\)`) }).check();
    await Promise.all([page.waitForURL(`${product.url}/**`), page.getByRole('button', { name: decision, exact: true }).click()]);
    const landed = new URL(page.url()).searchParams;
    await close();
    return { asked, landed, problems };
  }

  describe('connecting in a browser', () => {
    for (const [app, login, label] of [
      ['zoho_crm', 'patricia', 'patricia@zylker.example'], ['zoho_crm', 'amelia', 'amelia@zylker.example'],
      ['zoho_desk', 'amelia', 'amelia@zylker.example'], ['zoho_mail', 'arjun', 'arjun@zylker.example'],
    ]) {
      test(`${app} of an account in the data centre ${DC[login]}`, async () => {
        const user = await world.newUser();
        zoho.control({ reset_counters: true });
        const { asked, landed, problems } = await connectInBrowser(user, app, login);
        assert.equal(asked.pathname, '/accounts.zoho.com/oauth/v2/auth', 'it begins where the client is registered');
        assert.equal(asked.searchParams.get('access_type'), 'offline');
        assert.equal(asked.searchParams.get('prompt'), 'consent');
        assert.match(asked.searchParams.get('scope'), /^[A-Za-z._]+(,[A-Za-z._]+)+$/);
        assert.equal(landed.get('status'), 'connected');
        const [connection] = await world.connections(user);
        assert.equal(connection.app, app);
        assert.equal(connection.account.label, label);
        const { requests } = zoho.counters();
        const hosts = DATA_CENTRES[DC[login]];
        assert.equal(requests[0].host, hosts.accounts, 'the code goes to the data centre of the account');
        assert.ok(requests.every((request) => request.dc === DC[login]), JSON.stringify(requests));
        assert.deepEqual(problems, []);
      });
    }

    test('Desk takes the default organization, and sends it with every call', async () => {
      const user = await connected('zoho_desk', 'amelia');
      await useTool(mcp('zoho_desk'), user.key, 'zoho_desk_get_me');
      assert.equal(last().orgId, '70004000002');
      assert.equal(last().host, 'desk.zoho.eu');
    });

    test('saying no', async () => {
      const user = await world.newUser();
      const { landed } = await connectInBrowser(user, 'zoho_crm', 'amelia', 'Reject');
      assert.equal(landed.get('reason'), 'access_denied');
      assert.deepEqual(await world.connections(user), []);
    });
  });

  describe('a callback or a reply that names another server', () => {
    let evil, caught;
    before(async () => {
      caught = [];
      evil = await listen((req, res) => (caught.push(req.url), sendJson(res, 200, { access_token: 'x' })));
    });
    after(() => evil?.stop());
    for (const [name, lie] of [
      ['a forged accounts-server', () => ({ accounts_server: evil.url })],
      ['another data centre\'s accounts-server', () => ({ accounts_server: 'https://accounts.zoho.in' })],
      ['a look-alike accounts-server', () => ({ accounts_server: 'https://accounts.zoho.eu.evil.example' })],
      ['an unknown location', () => ({ location: 'xx' })],
      ['a host as location', () => ({ location: new URL(evil.url).host })],
    ]) {
      test(`${name} is refused before the code and the secret go anywhere`, async () => {
        const user = await world.newUser();
        zoho.control({ reset_counters: true, ...lie() });
        const { landed } = await connectInBrowser(user, 'zoho_crm', 'amelia');
        zoho.control({ accounts_server: null, location: null });
        assert.equal(landed.get('status'), 'error');
        assert.deepEqual(zoho.counters().requests, []);
        assert.deepEqual(caught, []);
        assert.deepEqual(await world.connections(user), []);
      });
    }

    test('an api_domain that is not in the table', async () => {
      const user = await world.newUser();
      zoho.control({ api_domain: evil.url });
      const { landed } = await connectInBrowser(user, 'zoho_crm', 'amelia');
      zoho.control({ api_domain: null });
      assert.equal(landed.get('status'), 'error');
      assert.deepEqual(caught, []);
      assert.deepEqual(await world.connections(user), []);
    });
  });

  /** One call of a tool with the request that it must lead to. */
  const calls = (app, login, product) => {
    const used = new Set();
    let user;
    return {
      used,
      user: async () => (user ??= await connected(app, login)),
      async use(name, args, expected) {
        used.add(`${app}_${name}`);
        const result = await useTool(mcp(app), (user ??= await connected(app, login)).key, `${app}_${name}`, args);
        const sent = last();
        const { method, path, query = {}, body } = expected;
        assert.equal(sent.host, DATA_CENTRES[DC[login]][product], name);
        assert.equal(sent.scheme, 'Zoho-oauthtoken', name);
        assert.deepEqual([sent.method, sent.path, sent.query, sent.body], [method, path, query, body], name);
        return result;
      },
    };
  };

  test('CRM: every tool', async () => {
    const { use, used, user } = calls('zoho_crm', 'amelia', 'api');
    const at = '/crm/v8';
    const me = (await use('get_me', {}, { method: 'GET', path: `${at}/users`, query: { type: 'CurrentUser' } })).item;
    assert.equal(me.email, 'amelia@zylker.example');
    const users = await use('list_users', { type: 'AllUsers' }, { method: 'GET', path: `${at}/users`, query: { type: 'AllUsers', page: '1', per_page: '20' } });
    assert.equal(users.items[0].id, me.id);
    assert.ok((await use('list_modules', {}, { method: 'GET', path: `${at}/settings/modules` })).items.some((m) => m.api_name === 'Leads'));
    const fields = (await use('list_fields', { module: 'Leads', include_values: true }, { method: 'GET', path: `${at}/settings/fields`, query: { module: 'Leads' } })).items;
    assert.equal(fields[0].required, true);
    assert.deepEqual(fields[2].values, ['Contacted', 'Lost Lead']);

    const listed = await use('list_records', { module: 'Leads', field_names: ['Last_Name', 'Email'], sort_by: 'Created_Time', sort_order: 'desc', limit: 2 },
      { method: 'GET', path: `${at}/Leads`, query: { fields: 'Last_Name,Email', sort_by: 'Created_Time', sort_order: 'desc', per_page: '2' } });
    assert.equal(listed.items.length, 2);
    const rest = await use('list_records', { module: 'Leads', field_names: ['Last_Name', 'Email'], sort_by: 'Created_Time', sort_order: 'desc', limit: 2, cursor: listed.next_cursor },
      { method: 'GET', path: `${at}/Leads`, query: { fields: 'Last_Name,Email', sort_by: 'Created_Time', sort_order: 'desc', per_page: '2', page_token: 'Mg' } });
    assert.deepEqual(rest.items.map((i) => i.record.Last_Name), ['Moss']);
    assert.equal(rest.next_cursor, undefined);
    const lead = listed.items[0].record;
    assert.equal(lead.Last_Name, 'Burns');
    assert.equal((await use('get_record', { module: 'Leads', record_id: lead.id }, { method: 'GET', path: `${at}/Leads/${lead.id}` })).item.record.Company, 'Burns Ltd');
    const found = await use('search_records', { module: 'Leads', criteria: '(Last_Name:equals:Watson)', field_names: ['Last_Name'] },
      { method: 'GET', path: `${at}/Leads/search`, query: { criteria: '(Last_Name:equals:Watson)', fields: 'Last_Name', page: '1', per_page: '20' } });
    assert.equal(found.items.length, 1);
    const nothing = await use('search_records', { module: 'Leads', word: 'nobody' }, { method: 'GET', path: `${at}/Leads/search`, query: { word: 'nobody', page: '1', per_page: '20' } });
    assert.deepEqual(nothing, { items: [] }, '204 is an empty list');
    const select = "select Last_Name from Leads where Company = 'Moss AG' limit 5";
    assert.ok((await use('query', { select_query: select }, { method: 'POST', path: `${at}/coql`, body: { select_query: select } })).items.length >= 1);
    assert.equal((await use('count_records', { module: 'Leads', word: 'Burns' }, { method: 'GET', path: `${at}/Leads/actions/count`, query: { word: 'Burns' } })).item.count, 1);
    const account = (await use('search_records', { module: 'Accounts', word: 'Zylker' }, { method: 'GET', path: `${at}/Accounts/search`, query: { word: 'Zylker', page: '1',
      per_page: '20' } })).items[0].record;
    const related = await use('list_related_records', { module: 'Accounts', record_id: account.id, related_list: 'Contacts', field_names: ['Last_Name'] },
      { method: 'GET', path: `${at}/Accounts/${account.id}/Contacts`, query: { fields: 'Last_Name', page: '1', per_page: '20' } });
    assert.equal(related.items[0].record.Last_Name, 'Carol');
    const timeline = await use('get_timeline', { module: 'Leads', record_id: lead.id }, { method: 'GET', path: `${at}/Leads/${lead.id}/__timeline`, query: { page: '1', per_page: '20' } });
    assert.equal(timeline.items[0].changes[0].field, 'Phone');

    const record = { Last_Name: 'Quill', Email: 'quill@example.com', Owner: { id: me.id }, Interests: ['a', 'b'] };
    const made = (await use('create_record', { module: 'Leads', record, trigger: [] }, { method: 'POST', path: `${at}/Leads`, body: { data: [record], trigger: [] } })).item;
    assert.match(made.id, /^\d+$/);
    await use('update_record', { module: 'Leads', record_id: made.id, record: { Phone: null } }, { method: 'PUT', path: `${at}/Leads/${made.id}`, body: { data: [{ Phone: null }] } });
    const again = await use('upsert_record', { module: 'Leads', record: { Last_Name: 'Quill', Email: 'quill@example.com' }, duplicate_check_fields: ['Email'] },
      { method: 'POST', path: `${at}/Leads/upsert`, body: { data: [{ Last_Name: 'Quill', Email: 'quill@example.com' }], duplicate_check_fields: ['Email'] } });
    assert.deepEqual([again.item.id, again.item.action], [made.id, 'update']);
    await use('add_note', { module: 'Leads', record_id: lead.id, title: 'Call', content: 'Wants an offer.' },
      { method: 'POST', path: `${at}/Leads/${lead.id}/Notes`, body: { data: [{ Note_Title: 'Call', Note_Content: 'Wants an offer.' }] } });
    const notes = await use('list_notes', { module: 'Leads', record_id: lead.id },
      { method: 'GET', path: `${at}/Leads/${lead.id}/Notes`, query: { fields: 'id,Note_Title,Note_Content,Owner,Created_Time,Modified_Time', page: '1', per_page: '20' } });
    assert.equal(notes.items[0].content, 'Wants an offer.');
    const tagged = await use('add_tags', { module: 'Leads', record_id: lead.id, tags: ['hot', 'eu'] }, { method: 'POST', path: `${at}/Leads/${lead.id}/actions/add_tags`,
      body: { tags: [{ name: 'hot' }, { name: 'eu' }] } });
    assert.deepEqual(tagged.item.tags, ['hot', 'eu']);
    const to = [{ email: 'ted@burns.example', user_name: 'Ted Burns' }];
    const mail = { from: { email: 'amelia@zylker.example', user_name: 'Amelia Burrows' }, to, subject: 'Offer', content: 'Here it is.', mail_format: 'text' };
    await use('send_email', { module: 'Leads', record_id: lead.id, to, subject: 'Offer', content: 'Here it is.' }, { method: 'POST', path: `${at}/Leads/${lead.id}/actions/send_mail`,
      body: { data: [mail] } });
    const converted = await use('convert_lead', { lead_id: lead.id, deal: { Deal_Name: 'Big', Stage: 'Qualification', Closing_Date: '2026-12-31' } },
      { method: 'POST', path: `${at}/Leads/${lead.id}/actions/convert`, body: { data: [{ overwrite: false, notify_lead_owner: false, Deals: { Deal_Name: 'Big', Stage: 'Qualification',
        Closing_Date: '2026-12-31' } }] } });
    assert.ok(converted.item.contact_id && converted.item.account_id && converted.item.deal_id);
    await use('delete_record', { module: 'Leads', record_id: made.id }, { method: 'DELETE', path: `${at}/Leads/${made.id}` });

    const names = await toolNames(mcp('zoho_crm'), (await user()).key);
    assert.equal(names.length, 20);
    assert.deepEqual(names.filter((name) => !used.has(name)), []);
  });

  test('Desk: every tool', async () => {
    const { use, used, user } = calls('zoho_desk', 'patricia', 'desk');
    const at = '/api/v1';
    const paged = (more = {}) => ({ from: '0', limit: '20', ...more });
    assert.equal((await use('get_me', {}, { method: 'GET', path: `${at}/myinfo` })).item.email, 'patricia@zylker.example');
    assert.equal((await use('list_organizations', {}, { method: 'GET', path: `${at}/organizations` })).items.length, 2);
    const department = (await use('list_departments', { is_enabled: true }, { method: 'GET', path: `${at}/departments`, query: paged({ isEnabled: 'true' }) })).items[0];
    const agent = (await use('list_agents', { department_id: department.id, status: 'ACTIVE' }, { method: 'GET', path: `${at}/agents`, query: paged({ departmentId: department.id,
      status: 'ACTIVE' }) })).items[0];
    const first = await use('list_tickets', { status: 'Open', limit: 1 }, { method: 'GET', path: `${at}/tickets`, query: { from: '0', limit: '1', status: 'Open', sortBy: '-createdTime' } });
    const second = await use('list_tickets', { status: 'Open', limit: 1, cursor: first.next_cursor }, { method: 'GET', path: `${at}/tickets`, query: { from: '1', limit: '1', status: 'Open',
      sortBy: '-createdTime' } });
    assert.notEqual(first.items[0].id, second.items[0].id);
    const hit = await use('search_tickets', { words: 'refund*', custom_field: 'cf_plan:gold' }, { method: 'GET', path: `${at}/tickets/search`, query: paged({ _all: 'refund*',
      customField1: 'cf_plan:gold' }) });
    assert.equal(hit.total, 1);
    const ticket_id = hit.items[0].id;
    assert.equal((await use('get_ticket', { ticket_id, include: ['contacts', 'assignee'] }, { method: 'GET', path: `${at}/tickets/${ticket_id}`,
      query: { include: 'contacts,assignee' } })).item.subject, 'Refund, please');
    const talk = await use('list_conversations', { ticket_id }, { method: 'GET', path: `${at}/tickets/${ticket_id}/conversations`, query: paged() });
    const thread_id = talk.items[0].id;
    assert.equal((await use('get_thread', { ticket_id, thread_id }, { method: 'GET', path: `${at}/tickets/${ticket_id}/threads/${thread_id}`, query: { include: 'plainText' } })).item.text,
      'Refund, please');
    assert.deepEqual(await use('list_comments', { ticket_id }, { method: 'GET', path: `${at}/tickets/${ticket_id}/comments`, query: paged({ sortBy: '-commentedTime' }) }), { items: [] });
    await use('add_comment', { ticket_id, content: 'Looks right.' }, { method: 'POST', path: `${at}/tickets/${ticket_id}/comments`, body: { content: 'Looks right.', isPublic: false,
      contentType: 'plainText' } });
    await use('send_reply', { ticket_id, content: 'Five days.' }, { method: 'POST', path: `${at}/tickets/${ticket_id}/sendReply`, body: { channel: 'EMAIL', content: 'Five days.',
      contentType: 'plainText' } });
    const contact = (await use('search_contacts', { email: 'lucas@zylker.example' }, { method: 'GET', path: `${at}/contacts/search`, query: paged({ email: 'lucas@zylker.example' }) })).items[0];
    await use('create_contact', { last_name: 'Doe', email: 'doe@example.com' }, { method: 'POST', path: `${at}/contacts`, body: { lastName: 'Doe', email: 'doe@example.com' } });
    const made = (await use('create_ticket', { subject: 'New', department_id: department.id, contact_id: contact.id, custom_fields: { cf_plan: 'gold' } },
      { method: 'POST', path: `${at}/tickets`, body: { subject: 'New', departmentId: department.id, contactId: contact.id, cf: { cf_plan: 'gold' } } })).item;
    const changed = await use('update_ticket', { ticket_id: made.id, status: 'Closed', assignee_id: agent.id }, { method: 'PATCH', path: `${at}/tickets/${made.id}`, body: { status: 'Closed',
      assigneeId: agent.id } });
    assert.equal(changed.item.status, 'Closed');
    const article = (await use('search_articles', { query: 'refunds' }, { method: 'GET', path: `${at}/articles/search`, query: paged({ _all: 'refunds' }) })).items[0];
    assert.match((await use('get_article', { article_id: article.id }, { method: 'GET', path: `${at}/articles/${article.id}` })).item.answer, /five days/);
    const names = await toolNames(mcp('zoho_desk'), (await user()).key);
    assert.equal(names.length, 18);
    assert.deepEqual(names.filter((name) => !used.has(name)), []);
  });

  test('Mail: every tool', async () => {
    const { use, used, user } = calls('zoho_mail', 'arjun', 'mail');
    const sent = await use('send_email', { to: ['a@example.com', 'b@example.com'], subject: 'Hello', content: 'Hi.' },
      { method: 'POST', path: '/api/accounts/25606360000004000003/messages', body: { fromAddress: 'arjun@zylker.example', toAddress: 'a@example.com,b@example.com', subject: 'Hello',
        content: 'Hi.', mailFormat: 'plaintext', askReceipt: 'no' } });
    assert.ok(sent.item.message_id);
    const task = await use('create_task', { title: 'Call Ted', priority: 'high', due_date: '31/01/2027' }, { method: 'POST', path: '/api/tasks/me', body: { title: 'Call Ted',
      priority: 'high', dueDate: '31/01/2027' } });
    assert.equal(task.item.title, 'Call Ted');
    assert.deepEqual((await toolNames(mcp('zoho_mail'), (await user()).key)).filter((name) => !used.has(name)), []);
    assert.equal(used.size, 2);
  });

  describe('what agents are told', () => {
    let crm, desk;
    before(async () => {
      crm = await connected('zoho_crm', 'patricia');
      desk = await connected('zoho_desk', 'patricia');
    });
    const fail = async (user, app, name, args) => errorOf(await failTool(mcp(app), user.key, `${app}_${name}`, args));

    test('a record that is refused inside a success', async () => {
      const twin = await fail(crm, 'zoho_crm', 'create_record', { module: 'Leads', record: { Last_Name: 'Burns', Email: 'ted@burns.example' } });
      assert.equal(twin.code, 'conflict');
      assert.match(twin.message, /duplicate data/);
      const incomplete = await fail(crm, 'zoho_crm', 'create_record', { module: 'Leads', record: { Email: 'x@example.com' } });
      assert.equal(incomplete.code, 'validation');
      assert.match(incomplete.message, /required field not found.*Last_Name/);
    });

    test('what is not there', async () => {
      assert.equal((await fail(crm, 'zoho_crm', 'get_record', { module: 'Leads', record_id: '1' })).code, 'not_found');
      assert.equal((await fail(crm, 'zoho_crm', 'update_record', { module: 'Leads', record_id: '1', record: { Phone: '1' } })).code, 'not_found');
      const module = await fail(crm, 'zoho_crm', 'list_records', { module: 'Nothing', field_names: ['id'] });
      assert.equal(module.code, 'not_found');
      assert.match(module.message, /zoho_crm_list_modules/);
      assert.equal((await fail(desk, 'zoho_desk', 'get_ticket', { ticket_id: '1' })).code, 'not_found');
    });

    test('arguments that cannot be are refused here', async () => {
      const before = zoho.counters().requests.length;
      await fail(crm, 'zoho_crm', 'search_records', { module: 'Leads', word: 'aa', email: 'a@b.c' });
      await fail(crm, 'zoho_crm', 'list_records', { module: 'users', field_names: ['id'] });
      await fail(crm, 'zoho_crm', 'query', { select_query: 'delete from Leads' });
      await fail(desk, 'zoho_desk', 'search_contacts', {});
      assert.equal(zoho.counters().requests.length, before);
    });

    test('rate limits', async () => {
      for (const [user, app, name, fault, wait, words] of [
        [crm, 'zoho_crm', 'list_modules', 'credits', 3600, /24 hours/], [crm, 'zoho_crm', 'list_modules', 'concurrency', 10, /at once/],
        [desk, 'zoho_desk', 'list_departments', 'credits', 7200, /of the day/],
      ]) {
        zoho.control({ api: fault });
        const told = await fail(user, app, name, {});
        zoho.control({ api: null });
        assert.deepEqual([told.code, told.retry_after_s], ['rate_limited', wait], JSON.stringify(told));
        assert.match(told.message, words);
      }
    });

    test('a missing scope is named', async () => {
      const platform = await world.newPlatform([]);
      await world.activate(platform, 'zoho_crm', { ...CLIENT, scopes: ['ZohoCRM.modules.READ'] });
      const user = await world.newUser(platform);
      await world.connect(user, { app: 'zoho_crm', login: 'amelia' });
      const told = await failTool(mcp('zoho_crm'), user.key, 'zoho_crm_create_record', { module: 'Leads', record: { Last_Name: 'x' } });
      assert.match(textOf(told), /ZohoCRM\.modules\.(ALL|CREATE)/);
      assert.equal((await useTool(mcp('zoho_crm'), user.key, 'zoho_crm_list_records', { module: 'Leads', field_names: ['id'] })).items.length > 0, true);
    });
  });

  describe('tokens', () => {
    const me = (user) => useTool(mcp('zoho_crm'), user.key, 'zoho_crm_get_me');

    test('an expired token is refreshed at its data centre, with the same refresh token', async () => {
      const user = await connected('zoho_crm', 'amelia');
      zoho.control({ reset_counters: true, expire_all: true });
      await me(user);
      const { refreshes, live_refresh_tokens: live, requests } = zoho.counters();
      assert.equal(refreshes, 1);
      assert.equal(requests.find((r) => r.path === '/oauth/v2/token').host, 'accounts.zoho.eu');
      assert.equal(live, zoho.counters().live_refresh_tokens);
      assert.equal(await stateOf(user), 'active');
    });

    test('a refresh that is throttled or answered with a page costs nothing but time', async () => {
      for (const [fault, atLeast] of [['throttle', 600], ['500', 1]]) {
        const user = await connected('zoho_crm', 'amelia');
        zoho.control({ expire_all: true, fail_token_endpoint: fault });
        const told = errorOf(await failTool(mcp('zoho_crm'), user.key, 'zoho_crm_get_me'));
        zoho.control({ fail_token_endpoint: null });
        assert.ok(told.retry_after_s >= atLeast, `${fault}: ${JSON.stringify(told)}`);
        assert.equal(await stateOf(user), 'active');
      }
    });

    test('a revoked grant asks the user to connect again, and that repairs the same connection', async () => {
      const user = await connected('zoho_crm', 'amelia');
      zoho.control({ revoke_all: true });
      assert.match(textOf(await failTool(mcp('zoho_crm'), user.key, 'zoho_crm_get_me')), /\/connect\//);
      assert.equal(await stateOf(user), 'needs_reauth');
      assert.equal(await world.connect(user, { app: 'zoho_crm', login: 'amelia' }), user.connectionId);
      await me(user);
      assert.equal(await stateOf(user), 'active');
    });

    test('connecting again leaves one refresh token, so that the limit of twenty is not used up', async () => {
      const user = await connected('zoho_crm', 'arjun');
      const before = zoho.counters();
      await world.connect(user, { app: 'zoho_crm', login: 'arjun' });
      await eventually(() => zoho.counters().token_revokes > before.token_revokes, 'the old refresh token is never revoked', 60_000);
      assert.equal(zoho.counters().live_refresh_tokens, before.live_refresh_tokens);
      await me(user);
    });

    test('disconnecting revokes at the data centre of the account', async () => {
      const user = await connected('zoho_crm', 'amelia');
      zoho.control({ reset_counters: true });
      const { data } = await user.api.delete(`/v1/me/connections/${user.connectionId}`);
      assert.equal(data.revoked_upstream, true);
      const revoked = zoho.counters().requests.find((r) => r.path === '/oauth/v2/token/revoke');
      assert.equal(revoked.host, 'accounts.zoho.eu');
      assert.equal(zoho.counters().token_revokes, 1);
    });
  });
});
