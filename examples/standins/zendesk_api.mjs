// The API half of the Zendesk stand-in: one account with agents, end users, tickets, views, macros and articles.
const problem = (status, error, description, details) => ({ status, body: { error, description, ...(details && { details }) } });
const notFound = () => problem(404, 'RecordNotFound', 'Not found');
const invalid = (field, words) => problem(422, 'RecordInvalid', 'Record validation errors', { [field]: [{ description: words, error: 'BlankValue' }] });
const now = () => new Date().toISOString().replace(/\.\d+Z$/, 'Z');

/** Method and path to a method of ZendeskApi, and the scopes of which one is needed. */
const ROUTES = [
  ['GET', /^\/users\/me$/, 'me', ['users:read', 'read']],
  ['GET', /^\/users\/search$/, 'searchUsers', ['users:read', 'read']],
  ['POST', /^\/users\/create_or_update$/, 'upsertUser', ['users:write', 'write']],
  ['GET', /^\/users\/(\d+)$/, 'getUser', ['users:read', 'read']],
  ['GET', /^\/organizations\/search$/, 'searchOrganizations', ['organizations:read', 'read']],
  ['GET', /^\/groups$/, 'listGroups', ['read']],
  ['GET', /^\/search$/, 'search', ['read']],
  ['GET', /^\/tickets$/, 'listTickets', ['tickets:read', 'read']],
  ['POST', /^\/tickets$/, 'createTicket', ['tickets:write', 'write']],
  ['GET', /^\/tickets\/(\d+)$/, 'getTicket', ['tickets:read', 'read']],
  ['PUT', /^\/tickets\/(\d+)$/, 'updateTicket', ['tickets:write', 'write']],
  ['GET', /^\/tickets\/(\d+)\/comments$/, 'listComments', ['tickets:read', 'read']],
  ['GET', /^\/tickets\/(\d+)\/audits$/, 'listAudits', ['tickets:read', 'read']],
  ['PUT', /^\/tickets\/(\d+)\/tags$/, 'addTags', ['tickets:write', 'write']],
  ['DELETE', /^\/tickets\/(\d+)\/tags$/, 'removeTags', ['tickets:write', 'write']],
  ['GET', /^\/tickets\/(\d+)\/macros\/(\d+)\/apply$/, 'previewMacro', ['macros:read', 'read']],
  ['GET', /^\/ticket_fields$/, 'listFields', ['read']],
  ['GET', /^\/views$/, 'listViews', ['read']],
  ['GET', /^\/views\/(\d+)\/tickets$/, 'listViewTickets', ['tickets:read', 'read']],
  ['GET', /^\/macros(?:\/active)?$/, 'listMacros', ['macros:read', 'read']],
  ['GET', /^\/help_center\/locales$/, 'listLocales', ['hc:read', 'read']],
  ['GET', /^\/help_center\/articles\/search$/, 'searchArticles', ['hc:read', 'read']],
  ['GET', /^\/help_center\/([a-z-]+)\/articles\/(\d+)$/, 'getArticle', ['hc:read', 'read']],
];

export class ZendeskApi {
  ids = 1000;
  created = new Map(); // Idempotency-Key -> ticket

  constructor(subdomain) {
    this.subdomain = subdomain;
    const user = (id, login, name, role, more = {}) => ({
      id, login, name, email: `${login}@${subdomain}.example`, role, phone: null, organization_id: null, external_id: null, time_zone: 'UTC', locale: 'en-US',
      tags: [], notes: '', active: true, suspended: false, created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z', ...more,
    });
    this.users = [
      user(11, 'agnes', 'Agnes Agent', 'agent'), user(12, 'bert', 'Bert Boss', 'admin'),
      user(21, 'carl', 'Carl Customer', 'end-user', { organization_id: 31, external_id: 'crm-7' }), user(22, 'dora', 'Dora Customer', 'end-user'),
    ];
    this.agents = this.users.filter((u) => u.role !== 'end-user');
    this.organizations = [{ id: 31, name: 'Customer Inc', external_id: 'org-1', domain_names: ['customer.example'], details: '', notes: '', tags: ['vip'], created_at: now(), updated_at: now() }];
    this.groups = [{ id: 41, name: 'Support', description: 'First line' }, { id: 42, name: 'Billing', description: '' }];
    this.fields = [
      { id: 51, type: 'subject', title: 'Subject', active: true, required: true, description: '' },
      { id: 52, type: 'tagger', title: 'Product', active: true, required: false, description: 'Which product', custom_field_options: [{ name: 'Rocket', value: 'rocket' }] },
    ];
    this.views = [{ id: 61, title: 'Open tickets', description: '', active: true, updated_at: now() }, { id: 62, title: 'Old view', description: '', active: false, updated_at: now() }];
    this.macros = [{
      id: 71, title: 'Refund::Ask for the order', description: null, active: true,
      actions: [{ field: 'status', value: 'pending' }, { field: 'comment_value', value: 'Which order is it about?' }],
    }];
    this.articles = [{
      id: 81, title: 'How to reset a password', locale: 'en-us', section_id: 91, html_url: `https://${subdomain}.zendesk.com/hc/en-us/articles/81`,
      body: '<p>Open the settings and choose <em>Reset</em>.</p>', label_names: ['account'], draft: false, outdated: false, created_at: now(), updated_at: now(),
    }];
    this.tickets = [];
    this.open(this.users[2], 'The rocket does not start', 'It only makes a sad noise.', { priority: 'high', tags: ['rocket'] });
    this.open(this.users[3], 'Invoice is wrong', 'I was billed twice.', { priority: 'normal', status: 'pending', assignee_id: 11 });
    this.open(this.users[2], 'Thank you', 'It works now.', { status: 'solved' });
  }

  open(author, subject, description, more = {}) {
    const ticket = {
      id: this.tickets.length + 1, subject, raw_subject: subject, description, status: 'open', priority: null, type: null, requester_id: author.id, submitter_id: author.id,
      assignee_id: null, group_id: 41, organization_id: author.organization_id, problem_id: null, due_at: null, tags: [], collaborator_ids: [], custom_fields: [{ id: 52, value: null }],
      via: { channel: 'web' }, created_at: now(), updated_at: now(), ...more,
    };
    Object.defineProperty(ticket, 'comments', { value: [], enumerable: false });
    Object.defineProperty(ticket, 'audits', { value: [], enumerable: false });
    this.tickets.push(ticket);
    this.comment(ticket, author, { body: description, public: more.first_public ?? true });
    delete ticket.first_public;
    return ticket;
  }

  comment(ticket, author, { body, public: isPublic }) {
    ticket.comments.push({
      id: ++this.ids, type: 'Comment', author_id: author.id, body, html_body: `<p>${body}</p>`, plain_body: body, public: isPublic, attachments: [], via: { channel: 'api' }, created_at: now(),
    });
    this.audit(ticket, author, [{ id: ++this.ids, type: 'Comment', body, public: isPublic }]);
  }

  audit(ticket, author, events) {
    ticket.audits.push({ id: ++this.ids, ticket_id: ticket.id, author_id: author.id, created_at: now(), via: { channel: 'api' }, events });
  }

  /** {status, body, list?} for one call. */
  call(method, path, query, body, token, headers) {
    const route = ROUTES.find(([m, pattern]) => m === method && pattern.test(path));
    if (!route) return { status: 404, body: { error: 'InvalidEndpoint', description: 'Not found' } };
    const [, pattern, name, scopes] = route;
    if (!scopes.some((s) => token.scopes.has(s))) {
      return problem(403, 'Forbidden', `You are missing the following required scopes: ${scopes.at(-1)}`);
    }
    return this[name]({ ids: pattern.exec(path).slice(1), query, body, me: token.person, headers });
  }

  // --- pages ---

  byCursor(key, items, query, more = {}) {
    const size = Number(query.get('page[size]') ?? 100);
    if (!(size >= 1 && size <= 100)) return problem(400, 'InvalidPaginationParameter', 'page[size] must be between 1 and 100');
    const after = query.get('page[after]');
    const from = after ? Number(Buffer.from(after, 'base64').toString().replace('at:', '')) : 0;
    if (!Number.isInteger(from)) return problem(400, 'InvalidPaginationParameter', 'page[after] is not valid');
    const end = from + size;
    const mark = (n) => Buffer.from(`at:${n}`).toString('base64');
    return {
      status: 200, list: true,
      body: {
        [key]: items.slice(from, end), ...more,
        meta: { has_more: end < items.length, after_cursor: from < items.length ? mark(Math.min(end, items.length)) : null, before_cursor: mark(from) },
        links: { next: null, prev: null },
      },
    };
  }

  byOffset(key, items, query, bound) {
    const size = Math.min(Number(query.get('per_page') ?? 100), 100);
    const page = Number(query.get('page') ?? 1);
    if (page * size > bound) return problem(422, 'invalid', `Number of pages is over the limit of ${bound} results`);
    const end = page * size;
    return { status: 200, list: true, body: { [key]: items.slice(end - size, end), count: items.length, next_page: end < items.length ? `?page=${page + 1}` : null, previous_page: null } };
  }

  ticketOf({ ids }) {
    return this.tickets.find((t) => t.id === Number(ids[0]));
  }

  showUser({ login, ...user }) {
    return user;
  }

  // --- people ---

  me({ me }) {
    return { status: 200, body: { user: this.showUser(me) } };
  }

  getUser({ ids }) {
    const user = this.users.find((u) => u.id === Number(ids[0]));
    return user ? { status: 200, body: { user: this.showUser(user) } } : notFound();
  }

  searchUsers({ query }) {
    const [text, external] = [query.get('query')?.toLowerCase(), query.get('external_id')];
    const found = this.users.filter((u) => (external !== null ? u.external_id === external : `${u.name} ${u.email}`.toLowerCase().includes(text ?? '')));
    return this.byOffset('users', found.map(this.showUser), query, 10_000);
  }

  upsertUser({ body }) {
    const given = body.user ?? {};
    if (!given.name) return invalid('name', 'Name: cannot be blank');
    let user = this.users.find((u) => u.email === given.email);
    if (!user) {
      user = { ...this.users[2], id: ++this.ids, login: given.email, external_id: null, organization_id: null, created_at: now() };
      this.users.push(user);
    }
    Object.assign(user, given, { updated_at: now() });
    return { status: 200, body: { user: this.showUser(user) } };
  }

  searchOrganizations({ query }) {
    const [name, external] = [query.get('name')?.toLowerCase(), query.get('external_id')];
    const found = this.organizations.filter((o) => (external !== null ? o.external_id === external : o.name.toLowerCase().startsWith(name ?? '')));
    return this.byOffset('organizations', found, query, 10_000);
  }

  listGroups({ query }) {
    return this.byCursor('groups', this.groups, query);
  }

  // --- tickets ---

  search({ query, me }) {
    const words = (query.get('query') ?? '').match(/(?:[^\s"]+(?:"[^"]*")?|"[^"]*")+/g) ?? [];
    const records = [
      ...this.tickets.map((t) => ({ ...t, result_type: 'ticket' })), ...this.users.map((u) => ({ ...this.showUser(u), result_type: 'user' })),
      ...this.organizations.map((o) => ({ ...o, result_type: 'organization' })), ...this.groups.map((g) => ({ ...g, result_type: 'group' })),
    ];
    const idOf = (text) => (text === 'me' ? me.id : this.users.find((u) => [u.name, u.email, String(u.id)].includes(text))?.id ?? -1);
    const tags = words.filter((w) => w.startsWith('tags:')).map((w) => w.slice(5));
    const holds = (record, word) => {
      const [, name, sign, raw] = /^(\w+)([:<>]=?)(.*)$/.exec(word) ?? [];
      const value = raw?.replaceAll('"', '');
      if (name === 'type') return record.result_type === value;
      if (name === 'status' || name === 'priority' || name === 'role') return record[name] === value;
      if (name === 'assignee') return value === 'none' ? record.assignee_id === null : record.assignee_id === idOf(value);
      if (name === 'requester') return record.requester_id === idOf(value);
      if (name === 'tags') return tags.some((tag) => record.tags?.includes(tag));
      if (name === 'created' || name === 'updated') {
        const day = record[`${name}_at`]?.slice(0, 10);
        return sign === '<' ? day < value : sign === '>=' ? day >= value : day === value;
      }
      return JSON.stringify(record).toLowerCase().includes(word.replaceAll('"', '').toLowerCase());
    };
    return this.byOffset('results', records.filter((r) => words.every((w) => holds(r, w))), query, 1000);
  }

  listTickets({ query }) {
    const sort = query.get('sort') ?? 'id';
    const key = sort.replace('-', '');
    const sorted = [...this.tickets].sort((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : a.id - b.id));
    return this.byCursor('tickets', sort.startsWith('-') ? sorted.reverse() : sorted, query);
  }

  getTicket(call) {
    const ticket = this.ticketOf(call);
    if (!ticket) return notFound();
    const include = (call.query.get('include') ?? '').split(',');
    const ids = [ticket.requester_id, ticket.submitter_id, ticket.assignee_id];
    return {
      status: 200,
      body: {
        ticket, ...(include.includes('users') && { users: this.users.filter((u) => ids.includes(u.id)).map(this.showUser) }),
        ...(include.includes('groups') && { groups: this.groups.filter((g) => g.id === ticket.group_id) }),
        ...(include.includes('organizations') && { organizations: this.organizations.filter((o) => o.id === ticket.organization_id) }),
      },
    };
  }

  createTicket({ body, me, headers }) {
    const { comment, requester, ...given } = body.ticket ?? {};
    if (!comment?.body) return invalid('base', 'Description: cannot be blank');
    const key = headers['idempotency-key'];
    if (key && this.created.has(key)) return { status: 201, body: { ticket: this.created.get(key) } };
    let author = me;
    if (requester) {
      author = this.users.find((u) => u.email === requester.email);
      if (!author && !requester.name) return invalid('requester', 'Requester: Name: is too short (minimum one character)');
      if (!author) {
        this.upsertUser({ body: { user: requester } });
        author = this.users.at(-1);
      }
    }
    const ticket = this.open(author, given.subject, comment.body, { ...given, status: 'new', first_public: comment.public ?? true });
    if (key) this.created.set(key, ticket);
    return { status: 201, body: { ticket, audit: ticket.audits.at(-1) } };
  }

  updateTicket(call) {
    const ticket = this.ticketOf(call);
    if (!ticket) return notFound();
    const { comment, safe_update, updated_stamp, ...changes } = call.body.ticket ?? {};
    if (ticket.status === 'closed') return problem(422, 'RecordInvalid', 'Status: closed prevents ticket update');
    if (safe_update === true && updated_stamp !== ticket.updated_at) {
      return problem(409, 'UpdateConflict', 'Safe Update prevented the update due to outdated ticket data. Please fetch the latest ticket data and try again.');
    }
    const events = Object.entries(changes).map(([field_name, value]) => ({ id: ++this.ids, type: 'Change', field_name, value: String(value), previous_value: String(ticket[field_name]) }));
    Object.assign(ticket, changes, { updated_at: new Date(Date.parse(ticket.updated_at) + 1000).toISOString().replace(/\.\d+Z$/, 'Z') });
    if (events.length) this.audit(ticket, call.me, events);
    if (comment) this.comment(ticket, call.me, { body: comment.body, public: comment.public ?? true });
    return { status: 200, body: { ticket, audit: ticket.audits.at(-1) } };
  }

  listComments(call) {
    const ticket = this.ticketOf(call);
    if (!ticket) return notFound();
    return this.byCursor('comments', call.query.get('sort') === '-created_at' ? [...ticket.comments].reverse() : ticket.comments, call.query);
  }

  listAudits(call) {
    const ticket = this.ticketOf(call);
    return ticket ? this.byCursor('audits', ticket.audits, call.query) : notFound();
  }

  addTags(call) {
    const ticket = this.ticketOf(call);
    if (!ticket) return notFound();
    ticket.tags = [...new Set([...ticket.tags, ...(call.body.tags ?? [])])];
    return { status: 200, body: { tags: ticket.tags } };
  }

  removeTags(call) {
    const ticket = this.ticketOf(call);
    if (!ticket) return notFound();
    ticket.tags = ticket.tags.filter((tag) => !(call.body.tags ?? []).includes(tag));
    return { status: 200, body: { tags: ticket.tags } };
  }

  listFields({ query }) {
    return this.byCursor('ticket_fields', this.fields, query);
  }

  // --- views, macros, articles ---

  activeOnes(items, query) {
    return query.has('active') ? items.filter((item) => String(item.active) === query.get('active')) : items;
  }

  listViews({ query }) {
    return this.byCursor('views', this.activeOnes(this.views, query), query);
  }

  listViewTickets({ ids, query }) {
    if (!this.views.some((v) => v.id === Number(ids[0]))) return notFound();
    return this.byCursor('tickets', this.tickets.filter((t) => t.status === 'open'), query);
  }

  listMacros({ query }) {
    const category = query.get('category');
    return this.byCursor('macros', this.activeOnes(this.macros, query).filter((m) => !category || m.title.startsWith(`${category}::`)), query);
  }

  previewMacro(call) {
    const ticket = this.ticketOf(call);
    const macro = this.macros.find((m) => m.id === Number(call.ids[1]));
    if (!ticket || !macro) return notFound();
    const value = (field) => macro.actions.find((a) => a.field === field)?.value;
    return { status: 200, body: { result: { ticket: { ...ticket, status: value('status') ?? ticket.status, comment: { body: value('comment_value'), public: true } } } } };
  }

  listLocales() {
    return { status: 200, body: { locales: ['en-us'], default_locale: 'en-us' } };
  }

  searchArticles({ query }) {
    const text = query.get('query')?.toLowerCase();
    const labels = query.get('label_names')?.split(',');
    const found = this.articles.filter((a) => `${a.title} ${a.body}`.toLowerCase().includes(text) && (!labels || labels.some((l) => a.label_names.includes(l))) &&
      (!query.has('locale') || a.locale === query.get('locale')) && (!query.has('section') || a.section_id === Number(query.get('section'))));
    return this.byOffset('results', found.map((a) => ({ ...a, snippet: a.title, result_type: 'article' })), query, 10_000);
  }

  getArticle({ ids }) {
    const article = this.articles.find((a) => a.id === Number(ids[1]) && a.locale === ids[0]);
    return article ? { status: 200, body: { article } } : notFound();
  }
}
