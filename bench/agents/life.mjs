// What throughput does not show: the first event of a stream, runs that wait for a person, runs of a process that died.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { pause, residentKib } from '../support/machine.mjs';
import { rest, startGateway } from './servers.mjs';

const API = '/v1/agents/api';
const at = (sorted, share) => sorted[Math.floor((sorted.length - 1) * share)];
const quantiles = (values) => {
  values.sort((a, b) => a - b);
  return { p50: at(values, 0.5), p99: at(values, 0.99) };
};
const threads = (pid) => fs.readdirSync(`/proc/${pid}/task`).length;

/** From the request until its reply begins (the run is durable then), and from there until the first event. */
export async function measureEvents({ gateway }, settings, say) {
  const [durable, first] = [[], []];
  for (let i = 0; i < settings.events + 10; i++) {
    const { thread_id } = await rest(gateway, gateway.key, 'POST', `${API}/threads`, {});
    const began = performance.now();
    const reply = await fetch(`${gateway.url}${API}/threads/${thread_id}/runs/stream`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: 'bench', input: { n: 1 }, stream_mode: ['updates'], durability: 'async' }),
    });
    assert.equal(reply.status, 200);
    const accepted = performance.now();
    const reader = reply.body.getReader();
    await reader.read();
    const event = performance.now();
    while (!(await reader.read()).done);
    if (i < 10) continue; // the first ones warm up
    durable.push(accepted - began);
    first.push(event - accepted);
  }
  const result = { durable: quantiles(durable), first: quantiles(first), runs: first.length };
  say(`first event: p50 ${result.first.p50.toFixed(2)}, p99 ${result.first.p99.toFixed(2)} ms after the reply began`);
  return result;
}

const APPROVAL = {
  slug: 'waits', name: 'Waits',
  graph: {
    spec: 'agentgraph/1', name: 'waits',
    state: { type: 'object', properties: { n: { type: 'integer' }, ok: { type: 'boolean' } }, required: ['n'] },
    input: ['n'], output: ['n', 'ok'],
    nodes: { ask: { type: 'approval', prompt: 'Go on?', write: { ok: true } } },
    edges: [{ from: '__start__', to: 'ask' }, { from: 'ask', to: '__end__' }],
  },
};

async function inParallel(count, width, job) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) await job(next++);
  }));
}

/** Runs that wait for an approval: what each costs while nobody answers. */
export async function measureParked({ gateway }, settings, say) {
  await rest(gateway, gateway.platformKey, 'POST', `${gateway.home}/agents`, APPROVAL);
  const park = async () => {
    const reply = await fetch(`${gateway.url}${API}/threads/${crypto.randomUUID()}/runs/wait`, {
      method: 'POST',
      headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: 'waits', input: { n: 1 }, if_not_exists: 'create' }),
    });
    assert.equal(reply.status, 200, await reply.text());
  };
  await inParallel(200, 16, park);
  const before = { kib: residentKib(gateway.pid), threads: threads(gateway.pid) };
  await inParallel(settings.parked, 16, park);
  await pause(3000);
  const after = { kib: residentKib(gateway.pid), threads: threads(gateway.pid) };
  say(`${settings.parked} parked runs: ${((after.kib - before.kib) / 1024).toFixed(1)} MiB more, ${after.threads - before.threads} threads more`);
  return { runs: settings.parked, beforeMib: before.kib / 1024, afterMib: after.kib / 1024, threads: after.threads - before.threads };
}

const SLOW = {
  slug: 'slow', name: 'Slow',
  graph: {
    spec: 'agentgraph/1', name: 'slow', limits: { max_supersteps: 2000 }, // two for each count
    state: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
    input: ['n'], output: ['n'],
    nodes: {
      count: { type: 'transform', write: { n: '${state.n + 1}' } },
      more: { type: 'router', branches: [{ when: 'state.n < 900', to: 'count' }, { else: '__end__' }] },
    },
    edges: [{ from: '__start__', to: 'count' }, { from: 'count', to: 'more' }],
  },
};

/** kill -9 while runs are under way: how long after the restart the last of them has ended. */
export async function measureRecovery(world, settings, say) {
  const { gateway } = world;
  await rest(gateway, gateway.platformKey, 'POST', `${gateway.home}/agents`, SLOW);
  const runs = [];
  await inParallel(32, 16, async () => {
    const { thread_id } = await rest(gateway, gateway.key, 'POST', `${API}/threads`, {});
    runs.push(await rest(gateway, gateway.key, 'POST', `${API}/threads/${thread_id}/runs`, { assistant_id: 'slow', input: { n: 0 }, durability: 'sync' }));
  });
  await gateway.kill();
  const killed = performance.now();
  world.gateway = await startGateway({ dataDir: world.dataDir, databaseUrl: world.postgres.url, known: gateway });
  const started = performance.now();
  const open = new Set(runs.map(({ thread_id, run_id }) => `${thread_id}/runs/${run_id}`));
  const ends = [];
  let resumed = null; // when the last of them was taken up again
  while (open.size) {
    const again = Number(world.postgres.query("select count(*) from agent_run where attempt > 1"));
    if (again === runs.length) resumed ??= (performance.now() - killed) / 1000;
    for (const name of [...open]) {
      const run = await rest(world.gateway, gateway.key, 'GET', `${API}/threads/${name}`);
      if (['pending', 'running'].includes(run.status)) continue;
      assert.equal(run.status, 'success', JSON.stringify(run));
      open.delete(name);
      ends.push((performance.now() - killed) / 1000);
    }
    await pause(100);
  }
  const result = { runs: runs.length, startMs: started - killed, resumedSeconds: resumed, firstSeconds: Math.min(...ends), lastSeconds: Math.max(...ends) };
  say(`${runs.length} runs after kill -9: all taken up ${resumed?.toFixed(1)} s, the first ended ${result.firstSeconds.toFixed(1)} s, the last ${result.lastSeconds.toFixed(1)} s after it`);
  return result;
}
