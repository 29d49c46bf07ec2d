// The Web API half of the Slack stand-in: one workspace with people, channels, messages and files, and a second one
// with somebody else. Methods get their arguments as texts, as a form has them.
const list = (text) => (text ?? '').split(',').filter(Boolean);
const isTrue = (text) => text === 'true' || text === '1' || text === true;
const fail = (error, more = {}) => ({ ok: false, error, ...more });

const READ_CHANNELS = ['channels:read', 'groups:read', 'im:read', 'mpim:read'];
const READ_MESSAGES = ['channels:history', 'groups:history', 'im:history', 'mpim:history'];
/** Scopes of which one is needed; and whether the method takes JSON. */
const METHODS = {
  'auth.test': [[], true], 'users.info': [['users:read']], 'users.list': [['users:read']], 'users.lookupByEmail': [['users:read.email']],
  'users.profile.get': [['users.profile:read']], 'users.conversations': [READ_CHANNELS], 'conversations.list': [READ_CHANNELS],
  'conversations.info': [READ_CHANNELS], 'conversations.members': [READ_CHANNELS], 'conversations.history': [READ_MESSAGES],
  'conversations.replies': [READ_MESSAGES], 'conversations.open': [['im:write', 'mpim:write'], true],
  'conversations.create': [['channels:write', 'channels:manage', 'groups:write'], true],
  'conversations.invite': [['channels:write', 'channels:manage', 'channels:write.invites', 'groups:write', 'groups:write.invites'], true],
  'chat.getPermalink': [[]], 'chat.postMessage': [['chat:write'], true], 'chat.scheduleMessage': [['chat:write'], true],
  'chat.update': [['chat:write'], true], 'chat.delete': [['chat:write'], true], 'reactions.add': [['reactions:write'], true],
  'reactions.remove': [['reactions:write'], true], 'search.messages': [['search:read']], 'search.files': [['search:read']],
  'files.info': [['files:read']],
};

const user = (team, id, login, name, more = {}) => ({
  id, team, login, name, title: more.title ?? '', email: `${login}@${team === 'T0ACME' ? 'acme' : 'other'}.example`, is_bot: false, is_admin: false, ...more,
});

export class SlackApi {
  teams = new Map();
  channels = new Map();
  files = new Map();
  clock = 1_790_000_000;
  ids = 100;

  constructor() {
    for (const [id, name, botId] of [['T0ACME', 'Acme', 'U0BOT'], ['T0OTHER', 'Other', 'U9BOT']]) {
      this.teams.set(id, { id, name, url: `https://${name.toLowerCase()}.slack.example/`, bot: user(id, botId, 'demo_bot', 'Demo Bot', { is_bot: true }) });
    }
    this.people = [
      user('T0ACME', 'U0ADA', 'ada', 'Ada Lovelace', { title: 'Analyst', is_admin: true }),
      user('T0ACME', 'U0GRACE', 'grace', 'Grace Hopper', { title: 'Admiral' }),
      user('T0OTHER', 'U9LINUS', 'linus', 'Linus Other'),
    ];
    this.addChannel('T0ACME', 'C0GENERAL', 'general', ['U0ADA', 'U0GRACE', 'U0BOT'], { topic: 'Company-wide' });
    this.addChannel('T0ACME', 'C0RANDOM', 'random', ['U0GRACE'], {});
    this.addChannel('T0ACME', 'C0OLD', 'old-project', ['U0ADA'], { is_archived: true });
    this.addChannel('T0ACME', 'G0SECRET', 'secret-plans', ['U0ADA'], { is_private: true });
    this.addChannel('T0OTHER', 'C9GENERAL', 'general', ['U9LINUS', 'U9BOT'], {});
    const general = this.channels.get('C0GENERAL');
    const first = this.post(general, 'U0GRACE', 'Good morning! The deployment is at noon.');
    this.post(general, 'U0ADA', 'I will watch it.', { thread_ts: first.ts });
    this.post(general, 'U0ADA', 'Lunch, anyone?');
    this.post(this.channels.get('G0SECRET'), 'U0ADA', 'The secret deployment plan.');
    const file = {
      id: 'F0NOTES', name: 'notes.txt', title: 'Notes', mimetype: 'text/plain', filetype: 'text', size: 21, user: 'U0ADA', created: this.clock,
      permalink: 'https://acme.slack.example/files/U0ADA/F0NOTES/notes.txt', channels: ['C0GENERAL'], preview: 'Deployment at noon.',
    };
    this.files.set(file.id, { file, content: 'Deployment at noon.\n', team: 'T0ACME' });
  }

  needs(method) {
    return METHODS[method]?.[0];
  }

  takesJson(method) {
    return METHODS[method]?.[1] ?? false;
  }

  addChannel(team, id, name, members, more) {
    const channel = {
      id, team, name, members: new Set(members), messages: [], is_private: false, is_archived: false, is_im: false, is_mpim: false, topic: '', created: this.clock,
      creator: members[0], ...more,
    };
    this.channels.set(id, channel);
    return channel;
  }

  post(channel, userId, text, more = {}) {
    const message = { type: 'message', user: userId, text, ts: `${++this.clock}.000100`, reactions: new Map(), ...more };
    channel.messages.push(message);
    return message;
  }

  /** @param {{person: object, team: object, kind: string}} token */
  call(method, args, token) {
    const run = this[method.replaceAll('.', '_')];
    return run ? { ok: true, ...run.call(this, args, token) } : fail('unknown_method');
  }

  // --- what is seen ---

  everybody(team) {
    return [...this.people.filter((p) => p.team === team.id), team.bot];
  }

  channelOf(args, { person, team }) {
    const named = args.channel?.startsWith('#') ? [...this.channels.values()].find((c) => c.team === team.id && `#${c.name}` === args.channel) : null;
    const channel = named ?? this.channels.get(args.channel);
    if (!channel || channel.team !== team.id) return null;
    return channel.is_private && !channel.members.has(person.id) ? null : channel;
  }

  /** Runs `then` with the channel, or says what is wrong. */
  inChannel(args, token, { member = false } = {}, then) {
    const channel = this.channelOf(args, token);
    if (!channel) return fail('channel_not_found');
    if (member && !channel.members.has(token.person.id)) return fail('not_in_channel');
    return then(channel);
  }

  onMessage(args, token, key, then) {
    return this.inChannel(args, token, {}, (channel) => {
      const message = channel.messages.find((m) => m.ts === args[key]);
      return message ? then(message, channel) : fail('message_not_found');
    });
  }

  page(items, args, fallback = 100) {
    const size = Math.min(Number(args.limit) || fallback, 1000);
    const from = args.cursor ? Number(Buffer.from(args.cursor, 'base64').toString().replace('next:', '')) : 0;
    if (!Number.isInteger(from)) return null;
    const more = from + size < items.length;
    return { items: items.slice(from, from + size), response_metadata: { next_cursor: more ? Buffer.from(`next:${from + size}`).toString('base64') : '' } };
  }

  showUser(p, token) {
    return {
      id: p.id, team_id: p.team, name: p.login, deleted: false, real_name: p.name, tz: 'Europe/London', is_admin: p.is_admin, is_bot: p.is_bot, is_restricted: false,
      updated: 1_700_000_000, profile: this.profile(p, token),
    };
  }

  profile(p, token) {
    return {
      real_name: p.name, display_name: p.login, title: p.title, phone: '', status_text: '', status_emoji: '', status_expiration: 0,
      ...(token.scopes.has('users:read.email') && { email: p.email }), fields: {},
    };
  }

  showChannel(c, { person }) {
    return {
      id: c.id, name: c.is_im ? undefined : c.name, is_channel: !c.is_private && !c.is_im && !c.is_mpim, is_private: c.is_private, is_archived: c.is_archived,
      is_im: c.is_im, is_mpim: c.is_mpim, is_member: c.members.has(person.id), created: c.created, creator: c.creator, num_members: c.members.size,
      topic: { value: c.topic, creator: '', last_set: 0 }, purpose: { value: '', creator: '', last_set: 0 },
      ...(c.is_im && { user: [...c.members].find((id) => id !== person.id) }),
    };
  }

  showMessage(m, channel) {
    const replies = channel.messages.filter((r) => r.thread_ts === m.ts && r !== m);
    const { reactions, ...rest } = m;
    return {
      ...rest, ...(replies.length && { thread_ts: m.ts, reply_count: replies.length, latest_reply: replies.at(-1).ts }),
      ...(reactions.size && { reactions: [...reactions].map(([name, users]) => ({ name, users: [...users], count: users.size })) }),
    };
  }

  kindOf(c) {
    return c.is_im ? 'im' : c.is_mpim ? 'mpim' : c.is_private ? 'private_channel' : 'public_channel';
  }

  listChannels(args, token, wanted) {
    const types = args.types ? list(args.types) : ['public_channel'];
    const found = [...this.channels.values()].filter((c) =>
      c.team === token.team.id && types.includes(this.kindOf(c)) && (!c.is_private || c.members.has(token.person.id)) &&
      !(isTrue(args.exclude_archived) && c.is_archived) && wanted(c));
    const page = this.page(found, args);
    return page ? { channels: page.items.map((c) => this.showChannel(c, token)), response_metadata: page.response_metadata } : fail('invalid_cursor');
  }

  // --- methods, named as Slack does with "_" for "." ---

  auth_test(args, { person, team, kind }) {
    return { url: team.url, team: team.name, user: person.login, team_id: team.id, user_id: person.id, ...(kind === 'bot' && { bot_id: 'B0BOT' }), is_enterprise_install: false };
  }

  users_info(args, token) {
    const found = this.everybody(token.team).find((p) => p.id === args.user);
    return found ? { user: this.showUser(found, token) } : fail('user_not_found');
  }

  users_list(args, token) {
    const page = this.page(this.everybody(token.team), args);
    return page ? { members: page.items.map((p) => this.showUser(p, token)), cache_ts: this.clock, response_metadata: page.response_metadata } : fail('invalid_cursor');
  }

  users_lookupByEmail(args, token) {
    const found = this.everybody(token.team).find((p) => p.email === args.email);
    return found ? { user: this.showUser(found, token) } : fail('users_not_found');
  }

  users_profile_get(args, token) {
    const found = this.everybody(token.team).find((p) => p.id === (args.user ?? token.person.id));
    return found ? { profile: this.profile(found, token) } : fail('user_not_found');
  }

  conversations_list(args, token) {
    return this.listChannels(args, token, () => true);
  }

  users_conversations(args, token) {
    return this.listChannels(args, token, (c) => c.members.has(token.person.id));
  }

  conversations_info(args, token) {
    return this.inChannel(args, token, {}, (c) => ({ channel: this.showChannel(c, token) }));
  }

  conversations_members(args, token) {
    return this.inChannel(args, token, {}, (c) => {
      const page = this.page([...c.members], args);
      return page ? { members: page.items, response_metadata: page.response_metadata } : fail('invalid_cursor');
    });
  }

  conversations_history(args, token) {
    return this.inChannel(args, token, { member: token.kind === 'bot' }, (c) => {
      const inTime = c.messages.filter((m) => !m.thread_ts && (!args.oldest || m.ts > args.oldest) && (!args.latest || m.ts < args.latest));
      const page = this.page(inTime.reverse(), args);
      if (!page) return fail('invalid_cursor');
      return { messages: page.items.map((m) => this.showMessage(m, c)), has_more: page.response_metadata.next_cursor !== '', pin_count: 0, response_metadata: page.response_metadata };
    });
  }

  conversations_replies(args, token) {
    return this.inChannel(args, token, {}, (c) => {
      const thread = c.messages.filter((m) => m.ts === args.ts || m.thread_ts === args.ts);
      if (thread.length === 0) return fail('thread_not_found');
      const page = this.page(thread, args);
      return page ? { messages: page.items.map((m) => this.showMessage(m, c)), has_more: false, response_metadata: page.response_metadata } : fail('invalid_cursor');
    });
  }

  conversations_open(args, token) {
    const others = list(args.users);
    if (others.length === 0) return fail('users_list_not_supplied');
    if (others.some((id) => !this.everybody(token.team).some((p) => p.id === id))) return fail('user_not_found');
    const members = [...new Set([token.person.id, ...others])].sort();
    const key = members.join();
    const found = [...this.channels.values()].find((c) => (c.is_im || c.is_mpim) && [...c.members].sort().join() === key);
    const channel = found ?? this.addChannel(token.team.id, `D0NEW${++this.ids}`, `dm-${this.ids}`, members, { is_private: true, is_im: members.length === 2, is_mpim: members.length > 2 });
    return { ...(found && { no_op: true, already_open: true }), channel: isTrue(args.return_im) ? this.showChannel(channel, token) : { id: channel.id } };
  }

  conversations_create(args, token) {
    if (!args.name) return fail('invalid_name_required');
    if (!/^[^A-Z\s.]{1,80}$/.test(args.name)) return fail('invalid_name_specials');
    if ([...this.channels.values()].some((c) => c.team === token.team.id && c.name === args.name)) return fail('name_taken');
    const channel = this.addChannel(token.team.id, `C0NEW${++this.ids}`, args.name, [token.person.id], { is_private: isTrue(args.is_private) });
    return { channel: this.showChannel(channel, token) };
  }

  conversations_invite(args, token) {
    return this.inChannel(args, token, { member: true }, (c) => {
      if (list(args.users).some((id) => !this.everybody(token.team).some((p) => p.id === id))) return fail('user_not_found');
      if (list(args.users).every((id) => c.members.has(id))) return fail('already_in_channel');
      for (const id of list(args.users)) c.members.add(id);
      return { channel: this.showChannel(c, token) };
    });
  }

  chat_getPermalink(args, token) {
    return this.onMessage(args, token, 'message_ts', (m, c) => ({ channel: c.id, permalink: `${token.team.url}archives/${c.id}/p${m.ts.replace('.', '')}` }));
  }

  chat_postMessage(args, token) {
    if (!args.text) return fail('no_text');
    if (args.text.length > 40_000) return fail('msg_too_long');
    return this.inChannel(args, token, { member: token.kind === 'bot' }, (c) => {
      if (c.is_archived) return fail('is_archived');
      const message = this.post(c, token.person.id, args.text, { ...(args.thread_ts && { thread_ts: args.thread_ts }), ...(token.kind === 'bot' && { bot_id: 'B0BOT' }) });
      return { channel: c.id, ts: message.ts, message: this.showMessage(message, c), text: undefined };
    });
  }

  chat_scheduleMessage(args, token) {
    return this.inChannel(args, token, {}, (c) => {
      if (!(Number(args.post_at) > Date.now() / 1000)) return fail('time_in_past');
      return { channel: c.id, scheduled_message_id: `Q0${++this.ids}`, post_at: Number(args.post_at), message: { text: args.text } };
    });
  }

  chat_update(args, token) {
    return this.onMessage(args, token, 'ts', (m, c) => {
      if (m.user !== token.person.id) return fail('cant_update_message');
      Object.assign(m, { text: args.text, edited: { user: m.user, ts: `${++this.clock}.000000` } });
      return { channel: c.id, ts: m.ts, text: m.text };
    });
  }

  chat_delete(args, token) {
    return this.onMessage(args, token, 'ts', (m, c) => {
      if (m.user !== token.person.id) return fail('cant_delete_message');
      c.messages.splice(c.messages.indexOf(m), 1);
      return { channel: c.id, ts: m.ts };
    });
  }

  reactions_add(args, token) {
    return this.onMessage(args, token, 'timestamp', (m) => {
      const users = m.reactions.get(args.name) ?? new Set();
      if (users.has(token.person.id)) return fail('already_reacted');
      m.reactions.set(args.name, users.add(token.person.id));
      return {};
    });
  }

  reactions_remove(args, token) {
    return this.onMessage(args, token, 'timestamp', (m) => {
      if (!m.reactions.get(args.name)?.delete(token.person.id)) return fail('no_reaction');
      if (m.reactions.get(args.name).size === 0) m.reactions.delete(args.name);
      return {};
    });
  }

  search_messages(args, token) {
    if (token.kind !== 'user') return fail('not_allowed_token_type');
    const words = args.query.split(/\s+/).filter(Boolean);
    const value = (name) => words.find((w) => w.startsWith(`${name}:`))?.slice(name.length + 1);
    const plain = words.filter((w) => !/^(from|in|before|after|has|is):/.test(w)).map((w) => w.toLowerCase());
    const login = (id) => this.everybody(token.team).find((p) => p.id === id)?.login;
    const from = value('from') === 'me' ? token.person.login : value('from');
    const day = (ts) => new Date(Number(ts) * 1000).toISOString().slice(0, 10);
    const hits = [...this.channels.values()].filter((c) => c.team === token.team.id && (!c.is_private || c.members.has(token.person.id))).flatMap((c) =>
      c.messages.filter((m) => plain.every((w) => m.text.toLowerCase().includes(w)) && (!from || login(m.user) === from) && (!value('in') || c.name === value('in')) &&
        (!value('before') || day(m.ts) < value('before')) && (!value('after') || day(m.ts) > value('after')))
        .map((m) => ({
          iid: `${c.id}${m.ts}`, team: c.team, type: 'message', user: m.user, username: login(m.user), text: m.text, ts: m.ts, score: 0,
          channel: { id: c.id, name: c.name, is_private: c.is_private }, permalink: `${token.team.url}archives/${c.id}/p${m.ts.replace('.', '')}`,
        })));
    return { query: args.query, messages: this.searchPage(hits, args) };
  }

  search_files(args, token) {
    if (token.kind !== 'user') return fail('not_allowed_token_type');
    const hits = [...this.files.values()].filter((f) => f.team === token.team.id && `${f.file.name} ${f.content}`.toLowerCase().includes(args.query.toLowerCase())).map((f) => f.file);
    return { query: args.query, files: this.searchPage(hits, args) };
  }

  searchPage(hits, args) {
    const count = Math.min(Number(args.count) || 20, 100);
    const page = Number(args.page) || 1;
    return {
      total: hits.length, matches: hits.slice((page - 1) * count, page * count),
      paging: { count, total: hits.length, page, pages: Math.ceil(hits.length / count) },
    };
  }

  files_info(args, token) {
    const found = this.files.get(args.file);
    return found && found.team === token.team.id ? { file: found.file, content: found.content, is_truncated: false, comments: [], response_metadata: { next_cursor: '' } } : fail('file_not_found');
  }
}
