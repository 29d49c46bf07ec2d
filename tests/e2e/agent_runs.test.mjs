// Runs of agents as they are carried out: kept, answered, expired, taken up again by another process.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { startReceiver, verify } from './support/receiver.mjs';
import { events } from './support/mcp.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const write = (values) => ({ type: 'transform', write: values });
const log = { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' };
// Calls one address and then another.
const acting = (url) => {
  const get = (path) => ({ type: 'http', method: 'GET', url: url + path, write: { log: '${[result.text]}' } });
  return {
    slug: 'acting', name: 'Acting',
    graph: {
      spec: 'agentgraph/1', name: 'acting', state: { type: 'object', properties: { log } },
      nodes: { first: get('/first'), second: get('/second') },
      edges: [{ from: '__start__', to: 'first' }, { from: 'first', to: 'second' }, { from: 'second', to: '__end__' }],
    },
  };
};
// The same and then steps enough to tell of more than the first call did.
const lengthy = (url) => {
  const { graph } = acting(url);
  const steps = Array.from({ length: 12 }, (_, i) => `step${i}`);
  return {
    slug: 'lengthy', name: 'Lengthy',
    graph: {
      ...graph, nodes: { ...graph.nodes, ...Object.fromEntries(steps.map((name) => [name, write({ log: `\${['${name}']}` })])) },
      edges: ['__start__', 'first', 'second', ...steps].map((from, i, all) => ({ from, to: all[i + 1] ?? '__end__' })),
    },
  };
};
const asking = (slug, approval) => ({
  slug, name: slug,
  graph: {
    spec: 'agentgraph/1', name: slug, state: { type: 'object', properties: { log } },
    nodes: {
      ask: { type: 'approval', prompt: 'well?', write: { log: '${[string(result.response)]}' }, ...approval },
      ...(approval.on_expire && { late: write({ log: "${['late']}" }) }),
      after: write({ log: "${['after']}" }),
    },
    edges: [{ from: '__start__', to: 'ask' }, { from: 'ask', to: 'after' }, { from: 'after', to: '__end__' }],
  },
});

// Says what it must be given, tells when it has it, and remembers which run was the first.
const strict = {
  slug: 'strict', name: 'strict',
  graph: {
    spec: 'agentgraph/1', name: 'strict',
    context: { type: 'object', properties: { tone: { enum: ['dry', 'warm'] } } },
    state: { type: 'object', properties: { log, n: { type: 'integer' }, first: { type: 'string' } }, required: ['n'] },
    input: ['log', 'n'],
    nodes: {
      note: { ...write({ first: '${run.id}' }), cache: { key: 'state.n', ttl_s: 600 }, emit: { name: 'noted', n: '${state.n}' } },
      ask: { type: 'approval', who: 'platform', response_schema: { enum: ['yes', 'no'] }, write: { log: '${[result.response, result.by]}' } },
    },
    edges: [{ from: '__start__', to: 'note' }, { from: 'note', to: 'ask' }, { from: 'ask', to: '__end__' }],
  },
};
const telling = {
  slug: 'telling', name: 'Telling',
  graph: {
    spec: 'agentgraph/1', name: 'telling', state: { type: 'object', properties: { log } },
    nodes: { only: write({ log: "${['done']}" }) }, edges: [{ from: '__start__', to: 'only' }, { from: 'only', to: '__end__' }],
  },
};

describe('Runs of agents', () => {
  let world, user, upstream, receiver;
  before(async () => {
    upstream = await startUpstream();
    receiver = await startReceiver();
    world = await World.start({ apps: [], env: { ASSISTIV_AGENT_LEASE: '2', ASSISTIV_DRAIN_TIMEOUT: '15' } });
    const agents = [acting(upstream.url), lengthy(upstream.url), strict, telling, asking('ask', {}), asking('soon', { expires_s: 1, on_expire: 'late' }), { ...asking('brief', {}), limits: { max_wait_s: 1 } }];
    for (const one of agents)
      await world.platform.api.must(201, 'POST', `${world.platform.path}/agents`, one);
    user = await world.newUser();
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
    await receiver?.stop();
  });

  async function call(method, path, body, key = user.key, headers = {}) {
    const reply = await fetch(`${world.url}/v1/agents/api${path}`, {
      method, headers: { 'x-api-key': key, 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body),
    });
    const text = await reply.text();
    assert.ok(reply.ok, `${method} ${path}: ${reply.status} ${text}`);
    return text && JSON.parse(text);
  }
  const newThread = async (key, headers) => (await call('POST', '/threads', {}, key, headers)).thread_id;
  const command = (thread, method, params, key, headers) => call('POST', `/threads/${thread}/commands`, { id: 1, method, params }, key, headers);
  const start = (thread, assistant_id, input, key, headers) => command(thread, 'run.start', { assistant_id, input }, key, headers);
  const settled = (thread, status) => eventually(async () => {
    const now = await call('GET', `/threads/${thread}`);
    assert.notEqual(now.status, 'error', JSON.stringify(now));
    return now.status === status && now;
  }, `the thread is ${status}`);

  test('an answer goes on where the run waits, with the version that it waits in', async () => {
    const thread = await newThread();
    await start(thread, 'ask', { log: ['a'] });
    const [[question]] = Object.values((await settled(thread, 'interrupted')).interrupts);
    await world.platform.api.must(200, 'PATCH', `${world.platform.path}/agents/ask`, {
      graph: { ...asking('ask', {}).graph, nodes: { ...asking('ask', {}).graph.nodes, after: write({ log: "${['another version']}" }) } },
    });
    await command(thread, 'input.respond', { namespace: [], interrupt_id: question.id, response: 'yes' });
    assert.deepEqual((await settled(thread, 'idle')).values.log, ['a', 'yes', 'after']);
    const later = await newThread();
    await start(later, 'ask', { log: [] });
    const [[again]] = Object.values((await settled(later, 'interrupted')).interrupts);
    await command(later, 'input.respond', { namespace: [], interrupt_id: again.id, response: 'yes' });
    assert.deepEqual((await settled(later, 'idle')).values.log, ['yes', 'another version']);
  });

  test('an approval that nobody answers in time goes its own way', async () => {
    const thread = await newThread();
    await start(thread, 'soon', { log: ['a'] });
    assert.deepEqual((await settled(thread, 'idle')).values.log, ['a', 'late']);
  });

  test('what may wait for so long only is over then', async () => {
    const thread = await newThread();
    await start(thread, 'brief', { log: ['a'] });
    const after = await eventually(async () => {
      const now = await call('GET', `/threads/${thread}`);
      return now.status === 'error' && now;
    }, 'the wait is over');
    assert.equal(after.error.error, 'approval_expired');
    const runs = await call('GET', `/threads/${thread}/runs`);
    assert.deepEqual(runs.map((run) => run.status), ['error', 'interrupted']);
  });

  test('a platform acts for the end user that it names, and only for its own', async () => {
    const named = { 'x-aig-end-user': user.id };
    const thread = await newThread(world.platform.key, named);
    await start(thread, 'ask', { log: [] }, world.platform.key, named);
    await settled(thread, 'interrupted'); // the end user sees it
    const reply = await fetch(`${world.url}/v1/agents/api/threads`, {
      method: 'POST', body: '{}', headers: { 'x-api-key': world.platform.key, 'content-type': 'application/json', 'x-aig-end-user': 'nobody' },
    });
    assert.equal(reply.status, 404);
  });

  const refused = async (status, path, body, key = user.key) => {
    const reply = await fetch(`${world.url}/v1/agents/api${path}`, {
      method: 'POST', headers: { 'x-api-key': key, 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    const { error } = await reply.json();
    assert.equal(reply.status, status, JSON.stringify(error));
    return error;
  };

  test('an input, a context or an answer that does not fit is refused with its place', async () => {
    const thread = await newThread();
    const runs = `/threads/${thread}/runs`;
    const missing = await refused(422, runs, { assistant_id: 'strict', input: { log: 'a' } });
    assert.match(missing.message, /^\/input\/n /);
    const wrong = await refused(422, runs, { assistant_id: 'strict', input: { n: 'many', log: [5] }, context: { tone: 'loud' } });
    for (const place of ['/input/n', '/input/log/0', '/context/tone']) assert.ok(wrong.message.includes(place), wrong.message);
    await refused(422, '/runs/wait', { assistant_id: 'strict', input: {} });
    await call('POST', `${runs}/wait`, { assistant_id: 'strict', input: { n: 1 }, context: { tone: 'dry' } });
    // The thread has n now.
    await call('POST', `${runs}/wait`, { assistant_id: 'strict', input: { log: ['more'] } });
    await refused(403, runs, { assistant_id: 'strict', command: { resume: 'yes' } });
    const { message } = await refused(422, runs, { assistant_id: 'strict', command: { resume: 'perhaps' } }, world.platform.key);
    assert.match(message, /response_schema/);
    await refused(422, runs, { assistant_id: 'strict', command: { resume: { __expired__: true } } });
    const done = await call('POST', `${runs}/wait`, { assistant_id: 'strict', command: { resume: 'yes' } }, world.platform.key);
    assert.deepEqual(done.log, ['more', 'yes', 'platform']);
  });

  test('a result is used again for one end user and one version', async () => {
    const first = async (key) => {
      const thread = await newThread(key);
      return (await call('POST', `/threads/${thread}/runs/wait`, { assistant_id: 'strict', input: { n: 7 } }, key)).first;
    };
    const run = await first();
    assert.equal(await first(), run);
    const other = await world.newUser();
    assert.notEqual(await first(other.key), run);
    await world.platform.api.must(200, 'PATCH', `${world.platform.path}/agents/strict`, { graph: { ...strict.graph, description: 'anew' } });
    assert.notEqual(await first(), run);
  });

  test('a node tells those who watch', async () => {
    const thread = await newThread();
    const reply = await fetch(`${world.url}/v1/agents/api/threads/${thread}/runs/stream`, {
      method: 'POST', headers: { 'x-api-key': user.key, 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: 'strict', input: { n: 8 }, stream_mode: ['custom'] }),
    });
    assert.match(await reply.text(), /event: custom\r?\ndata: \{"n":8,"name":"noted"\}/);
  });

  test("a run's end is told to its webhook, signed, and again when that failed", async () => {
    const { api, path } = world.platform;
    const url = `${receiver.url}/runs`;
    const fault = async (where, webhook) => {
      const reply = await fetch(`${world.url}/v1/agents/api${where}`, {
        method: 'POST', headers: { 'x-api-key': user.key, 'content-type': 'application/json' },
        body: JSON.stringify({ assistant_id: 'telling', input: { log: [] }, webhook, schedule: '@daily' }),
      });
      assert.equal(reply.status, 422);
      return (await reply.json()).message;
    };
    const thread = await newThread();
    for (const where of [`/threads/${thread}/runs`, '/runs/wait', '/runs/crons']) {
      assert.match(await fault(where, url), /register it first/);
      assert.match(await fault(where, 'http://169.254.169.254/latest'), /cannot be called/);
    }
    const hook = await api.must(201, 'POST', `${path}/webhooks`, { url, events: ['agent.run.completed'] });
    receiver.statuses.push(500);
    const run = await call('POST', `/threads/${thread}/runs`, { assistant_id: 'telling', input: { log: ['private'] }, webhook: url });
    const of = (status) => async () => (await api.get(`${path}/webhooks/${hook.id}/deliveries?status=${status}`)).body.data[0];
    const failed = await eventually(async () => {
      const delivery = await of('pending')();
      return delivery?.last_status === 500 && delivery;
    }, 'the receiver has failed');
    assert.equal(failed.event_id, `${run.run_id}:agent.run.completed`);
    // The schedule's next attempt is half a minute away: it is given up, and the message is asked for again.
    for (const is_active of [false, true]) await api.must(200, 'PATCH', `${path}/webhooks/${hook.id}`, { is_active });
    await api.must(201, 'POST', `${path}/webhooks/${hook.id}/deliveries/${failed.id}/replay`, {});
    const delivered = await eventually(of('delivered'), 'delivered');
    assert.equal(delivered.message_id, failed.message_id);
    assert.ok(receiver.got.length >= 2);
    const [first, second] = receiver.got;
    assert.deepEqual([second.body, second.headers['webhook-id']], [first.body, first.headers['webhook-id']]);
    for (const message of receiver.got) verify(message, hook.secret);
    const { event_type, data } = JSON.parse(second.body);
    assert.deepEqual([event_type, data.run_id, data.thread_id, data.agent, data.end_user_id, data.status, data.error],
      ['agent.run.completed', run.run_id, thread, 'telling', user.id, 'success', null]);
    assert.ok(!second.body.includes('private'), second.body);
  });

  test('a run whose process is killed is taken up again and does no recorded step twice', async () => {
    const asked = { '/first': 0, '/second': 0 };
    const once = new Promise((resolve) => {
      for (const path of Object.keys(asked)) {
        upstream.at(path, (exchange) => {
          asked[path] += 1;
          // The process ends while it waits for this one.
          if (path === '/second' && asked[path] === 1) return resolve();
          exchange.send(200, path);
        });
      }
    });
    const thread = await newThread();
    await command(thread, 'run.start', { assistant_id: 'acting', input: { log: [] }, durability: 'sync' });
    await once;
    await world.server.kill();
    await world.boot();
    assert.deepEqual((await settled(thread, 'idle')).values.log, ['/first', '/second']);
    assert.deepEqual(asked, { '/first': 1, '/second': 2 });
  });

  // The call under way gets its answer while the server drains.
  const restartWhileAsked = async (exchange) => {
    const stopped = world.server.stop();
    await eventually(() => !fs.existsSync(`${world.dataDir}/run.json`), 'the server is draining');
    exchange.send(200, '/first');
    await stopped;
    await world.boot();
  };

  test('a process that is told to end lets the call under way finish, and the next one goes on', async () => {
    const asked = { '/first': 0, '/second': 0 };
    const first = new Promise((resolve) => {
      upstream.at('/first', (exchange) => {
        asked['/first'] += 1;
        resolve(exchange);
      });
    });
    upstream.at('/second', (exchange) => {
      asked['/second'] += 1;
      exchange.send(200, '/second');
    });
    const thread = await newThread();
    await start(thread, 'acting', { log: [] });
    await restartWhileAsked(await first);
    assert.deepEqual((await settled(thread, 'idle')).values.log, ['/first', '/second']);
    assert.deepEqual(asked, { '/first': 1, '/second': 1 });
  });

  test('who watches a run that is kept at its end only is told the same when another process goes on with it', async () => {
    const [first, second] = ['/first', '/second'].map((path) => new Promise((resolve) => { upstream.at(path, resolve); }));
    const thread = await newThread();
    await command(thread, 'run.start', { assistant_id: 'lengthy', input: { log: [] }, durability: 'exit' });
    await restartWhileAsked(await first);
    const follow = async (onEvent = () => {}) => {
      const reply = await fetch(`${world.url}/v1/agents/api/threads/${thread}/stream/events`, {
        method: 'POST', headers: { 'x-api-key': user.key, 'content-type': 'application/json' },
        body: JSON.stringify({ channels: ['values', 'updates', 'lifecycle'] }),
      });
      const got = [];
      for await (const { data } of events(reply)) {
        if (!data) continue;
        const event = JSON.parse(data);
        got.push(event);
        await onEvent(event);
        if (event.method === 'lifecycle' && event.params.data.event === 'completed') return got;
      }
      throw new Error(`the stream ended: ${JSON.stringify(got)}`);
    };
    let answered = false;
    const live = await follow(async ({ method, params }) => {
      if (answered || method !== 'values' || params.data.log?.length !== 1) return;
      answered = true;
      (await second).send(200, '/second');
    });
    assert.equal((await settled(thread, 'idle')).values.log.length, 14);
    const seqs = live.map(({ seq }) => seq);
    assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
    assert.deepEqual(live, await follow());
  });
});
