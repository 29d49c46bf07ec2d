// What an end user may have, and how much a list of the agents' API gives at once.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '../js/agent-clients/clients.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const keeper = {
  slug: 'keeper',
  name: 'Keeper',
  graph: {
    spec: 'agentgraph/1', name: 'keeper',
    state: { type: 'object', properties: { text: { type: 'string' } } },
    input: ['text'],
    nodes: { a: { type: 'transform', write: { text: '${state.text}' } } },
    edges: [{ from: '__start__', to: 'a' }],
  },
};
describe('Bounds of the agents\' API', () => {
  let world, postgres, alice, client;
  const raw = (method, path, body) => fetch(`${world.url}/v1/agents/api${path}`, {
    method, headers: { 'x-api-key': alice.key, 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  const refused = async (reply, status, code) => {
    assert.deepEqual([reply.status, (await reply.json()).error.code], [status, code]);
    return reply;
  };

  before(async () => {
    postgres = startPostgres();
    world = await World.start({
      apps: [],
      env: {
        ASSISTIV_DATABASE_URL: postgres.url,
        ASSISTIV_AGENT_THREADS_MAX: '3', ASSISTIV_AGENT_ITEMS_MAX: '4', ASSISTIV_AGENT_WAITING_RUNS_MAX: '2',
      },
    });
    await world.platform.api.must(201, 'POST', `${world.platform.path}/agents`, keeper);
    alice = await world.newUser();
    client = new Client({ apiUrl: `${world.url}/v1/agents/api`, apiKey: alice.key, callerOptions: { maxRetries: 0 } });
  });
  after(async () => {
    await world?.stop();
    postgres?.stop();
  });

  test('threads and waiting runs of an end user end at the limit', async () => {
    const [first] = [await client.threads.create(), await client.threads.create(), await client.threads.create()];
    await refused(await raw('POST', '/threads', {}), 409, 'too_many_threads');
    await refused(await raw('POST', '/runs', { assistant_id: 'keeper', input: { text: 'x' } }), 409, 'too_many_threads');

    const later = { input: { text: 'x' }, afterSeconds: 3600 };
    const runs = [await client.runs.create(first.thread_id, 'keeper', later), await client.runs.create(first.thread_id, 'keeper', later)];
    const body = { assistant_id: 'keeper', input: { text: 'x' }, after_seconds: 3600 };
    const reply = await refused(await raw('POST', `/threads/${first.thread_id}/runs`, body), 429, 'too_many_waiting_runs');
    assert.ok(Number(reply.headers.get('retry-after')) > 0);
    // What is there stays usable, and what is given up makes room.
    for (const run of runs) await client.runs.cancel(first.thread_id, run.run_id);
    assert.equal((await client.runs.list(first.thread_id)).length, 2);
    await client.threads.delete(first.thread_id);
    await eventually(async () => {
      const again = await raw('POST', '/threads', {});
      if (again.status !== 200) await refused(again, 409, 'too_many_threads');
      return again.status === 200;
    }, 'a thread that was deleted makes room for another');
  });

  test('metadata are merged up to a size', async () => {
    const [{ thread_id: thread }] = await client.threads.search({ limit: 1 });
    await client.threads.update(thread, { metadata: { a: 'x'.repeat(40_000) } });
    await refused(await raw('PATCH', `/threads/${thread}`, { metadata: { b: 'x'.repeat(40_000) } }), 413, 'payload_too_large');
    await refused(await raw('POST', `/threads/${thread}/runs`, { assistant_id: 'keeper', metadata: { b: 'x'.repeat(70_000) } }), 413, 'payload_too_large');
    assert.deepEqual(Object.keys((await client.threads.get(thread)).metadata), ['a']);
  });

  // As if somebody had put more than a reply may have; it is not read in this test, which would take long.
  const grow = (what) => postgres.query(what.replace('BIG', "json_build_object('text', repeat('x', 17000000))::text"));

  test('a list that does not fit into a reply goes on on the next page', async () => {
    for (const key of ['a', 'b', 'c', 'd']) await client.store.putItem(['docs'], key, { text: key });
    await refused(await raw('PUT', '/store/items', { namespace: ['docs'], key: 'e', value: {} }), 409, 'too_many_items');
    await client.store.putItem(['docs'], 'd', { text: 'replaced' });

    grow("update agent_item set value = BIG where item_key = 'c'");
    const cut = await raw('POST', '/store/items/search', { namespace_prefix: ['docs'], limit: 100 });
    assert.equal(cut.headers.get('x-pagination-next'), '2');
    assert.deepEqual((await cut.json()).items.map(({ key }) => key), ['a', 'b']);
    const found = [];
    for (let last = false; !last; ) {
      const { items } = await client.store.searchItems(['docs'], { limit: 100, offset: found.length });
      found.push(...items.map(({ key }) => key));
      last = items.length === 0;
      if (found.length === 2) await client.store.putItem(['docs'], 'c', { text: 'small' });
    }
    assert.deepEqual(found, ['a', 'b', 'c', 'd']);
  });

  test('threads, and the states of one', async () => {
    const [newest, second] = await client.threads.search({ sortBy: 'thread_id' });
    grow(`update agent_thread set state_values = BIG where thread_id = '${second.thread_id}'`);
    const reply = await raw('POST', '/threads/search', { sort_by: 'thread_id', limit: 100 });
    assert.deepEqual([reply.headers.get('x-pagination-total'), reply.headers.get('x-pagination-next')], ['3', '1']);
    assert.deepEqual((await client.threads.search({ sortBy: 'thread_id' })).map((one) => one.thread_id), [newest.thread_id]);
    assert.equal((await client.threads.search({ select: ['thread_id'] })).length, 3);

    await client.threads.update(newest.thread_id, { metadata: { graph_id: 'keeper' } });
    for (const text of ['1', '2', '3']) await client.threads.updateState(newest.thread_id, { values: { text }, asNode: 'a' });
    const history = await raw('POST', `/threads/${newest.thread_id}/history`, { limit: 2 });
    const states = await history.json();
    assert.deepEqual(states.map(({ values }) => values.text), ['3', '2']);
    assert.equal(history.headers.get('x-pagination-next'), states[1].checkpoint.checkpoint_id);
    const rest = await client.threads.getHistory(newest.thread_id, { limit: 2, before: states[1].checkpoint });
    assert.deepEqual(rest.map(({ values }) => values.text), ['1']);
  });
});
