// Requests per second and latency of every case, in rounds whose order alternates.
import assert from 'node:assert/strict';
import { Meter, NOISE_LIMIT, residentKib, untilQuiet } from '../support/machine.mjs';
import { echo, isEcho, isHealthy, isRefusal, isToolList, legacy, modern, once, tooLong } from './mcp_requests.mjs';
import { startBare, startGateway, startSdk, Tenant } from './servers.mjs';
import { wrk } from '../support/wrk.mjs';

const USERS = 16; // calls in flight are limited per end user, so the load comes from several
const SIZE_TOLERANCE = 0.02; // ids of the server, such as of a request, may vary in length

const REQUESTS = {
  health: { what: 'GET /healthz', era: '', request: { method: 'GET' }, check: isHealthy },
  list_modern: { what: 'tools/list', era: 'modern', request: modern('tools/list'), check: isToolList },
  list_legacy: { what: 'tools/list', era: 'legacy', request: legacy('tools/list'), check: isToolList },
  refused_modern: {
    what: 'tools/call, arguments refused',
    era: 'modern',
    request: modern('tools/call', tooLong),
    check: isRefusal,
  },
  call_modern: { what: 'tools/call echo', era: 'modern', request: modern('tools/call', echo), check: isEcho },
  call_legacy: { what: 'tools/call echo', era: 'legacy', request: legacy('tools/call', echo), check: isEcho },
};

async function connectUsers(gateway) {
  const tenant = await Tenant.create(gateway);
  const keys = [];
  for (let i = 0; i < USERS; i++) keys.push((await tenant.addConnectedUser(gateway, `user-${i}`)).api_key.raw_key);
  return keys;
}

// Who is measured with what. `start` gives the server, its path, the keys to use, and the processes to account for.
const CONTESTANTS = [
  {
    name: 'gateway',
    label: 'gateway',
    asked: ['health', 'list_modern', 'list_legacy', 'refused_modern', 'call_modern', 'call_legacy'],
    start: async (world) => {
      const server = await startGateway(world);
      const roots = { server: server.pid, postgres: server.postgresPid, upstream: world.upstream.pid };
      return { server, pathname: '/mcp/bench', keys: await connectUsers(server), roots };
    },
  },
  {
    name: 'sdk',
    label: 'TypeScript SDK',
    asked: ['list_modern', 'list_legacy', 'call_modern', 'call_legacy'],
    start: async () => withRoots(await startSdk(), '/mcp'),
  },
  {
    name: 'sdk_upstream',
    label: 'TypeScript SDK, calls the API',
    asked: ['call_modern', 'call_legacy'],
    start: async (world) => withRoots(await startSdk(world.upstream), '/mcp', { upstream: world.upstream.pid }),
  },
  {
    name: 'bare',
    label: 'node:http, no MCP',
    asked: ['call_modern'],
    start: async () => withRoots(await startBare(), '/'),
  },
];

export const withRoots = (server, pathname, more = {}) => ({ server, pathname, roots: { server: server.pid, ...more } });

function makeCase({ name, label }, id, { server, pathname, keys, roots }, requests) {
  const { what, era, request, check } = requests[id];
  const target = id === 'health' ? { url: `${server.url}/healthz` } : { url: server.url + pathname, keys };
  return { id: `${name}.${id}`, label, what, era, check, pid: server.pid, roots, request: { ...request, ...target } };
}

async function measureOnce(one, seconds, scratch) {
  await wrk(one.request, seconds.warmUp, scratch);
  const meter = new Meter(one.roots);
  const result = await wrk(one.request, seconds.run, scratch);
  return { ...result, ...meter.stop(), residentMib: residentKib(one.pid) / 1024 };
}

async function measure(one, { seconds, tries, patience, say }, scratch) {
  one.check((await once(one.request)).json);
  const right = await wrk(one.request, 1, scratch, 1);
  let quietest;
  for (let attempt = 1; attempt <= tries; attempt++) {
    await untilQuiet(patience);
    const result = await measureOnce(one, seconds, scratch);
    const change = Math.abs(result.bytesEach / right.bytesEach - 1);
    assert.ok(
      change < SIZE_TOLERANCE,
      `${one.id}: answers of ${result.bytesEach} bytes under load, ${right.bytesEach} without`,
    );
    const noisy = result.others >= NOISE_LIMIT;
    const remarks = [noisy && 'noisy', result.failed && `${result.failed} failed`].filter(Boolean);
    const measured = `${Math.round(result.perSecond)}/s, p99 ${result.p99.toFixed(2)} ms`;
    say([`${one.id}: ${measured}`, `others ${result.others.toFixed(0)} %`, ...remarks].join(', '));
    if (!quietest || result.others < quietest.others) quietest = { ...result, noisy, attempt };
    if (!noisy) break;
  }
  return quietest;
}

/** Every case's runs. Only servers that have a chosen case are started. */
export async function measureThroughput(world, settings, contestants = CONTESTANTS, requests = REQUESTS) {
  const { rounds, only } = settings;
  const cases = [];
  const servers = [];
  const runs = {};
  try {
    for (const contestant of contestants) {
      const asked = contestant.asked.filter((id) => !only || only.test(`${contestant.name}.${id}`));
      if (!asked.length) continue;
      const started = await contestant.start(world);
      servers.push(started.server);
      cases.push(...asked.map((id) => makeCase(contestant, id, started, requests)));
    }
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 ? [...cases].reverse() : cases;
      for (const one of order) (runs[one.id] ??= []).push(await measure(one, settings, world.scratch));
    }
  } finally {
    for (const server of servers) await server.stop();
  }
  return cases.map(({ id, label, what, era }) => ({ id, label, what, era, runs: runs[id] }));
}
