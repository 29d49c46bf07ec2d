// What runs of agents cost: the run's own sum, its usage rows, the door's header, the budget and the wallet say the same, and
// every call that a provider had is in the books once, whatever killed the server meanwhile.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { addKey, fund, MODEL, post } from './support/models.mjs';
import { eventually, runCommand } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const messages = { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' };
const state = { type: 'object', properties: { messages } };
const llm = (more = {}) => ({ type: 'llm', messages: 'messages', params: { max_tokens: 100 }, ...more });
const edges = (...names) => ['__start__', ...names].map((from, i) => ({ from, to: names[i] ?? '__end__' }));
const agent = (slug, graph) => ({ slug, name: slug, model: MODEL, graph: { spec: 'agentgraph/1', name: slug, state, ...graph } });
const AGENTS = [
  agent('one', { nodes: { a: llm() }, edges: edges('a') }),
  agent('two', { nodes: { a: llm({ stream: false }), b: llm() }, edges: edges('a', 'b') }),
  agent('wide', { nodes: { a: llm(), b: llm({ stream: false }), c: llm() }, edges: [{ from: '__start__', to: ['a', 'b', 'c'] }] }),
  agent('nested', {
    subgraphs: { inner: { state, nodes: { deep: llm() }, edges: edges('deep') } },
    nodes: { own: { type: 'subgraph', graph: 'inner' }, other: { type: 'subgraph', graph: 'agent:two@1' } }, edges: edges('own', 'other'),
  }),
  agent('parked', { nodes: { a: llm(), ask: { type: 'approval', prompt: 'go on?' }, b: llm() }, edges: edges('a', 'ask', 'b') }),
  agent('failing', { nodes: { a: llm(), stop: { type: 'end', status: 'error', error: 'no way on' } }, edges: edges('a', 'stop').slice(0, 2) }),
];
const PRICE = 4500; // nano-USD of a call, by what the upstream says that it used
const nanos = (usd) => Math.round(Number(usd) * 1e9);

describe('What runs of agents cost', () => {
  let world, platform, upstream, user;
  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [], env: { ASSISTIV_AGENT_LEASE: '2' } });
    ({ platform } = world);
    await fund(world, platform);
    await addKey(world, platform, upstream);
    for (const one of AGENTS) await platform.api.must(201, 'POST', `${platform.path}/agents`, one);
    user = await world.newUser();
    await platform.api.must(201, 'POST', `${user.path}/budget`, { max_usd: '5' });
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });

  const api = async (path, body) => (await post(world.url, `/v1/agents/api${path}`, user.key, body)).body;
  const input = { messages: [{ role: 'user', content: 'Hello' }] };
  const start = async (assistant_id) => api(`/threads/${(await api('/threads', {})).thread_id}/runs`, { assistant_id, input });
  const rowsOf = (run) => platform.api.must(200, 'GET', `${platform.path}/usage?limit=100&run_id=${run}`);
  const ended = (run) => eventually(async () => {
    const { data } = await user.api.get(`/v1/agents/runs/${run}`);
    return !['pending', 'running'].includes(data.status) && data;
  }, 'the end of the run', 40_000);

  /** The run when it has ended, and its rows when all of `calls` are written. */
  async function books(run, calls) {
    const { status, usage } = await ended(run);
    const rows = await eventually(async () => {
      const found = await rowsOf(run);
      return found.length >= calls && found;
    }, `${calls} usage rows`);
    assert.equal(rows.length, calls);
    for (const row of rows) assert.deepEqual([row.request_type, row.run_id, row.end_user_id], ['agent', run, user.id]);
    return { status, usage, spent: rows.reduce((sum, row) => sum + nanos(row.cost_usd), 0) };
  }

  test('a run\'s sum is that of its rows: branches, subgraphs, sub-agents, failures, answers', async () => {
    for (const [slug, calls, status] of [['one', 1, 'success'], ['two', 2, 'success'], ['wide', 3, 'success'], ['nested', 3, 'success'], ['failing', 1, 'error']]) {
      const found = await books((await start(slug)).run_id, calls);
      assert.deepEqual([slug, found.status, nanos(found.usage.cost_usd), found.usage.llm_calls, found.spent], [slug, status, calls * PRICE, calls, calls * PRICE]);
    }
    const parked = await start('parked');
    assert.deepEqual([(await books(parked.run_id, 1)).status, (await books(parked.run_id, 1)).spent], ['interrupted', PRICE]);
    await eventually(async () => Number((await platform.api.must(200, 'GET', `${platform.path}/wallet`)).held) === 0, 'nothing held while it waits', 60_000);
    const resumed = await api(`/threads/${parked.thread_id}/runs`, { assistant_id: 'parked', command: { resume: true } });
    assert.deepEqual([(await books(resumed.run_id, 1)).status, (await books(parked.run_id, 1)).spent], ['success', PRICE]);
  });

  test('an agent as a model costs what its run costs, and a repeated request nothing', async () => {
    const ask = (headers) => post(world.url, '/v1/chat/completions', user.key, { model: 'agent/nested', messages: input.messages }, headers);
    const first = await ask({ 'idempotency-key': 'once' });
    const run = first.headers.get('x-aig-run');
    assert.equal(nanos(first.headers.get('x-aig-cost-usd')), (await books(run, 3)).spent);
    const again = await ask({ 'idempotency-key': 'once' });
    assert.equal(again.headers.get('x-aig-run'), run);
    assert.equal((await books(run, 3)).spent, 3 * PRICE);
  });

  test('every call that the provider had is in the books once, also when the server is killed under it', async () => {
    const known = new Set();
    const all = async () => (await platform.api.must(200, 'GET', `${platform.path}/usage?limit=100`)).filter((row) => !known.has(row.request_id));
    for (const row of await all()) known.add(row.request_id);
    upstream.clear();
    upstream.always(() => {}); // as if they took long
    const runs = [await start('two'), await start('wide')];
    await eventually(() => upstream.exchanges.length === 4, 'four calls under way');
    await world.server.kill();
    upstream.always();
    await world.boot();
    for (const { run_id } of runs) assert.equal((await ended(run_id)).status, 'success');
    const rows = await eventually(async () => {
      const found = await all();
      return found.length >= upstream.exchanges.length && found;
    }, 'a row for each call');
    const outcomes = rows.map((row) => row.status).sort();
    assert.deepEqual(outcomes, [...Array(4).fill('lost'), ...Array(5).fill('success')]);
    assert.equal(upstream.exchanges.length, rows.length);
  });

  test('wallet, budget and rows agree, and nothing stays held', async () => {
    const path = `${platform.path}/wallet`;
    await eventually(async () => Number((await platform.api.must(200, 'GET', path)).held) === 0, 'nothing held', 60_000);
    const spent = (await platform.api.must(200, 'GET', `${platform.path}/usage?limit=100`)).reduce((sum, row) => sum + nanos(row.cost_usd), 0);
    assert.equal(nanos((await platform.api.must(200, 'GET', path)).balance), nanos('10') - spent);
    assert.equal(nanos((await platform.api.must(200, 'GET', `${user.path}/budget`)).used_usd), spent);
    const verdict = runCommand(['admin', 'verify-ledger', '--data-dir', world.dataDir]);
    assert.equal(verdict.status, 0, verdict.stdout + verdict.stderr);
  });
});
