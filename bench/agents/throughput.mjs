// Runs per second and latency, in rounds in turn, so that what the machine does meanwhile falls on all alike.
import assert from 'node:assert/strict';
import { Meter, NOISE_LIMIT, residentKib, untilQuiet } from '../support/machine.mjs';
import { wrk } from '../support/wrk.mjs';
import { peerRun, runLibrary, statelessRun, threadRun } from './servers.mjs';

const WARM_SECONDS = 3;

/** How long one small transaction takes on this disk, as the median of 50. */
export function commitMs(postgres) {
  postgres.query('create table if not exists bench_commit (n int)');
  const text = Array.from({ length: 50 }, (_, i) => `insert into bench_commit values (${i});`).join(' ');
  const lines = postgres.timed(text);
  lines.sort((a, b) => a - b);
  return lines[Math.floor(lines.length / 2)];
}

async function checkAnswer(request) {
  const reply = await fetch(request.url.replace('@ID@', '0000000000'), { method: 'POST', headers: request.headers, body: request.body });
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  const state = JSON.parse(text);
  assert.deepEqual([state.n, state.c], [4, 'b2c'], text);
}

async function measureOnce(request, connections, server, roots, settings, scratch) {
  await untilQuiet(settings.patience);
  const meter = new Meter(roots);
  const run = await wrk(request, settings.seconds, scratch, connections);
  const { named, others } = meter.stop();
  const cpu = Object.values(named).reduce((sum, percent) => sum + percent, 0);
  return { ...run, cpuMsPerRun: (cpu * 10) / run.perSecond, cpuOwnMs: (named.server * 10) / run.perSecond,
    residentMib: residentKib(server.pid) / 1024, others, noisy: others >= NOISE_LIMIT };
}

const show = (run) => `${run.perSecond.toFixed(1)} runs/s, p50 ${run.p50.toFixed(2)}, p99 ${run.p99.toFixed(2)} ms, ${run.cpuMsPerRun.toFixed(3)} ms CPU, failed ${run.failed}`;

async function inRounds(cases, settings, say) {
  for (let round = 0; round < settings.rounds; round++) {
    for (const one of cases) {
      const run = await one.measure();
      one.runs.push(run);
      say(`${one.label}, ${one.connections}: ${show(run)}`);
    }
  }
  return cases.map(({ id, label, connections, runs }) => ({ id, label, connections, runs }));
}

export async function measureDurable({ gateway, postgres, scratch }, settings, say) {
  const roots = { server: gateway.pid, postgres: postgres.pid };
  await checkAnswer(threadRun(gateway, 'sync'));
  // As autovacuum leaves a database that is older than a minute: without statistics every plan is a guess.
  await wrk(threadRun(gateway, 'sync'), WARM_SECONDS, scratch, 16);
  postgres.query('analyze');
  const ours = (durability, connections) => ({
    id: `gateway.${durability}`, label: `gateway, ${durability}`, connections, runs: [],
    measure: () => measureOnce(threadRun(gateway, durability), connections, gateway, roots, settings, scratch),
  });
  const theirs = (durability, connections) => ({
    id: `library.${durability}`, label: `LangGraph library, ${durability}`, connections, runs: [],
    measure: () => runLibrary(postgres.url, durability, connections, settings.seconds),
  });
  const cases = [['sync', 1], ['sync', 16], ['async', 16], ['exit', 16]].flatMap((load) => [ours(...load), theirs(...load)]);
  return inRounds(cases, settings, say);
}

export async function measureStateless({ gateway, devServer, postgres, scratch }, settings, say) {
  await checkAnswer(statelessRun(gateway));
  await checkAnswer(peerRun(devServer));
  const ours = (connections) => ({
    id: 'gateway.stateless', label: 'gateway', connections, runs: [],
    measure: () => measureOnce(statelessRun(gateway), connections, gateway, { server: gateway.pid, postgres: postgres.pid }, settings, scratch),
  });
  const theirs = (connections) => ({
    id: 'dev.stateless', label: 'LangGraph development server', connections, runs: [],
    measure: () => measureOnce(peerRun(devServer), connections, devServer, { server: devServer.pid }, settings, scratch),
  });
  return inRounds([1, 64].flatMap((connections) => [ours(connections), theirs(connections === 64 ? 128 : connections)]), settings, say);
}
