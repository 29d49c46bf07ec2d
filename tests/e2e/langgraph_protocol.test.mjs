// LangGraph's thread protocol ("v2") on the wire: its commands and its streams, what they refuse, whose they are; and
// the hook of @langchain/react (1.1.0) under jsdom.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { openChat } from '../js/agent-clients/react.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const ALL = ['values', 'updates', 'messages', 'tools', 'lifecycle', 'input', 'checkpoints', 'tasks', 'custom'];
const INPUT = { log: ['in'], n: 1 };
const DONE = { log: ['in', 'a', 'b', 'c'], n: 4 };

const list = { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' };
const state = { type: 'object', properties: { log: list, n: { type: 'integer', 'x-reducer': 'sum', default: 0 } } };
const chain = (...names) => ['__start__', ...names].map((from, i) => ({ from, to: names[i] ?? '__end__' }));
const note = (name, more = {}) => ({ type: 'transform', write: { log: `\${['${name}']}`, ...more } });
const question = (prompt) => ({ type: 'approval', prompt, write: { log: '${[result.response]}' }, response_schema: { type: 'string' } });
const GRAPHS = {
  line: { nodes: Object.fromEntries(['a', 'b', 'c'].map((name) => [name, note(name, { n: '${1}' })])), edges: chain('a', 'b', 'c') },
  sub: {
    subgraphs: { inner: { state, nodes: { deep: note('deep') }, edges: chain('deep') } },
    nodes: { outer: { type: 'subgraph', graph: 'inner' }, after: note('after') },
    edges: chain('outer', 'after'),
  },
  ask: { nodes: { question: question('well?'), after: note('after') }, edges: chain('question', 'after') },
  polite: {
    state: { type: 'object', properties: { messages: { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' } } },
    nodes: {
      check: { type: 'approval', prompt: 'May I?', write: { messages: "${[{'type': 'ai', 'content': 'You said ' + string(result.response)}]}" } },
      end: { type: 'end' },
    },
    edges: chain('check', 'end').slice(0, 2),
  },
  both: {
    nodes: { left: question('left'), right: question('right') },
    edges: ['left', 'right'].flatMap((name) => [{ from: '__start__', to: name }, { from: name, to: '__end__' }]),
  },
};

/** One thread as a client of the protocol has it. */
class Thread {
  #commands = 0;
  streams = [];
  constructor(world, key, { id = randomUUID(), headers = {} } = {}) {
    this.id = id;
    this.base = `${world.url}/v1/agents/api/threads/${id}`;
    this.headers = { 'x-api-key': key, 'content-type': 'application/json', ...headers };
  }

  async post(path, body) {
    const reply = await fetch(`${this.base}${path}`, { method: 'POST', headers: this.headers, body: typeof body === 'string' ? body : JSON.stringify(body) });
    return { status: reply.status, body: JSON.parse(await reply.text()) };
  }
  /** The answer of a command that was understood. */
  async command(method, params = {}) {
    const id = ++this.#commands;
    const { status, body } = await this.post('/commands', { id, method, params });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.id, id);
    assert.equal(body.meta.thread_id, this.id);
    return body;
  }
  async must(method, params) {
    const body = await this.command(method, params);
    assert.equal(body.type, 'success', JSON.stringify(body));
    return body;
  }
  start = (assistant_id, input, more = {}) => this.must('run.start', { assistant_id, input, ...more });
  async refused(code, method, params) {
    const body = await this.command(method, params);
    assert.deepEqual([body.type, body.error, typeof body.message], ['error', code, 'string'], JSON.stringify(body));
  }

  async open(filter = { channels: ALL }) {
    const stopping = new AbortController();
    const reply = await fetch(`${this.base}/stream/events`, { method: 'POST', headers: this.headers, body: JSON.stringify(filter), signal: stopping.signal });
    assert.equal(reply.status, 200);
    assert.match(reply.headers.get('content-type'), /^text\/event-stream/);
    const stream = new Stream(reply.body, stopping);
    this.streams.push(stream);
    return stream;
  }
  close = () => this.streams.forEach((stream) => stream.close());
}

class Stream {
  text = '';
  frames = [];
  #changed = () => {};
  constructor(body, stopping) {
    this.stopping = stopping;
    this.reading = this.#read(body);
  }
  async #read(body) {
    const decoder = new TextDecoder();
    let rest = '';
    try {
      for await (const bytes of body) {
        const text = decoder.decode(bytes, { stream: true });
        this.text += text;
        rest += text;
        for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
          const fields = Object.fromEntries(rest.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
          rest = rest.slice(end + 2);
          if (!fields.data) continue;
          const event = JSON.parse(fields.data);
          assert.deepEqual([event.type, event.method, event.event_id], ['event', fields.event, fields.id]);
          this.frames.push(event);
          this.#changed();
        }
      }
    } catch (error) {
      if (!this.stopping.signal.aborted) throw error;
    }
  }
  close = () => this.stopping.abort();
  /** The frames up to the `count`th that fits. */
  async until(fits, count = 1) {
    for (;;) {
      let seen = 0;
      const at = this.frames.findIndex((frame) => fits(frame) && ++seen === count);
      if (at >= 0) return this.frames.slice(0, at + 1);
      await new Promise((resolve, reject) => {
        const limit = setTimeout(() => reject(new Error(`no such event; got ${JSON.stringify(this.frames.map(short))}`)), 60_000);
        this.#changed = () => { clearTimeout(limit); resolve(); };
      });
    }
  }
}

const short = ({ method, params }) => [params.namespace.join('|'), method, params.data?.event ?? params.node].filter(Boolean).join(' ');
const isEnd = (event) => ({ method, params }) => method === 'lifecycle' && params.namespace.length === 0 && params.data.event === event;
const completed = isEnd('completed');
const interrupted = isEnd('interrupted');
const of = (frames, method) => frames.filter((frame) => frame.method === method).map(({ params }) => params.data);

describe('The thread protocol', () => {
  let world, postgres, user, other;
  const threads = [], pages = [];
  before(async () => {
    postgres = startPostgres();
    world = await World.start({ apps: [], env: { ASSISTIV_DATABASE_URL: postgres.url } });
    for (const [slug, graph] of Object.entries(GRAPHS)) {
      await world.platform.api.must(201, 'POST', `${world.platform.path}/agents`, { slug, name: slug, graph: { spec: 'agentgraph/1', name: slug, state, ...graph } });
    }
    user = await world.newUser();
    other = await world.newUser();
  });
  after(async () => {
    pages.forEach((page) => page.close());
    threads.forEach((thread) => thread.close());
    await world?.stop();
    postgres?.stop();
  });
  const newThread = (key = user.key, options) => {
    const thread = new Thread(world, key, options);
    threads.push(thread);
    return thread;
  };

  test('the first command makes the thread; every stream of it gets everything, also when it was opened before', async () => {
    const thread = newThread();
    const early = await thread.open();
    const started = await thread.start('line', INPUT);
    assert.match(started.result.run_id, /^[0-9a-f-]{36}$/);
    const late = await thread.open();
    const [one, two] = await Promise.all([early.until(completed), late.until(completed)]);
    assert.deepEqual(one, two);
    assert.deepEqual(of(one, 'values').at(-1), DONE);
    assert.deepEqual(of(one, 'updates'), ['a', 'b', 'c'].map((name) => ({ log: [name], n: 1 })));
    assert.deepEqual(one.filter(({ method }) => method === 'updates').map(({ params }) => params.node), ['a', 'b', 'c']);
    assert.deepEqual(of(one, 'lifecycle').map(({ event }) => event), ['running', 'completed']);
    assert.equal(of(one, 'lifecycle')[0].graph_name, 'line');
    for (const [i, frame] of one.entries()) {
      assert.ok(i === 0 || frame.seq > one[i - 1].seq);
      assert.ok(frame.seq > started.meta.applied_through_seq);
      assert.equal(typeof frame.params.timestamp, 'number');
      // A client knows by the one before of which checkpoint values are.
      if (frame.method === 'values') assert.equal(one[i - 1].method, 'checkpoints');
    }
    assert.equal(new Set(one.map(({ event_id }) => event_id)).size, one.length);
    const checkpoints = of(one, 'checkpoints');
    assert.deepEqual(Object.keys(checkpoints.at(-1)).sort(), ['id', 'parent_id', 'source', 'step']);
    assert.equal(checkpoints.at(-1).parent_id, checkpoints.at(-2).id);
    // Later the same bytes, and with `since` the rest of them.
    const again = await thread.open();
    await again.until(completed);
    assert.equal(again.text.replaceAll(': heartbeat\n\n', ''), late.text.replaceAll(': heartbeat\n\n', ''));
    const middle = one[Math.floor(one.length / 2)].seq;
    const rest = await (await thread.open({ channels: ALL, since: middle })).until(completed);
    assert.deepEqual(rest, one.filter(({ seq }) => seq > middle));
  });

  test('a stream goes on over the next run', async () => {
    const thread = newThread();
    await thread.start('line', INPUT);
    const stream = await thread.open({ channels: ['values', 'lifecycle'] });
    await stream.until(completed);
    await thread.start('line', { n: 1 });
    const frames = await stream.until(completed, 2);
    assert.equal(of(frames, 'values').at(-1).n, 8);
  });

  test('a question is told, answered at once, and gone', async () => {
    const thread = newThread();
    await thread.start('ask', { log: ['in'] });
    const stream = await thread.open();
    const asked = await stream.until(({ method }) => method === 'input.requested');
    const { interrupt_id, payload } = asked.at(-1).params.data;
    assert.match(interrupt_id, /^[0-9a-f]{32}$/);
    assert.equal(payload.prompt, 'well?');
    await thread.refused('no_such_interrupt', 'input.respond', { namespace: [], interrupt_id: '0'.repeat(32), response: 'x' });
    const answer = { namespace: [], interrupt_id, response: 'yes' };
    const both = await Promise.all([thread.command('input.respond', answer), thread.command('input.respond', answer)]);
    assert.deepEqual(both.map(({ type, error }) => error ?? type).sort(), ['no_such_interrupt', 'success']);
    const frames = await stream.until(completed);
    assert.deepEqual(of(frames, 'lifecycle').map(({ event }) => event), ['running', 'interrupted', 'running', 'completed']);
    assert.deepEqual(of(frames, 'values').at(-1), { log: ['in', 'yes', 'after'], n: 0 });
    assert.ok(of(frames, 'values').every((values) => !('__interrupt__' in values)));
    await thread.refused('no_such_interrupt', 'input.respond', answer);
  });

  test('several questions are answered together; an answer may change the state; a start answers the only one', async () => {
    const thread = newThread();
    await thread.start('both', { log: ['in'] });
    const stream = await thread.open({ channels: ['input', 'lifecycle', 'values'] });
    const questions = of(await stream.until(interrupted), 'input.requested');
    assert.deepEqual(questions.map(({ payload }) => payload.prompt).sort(), ['left', 'right']);
    await thread.must('input.respond', { responses: questions.map(({ interrupt_id, payload }) => ({ namespace: [], interrupt_id, response: payload.prompt })) });
    assert.deepEqual(of(await stream.until(completed), 'values').at(-1).log, ['in', 'left', 'right']);

    const single = newThread();
    await single.start('ask', { log: [] });
    const followed = await single.open({ channels: ['lifecycle', 'values', 'input'] });
    const [{ interrupt_id }] = of(await followed.until(interrupted), 'input.requested');
    await single.must('input.respond', { namespace: [], interrupt_id, response: 'yes', update: { log: ['by hand'] } });
    assert.deepEqual(of(await followed.until(completed), 'values').at(-1).log, ['by hand', 'yes', 'after']);
    await single.start('ask', { log: ['again'] });
    await followed.until(interrupted, 2);
    await single.start('ask', 'well');
    assert.deepEqual(of(await followed.until(completed, 2), 'values').at(-1).log.slice(-3), ['again', 'well', 'after']);
  });

  test('subgraphs have namespaces, and filters choose among them', async () => {
    const thread = newThread();
    await thread.start('sub', { log: ['in'] });
    const frames = await (await thread.open()).until(completed);
    const inner = frames.filter(({ params }) => params.namespace.length === 1);
    assert.ok(inner.every(({ params }) => params.namespace[0].startsWith('outer:')));
    assert.deepEqual(of(inner, 'lifecycle').map(({ event, graph_name }) => [event, graph_name]), [['started', 'inner'], ['completed', 'inner']]);
    assert.deepEqual(of(inner, 'updates'), [{ log: ['deep'] }]);
    const some = async (filter) => {
      const got = await (await thread.open({ channels: ['updates', 'lifecycle'], ...filter })).until(({ method, params }) => method === 'lifecycle' && params.data.event === 'completed');
      return got.filter(({ method }) => method === 'updates').map(({ params }) => params.node);
    };
    const own = inner[0].params.namespace;
    assert.deepEqual(await some({ namespaces: [['outer']] }), ['deep']);
    assert.deepEqual(await some({ namespaces: [own] }), ['deep']);
    assert.deepEqual(await some({ namespaces: [[]], depth: 0 }), ['outer', 'after']);
    assert.equal((await thread.must('agent.getTree')).result.tree.children[0].namespace[0], own[0]);
  });

  test('state, checkpoints and forks', async () => {
    const thread = newThread();
    const run = (await thread.start('line', INPUT)).result.run_id;
    const stream = await thread.open({ channels: ['lifecycle', 'values', 'checkpoints'] });
    await stream.until(completed);
    const { result } = await thread.must('agent.getTree', { run_id: run });
    assert.deepEqual(result.tree, { namespace: [], status: 'completed', graph_name: 'line' });
    await thread.refused('no_such_run', 'agent.getTree', { run_id: randomUUID() });
    await thread.refused('no_such_checkpoint', 'state.fork', { checkpoint_id: randomUUID() });
    await thread.refused('no_such_checkpoint', 'state.fork', {});
    const afterA = of(stream.frames, 'checkpoints').at(-3).id;
    const forked = await thread.must('state.fork', { checkpoint_id: afterA });
    assert.equal(forked.result.thread_id, thread.id);
    assert.deepEqual(of(await stream.until(completed, 2), 'values').at(-1), DONE);
    // The same as a start; the thread of the path is what counts.
    const stranger = randomUUID();
    await thread.start('line', { n: 10 }, { config: { configurable: { checkpoint_id: afterA, thread_id: stranger } } });
    assert.equal(of(await stream.until(completed, 3), 'values').at(-1).n, 15);
  });

  test('hostile filters and commands are refused, and say why', async () => {
    const thread = newThread();
    await thread.start('line', INPUT);
    const bad = [
      {}, [], { channels: [] }, { channels: 'values' }, { channels: ['values', 'secrets'] }, { channels: ['values'], stream_mode: 'x' },
      { channels: ['values'], since: -1 }, { channels: ['values'], since: 1.5 }, { channels: ['values'], since: 1e300 }, { channels: ['values'], depth: '1' },
      { channels: ['values'], namespaces: ['a'] }, { channels: ['values'], namespaces: [[1]] }, { channels: Array(65).fill('values') }, '{"channels":', '[[[[',
    ];
    for (const body of bad) {
      const { status, body: told } = await thread.post('/stream/events', body);
      assert.equal(status, 422, JSON.stringify(body));
      assert.ok(told.detail && told.message && told.error.code, JSON.stringify(told));
    }
    for (const body of ['[]', '5', '{"id":', 'null']) assert.equal((await thread.post('/commands', body)).status, 422, body);
    for (const body of [{}, { id: 'x', method: 'state.get' }, { id: -1, method: 'state.get' }, { id: 1 }, { id: 1, method: 5 }, { id: 1, method: 'state.get', params: [] }]) {
      const { status, body: told } = await thread.post('/commands', body);
      assert.deepEqual([status, told.type, told.error], [200, 'error', 'invalid_argument'], JSON.stringify(told));
    }
    await thread.refused('unknown_command', 'run.stop');
    await thread.refused('unknown_command', '__proto__');
    await thread.refused('not_supported', 'subscription.subscribe', { channels: ['values'] });
    await thread.refused('invalid_argument', 'run.start', { input: {} });
    await thread.refused('invalid_argument', 'run.start', { assistant_id: 'nobody', input: {} });
    await thread.refused('invalid_argument', 'run.start', { assistant_id: 'line', input: 5 });
    await thread.refused('invalid_argument', 'run.start', { assistant_id: 'line', input: {}, config: [] });
    await thread.refused('invalid_argument', 'run.start', { assistant_id: 'line', input: {}, multitaskStrategy: 'all' });
    await thread.refused('no_such_checkpoint', 'run.start', { assistant_id: 'line', config: { configurable: { checkpoint_id: 'x' } } });
    await thread.refused('invalid_argument', 'input.respond', { namespace: [], interrupt_id: 'x' });
    await thread.refused('invalid_argument', 'input.respond', { responses: [] });
    await thread.refused('invalid_argument', 'input.inject', {});
    await thread.refused('invalid_argument', 'state.get', { namespace: 'root' });
    const socket = await fetch(`${thread.base}/stream/events`, { headers: thread.headers });
    assert.equal(socket.status, 405);
    assert.match((await socket.json()).message, /WebSocket/);
    assert.equal((await newThread(user.key, { id: 'no-uuid' }).post('/commands', { id: 1, method: 'state.get' })).status, 404);
  });

  test('a thread is of its owner alone', async () => {
    const thread = newThread();
    const elsewhere = await world.newPlatform([]);
    const strangers = [newThread(other.key, { id: thread.id }), newThread((await world.newUser(elsewhere)).key, { id: thread.id })];
    const waiting = await Promise.all(strangers.map((stranger) => stranger.open()));
    await thread.start('ask', { log: [] });
    const stream = await thread.open();
    const [{ interrupt_id }] = of(await stream.until(interrupted), 'input.requested');
    const { status } = await strangers[0].post('/commands', { id: 1, method: 'run.start', params: { assistant_id: 'line', input: INPUT } });
    assert.equal(status, 404);
    for (const stranger of strangers) {
      for (const [method, params] of [['input.respond', { namespace: [], interrupt_id, response: 'x' }], ['agent.getTree', {}], ['state.get', {}], ['input.inject', { message: 'x' }]]) {
        assert.equal((await stranger.post('/commands', { id: 1, method, params })).status, 404, method);
      }
    }
    // The platform's own key reaches it, and may say for whom it acts.
    const acting = newThread(world.platform.key, { id: thread.id, headers: { 'x-aig-end-user': user.id } });
    await acting.must('input.respond', { namespace: [], interrupt_id, response: 'yes' });
    await stream.until(completed);
    assert.equal((await newThread(world.platform.key, { id: thread.id, headers: { 'x-aig-end-user': other.id } }).post('/commands', { id: 1, method: 'agent.getTree' })).status, 404);
    assert.equal((await fetch(`${thread.base}/stream/events`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"channels":["values"]}' })).status, 401);
    for (const one of waiting) assert.deepEqual(one.frames, []);
  });

  test('input goes to an active run only', async () => {
    const thread = newThread();
    await thread.start('ask', { log: [] });
    const stream = await thread.open({ channels: ['lifecycle'] });
    await stream.until(interrupted);
    await thread.refused('no_such_run', 'input.inject', { namespace: [], message: { role: 'user', content: 'x' } });
  });

  test('an old thread whose events are gone answers with how it stands', async () => {
    const thread = newThread();
    await thread.start('ask', { log: ['in'] });
    const told = await (await thread.open()).until(interrupted);
    postgres.query(`delete from agent_event where thread_id = '${thread.id}'`);
    const frames = await (await thread.open()).until(interrupted);
    assert.deepEqual(frames.map(short), ['values', 'input.requested', 'lifecycle interrupted']);
    assert.deepEqual(of(frames, 'values'), [{ log: ['in'], n: 0 }]);
    assert.deepEqual(of(frames, 'input.requested'), of(told, 'input.requested'));
  });

  test('the hook of @langchain/react shows a chat, asks, and goes on with the answer', async () => {
    const ids = [];
    const page = pages[pages.push(openChat({ apiUrl: `${world.url}/v1/agents/api`, apiKey: user.key, assistantId: 'polite', onThreadId: (id) => ids.push(id) })) - 1];
    const shows = (text) => eventually(() => page.text() === text, `"${text}"`).catch((error) => assert.fail(`${error.message}: ${page.text()} ${page.stream?.error}`));
    await eventually(() => page.stream, 'the page');
    page.stream.submit({ messages: [{ type: 'human', content: 'hello' }] });
    await shows('[human] hello?May I??');
    await page.stream.respond('yes');
    await shows('[human] hello[ai] You said yes');
    assert.equal(page.stream.error, undefined);
    page.stream.submit({ messages: [{ type: 'human', content: 'again' }] });
    await shows('[human] hello[ai] You said yes[human] again?May I??');
    assert.equal(ids.length, 1);
  });

  test('streams on which nothing happens have a pulse', async () => {
    const quiet = threads.map((thread) => thread.streams.at(0)).filter(Boolean);
    assert.ok(quiet.length > 5);
    await eventually(() => quiet.every((stream) => stream.text.endsWith(': heartbeat\n\n')), 'comments');
  });
});
