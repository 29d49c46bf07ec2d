// The API half of the Zoho stand-in: CRM (v8), Desk (v1) and Mail with a few records for each organization. Answers
// have the shapes, the statuses and the errors of the real ones; what they hold is made up.

const hostsOf = (accounts, api, zone) => ({ accounts, api, desk: `desk.${zone}`, mail: `mail.${zone}` });
export const DATA_CENTRES = {
  us: hostsOf('accounts.zoho.com', 'www.zohoapis.com', 'zoho.com'),
  eu: hostsOf('accounts.zoho.eu', 'www.zohoapis.eu', 'zoho.eu'),
  in: hostsOf('accounts.zoho.in', 'www.zohoapis.in', 'zoho.in'),
  au: hostsOf('accounts.zoho.com.au', 'www.zohoapis.com.au', 'zoho.com.au'),
  jp: hostsOf('accounts.zoho.jp', 'www.zohoapis.jp', 'zoho.jp'),
  ca: hostsOf('accounts.zohocloud.ca', 'www.zohoapis.ca', 'zohocloud.ca'),
  sa: hostsOf('accounts.zoho.sa', 'www.zohoapis.sa', 'zoho.sa'),
  uk: hostsOf('accounts.zoho.uk', 'www.zohoapis.uk', 'zoho.uk'),
  cn: hostsOf('accounts.zoho.com.cn', 'www.zohoapis.com.cn', 'zoho.com.cn'),
};

export const PEOPLE = [
  { login: 'patricia', name: 'Patricia Boyle', email: 'patricia@zylker.example', dc: 'us', zuid: 4000001 },
  { login: 'amelia', name: 'Amelia Burrows', email: 'amelia@zylker.example', dc: 'eu', zuid: 4000002 },
  { login: 'arjun', name: 'Arjun Rao', email: 'arjun@zylker.example', dc: 'in', zuid: 4000003 },
];

const NOW = '2026-11-20T10:00:00+00:00';
const json = (status, body, headers = {}) => ({ status, body, headers });
const NOTHING = { status: 204, headers: {} };
const page = (query, size) => Math.min(Number(query.get(size) ?? 0) || 200, 200);

/** One organization with its CRM, its help desk and a mailbox. */
class Organization {
  ids = 5725767000000100000n;

  constructor(person) {
    this.person = person;
    const [first_name, last_name] = person.name.split(' ');
    this.user = {
      id: `57257670000000${person.zuid}`, zuid: String(person.zuid), full_name: person.name, first_name, last_name, email: person.email, status: 'active',
      role: { name: 'CEO', id: '5725767000000026005' }, profile: { name: 'Administrator', id: '5725767000000026011' },
      time_zone: 'Europe/Berlin', language: 'en_US', country_locale: 'en_US',
    };
    this.modules = { Leads: [], Contacts: [], Accounts: [], Deals: [], Tasks: [] };
    this.notes = new Map();
    this.add('Leads', { Last_Name: 'Burns', First_Name: 'Ted', Email: 'ted@burns.example', Company: 'Burns Ltd', Phone: '555-0100' });
    this.add('Leads', { Last_Name: 'Watson', First_Name: 'Amy', Email: 'amy@watson.example', Company: 'Watson Inc', Phone: '555-0101' });
    this.add('Leads', { Last_Name: 'Moss', First_Name: 'Kai', Email: 'kai@moss.example', Company: 'Moss AG', Phone: '555-0102' });
    this.add('Accounts', { Account_Name: 'Zylker', Website: 'https://zylker.example' });
    this.add('Contacts', { Last_Name: 'Carol', First_Name: 'Lucas', Email: 'lucas@zylker.example' });
    this.desk = {
      orgs: [
        { id: '60001', companyName: 'Zylker Sandbox', portalName: 'zylkersandbox', edition: 'FREE', isDefault: false, isAdminInOrg: true },
        { id: `7000${person.zuid}`, companyName: 'Zylker', portalName: 'zylker', edition: 'ENTERPRISE', isDefault: true, isAdminInOrg: true },
      ],
      departments: [{ id: '1892000000006907', name: 'Support', description: '', isEnabled: true, isDefault: true }],
      contacts: [{ id: '1892000000042032', firstName: 'Lucas', lastName: 'Carol', email: 'lucas@zylker.example', phone: '555-0200', createdTime: NOW }],
      tickets: [],
      articles: [{
        id: '1892000000555001', title: 'How refunds work', summary: 'Refunds take five days.', answer: '<p>Refunds take five days.</p>', status: 'Published',
        locale: 'en', permission: 'ALL', category: { name: 'Billing' }, author: { name: person.name }, tags: ['refund'], modifiedTime: NOW,
      }],
    };
    this.newTicket({ subject: 'Refund, please', status: 'Open', priority: 'High', email: 'lucas@zylker.example', departmentId: '1892000000006907', contactId: '1892000000042032' });
    this.newTicket({ subject: 'The app is slow', status: 'Open', priority: 'Low', email: 'kai@moss.example', departmentId: '1892000000006907', contactId: '1892000000042032' });
    this.sentMail = [];
    this.tasks = [];
  }

  id() {
    return String(++this.ids);
  }

  add(module, fields) {
    const owner = { id: this.user.id, name: this.user.full_name, email: this.user.email };
    const record = { id: this.id(), Owner: owner, Created_Time: NOW, Modified_Time: NOW, ...fields };
    this.modules[module].push(record);
    return record;
  }

  newTicket(fields) {
    const ticket = {
      id: this.id(), ticketNumber: String(101 + this.desk.tickets.length), channel: 'Email', statusType: 'Open', createdTime: NOW, modifiedTime: NOW,
      threadCount: '1', commentCount: '0', assigneeId: null, webUrl: 'https://desk.zoho.example/t', ...fields,
    };
    const author = { name: 'Lucas Carol', type: 'END_USER', email: ticket.email };
    ticket.threads = [{
      id: this.id(), type: 'thread', channel: 'EMAIL', direction: 'in', summary: ticket.subject, content: `<div>${ticket.subject}</div>`, plainText: ticket.subject,
      fromEmailAddress: ticket.email, to: 'support@zylker.example', author, createdTime: NOW, attachments: [],
    }];
    ticket.comments = [];
    this.desk.tickets.push(ticket);
    return ticket;
  }
}

// ---- CRM ----

const crmError = (status, code, message, details = {}, headers = {}) => json(status, { code, details, message, status: 'error' }, headers);
const written = (org, id, more = {}) => ({
  code: 'SUCCESS', details: { id, Created_Time: NOW, Modified_Time: NOW, Created_By: { id: org.user.id, name: org.user.full_name } }, status: 'success', message: 'record added', ...more,
});
const crmData = (status, item) => json(status, { data: [item] });
const refused = (code, message, details) => crmData(202, { code, details, message, status: 'error' });
const MANDATORY = { Leads: 'Last_Name', Contacts: 'Last_Name', Accounts: 'Account_Name', Deals: 'Deal_Name', Tasks: 'Subject' };
const FIELDS = {
  Leads: [
    { api_name: 'Last_Name', field_label: 'Last Name', data_type: 'text', json_type: 'string', system_mandatory: true, length: 80, pick_list_values: [] },
    { api_name: 'Email', field_label: 'Email', data_type: 'email', json_type: 'string', system_mandatory: false, length: 100, pick_list_values: [] },
    { api_name: 'Lead_Status', field_label: 'Lead Status', data_type: 'picklist', json_type: 'string', system_mandatory: false, length: 120,
      pick_list_values: [{ display_value: 'Contacted', actual_value: 'Contacted' }, { display_value: 'Lost Lead', actual_value: 'Lost Lead' }] },
  ],
};

const choose = (record, fields) =>
  fields ? Object.fromEntries(['id', ...fields.split(',')].filter((name) => name in record).map((name) => [name, record[name]])) : record;

function crmPage(list, query, key, byToken = false) {
  const size = page(query, 'per_page');
  const at = byToken && query.get('page_token') ? Number(Buffer.from(query.get('page_token'), 'base64url').toString()) : (Number(query.get('page') ?? 1) - 1) * size;
  const items = list.slice(at, at + size);
  if (!items.length) return NOTHING;
  const more = at + size < list.length;
  const info = { per_page: size, count: items.length, page: Math.floor(at / size) + 1, more_records: more,
    ...(byToken && { next_page_token: more ? Buffer.from(String(at + size)).toString('base64url') : null }) };
  return json(200, { [key]: items, info });
}

function crmMatches(record, query) {
  const text = JSON.stringify(record).toLowerCase();
  if (query.get('email')) return record.Email === query.get('email');
  if (query.get('phone')) return record.Phone === query.get('phone');
  if (query.get('word')) return text.includes(query.get('word').toLowerCase());
  const conditions = [...(query.get('criteria') ?? '').matchAll(/\((\w+):(equals|starts_with):([^()]*)\)/g)];
  return conditions.every(([, field, how, value]) => (how === 'equals' ? String(record[field]) === value : String(record[field] ?? '').startsWith(value)));
}

function crmWrite(org, module, body, existing) {
  const fields = body?.data?.[0];
  if (!fields || typeof fields !== 'object') return crmError(400, 'INVALID_DATA', 'body must have data');
  const missing = !existing && !fields[MANDATORY[module]];
  if (missing) return refused('MANDATORY_NOT_FOUND', 'required field not found', { api_name: MANDATORY[module], json_path: `$.data[0].${MANDATORY[module]}` });
  const twin = fields.Email && org.modules[module].find((r) => r.Email === fields.Email && r !== existing);
  if (twin) return refused('DUPLICATE_DATA', 'duplicate data', { api_name: 'Email', json_path: '$.data[0].Email', duplicate_record: { id: twin.id } });
  const record = existing ? Object.assign(existing, fields) : org.add(module, fields);
  return crmData(existing ? 200 : 201, written(org, record.id, existing && { message: 'record updated' }));
}

function crmUpsert(org, module, body) {
  const fields = body.data[0];
  const check = body.duplicate_check_fields?.[0];
  const twin = check && org.modules[module].find((r) => r[check] === fields[check]);
  const record = twin ? Object.assign(twin, fields) : org.add(module, fields);
  return crmData(200, written(org, record.id, { action: twin ? 'update' : 'insert', duplicate_field: twin ? check : null, message: twin ? 'record updated' : 'record added' }));
}

function crmQuery(org, query, text = '') {
  const [, fields, module, limit] = /^\s*select\s+(.+?)\s+from\s+(\w+)\s+where\s+.+?(?:\s+limit\s+(\d+))?\s*$/is.exec(text) ?? [];
  if (!org.modules[module]) return crmError(400, 'SYNTAX_ERROR', 'error occurred while parsing the query', {});
  const rows = org.modules[module].slice(0, Number(limit ?? 200)).map((r) => choose(r, fields.replaceAll(' ', '')));
  return rows.length ? json(200, { data: rows, info: { count: rows.length, more_records: false } }) : NOTHING;
}

function crmAction(org, module, record, action, body) {
  const done = (details, message) => crmData(200, { code: 'SUCCESS', details, message, status: 'success' });
  if (action === 'convert' && module === 'Leads') {
    org.modules.Leads.splice(org.modules.Leads.indexOf(record), 1);
    const account = org.add('Accounts', { Account_Name: record.Company });
    const contact = org.add('Contacts', { Last_Name: record.Last_Name, Email: record.Email });
    const deal = body?.data?.[0]?.Deals && org.add('Deals', body.data[0].Deals);
    const link = (r, name) => (r ? { id: r.id, name } : null);
    return done({ Contacts: link(contact, record.Last_Name), Accounts: link(account, record.Company), Deals: link(deal, deal?.Deal_Name) }, 'The record has been converted successfully');
  }
  if (action === 'add_tags') {
    record.Tag = [...(record.Tag ?? []), ...(body?.tags ?? [])];
    return done({ id: record.id, tags: record.Tag.map(({ name }) => ({ name, id: org.id(), color_code: null })) }, 'tags updated successfully');
  }
  if (action === 'send_mail') {
    const mail = body?.data?.[0];
    if (!mail?.from?.email) return crmError(400, 'MANDATORY_NOT_FOUND', 'required field not found', { api_name: 'from', json_path: '$.data[0].from' });
    org.sentMail.push(mail);
    return done({ message_id: `<${org.id()}@zylker.example>` }, 'Your mail has been sent successfully.');
  }
  return crmError(404, 'INVALID_URL_PATTERN', 'Please check if the URL trying to access is a correct one');
}

function crmRecord(org, { method, query, body }, module, record, rest) {
  const [sub, action] = rest;
  if (!sub) {
    if (method === 'GET') return json(200, { data: [choose(record, query.get('fields'))] });
    if (method === 'PUT') return crmWrite(org, module, body, record);
    org.modules[module].splice(org.modules[module].indexOf(record), 1);
    return crmData(200, { code: 'SUCCESS', details: { id: record.id }, message: 'record deleted', status: 'success' });
  }
  if (sub === 'actions') return crmAction(org, module, record, action, body);
  if (sub === '__timeline') {
    const entry = {
      audited_time: NOW, action: 'updated', id: '1', source: 'crm_ui', type: 'field_update', done_by: { name: org.user.full_name, id: org.user.id },
      record: { name: record.Last_Name, id: record.id }, related_record: null, field_history: [{ api_name: 'Phone', field_label: 'Phone', _value: { old: null, new: record.Phone ?? '' } }],
    };
    return crmPage([entry], query, '__timeline');
  }
  if (sub === 'Notes') {
    const notes = org.notes.get(record.id) ?? [];
    if (method === 'GET') return crmPage(notes, query, 'data');
    notes.push({ id: org.id(), ...body.data[0], Owner: { name: org.user.full_name }, Created_Time: NOW, Modified_Time: NOW });
    org.notes.set(record.id, notes);
    return crmData(201, written(org, notes.at(-1).id));
  }
  return query.get('fields') ? crmPage((org.modules[sub] ?? []).map((r) => choose(r, query.get('fields'))), query, 'data') : crmError(400, 'REQUIRED_PARAM_MISSING',
    'One of the expected parameter is missing', { param_name: 'fields' });
}

function crmRoute(org, call) {
  const { method, path, query, body } = call;
  const [module, id, ...rest] = path.replace('/crm/v8/', '').split('/').map(decodeURIComponent);
  if (module === 'users') return query.get('type') === 'CurrentUser' ? json(200, { users: [org.user] }) : crmPage([org.user], query, 'users');
  if (module === 'settings' && id === 'modules') {
    return json(200, { modules: Object.keys(org.modules).map((name) => ({ api_name: name, singular_label: name.slice(0, -1), plural_label: name, generated_type: 'default',
      api_supported: true, viewable: true, creatable: true, editable: true, deletable: true })) });
  }
  if (module === 'settings' && id === 'fields') return json(200, { fields: FIELDS[query.get('module')] ?? [] });
  if (module === 'coql' && method === 'POST') return crmQuery(org, query, body?.select_query);
  const list = org.modules[module];
  if (!list) return crmError(400, 'INVALID_MODULE', 'the module name given seems to be invalid', { resource_path_index: 0 });
  if (!id) {
    if (method === 'POST') return crmWrite(org, module, body);
    if (!query.get('fields')) return crmError(400, 'REQUIRED_PARAM_MISSING', 'One of the expected parameter is missing', { param_name: 'fields' });
    return crmPage(list.map((r) => choose(r, query.get('fields'))), query, 'data', true);
  }
  if (id === 'search') return crmPage(list.filter((r) => crmMatches(r, query)).map((r) => choose(r, query.get('fields'))), query, 'data');
  if (id === 'actions' && rest[0] === 'count') return json(200, { count: list.filter((r) => crmMatches(r, query)).length });
  if (id === 'upsert') return crmUpsert(org, module, body);
  const record = list.find((r) => r.id === id);
  if (record) return crmRecord(org, call, module, record, rest);
  return method === 'GET' && !rest.length ? NOTHING : crmError(400, 'INVALID_DATA', 'the id given seems to be invalid', { resource_path_index: 1 });
}

function crmScopes({ method, path }) {
  if (path.startsWith('/crm/v8/users')) return ['ZohoCRM.users.READ'];
  if (path.startsWith('/crm/v8/settings/')) return [`ZohoCRM.settings.${path.split('/')[4]}.READ`];
  if (path === '/crm/v8/coql') return ['ZohoCRM.coql.READ', 'ZohoCRM.modules.READ'];
  if (path.endsWith('/send_mail')) return ['ZohoCRM.send_mail.all.CREATE'];
  if (path.endsWith('/add_tags')) return ['ZohoCRM.settings.tags.ALL'];
  if (/\/(search|actions\/count)$/.test(path)) return ['ZohoSearch.securesearch.READ', 'ZohoCRM.modules.READ'];
  return [`ZohoCRM.modules.${{ GET: 'READ', POST: 'CREATE', PUT: 'UPDATE', DELETE: 'DELETE' }[method]}`];
}

// ---- Desk ----

const deskError = (status, errorCode, message, more = {}, headers = {}) => json(status, { errorCode, message, ...more }, headers);

function deskPage(list, query, withCount = false) {
  const from = Number(query.get('from') ?? 0);
  const limit = Number(query.get('limit') ?? 10);
  if (limit < 1 || limit > 100) return deskError(422, 'UNPROCESSABLE_ENTITY', "The value passed for field 'limit' exceeds the range of '1-100'.");
  const items = list.slice(from, from + limit);
  return items.length ? json(200, { data: items, ...(withCount && { count: list.length }) }) : NOTHING;
}

const publicTicket = ({ threads, comments, ...ticket }) => ticket;

function ticketRoute(org, { method, query, body }, ticket, [sub, id]) {
  const author = { name: org.user.full_name, type: 'AGENT', email: org.user.email };
  if (!sub && method === 'PATCH') return json(200, publicTicket(Object.assign(ticket, body)));
  if (!sub) return json(200, publicTicket(ticket));
  if (sub === 'conversations') return deskPage([...ticket.threads.map(({ content, plainText, ...t }) => t), ...ticket.comments], query);
  if (sub === 'threads') {
    const thread = ticket.threads.find((t) => t.id === id);
    return thread ? json(200, thread) : deskError(404, 'URL_NOT_FOUND', 'The URL you provided is invalid.');
  }
  if (sub === 'comments' && method === 'POST') {
    const comment = { id: org.id(), type: 'comment', ...body, commenter: author, commentedTime: NOW };
    ticket.comments.unshift(comment);
    return json(200, comment);
  }
  if (sub === 'comments') return deskPage(ticket.comments, query);
  if (sub === 'sendReply' && method === 'POST') {
    const thread = { id: org.id(), type: 'thread', direction: 'out', status: 'SUCCESS', summary: body.content, plainText: body.content, createdTime: NOW, author, attachments: [],
      fromEmailAddress: 'support@zylker.example', to: ticket.email, ...body };
    ticket.threads.push(thread);
    return json(200, thread);
  }
  return deskError(404, 'URL_NOT_FOUND', 'The URL you provided is invalid.');
}

function deskFind(list, query, fields) {
  return list.filter((item) => [...query].every(([name, value]) => {
    const wanted = value.replace(/\*$/, '').toLowerCase();
    if (['from', 'limit', 'sortBy', 'createdTimeRange', 'customField1'].includes(name)) return true;
    return (name === '_all' ? JSON.stringify(item) : String(item[fields[name] ?? name] ?? '')).toLowerCase().includes(wanted);
  }));
}

function deskRoute(org, call) {
  const { method, path, query, body } = call;
  const { desk } = org;
  const [collection, id, ...rest] = path.replace('/api/v1/', '').split('/').map(decodeURIComponent);
  if (collection === 'organizations') return json(200, { data: desk.orgs });
  const known = desk.orgs.find((o) => o.id === call.orgId);
  if (!known) return deskError(403, 'OAUTH_ORG_MISMATCH', 'The organization and the OAuth token do not match.');
  const me = { id: `18920000${org.person.zuid}`, name: org.user.full_name, firstName: org.user.first_name, lastName: org.user.last_name, emailId: org.user.email, status: 'ACTIVE',
    roleId: '1', profileId: '2', timeZone: 'Europe/Berlin', associatedDepartmentIds: ['1892000000006907'] };
  if (collection === 'myinfo') return json(200, me);
  if (collection === 'departments') return deskPage(desk.departments, query);
  if (collection === 'agents') return deskPage([me], query);
  if (collection === 'contacts' && id === 'search') return deskPage(deskFind(desk.contacts, query, { fullName: 'lastName' }), query, true);
  if (collection === 'contacts' && method === 'POST') {
    if (!body?.lastName) return deskError(422, 'INVALID_DATA', 'The data is invalid due to validation restrictions', { errors: [{ fieldName: '/lastName', errorType: 'missing', errorMessage: '' }] });
    desk.contacts.push({ id: org.id(), createdTime: NOW, ...body });
    return json(200, desk.contacts.at(-1));
  }
  if (collection === 'articles') {
    if (id === 'search') return deskPage(deskFind(desk.articles, query, {}).map(({ answer, ...a }) => a), query, true);
    const article = desk.articles.find((a) => a.id === id);
    return article ? json(200, article) : deskError(404, 'URL_NOT_FOUND', 'The URL you provided is invalid.');
  }
  if (collection !== 'tickets') return deskError(404, 'URL_NOT_FOUND', 'The URL you provided is invalid.');
  if (id === 'search') return deskPage(deskFind(desk.tickets, query, {}).map(publicTicket), query, true);
  if (!id && method === 'GET') {
    const status = query.get('status');
    return deskPage(desk.tickets.filter((t) => !status || status.split(',').includes(t.status)).map(publicTicket), query);
  }
  if (!id) {
    if (!body?.subject || !body.departmentId) return deskError(422, 'INVALID_DATA', 'The data is invalid due to validation restrictions', { errors: [{ fieldName: '/departmentId',
      errorType: 'missing', errorMessage: '' }] });
    return json(200, publicTicket(org.newTicket({ status: 'Open', email: body.contact?.email, ...body })));
  }
  const ticket = desk.tickets.find((t) => t.id === id);
  return ticket ? ticketRoute(org, call, ticket, rest) : deskError(404, 'RESOURCE_NOT_FOUND', 'The resource you are looking for does not exist.');
}

function deskScopes({ method, path }) {
  const [collection, id, sub] = path.replace('/api/v1/', '').split('/');
  if (['myinfo', 'organizations', 'departments', 'agents'].includes(collection)) return ['Desk.basic.READ'];
  const operation = { GET: 'READ', POST: sub === 'sendReply' ? 'UPDATE' : 'CREATE', PATCH: 'UPDATE' }[method];
  return [`Desk.${collection}.${operation}`, ...(id === 'search' && collection !== 'articles' ? ['Desk.search.READ'] : [])];
}

// ---- Mail ----

const mailError = (status, errorCode, moreInfo) => json(status, { data: { errorCode, ...(moreInfo && { moreInfo }) }, status: { code: status, description: 'Invalid Input' } });
const mailDone = (data, code = 200) => json(code, { status: { code, description: 'success' }, data });

function mailRoute(org, { method, path, body }) {
  const accountId = `2560636000000${org.person.zuid}`;
  if (path === '/api/accounts' && method === 'GET') {
    return mailDone([
      { accountId: '1', type: 'IMAP_ACCOUNT', primaryEmailAddress: 'old@elsewhere.example', accountDisplayName: 'Old' },
      { accountId, type: 'ZOHO_ACCOUNT', primaryEmailAddress: org.user.email, mailboxAddress: org.user.email, accountDisplayName: org.user.full_name, zuid: org.person.zuid },
    ]);
  }
  if (path === `/api/accounts/${accountId}/messages` && method === 'POST') {
    if (!body?.toAddress || body.fromAddress !== org.user.email) return mailError(400, 'EXTRA_PARAM_FOUND', 'fromAddress is not yours');
    org.sentMail.push(body);
    return mailDone({ messageId: `17000${org.id()}`, fromAddress: body.fromAddress, toAddress: body.toAddress, subject: body.subject });
  }
  if (path === '/api/tasks/me' && method === 'POST') {
    if (!body?.title) return mailError(400, 'PATTERN_NOT_MATCHED', 'title');
    org.tasks.push({ id: org.id(), status: 'inprogress', ...body });
    return mailDone(org.tasks.at(-1), 201);
  }
  return mailError(404, 'URL_RULE_NOT_CONFIGURED');
}

function mailScopes({ path }) {
  if (path === '/api/accounts') return ['ZohoMail.accounts.READ'];
  return [path.startsWith('/api/tasks') ? 'ZohoMail.tasks.CREATE' : 'ZohoMail.messages.CREATE'];
}

// ---- all of them ----

const PRODUCTS = {
  api: {
    prefix: '/crm/v8/', route: crmRoute, scopes: crmScopes,
    noToken: () => crmError(401, 'INVALID_TOKEN', 'invalid oauth token'),
    noScope: () => crmError(401, 'OAUTH_SCOPE_MISMATCH', 'invalid oauth scope to access this URL'),
    tooMany: (kind) => crmError(429, 'TOO_MANY_REQUESTS', 'You have exceeded the maximum call limit', {}, kind === 'credits' ? { 'X-API-CREDITS-REMAINING': '0' } : {}),
  },
  desk: {
    prefix: '/api/v1/', route: deskRoute, scopes: deskScopes,
    noToken: () => deskError(401, 'INVALID_OAUTH', 'The OAuth Token you provided is invalid.'),
    noScope: () => deskError(403, 'SCOPE_MISMATCH', "You don't have the scope to perform this operation."),
    tooMany: (kind) => (kind === 'credits'
      ? deskError(429, 'THRESHOLD_EXCEEDED', 'You have exceeded the daily credit limit.', {}, { 'Retry-After': '7200' })
      : deskError(429, 'TOO_MANY_REQUESTS', 'Too many requests at the same time.')),
  },
  mail: {
    prefix: '/api/', route: mailRoute, scopes: mailScopes,
    noToken: () => mailError(404, 'INVALID_OAUTHTOKEN'),
    noScope: () => mailError(404, 'INVALID_OAUTHSCOPE'),
    tooMany: () => mailError(429, 'TOO_MANY_REQUESTS'),
  },
};

const covers = (granted, wanted) => granted.some((scope) => scope === wanted || scope === wanted.replace(/\.[A-Z]+$/, '.ALL'));

export class ZohoApi {
  organizations = new Map(PEOPLE.map((person) => [person.login, new Organization(person)]));

  /** @param who {person, scopes} of the token, or null. Returns {status, headers, body}; without body it has none. */
  answer(call, who) {
    const product = PRODUCTS[call.kind];
    if (!call.path.startsWith(product.prefix)) return json(404, { message: 'no such API' });
    if (!who) return product.noToken();
    if (call.fault) return product.tooMany(call.fault);
    if (!product.scopes(call).every((scope) => covers(who.scopes, scope))) return product.noScope();
    return product.route(this.organizations.get(who.person.login), call);
  }
}
