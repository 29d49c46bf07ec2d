// Requests per second and latency, in rounds in turn, so that what the machine does meanwhile falls on all alike.
import assert from 'node:assert/strict';
import { Meter, NOISE_LIMIT, residentKib, untilQuiet } from '../support/machine.mjs';
import { wrk } from '../support/wrk.mjs';
import { subjects } from './subjects.mjs';

/** As fast as it goes; and, for latency below saturation, paced: each connection waits `pace` ms on average. */
export const LOADS = [
  { connections: 64 },
  { connections: 16 },
  { connections: 16, pace: 8 },
];

/** Processor time per request, of a process that used so many percent of a core. */
export const microsEach = (percent, run) => (percent * 1e4) / run.perSecond;

async function checkAnswer({ request, id }) {
  const headers = request.keys ? { ...request.headers, authorization: `Bearer ${request.keys[0]}` } : request.headers;
  const reply = await fetch(request.url, { method: 'POST', headers, body: request.body });
  const text = await reply.text();
  assert.equal(reply.status, 200, `${id}: ${text}`);
  assert.ok(text.includes('wwwww'), `${id} does not answer with the provider's text: ${text}`);
}

async function measureOnce(subject, load, settings, scratch) {
  await untilQuiet(settings.patience);
  const meter = new Meter(subject.roots);
  const run = await wrk(subject.request, settings.seconds.run, scratch, load.connections, load.pace);
  const { named, others } = meter.stop();
  if (named.postgres !== undefined) named.server -= named.postgres; // its child, counted by itself
  return { ...run, named, residentMib: residentKib(subject.server.pid) / 1024, others, noisy: others >= NOISE_LIMIT };
}

export async function measureThroughput(world, settings, say) {
  const cases = [];
  for (const load of LOADS) {
    const group = subjects(world).map((subject) => ({ ...subject, load, runs: [] }));
    for (const subject of group) {
      await checkAnswer(subject);
      await wrk(subject.request, settings.seconds.warmUp, world.scratch, load.connections, load.pace);
    }
    for (let round = 0; round < settings.rounds; round++) {
      for (const subject of group) {
        const run = await measureOnce(subject, load, settings, world.scratch);
        subject.runs.push(run);
        const rate = `${Math.round(run.perSecond)}/s, p50 ${run.p50.toFixed(2)}, p99 ${run.p99.toFixed(2)} ms`;
        const cpu = Object.entries(run.named).map(([name, percent]) => `${name} ${microsEach(percent, run).toFixed(1)} us`);
        say(`${subject.id} ${JSON.stringify(load)}: ${rate}, failed ${run.failed}, ${cpu.join(', ')}`);
      }
    }
    cases.push(...group.map(({ id, label, runs }) => ({ id, label, load, runs })));
  }
  return cases;
}
