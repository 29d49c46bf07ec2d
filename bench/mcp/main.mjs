// Measures the MCP endpoint next to its peers and writes the results. Started by ./run, which says what it takes.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stopLeftovers, tempDir } from '../../tests/e2e/support/server.mjs';
import { measureColdStart } from './cold_start.mjs';
import { measureApps } from './four_apps.mjs';
import { measureIdleStreams } from './idle_streams.mjs';
import { measureOpenTasks } from './open_tasks.mjs';
import { measureRefresh } from './refresh.mjs';
import { describeMachine } from '../support/machine.mjs';
import { toMarkdown } from './report.mjs';
import { startAuthorization, startUpstream } from './servers.mjs';
import { measureThroughput } from './throughput.mjs';
import { CONNECTIONS, THREADS } from '../support/wrk.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUT = path.join(ROOT, 'build/bench');
const PAGE = path.join(ROOT, 'docs/benchmarks.md');
const PARTS = ['throughput', 'streams', 'cold-start', 'apps', 'refresh', 'tasks'];

const { values: options } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    only: { type: 'string' },
    quick: { type: 'boolean' },
    docs: { type: 'boolean' },
  },
});
const parts = options.part ?? PARTS;
const settings = {
  threads: THREADS,
  connections: CONNECTIONS,
  rounds: options.quick ? 1 : 3,
  seconds: options.quick ? { warmUp: 1, run: 3 } : { warmUp: 3, run: 8 },
  streams: options.quick ? 1000 : 5000,
  peerStreams: 1000,
  starts: options.quick ? 3 : 10,
  connectionsExpiring: options.quick ? 60 : 1000,
  tasks: options.quick ? 300 : 10_000,
  tries: options.quick ? 1 : 3,
  patience: options.quick ? 0 : 20, // seconds to wait for a quiet machine
};
const say = (line) => console.error(line);

/** What a gateway needs around it, and a data directory of its own. */
async function inWorld(measure) {
  const world = {
    authorization: await startAuthorization(),
    upstream: await startUpstream(),
    dataDir: tempDir('bench'),
    scratch: fs.mkdtempSync(path.join(os.tmpdir(), 'bench-')),
  };
  process.once('exit', () => {
    // A server that was killed on the way out must be gone before its database is stopped: it would start it again.
    execFileSync('sleep', ['0.5']);
    stopLeftovers(world.dataDir);
    fs.rmSync(world.scratch, { recursive: true, force: true });
  });
  try {
    return await measure(world);
  } finally {
    await world.upstream.stop();
    await world.authorization.stop();
  }
}

function commit() {
  const git = (...args) => execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).trim();
  return (
    git('rev-parse', '--short=12', 'HEAD') +
    (git('status', '--porcelain', '--untracked-files=no') ? ' with local changes' : '')
  );
}

function writeResults(results) {
  const markdown = toMarkdown(results);
  fs.mkdirSync(OUT, { recursive: true });
  fs.writeFileSync(path.join(OUT, 'mcp.json'), `${JSON.stringify(results, null, 2)}\n`);
  fs.writeFileSync(path.join(OUT, 'mcp.md'), markdown);
  console.log(markdown);
  if (!options.docs) return;
  const page = fs.readFileSync(PAGE, 'utf8');
  const [begin, end] = ['<!-- mcp: begin -->\n', '<!-- mcp: end -->'];
  if (!page.includes(begin) || !page.includes(end))
    throw new Error(`${PAGE} has no place for the results: ${begin.trim()} and ${end}`);
  fs.writeFileSync(
    PAGE,
    `${page.slice(0, page.indexOf(begin) + begin.length)}\n${markdown}\n${page.slice(page.indexOf(end))}`,
  );
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const unknown = parts.filter((part) => !PARTS.includes(part));
if (unknown.length) throw new Error(`--part takes one of ${PARTS.join(', ')}, not ${unknown.join(', ')}`);
if (options.docs && (options.quick || options.only || options.part))
  throw new Error('--docs goes with a whole run only');

const results = { date: new Date().toISOString().slice(0, 10), commit: commit(), machine: describeMachine(), settings };
const only = options.only && new RegExp(options.only);
if (parts.includes('throughput'))
  results.throughput = await inWorld((world) => measureThroughput(world, { ...settings, say, only }));
if (parts.includes('streams'))
  results.streams = await inWorld((world) => measureIdleStreams(world, { ...settings, say, only }));
if (parts.includes('cold-start'))
  results.coldStart = await inWorld((world) => measureColdStart(world, { ...settings, say }));
if (parts.includes('apps'))
  results.apps = await inWorld((world) => measureApps(world, { ...settings, say, only }));
if (parts.includes('refresh'))
  results.refresh = await measureRefresh({ connections: settings.connectionsExpiring, say });
if (parts.includes('tasks'))
  results.tasks = await inWorld((world) => measureOpenTasks(world, { ...settings, say }));
writeResults(results);
process.exit(0);
