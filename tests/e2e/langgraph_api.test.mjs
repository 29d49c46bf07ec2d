// Assistants, threads, states, schedules and items of the LangGraph Server API, with the official client of its SDK.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Client } from '../js/agent-clients/clients.mjs';
import { World } from './support/world.mjs';

const node = (name) => ({ type: 'transform', write: { log: [name] } });
const flow = {
  slug: 'flow',
  name: 'Flow',
  graph: {
    spec: 'agentgraph/1', name: 'flow',
    state: { type: 'object', properties: { kind: { type: 'string' }, log: { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' } } },
    input: ['kind'],
    nodes: {
      a: node('a'),
      way: { type: 'router', branches: [{ when: "state.kind == 'left'", to: 'left', label: 'to the left' }, { else: 'right' }] },
      left: node('left'),
      right: { type: 'subgraph', graph: 'inner' },
    },
    edges: [{ from: '__start__', to: 'a' }, { from: 'a', to: 'way' }, { from: 'left', to: 'right' }],
    subgraphs: {
      inner: {
        state: { type: 'object', properties: { log: { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' } } },
        nodes: { deep: node('deep') },
        edges: [{ from: '__start__', to: 'deep' }],
      },
    },
  },
};

describe('The LangGraph Server API', () => {
  let world, platform, alice, bob, other, client, asBob, asPlatform, elsewhere;
  const as = (key, headers) => new Client({ apiUrl: `${world.url}/v1/agents/api`, apiKey: key, callerOptions: { maxRetries: 0 }, defaultHeaders: headers });
  const raw = (method, path, body, key = alice.key, headers = {}) => fetch(`${world.url}/v1/agents/api${path}`, {
    method, headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
  const fails = async (promise, status) => {
    const error = await promise.then(() => assert.fail(`expected ${status}`), (e) => e);
    assert.equal(error.status, status, `${error.message}`);
    return error;
  };

  before(async () => {
    world = await World.start({ apps: [], env: { ASSISTIV_CORS_ORIGINS: 'https://app.example' } });
    platform = world.platform;
    other = await world.newPlatform([]);
    await platform.api.must(201, 'POST', `${platform.path}/agents`, flow);
    [alice, bob] = [await world.newUser(), await world.newUser()];
    [client, asBob, asPlatform] = [alice.key, bob.key, platform.key].map((key) => as(key));
    elsewhere = as(other.key);
  });
  after(() => world?.stop());

  test('says what it is, without a key', async () => {
    const info = await (await fetch(`${world.url}/v1/agents/api/info`)).json();
    assert.deepEqual(info.flags, { assistants: true, crons: true, langsmith: false });
    assert.deepEqual(await (await fetch(`${world.url}/v1/agents/api/ok?check_db=1`)).json(), { ok: true });
  });

  test('assistants: the default one, own ones, versions', async () => {
    const [standard] = await client.assistants.search({ graphId: 'flow' });
    assert.equal(standard.metadata.created_by, 'system');
    assert.deepEqual(await client.assistants.get('flow'), standard);
    assert.deepEqual(await client.assistants.get(standard.assistant_id), standard);

    const made = await client.assistants.create({ graphId: 'flow', name: 'Mine', context: { tone: 'brief' }, metadata: { team: 'red' } });
    assert.deepEqual([made.version, made.graph_id, made.context], [1, 'flow', { tone: 'brief' }]);
    await fails(client.assistants.create({ graphId: 'flow', assistantId: made.assistant_id }), 409);
    const same = await client.assistants.create({ graphId: 'flow', assistantId: made.assistant_id, ifExists: 'do_nothing' });
    assert.equal(same.name, 'Mine');

    const second = await client.assistants.update(made.assistant_id, { name: 'Ours', metadata: { more: true } });
    assert.deepEqual([second.version, second.metadata], [2, { team: 'red', more: true }]);
    const versions = await client.assistants.getVersions(made.assistant_id);
    assert.deepEqual(versions.map((one) => [one.version, one.name]), [[2, 'Ours'], [1, 'Mine']]);
    assert.equal((await client.assistants.setLatest(made.assistant_id, 1)).name, 'Mine');

    assert.deepEqual((await client.assistants.search({ metadata: { team: 'red' }, select: ['name'] })), [{ name: 'Mine' }]);
    assert.equal(await client.assistants.count({ name: 'MIN' }), 1);
    const page = await client.assistants.search({ limit: 1, sortBy: 'name', sortOrder: 'asc', includePagination: true });
    assert.deepEqual([page.assistants[0].name, page.next], ['Flow', '1']);
    await client.assistants.delete(made.assistant_id);
    await fails(client.assistants.get(made.assistant_id), 404);
    await fails(client.assistants.delete('flow'), 403);
    await fails(asPlatform.assistants.delete('flow'), 409);
  });

  test('assistants: their graph, schemas and subgraphs', async () => {
    const graph = await client.assistants.getGraph('flow');
    assert.deepEqual(graph.nodes.map(({ id }) => id), ['__start__', 'a', 'left', 'right', 'way', '__end__']);
    const edges = graph.edges.map(({ source, target, conditional }) => `${source} ${conditional ? '?' : '-'} ${target}`).sort();
    assert.deepEqual(edges, ['__start__ - a', 'a - way', 'left - right', 'right - __end__', 'way ? left', 'way ? right']);
    assert.equal(graph.edges.find(({ target, source }) => source === 'way' && target === 'left').data, 'to the left');
    const open = await client.assistants.getGraph('flow', { xray: true });
    assert.ok(open.nodes.some(({ id }) => id === 'right:deep'));
    assert.ok(!open.nodes.some(({ id }) => id === 'right'));
    assert.ok(open.edges.some(({ source, target }) => source === 'left' && target === 'right:__start__'));

    const schemas = await client.assistants.getSchemas('flow');
    assert.equal(schemas.graph_id, 'flow');
    assert.deepEqual(Object.keys(schemas.state_schema.properties), ['kind', 'log']);
    assert.deepEqual(Object.keys(schemas.input_schema.properties), ['kind']);
    assert.deepEqual(Object.keys(await client.assistants.getSubgraphs('flow')), ['right']);
    assert.deepEqual(Object.keys(await client.assistants.getSubgraphs('flow', { namespace: 'right' })), ['right']);
    assert.deepEqual(await client.assistants.getSubgraphs('flow', { namespace: 'nothing', recurse: true }), {});
  });

  test('threads: made, found, changed, copied, pruned', async () => {
    const id = randomUUID();
    const made = await client.threads.create({ threadId: id, graphId: 'flow', metadata: { tag: 'one' }, ttl: 60 });
    assert.deepEqual([made.thread_id, made.status, made.values, made.interrupts], [id, 'idle', null, {}]);
    assert.deepEqual(made.metadata, { tag: 'one', graph_id: 'flow' });
    assert.deepEqual(made.ttl, { ttl: 60, strategy: 'delete' });
    await fails(client.threads.create({ threadId: id }), 409);
    assert.equal((await client.threads.create({ threadId: id, ifExists: 'do_nothing' })).thread_id, id);

    assert.deepEqual((await client.threads.update(id, { metadata: { n: 1 } })).metadata, { tag: 'one', graph_id: 'flow', n: 1 });
    const quiet = await raw('PATCH', `/threads/${id}`, { metadata: { n: 2 } }, alice.key, { prefer: 'return=minimal' });
    assert.equal(quiet.status, 204);
    assert.equal((await client.threads.get(id)).metadata.n, 2);

    const copy = await client.threads.copy(id);
    assert.notEqual(copy.thread_id, id);
    assert.deepEqual(copy.metadata, { tag: 'one', graph_id: 'flow', n: 2 });
    assert.equal(await client.threads.count({ metadata: { tag: 'one' } }), 2);
    const found = await raw('POST', '/threads/search', { metadata: { tag: 'one' }, limit: 1, select: ['thread_id'] });
    assert.deepEqual([found.headers.get('x-pagination-total'), found.headers.get('x-pagination-next')], ['2', '1']);
    assert.deepEqual(Object.keys((await found.json())[0]), ['thread_id']);
    assert.deepEqual((await client.threads.search({ ids: [id], status: 'idle' })).map((one) => one.thread_id), [id]);
    assert.deepEqual(await (await raw('POST', '/threads/prune', { thread_ids: [copy.thread_id] })).json(), { pruned_count: 1 });
    await client.threads.delete(id);
    await fails(client.threads.get(id), 404);
    await fails(client.threads.delete(id), 404);
  });

  test('pages of other origins may read how many there are', async () => {
    const reply = await raw('POST', '/threads/search', {}, alice.key, { origin: 'https://app.example' });
    const exposed = reply.headers.get('access-control-expose-headers') ?? '';
    for (const name of ['content-location', 'location', 'x-pagination-total', 'x-pagination-next']) {
      assert.ok(exposed.includes(name), name);
    }
  });

  test('states: of several updates at once each goes on from the one before it', async () => {
    const { thread_id: id } = await client.threads.create({ graphId: 'flow' });
    await client.threads.updateState(id, { values: { kind: 'left' }, asNode: '__start__' });
    const names = ['four', 'one', 'three', 'two'];
    await Promise.all(names.map((name) => client.threads.updateState(id, { values: { log: [name] }, asNode: 'a' })));
    assert.deepEqual((await client.threads.getState(id)).values.log.sort(), names);
    assert.equal((await client.threads.getHistory(id)).length, 5);
  });

  test('states: what nodes are said to have written decides what is next', async () => {
    const { thread_id: id } = await client.threads.create({ graphId: 'flow' });
    const fresh = await client.threads.getState(id);
    assert.deepEqual([fresh.values, fresh.next, fresh.tasks, fresh.checkpoint], [{}, [], [], null]);
    assert.deepEqual(await client.threads.getHistory(id), []);

    const first = await client.threads.updateState(id, { values: { kind: 'left' }, asNode: '__start__' });
    assert.equal(first.checkpoint.thread_id, id);
    const started = await client.threads.getState(id);
    assert.deepEqual([started.values, started.next], [{ kind: 'left', log: [] }, ['a']]);
    assert.deepEqual([started.metadata.source, started.parent_checkpoint], ['update', null]);
    assert.deepEqual(started.tasks.map(({ name, path, interrupts, error }) => ({ name, path, interrupts, error })),
      [{ name: 'a', path: ['__pregel_pull', 'a'], interrupts: [], error: null }]);

    await client.threads.updateState(id, { values: { log: ['mine'] }, asNode: 'a' });
    assert.deepEqual((await client.threads.getState(id)).next, ['way']);
    await client.threads.updateState(id, { values: null, asNode: 'way' });
    const routed = await client.threads.getState(id);
    assert.deepEqual([routed.next, routed.values.log], [['left'], ['mine']], 'a router leads where its expressions say');
    // Without a node it is the one that ran last.
    await client.threads.updateState(id, { values: { kind: 'other' } });
    assert.deepEqual((await client.threads.getState(id)).next, ['right']);

    const history = await client.threads.getHistory(id, { limit: 10 });
    assert.deepEqual(history.map((state) => state.next), [['right'], ['left'], ['way'], ['a']]);
    for (const [i, state] of history.slice(0, -1).entries()) {
      assert.equal(state.parent_checkpoint.checkpoint_id, history[i + 1].checkpoint.checkpoint_id);
      assert.ok(state.checkpoint.checkpoint_id > state.parent_checkpoint.checkpoint_id, 'ids order as time does');
    }
    const older = await client.threads.getHistory(id, { before: history[1].checkpoint, limit: 1 });
    assert.deepEqual(older.map((state) => state.next), [['way']]);
    assert.equal((await client.threads.getHistory(id, { metadata: { step: history[3].metadata.step } })).length, 1);
    const thread = await client.threads.get(id);
    assert.deepEqual(thread.values, { kind: 'other', log: ['mine'] });
    assert.equal(await client.threads.count({ values: { kind: 'other' } }), 1);
  });

  test('states: a fork from an older checkpoint, and reading any of them', async () => {
    const { thread_id: id } = await client.threads.create({ graphId: 'flow' });
    await client.threads.updateState(id, { values: { kind: 'left' }, asNode: '__start__' });
    const { checkpoint } = await client.threads.updateState(id, { values: { log: ['one'] }, asNode: 'a' });
    await client.threads.updateState(id, { values: { log: ['two'] }, asNode: 'left' });
    const fork = await client.threads.updateState(id, { values: { kind: 'right' }, checkpoint, asNode: 'way' });
    const head = await client.threads.getState(id);
    assert.equal(head.checkpoint.checkpoint_id, fork.checkpoint.checkpoint_id);
    assert.equal(head.parent_checkpoint.checkpoint_id, checkpoint.checkpoint_id);
    assert.deepEqual([head.values, head.next], [{ kind: 'right', log: ['one'] }, ['right']]);
    assert.equal((await client.threads.getHistory(id)).length, 4, 'the other branch stays');
    assert.deepEqual((await client.threads.getState(id, checkpoint.checkpoint_id)).values.log, ['one']);
    assert.deepEqual((await client.threads.getState(id, checkpoint)).values.log, ['one']);
    const copy = await client.threads.copy(id);
    assert.deepEqual((await client.threads.getState(copy.thread_id)).values, head.values);
    await fails(client.threads.getState(id, randomUUID()), 404);
    await fails(client.threads.getState(id, 'nonsense'), 404);

    await client.threads.updateState(id, { values: null, asNode: '__end__' });
    assert.deepEqual((await client.threads.getState(id)).next, []);
    await client.threads.updateState(id, { values: null });
    await client.threads.patchState(id, { seen: true });
    assert.equal((await client.threads.get(id)).metadata.seen, true);
  });

  test('states: a thread begins with supersteps', async () => {
    const made = await client.threads.create({
      graphId: 'flow',
      supersteps: [
        { updates: [{ values: { kind: 'left' }, asNode: '__input__' }] },
        { updates: [{ values: { kind: 'left' }, asNode: '__start__' }] },
        { updates: [{ values: { log: ['x'] }, asNode: 'a' }, { command: { update: { log: ['y'] } }, asNode: 'left' }] },
      ],
    });
    const state = await client.threads.getState(made.thread_id);
    assert.deepEqual([state.values.log, state.next], [['x', 'y'], ['right', 'way']]);
    assert.deepEqual((await client.threads.getHistory(made.thread_id)).map(({ metadata }) => metadata.source), ['update', 'update', 'input']);
    const id = randomUUID();
    await fails(client.threads.create({ threadId: id, graphId: 'flow', supersteps: [{ updates: [{ values: {}, asNode: 'nobody' }] }] }), 422);
    await fails(client.threads.get(id), 404);
  });

  test('states: what the graph does not take is refused with its reason', async () => {
    const { thread_id: id } = await client.threads.create({ graphId: 'flow' });
    for (const change of [{ values: { nothing: 1 }, asNode: 'a' }, { values: {}, asNode: 'nobody' }, { values: [{ content: 'x' }] }, { values: null }]) {
      const error = await fails(client.threads.updateState(id, change), 422);
      assert.ok(error.message.length > 10);
    }
    assert.deepEqual(await client.threads.getHistory(id), []);
    const { thread_id: nameless } = await client.threads.create();
    await fails(client.threads.updateState(nameless, { values: { kind: 'x' } }), 422);
  });

  test('items: kept by namespace, found by their members', async () => {
    const space = ['memories', 'alice'];
    await client.store.putItem(space, 'one', { kind: 'fact', n: 1 });
    await client.store.putItem(space, 'two', { kind: 'fact', n: 2 }, { ttl: 10, index: false });
    await client.store.putItem(['notes'], 'three', { kind: 'note' });
    const one = await client.store.getItem(space, 'one');
    assert.deepEqual([one.namespace, one.key, one.value], [space, 'one', { kind: 'fact', n: 1 }]);
    assert.ok(Date.parse(one.createdAt) && Date.parse(one.updatedAt));
    assert.equal(await client.store.getItem(space, 'four'), null);
    const { items } = await client.store.searchItems(['memories'], { filter: { n: { $gt: 1 } } });
    assert.deepEqual(items.map(({ key }) => key), ['two']);
    assert.deepEqual((await client.store.listNamespaces()).namespaces, [space, ['notes']]);
    assert.deepEqual((await client.store.listNamespaces({ maxDepth: 1, prefix: ['memories'] })).namespaces, [['memories']]);
    assert.equal(await asBob.store.getItem(space, 'one'), null);
    assert.equal(await asPlatform.store.getItem(space, 'one'), null);
    await client.store.deleteItem(space, 'one');
    assert.equal(await client.store.getItem(space, 'one'), null);
    const put = (body) => raw('PUT', '/store/items', body);
    for (const body of [
      { namespace: [], key: 'k', value: {} }, { namespace: ['a.b'], key: 'k', value: {} }, { namespace: ['a'], key: '', value: {} },
      { namespace: ['a'], key: 'k', value: 1 }, { namespace: 'a', key: 'k', value: {} }, { namespace: ['a'], key: 'k', value: {}, ttl: -1 },
    ]) {
      assert.equal((await put(body)).status, 422, JSON.stringify(body));
    }
    assert.equal((await raw('GET', '/store/items?key=x')).status, 422);
    assert.equal((await raw('POST', '/store/items/search', { namespace_prefix: [], query: 'by meaning' })).status, 422);
  });

  test('schedules: made, found, changed, deleted', async () => {
    const { thread_id } = await client.threads.create();
    const input = { kind: 'left' };
    const cron = await client.crons.create('flow', { schedule: '0 9 * * 1-5', input, metadata: { team: 'red' }, onRunCompleted: 'keep' });
    assert.deepEqual([cron.schedule, cron.timezone, cron.enabled, cron.on_run_completed, cron.thread_id], ['0 9 * * 1-5', 'UTC', true, 'keep', null]);
    assert.equal(cron.assistant_id, (await client.assistants.get('flow')).assistant_id);
    assert.deepEqual(cron.payload.input, input);
    assert.ok(Date.parse(cron.next_run_date) > Date.now());
    const onThread = await client.crons.createForThread(thread_id, 'flow', { schedule: '@daily', input, enabled: false });
    assert.deepEqual([onThread.thread_id, onThread.enabled], [thread_id, false]);

    assert.deepEqual((await client.crons.search({ assistantId: 'flow' })).map((one) => one.cron_id), [onThread.cron_id, cron.cron_id]);
    assert.deepEqual((await client.crons.search({ threadId: thread_id, select: ['schedule'] })), [{ schedule: '@daily' }]);
    assert.equal(await client.crons.count({ assistantId: 'flow' }), 2);
    const changed = await client.crons.update(cron.cron_id, { schedule: '30 8 * * *', enabled: false, input: { kind: 'right' } });
    assert.deepEqual([changed.schedule, changed.enabled, changed.payload.input, changed.metadata], ['30 8 * * *', false, { kind: 'right' }, { team: 'red' }]);
    for (const stranger of [asBob, elsewhere]) {
      await fails(stranger.crons.update(cron.cron_id, { enabled: true }), 404);
      await fails(stranger.crons.delete(cron.cron_id), 404);
      assert.equal(await stranger.crons.count(), 0);
    }
    assert.equal((await asPlatform.crons.search())[0].user_id, alice.id);
    await client.crons.delete(cron.cron_id);
    await fails(client.crons.delete(cron.cron_id), 404);
    for (const bad of [{ schedule: 'sometimes' }, { schedule: '61 * * * *' }]) await fails(client.crons.create('flow', bad), 422);
    await fails(client.crons.create('nobody', { schedule: '@daily' }), 404);
    await fails(client.crons.createForThread(randomUUID(), 'flow', { schedule: '@daily' }), 404);
    assert.equal((await raw('POST', '/runs/crons', { assistant_id: 'flow', schedule: '@daily', timezone: 'Mars/Olympus' })).status, 422);
  });

  test('what is another tenant\'s or another end user\'s is not there', async () => {
    const { thread_id } = await client.threads.create({ graphId: 'flow', metadata: { mine: true } });
    const { checkpoint } = await client.threads.updateState(thread_id, { values: { kind: 'x' }, asNode: '__start__' });
    const mine = await client.assistants.create({ graphId: 'flow', name: 'Alice only' });
    for (const stranger of [asBob, elsewhere]) {
      for (const act of [
        () => stranger.threads.get(thread_id), () => stranger.threads.getState(thread_id), () => stranger.threads.getState(thread_id, checkpoint),
        () => stranger.threads.getHistory(thread_id), () => stranger.threads.updateState(thread_id, { values: {} }),
        () => stranger.threads.patchState(thread_id, {}), () => stranger.threads.update(thread_id, { metadata: {} }),
        () => stranger.threads.copy(thread_id), () => stranger.threads.delete(thread_id),
        () => stranger.assistants.get(mine.assistant_id), () => stranger.assistants.update(mine.assistant_id, { name: 'x' }),
        () => stranger.assistants.getVersions(mine.assistant_id), () => stranger.assistants.getGraph(mine.assistant_id),
        () => stranger.assistants.setLatest(mine.assistant_id, 1), () => stranger.assistants.delete(mine.assistant_id),
      ]) await fails(act(), 404);
      assert.deepEqual(await stranger.threads.search({ metadata: { mine: true } }), []);
      assert.equal(await stranger.assistants.count({ name: 'Alice only' }), 0);
    }
    await fails(elsewhere.assistants.get('flow'), 404);
    assert.equal((await asPlatform.threads.get(thread_id)).thread_id, thread_id, 'the platform sees what its users have');
    const forAlice = as(platform.key, { 'x-aig-end-user': alice.id });
    assert.equal((await forAlice.threads.get(thread_id)).thread_id, thread_id);
    const forBob = as(platform.key, { 'x-aig-end-user': bob.id });
    await fails(forBob.threads.get(thread_id), 404);
    await fails(as(platform.key, { 'x-aig-end-user': 'nobody' }).threads.get(thread_id), 404);
    await fails(as(alice.key, { 'x-aig-end-user': bob.id }).threads.get(thread_id), 403);
    await fails(as(world.server.adminKey).threads.search(), 403);
    await fails(as('sk-eu_nonsense').threads.search(), 401);
  });

  test('faulty requests are told what is wrong, in the form that clients read', async () => {
    const { thread_id } = await client.threads.create({ graphId: 'flow' });
    const deep = `${'{"a":'.repeat(300)}1${'}'.repeat(300)}`;
    for (const [method, path, body] of [
      ['POST', '/threads', '{'], ['POST', '/threads', '[]'], ['POST', '/threads', { metadata: 5 }], ['POST', '/threads', { thread_id: 'x' }],
      ['POST', '/threads', { ttl: 'long' }], ['POST', '/threads', { ttl: { ttl: 1e300 } }], ['POST', '/threads', { supersteps: [{}] }],
      ['POST', '/threads', `{"metadata":${deep}}`],
      ['POST', '/threads/search', { limit: -1 }], ['POST', '/threads/search', { limit: 1e9 }], ['POST', '/threads/search', { sort_by: 'x; drop table agent_thread' }],
      ['POST', '/threads/search', { select: ['platform_id'] }], ['POST', '/threads/search', { ids: ['x'] }], ['POST', '/threads/prune', {}],
      ['POST', '/assistants', {}], ['POST', '/assistants', { graph_id: 'flow', config: [] }], ['POST', '/assistants', { graph_id: 'flow', assistant_id: 'x' }],
      ['POST', '/assistants', { graph_id: 'flow', context: { text: 'x'.repeat(300_000) } }], ['POST', '/assistants/flow/latest', { version: 'x' }],
      ['GET', '/assistants/flow/graph?xray=x'], ['GET', `/threads/${thread_id}/history?limit=x`],
      ['POST', `/threads/${thread_id}/state`, { values: 'text' }], ['POST', '/runs/crons', { assistant_id: 'flow', schedule: 5 }],
      ['POST', '/runs/crons', { assistant_id: 'flow', schedule: '@daily', end_time: 'never' }],
    ]) {
      const reply = await raw(method, path, body);
      const text = await reply.text();
      assert.equal(reply.status, 422, `${method} ${path} ${JSON.stringify(body)?.slice(0, 80)}: ${text}`);
      const error = JSON.parse(text);
      assert.equal(error.detail, error.message);
      assert.ok(error.error.code && error.error.message);
    }
    for (const path of ['/threads/x', `/threads/${randomUUID()}`, '/assistants/nobody', '/nothing']) {
      const reply = await raw('GET', path);
      assert.equal(reply.status, 404, path);
      assert.equal(typeof (await reply.json()).detail, 'string', path);
    }
  });
});
