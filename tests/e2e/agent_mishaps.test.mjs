// What runs of agents must outlive: threads that another agent goes on with, settings of the wrong shape, runs that are taken
// back, requests that fail half-way. Each of these once ended a process, stopped its upkeep, or lost what was there.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AGENTS } from './support/agents.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const log = { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' };
const write = (text) => ({ type: 'transform', write: { log: `\${['${text}']}` } });
const asking = (slug, approval, last = write('after')) => ({
  slug, name: slug,
  graph: {
    spec: 'agentgraph/1', name: slug, state: { type: 'object', properties: { log } },
    nodes: { ask: { type: 'approval', prompt: 'well?', write: { log: '${[string(result.response)]}' }, ...approval }, ...(approval.on_expire && { late: write('late') }), last },
    edges: [{ from: '__start__', to: 'ask' }, { from: 'ask', to: 'last' }, { from: 'last', to: '__end__' }],
  },
});

describe('Mishaps of agents', () => {
  let world, upstream, user;
  before(async () => {
    upstream = await startUpstream();
    upstream.at('/hang', () => upstream.hung?.());
    world = await World.start({ apps: [], env: { ASSISTIV_AGENT_LEASE: '2' } });
    const hangs = { type: 'http', method: 'GET', url: `${upstream.url}/hang`, write: { log: '${[result.text]}' } };
    for (const one of [AGENTS.line, asking('ask', {}), asking('soon', { expires_s: 3, on_expire: 'late' }), asking('soonhang', { expires_s: 3, on_expire: 'late' }, hangs)])
      await world.platform.api.must(201, 'POST', `${world.platform.path}/agents`, one);
    user = await world.newUser();
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });

  const call = async (method, path, body, { key = user.key, ...headers } = {}) => {
    const reply = await fetch(`${world.url}/v1/agents/api${path}`, { method, headers: { 'x-api-key': key, 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body) });
    const text = await reply.text();
    return { status: reply.status, body: text && JSON.parse(text) };
  };
  const newThread = async () => (await call('POST', '/threads', {})).body.thread_id;
  const wait = async (thread, body) => (await call('POST', `/threads/${thread}/runs/wait`, body)).body;
  const parked = async (agent) => {
    const thread = await newThread();
    assert.ok((await wait(thread, { assistant_id: agent, input: { log: [] } })).__interrupt__);
    return thread;
  };
  const settled = (thread, status) => eventually(async () => {
    const { body } = await call('GET', `/threads/${thread}`);
    return body.status === status && body;
  }, `the thread is ${status}`);

  test('an assistant with a config of the wrong shape is refused', async () => {
    assert.equal((await call('POST', '/assistants', { graph_id: 'line', config: { configurable: 'x' } })).status, 422);
    const { body } = await call('POST', '/assistants', { graph_id: 'line' });
    assert.equal((await call('PATCH', `/assistants/${body.assistant_id}`, { config: { configurable: [] } })).status, 422);
  });

  test('a thread that was there stays when the states for it are refused', async () => {
    const thread = await newThread();
    const made = await call('POST', '/threads', { thread_id: thread, if_exists: 'do_nothing', supersteps: [{ updates: [{ as_node: 'nowhere', values: {} }] }] });
    assert.equal(made.status, 422);
    assert.equal((await call('GET', `/threads/${thread}`)).status, 200);
  });

  test('a batch with an Idempotency-Key makes each of its runs once', async () => {
    const send = () => call('POST', '/runs/batch', [1, 2, 2].map((n) => ({ assistant_id: 'line', input: { n } })), { 'idempotency-key': 'batch' });
    const first = (await send()).body.map((run) => run.run_id);
    assert.equal(new Set(first).size, 3);
    assert.deepEqual((await send()).body.map((run) => run.run_id), first);
  });

  test('a run that is taken back, or never began, leaves what its thread waits for as it was', async () => {
    const thread = await parked('soonhang');
    const hung = new Promise((resolve) => (upstream.hung = resolve));
    const { body: answer } = await call('POST', `/threads/${thread}/runs`, { assistant_id: 'soonhang', command: { resume: 'yes' } });
    await hung;
    assert.equal((await call('POST', `/threads/${thread}/runs/${answer.run_id}/cancel?action=rollback&wait=1`)).status, 204);
    const other = await parked('soon');
    const { body: queued } = await call('POST', `/threads/${other}/runs`, { assistant_id: 'line', input: {}, after_seconds: 600 });
    assert.equal((await call('POST', `/threads/${other}/runs/${queued.run_id}/cancel?wait=1`)).status, 204);
    for (const one of [thread, other]) assert.deepEqual((await settled(one, 'idle')).values.log, ['late']);
  });

  test('why a run could not begin is told later, too', async () => {
    const gone = await world.newUser();
    const { body: thread } = await call('POST', '/threads', {}, { key: gone.key });
    const { body: run } = await call('POST', `/threads/${thread.thread_id}/runs`, { assistant_id: 'line', input: {}, after_seconds: 1 }, { key: gone.key });
    await world.platform.api.must(204, 'DELETE', `${world.platform.path}/end-users/${gone.id}/api-keys/${gone.keyId}`);
    const key = world.platform.key;
    await eventually(async () => (await call('GET', `/threads/${thread.thread_id}/runs/${run.run_id}`, undefined, { key })).body.status === 'error', 'the run is refused');
    const told = await fetch(`${world.url}/v1/agents/runs/${run.run_id}/events`, { headers: { authorization: `Bearer ${key}` } }).then((reply) => reply.text());
    assert.match(told, /caller_gone/);
    assert.doesNotMatch(told, /1970-/);
  });

  test('nobody answers in the place of the clock, whatever shape that has, and the thread can be answered afterwards', async () => {
    const thread = await parked('ask');
    const refused = await call('POST', `/threads/${thread}/runs/wait`, { assistant_id: 'ask', command: { resume: { __expired__: true } } });
    assert.equal(refused.status, 422, JSON.stringify(refused.body));
    assert.deepEqual((await wait(thread, { assistant_id: 'ask', command: { resume: 'yes' } })).log, ['yes', 'after']);
    assert.equal((await wait(await parked('ask'), { assistant_id: 'ask', command: { resume: { __expired__: 'x' } } })).__error__.error, 'expression_failed');
  });

  test('an answer that its node cannot use fails the run, and the question can be answered again', async () => {
    const thread = await parked('ask');
    const { body: before } = await call('GET', `/threads/${thread}`);
    const failed = await wait(thread, { assistant_id: 'ask', command: { resume: { not: 'text' } } });
    assert.equal(failed.__error__.error, 'expression_failed');
    const { body: after } = await call('GET', `/threads/${thread}`);
    assert.equal(after.status, 'error');
    assert.deepEqual(after.interrupts, before.interrupts);
    const { body: state } = await call('GET', `/threads/${thread}/state`);
    assert.deepEqual([state.next, state.tasks[0].interrupts.length, state.interrupts.length], [['ask'], 1, 1]);
    // Without a new answer it is tried with the old one.
    assert.equal((await wait(thread, { assistant_id: 'ask', input: null })).__error__.error, 'expression_failed');
    const [id] = Object.values(after.interrupts).flat().map((one) => one.id);
    assert.deepEqual((await wait(thread, { assistant_id: 'ask', command: { resume: { [id]: 'yes' } } })).log, ['yes', 'after']);
    assert.deepEqual((await call('GET', `/threads/${thread}`)).body.interrupts, {});
  });

  test('an agent that does not have the nodes where its thread stands fails, and nothing else does', async () => {
    const thread = await parked('ask');
    assert.equal((await wait(thread, { assistant_id: 'line', command: { resume: 'x' } })).__error__.error, 'no_such_node');
    assert.equal((await wait(thread, { assistant_id: 'line', input: { log: ['in'] } })).log.at(-1), 'c');
    const refused = await newThread();
    assert.equal((await wait(refused, { assistant_id: 'line', input: { nothing: 1 } })).__error__.error, 'INVALID_INPUT');
    assert.equal((await wait(refused, { assistant_id: 'line', command: { goto: 'b' } })).__error__.error, 'no_such_node');
  });
});
