// Measures agents next to LangGraph and writes the results. Started by ./run, which says what it takes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startPostgres } from '../../tests/e2e/support/postgres.mjs';
import { stopLeftovers, tempDir } from '../../tests/e2e/support/server.mjs';
import { describeMachine } from '../support/machine.mjs';
import { commitMs, measureDurable, measureStateless } from './throughput.mjs';
import { measureEvents, measureParked, measureRecovery } from './life.mjs';
import { toMarkdown } from './report.mjs';
import { startDevServer, startGateway } from './servers.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUT = path.join(ROOT, 'build/bench');
const PAGE = path.join(ROOT, 'docs/benchmarks.md');
const PARTS = ['durable', 'stateless', 'events', 'parked', 'recovery'];

const { values: options } = parseArgs({
  options: { part: { type: 'string', multiple: true }, quick: { type: 'boolean' }, docs: { type: 'boolean' } },
});
const parts = options.part ?? PARTS;
assert.ok(parts.every((part) => PARTS.includes(part)), `parts are ${PARTS.join(', ')}`);
const settings = {
  rounds: options.quick ? 1 : 3,
  seconds: options.quick ? 3 : 6,
  parked: options.quick ? 500 : 10_000,
  events: options.quick ? 50 : 300,
  patience: options.quick ? 0 : 2, // seconds to wait for a quiet machine
};
const say = (line) => console.error(line);

function writeResults(results) {
  const markdown = toMarkdown(results);
  fs.mkdirSync(OUT, { recursive: true });
  fs.writeFileSync(path.join(OUT, 'agents.json'), `${JSON.stringify(results, null, 2)}\n`);
  fs.writeFileSync(path.join(OUT, 'agents.md'), markdown);
  console.log(markdown);
  if (!options.docs) return;
  const page = fs.readFileSync(PAGE, 'utf8');
  const [begin, end] = ['<!-- agents: begin -->', '<!-- agents: end -->'];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  assert.ok(from >= 0 && to > from, `${PAGE} has no agents block`);
  fs.writeFileSync(PAGE, `${page.slice(0, from + begin.length)}\n\n${markdown}\n${page.slice(to)}`);
}

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
const dataDir = tempDir('bench');
const postgres = startPostgres({ durable: true });
process.once('exit', () => {
  execFileSync('sleep', ['0.5']);
  stopLeftovers(dataDir);
  postgres.stop();
  fs.rmSync(scratch, { recursive: true, force: true });
});
const world = { scratch, dataDir, postgres };
world.gateway = await startGateway({ dataDir, databaseUrl: postgres.url });
const results = { machine: describeMachine(), settings, quick: Boolean(options.quick), commitMs: commitMs(postgres) };
say(`one commit: ${results.commitMs.toFixed(2)} ms`);
if (parts.includes('events')) results.events = await measureEvents(world, settings, say);
if (parts.includes('durable')) results.durable = await measureDurable(world, settings, say);
if (parts.includes('stateless')) {
  world.devServer = await startDevServer();
  results.stateless = await measureStateless(world, settings, say);
  world.devServer.stop();
}
if (parts.includes('parked')) results.parked = await measureParked(world, settings, say);
if (parts.includes('recovery')) results.recovery = await measureRecovery(world, settings, say);
writeResults(results);
await world.gateway.stop();
process.exit(0);
