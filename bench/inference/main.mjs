// Measures the inference API next to its peers and writes the results. Started by ./run, which says what it takes.
import { spawn, execFileSync } from 'node:child_process';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startServer, stopLeftovers, tempDir } from '../../tests/e2e/support/server.mjs';
import { describeMachine, Meter, NOISE_LIMIT, pause, residentKib, untilQuiet } from '../support/machine.mjs';
import { startProgram } from '../support/programs.mjs';
import { wrk } from '../support/wrk.mjs';
import { toMarkdown } from './report.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OUT = path.join(ROOT, 'build/bench');
const PAGE = path.join(ROOT, 'docs/benchmarks.md');
const PARTS = ['throughput', 'streams', 'idle'];
const MODEL = 'gpt-4o-mini';

const { values: options } = parseArgs({
  options: { part: { type: 'string', multiple: true }, quick: { type: 'boolean' }, docs: { type: 'boolean' } },
});
const parts = options.part ?? PARTS;
const settings = {
  rounds: options.quick ? 1 : 3,
  seconds: options.quick ? { warmUp: 1, run: 3 } : { warmUp: 3, run: 8 },
  streams: options.quick ? 100 : 500,
  idle: options.quick ? 200 : 2000,
  patience: options.quick ? 0 : 20, // seconds to wait for a quiet machine
};
const say = (line) => console.error(line);

/** A chat request of about 1 KB. */
const chat = (more = {}) =>
  JSON.stringify({
    model: MODEL,
    messages: [
      { role: 'system', content: 'You answer in one sentence.' },
      { role: 'user', content: 'word '.repeat(170).trim() },
    ],
    max_tokens: 256,
    temperature: 0.5,
    ...more,
  });

async function rest(gateway, key, method, route, body, headers = {}) {
  const reply = await fetch(gateway.url + route, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await reply.text();
  assert.ok(reply.ok, `${method} ${route}: ${reply.status} ${text}`);
  return JSON.parse(text).data;
}

/** The gateway as scripts/run starts it, with a platform that has money, a provider and users with budgets. */
async function startGateway(upstream, dataDir) {
  const server = await startServer({ dataDir, env: { ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1' } });
  const platform = await rest(server, server.adminKey, 'POST', '/v1/platforms', { name: 'Bench' });
  const home = `/v1/platforms/${platform.id}`;
  const key = platform.api_key.raw_key;
  const move = (name) => ({ 'idempotency-key': `bench-${name}` });
  await rest(server, server.adminKey, 'POST', `${home}/wallet/topup`, { amount_usd: '100000' }, move('wallet'));
  await rest(server, key, 'POST', `${home}/llm-configs`, {
    provider: 'openai',
    api_key: 'sk-bench',
    base_url: `${upstream.url}/v1`,
  });
  await rest(server, key, 'PUT', `${home}/rate-limits`, { default: { rpm: 10_000_000, tpm: 100_000_000_000 } });
  const keys = [];
  for (let i = 0; i < 16; i++) {
    const user = await rest(server, key, 'POST', `${home}/end-users`, { external_id: `user-${i}` });
    await rest(server, key, 'POST', `${home}/end-users/${user.id}/budget`, { max_usd: '5000' }, move(`budget-${i}`));
    keys.push((await rest(server, key, 'POST', `${home}/end-users/${user.id}/api-keys`, {})).raw_key);
  }
  return Object.assign(server, { keys });
}

async function startNginx(upstream, scratch) {
  const port = 20000 + Math.floor(Math.random() * 20000);
  const config = path.join(scratch, 'nginx.conf');
  fs.writeFileSync(
    config,
    `daemon off; pid ${scratch}/nginx.pid; error_log stderr crit; worker_processes ${os.cpus().length};
events { worker_connections 8192; }
http {
  access_log off; client_body_temp_path ${scratch}/body; proxy_temp_path ${scratch}/proxy;
  fastcgi_temp_path ${scratch}/f; uwsgi_temp_path ${scratch}/u; scgi_temp_path ${scratch}/s;
  keepalive_requests 100000000;
  upstream provider { server ${new URL(upstream.url).host}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
`,
  );
  const child = spawn('nginx', ['-c', config, '-p', scratch], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.once('exit', () => child.kill('SIGTERM'));
  await pause(500);
  return { pid: child.pid, url: `http://127.0.0.1:${port}`, stop: async () => void child.kill('SIGTERM') };
}

async function startPortkey() {
  const port = 40000 + Math.floor(Math.random() * 10000);
  const entry = path.join(process.env.PORTKEY, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  const child = spawn(process.execPath, [entry, `--port=${port}`, '--headless'], { stdio: 'ignore' });
  process.once('exit', () => child.kill('SIGKILL'));
  for (let tries = 0; tries < 100; tries++) {
    await pause(100);
    if (await fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false)) break;
  }
  return { pid: child.pid, url: `http://127.0.0.1:${port}`, stop: async () => void child.kill('SIGKILL') };
}

const JSON_HEADERS = { 'Content-Type': 'application/json' };

/** Who is asked, and how: the same body to each. */
function subjects(world) {
  const request = { method: 'POST', headers: JSON_HEADERS, body: chat() };
  const at = (server, more = {}) => ({ ...request, url: `${server.url}/v1/chat/completions`, ...more });
  return [
    { id: 'upstream', label: 'the provider itself', server: world.upstream, request: at(world.upstream) },
    { id: 'nginx', label: 'nginx proxy_pass', server: world.nginx, request: at(world.nginx) },
    {
      id: 'gateway',
      label: 'gateway, everything on',
      server: world.gateway,
      request: at(world.gateway, { keys: world.gateway.keys }),
    },
    {
      id: 'portkey',
      label: 'Portkey 1.15.2',
      server: world.portkey,
      request: at(world.portkey, {
        headers: {
          ...JSON_HEADERS,
          'x-portkey-provider': 'openai',
          'x-portkey-custom-host': `${world.upstream.url}/v1`,
          Authorization: 'Bearer sk-bench',
        },
      }),
    },
  ];
}

async function measureOnce(subject, connections, scratch) {
  await untilQuiet(settings.patience);
  const meter = new Meter({ server: subject.server.pid });
  const run = await wrk(subject.request, settings.seconds.run, scratch, connections);
  const { named, others } = meter.stop();
  return { ...run, cpu: named.server, residentMib: residentKib(subject.server.pid) / 1024, noisy: others >= NOISE_LIMIT };
}

async function measureThroughput(world) {
  const cases = [];
  for (const connections of [64, 16]) {
    const group = subjects(world).map((subject) => ({ ...subject, connections, runs: [] }));
    for (const subject of group) await wrk(subject.request, settings.seconds.warmUp, world.scratch, connections);
    // Rounds in turn, so that what the machine does meanwhile falls on all alike.
    for (let round = 0; round < settings.rounds; round++) {
      for (const subject of group) {
        const run = await measureOnce(subject, connections, world.scratch);
        subject.runs.push(run);
        say(`${subject.id} c=${connections}: ${Math.round(run.perSecond)}/s, p99 ${run.p99.toFixed(2)} ms, failed ${run.failed}`);
      }
    }
    cases.push(...group.map(({ id, label, connections: c, runs }) => ({ id, label, connections: c, runs })));
  }
  return cases;
}

/** One stream to its end; gives the time to the first piece of text in ms. */
function stream(server, key, agent) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    let first, tail = '';
    const request = http.request(
      `${server.url}/v1/chat/completions`,
      { method: 'POST', agent, headers: { ...JSON_HEADERS, authorization: `Bearer ${key}` } },
      (reply) => {
        if (reply.statusCode !== 200) return reject(new Error(`status ${reply.statusCode}`));
        reply.on('data', (bytes) => {
          const text = bytes.toString();
          if (first === undefined && text.includes('word')) first = performance.now() - began;
          tail = (tail + text).slice(-200);
        });
        reply.on('end', () => (tail.includes('[DONE]') ? resolve(first) : reject(new Error('no [DONE]'))));
        reply.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(chat({ stream: true }));
  });
}

async function measureStreams(world) {
  const results = [];
  for (const subject of subjects(world).filter(({ id }) => ['upstream', 'nginx', 'gateway'].includes(id))) {
    const agent = new http.Agent({ keepAlive: false, maxSockets: Infinity });
    const keys = subject.request.keys ?? ['none'];
    const under = [];
    // Started over one second: 500 clients do not come in the same millisecond.
    for (let i = 0; i < settings.streams; i++) {
      under.push(stream(subject.server, keys[i % keys.length], agent));
      if (i % 10 === 9) await pause(10_000 / settings.streams);
    }
    const rss = residentKib(subject.server.pid) / 1024;
    const ended = await Promise.allSettled(under);
    const times = ended.filter(({ status }) => status === 'fulfilled').map(({ value }) => value).sort((a, b) => a - b);
    const failed = ended.length - times.length;
    if (failed) say(ended.find(({ status }) => status === 'rejected').reason.message);
    results.push({
      id: subject.id,
      label: subject.label,
      streams: settings.streams,
      failed,
      p50: times[times.length >> 1],
      p99: times[Math.floor(times.length * 0.99)],
      residentMib: rss,
    });
    say(`${subject.id}: first token p50 ${times[times.length >> 1]?.toFixed(1)} ms, failed ${failed}`);
  }
  return results;
}

/** Memory of many open streams. */
async function measureIdle(world) {
  const before = residentKib(world.gateway.pid) / 1024;
  const agent = new http.Agent({ keepAlive: false, maxSockets: Infinity });
  const under = [];
  for (let i = 0; i < settings.idle; i++) {
    under.push(stream(world.gateway, world.gateway.keys[i % world.gateway.keys.length], agent).then(() => true, () => false));
    if (i % 50 === 49) await pause(25);
  }
  const open = residentKib(world.gateway.pid) / 1024;
  const failed = (await Promise.all(under)).filter((ok) => !ok).length;
  await pause(1000);
  return { streams: settings.idle, before, open, after: residentKib(world.gateway.pid) / 1024, failed };
}

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
const world = { scratch, upstream, gateway: await startGateway(upstream, dataDir) };
world.nginx = await startNginx(upstream, scratch);
if (parts.includes('throughput')) world.portkey = await startPortkey();
else world.portkey = world.upstream;
const results = { machine: describeMachine(), settings, quick: Boolean(options.quick) };
if (parts.includes('throughput')) results.throughput = await measureThroughput(world);
if (parts.includes('streams')) results.streams = await measureStreams(world);
if (parts.includes('idle')) results.idle = await measureIdle(world);
writeResults(results);
await world.nginx.stop();
await world.portkey.stop();
await world.gateway.stop();
await upstream.stop();
