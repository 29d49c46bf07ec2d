// Streams: what is added to the first token, and the memory of many that are open.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Meter, pause, residentKib, untilQuiet } from '../support/machine.mjs';
import { chat, subjects } from './subjects.mjs';

/** Runs streams.cpp; `whenOpen` is called when every stream has had its first token. */
async function clients({ server, keys, count, spreadMs, body, scratch }, whenOpen) {
  const write = (name, text) => {
    const file = path.join(scratch, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const port = new URL(server.url).port;
  const args = [port, String(count), String(spreadMs), write('stream_body', body)];
  if (keys) args.push(write('stream_keys', keys.join('\n')));
  const child = spawn(process.env.BENCH_STREAMS, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let result;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'open') whenOpen?.();
    else result = JSON.parse(line);
  }
  assert.ok(result, 'streams ended early');
  for (const name of ['p50', 'p90', 'p99', 'max']) result[name] /= 1000;
  return result;
}

/** Streams of 20 tokens/s, opened over a second; each lives for three. */
export async function measureStreams(world, settings, say) {
  const asked = subjects(world).filter(({ id }) => ['upstream', 'nginx', 'gateway'].includes(id));
  const group = asked.map((subject) => ({ ...subject, runs: [] }));
  const body = chat({ stream: true, max_tokens: 60 });
  for (let round = 0; round <= settings.rounds; round++) {
    for (const { id, server, request, roots, runs } of group) {
      await untilQuiet(settings.patience);
      const meter = new Meter(roots);
      const load = { server, keys: request.keys, count: settings.streams, spreadMs: 1000, body, scratch: world.scratch };
      const run = await clients(load);
      const { named } = meter.stop();
      if (named.postgres !== undefined) named.server -= named.postgres;
      if (round > 0) runs.push({ ...run, named, residentMib: residentKib(server.pid) / 1024 }); // the first warms up
      say(`${id}, ${run.streams} streams: first token p50 ${run.p50.toFixed(2)}, p99 ${run.p99.toFixed(2)} ms, failed ${run.failed}`);
    }
  }
  return group.map(({ id, label, runs }) => ({ id, label, runs }));
}

/** Memory of many open streams, one token a second each. */
export async function measureOpen(world, settings, say) {
  const { gateway, scratch } = world;
  const rss = () => residentKib(gateway.pid) / 1024;
  const before = rss();
  let open = 0;
  const body = chat({ stream: true, max_tokens: settings.openSeconds, seed: 20 });
  const run = await clients({ server: gateway, keys: gateway.keys, count: settings.open, spreadMs: 2000, body, scratch }, () => {
    open = rss();
  });
  await pause(2000);
  say(`${settings.open} open streams: ${before.toFixed(0)} MiB before, ${open.toFixed(0)} while open`);
  return { streams: settings.open, before, open, after: rss(), failed: run.failed };
}
