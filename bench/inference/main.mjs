// Measures the inference API next to its peers and writes the results. Started by ./run, which says what it takes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stopLeftovers, tempDir } from '../../tests/e2e/support/server.mjs';
import { describeMachine } from '../support/machine.mjs';
import { startProgram } from '../support/programs.mjs';
import { toMarkdown } from './report.mjs';
import { startGateway, startNginx, startPortkey } from './servers.mjs';
import { measureOpen, measureStreams } from './streams.mjs';
import { measureThroughput } from './throughput.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUT = path.join(ROOT, 'build/bench');
const PAGE = path.join(ROOT, 'docs/benchmarks.md');
const PARTS = ['throughput', 'streams', 'open'];

const { values: options } = parseArgs({
  options: { part: { type: 'string', multiple: true }, quick: { type: 'boolean' }, docs: { type: 'boolean' } },
});
const parts = options.part ?? PARTS;
assert.ok(parts.every((part) => PARTS.includes(part)), `parts are ${PARTS.join(', ')}`);
const settings = {
  rounds: options.quick ? 1 : 3,
  seconds: options.quick ? { warmUp: 1, run: 3 } : { warmUp: 2, run: 5 },
  streams: 500,
  open: 2000,
  openSeconds: 6,
  patience: options.quick ? 0 : 2, // seconds to wait for a quiet machine
};
const say = (line) => console.error(line);

function writeResults(results) {
  const markdown = toMarkdown(results);
  fs.mkdirSync(OUT, { recursive: true });
  fs.writeFileSync(path.join(OUT, 'inference.json'), `${JSON.stringify(results, null, 2)}\n`);
  fs.writeFileSync(path.join(OUT, 'inference.md'), markdown);
  console.log(markdown);
  if (!options.docs) return;
  const page = fs.readFileSync(PAGE, 'utf8');
  const [begin, end] = ['<!-- inference: begin -->', '<!-- inference: end -->'];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  assert.ok(from >= 0 && to > from, `${PAGE} has no inference block`);
  fs.writeFileSync(PAGE, `${page.slice(0, from + begin.length)}\n\n${markdown}\n${page.slice(to)}`);
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
const dataDir = tempDir('bench');
process.once('exit', () => {
  execFileSync('sleep', ['0.5']);
  stopLeftovers(dataDir);
  fs.rmSync(scratch, { recursive: true, force: true });
});
const upstream = await startProgram(process.env.BENCH_UPSTREAM, []);
const world = { scratch, upstream };
world.gateway = await startGateway(upstream, dataDir);
world.nginx = await startNginx(upstream, scratch);
const results = { machine: describeMachine(), settings, quick: Boolean(options.quick) };
if (parts.includes('open')) results.open = await measureOpen(world, settings, say);
if (parts.includes('streams')) results.streams = await measureStreams(world, settings, say);
if (parts.includes('throughput')) {
  world.portkey = await startPortkey();
  results.throughput = await measureThroughput(world, settings, say);
}
writeResults(results);
await world.portkey?.stop();
await world.nginx.stop();
await world.gateway.stop();
await upstream.stop();
