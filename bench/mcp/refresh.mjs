// Many connections whose tokens end at the same moment, used at once through two processes on one database. What counts
// is what the vendors see: one refresh for each connection, no dead token, nothing beyond their published limits. Each
// vendor is a process of its own, as the thousands of calls made here would keep it from answering.
import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Api } from '../../tests/e2e/support/api.mjs';
import { MODERN, modernMeta } from '../../tests/e2e/support/mcp.mjs';
import { startPostgres } from '../../tests/e2e/support/postgres.mjs';
import { startServer, stopLeftovers, tempDir } from '../../tests/e2e/support/server.mjs';
import { activation, VENDORS } from '../../tests/e2e/support/vendors.mjs';
import { followConnect, RETURN_URL } from '../../tests/e2e/support/world.mjs';
import { pause } from '../support/machine.mjs';
import { startProgram } from '../support/programs.mjs';

const SHORT_S = 10; // life of the tokens that connecting gives: all are over when the calls begin
const LONG_S = 43_200;
const CALLS = 4; // at once with each connection, half of them on each process
const AT_ONCE = 20; // connect flows
const GIVE_UP_MS = 180_000;
// What a vendor allows at its token endpoint, for one OAuth client unless it says otherwise.
const LIMITS = {
  github: '2,000 an hour', slack: '600 a minute', zoho: '10 in 10 minutes for each grant', zendesk: 'none published',
};
// Zoho keeps 20 grants of one person for one client, so it can only have a few of these connections.
const ZOHO_PEOPLE = ['patricia', 'amelia', 'arjun'];
const ZOHO_MAX = 20 * ZOHO_PEOPLE.length;

function shares(connections) {
  const zoho = Math.min(ZOHO_MAX, connections >> 2);
  const rest = connections - zoho;
  const third = Math.floor(rest / 3);
  return { github: rest - 2 * third, slack: third, zendesk: third, zoho };
}

async function startStandin(name) {
  const program = fileURLToPath(new URL(`../../examples/standins/${name}.mjs`, import.meta.url));
  const { url, stop } = await startProgram(process.execPath, [program]);
  const ask = async (init) => {
    const reply = await fetch(`${url}/__control`, init);
    assert.equal(reply.status, 200);
    return reply.json();
  };
  return {
    url, stop, counters: () => ask(),
    control: (change) => ask({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(change) }),
  };
}

async function startNodes(standins) {
  const postgres = startPostgres();
  const dirs = [tempDir('keys')];
  const env = {
    ASSISTIV_DATABASE_URL: postgres.url,
    ASSISTIV_MASTER_KEYS_FILE: path.join(dirs[0], 'master-keys.json'),
    ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1',
    ASSISTIV_CONNECTOR_OVERRIDES: JSON.stringify(
      Object.fromEntries(Object.entries(VENDORS).map(([name, v]) => [v.app, v.override(standins[name].url)])),
    ),
  };
  const nodes = [];
  for (let i = 0; i < 2; i++) {
    const dataDir = tempDir('bench');
    dirs.push(dataDir);
    nodes.push(await startServer({ dataDir, env }));
  }
  const stop = async () => {
    for (const node of nodes) await node.stop();
    postgres.stop();
    dirs.forEach(stopLeftovers);
  };
  return { nodes, stop };
}

/** Runs `work` for every item, a few at a time. */
async function inTurns(items, work) {
  const left = [...items];
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left.length) await work(left.shift());
    }),
  );
}

async function connectAll(node, share) {
  const admin = new Api(node.url, node.adminKey);
  const { id, api_key } = await admin.must(201, 'POST', '/v1/platforms', { name: 'Bench' });
  const api = admin.as(api_key.raw_key);
  for (const vendor of Object.values(VENDORS)) {
    await api.must(201, 'POST', `/v1/platforms/${id}/mcp/apps`, activation(vendor));
  }
  const all = [];
  await inTurns(Array.from({ length: Math.max(...Object.values(share)) }, (_, i) => i), async (i) => {
    const user = await api.must(201, 'POST', `/v1/platforms/${id}/end-users`, { external_id: `user-${i}` });
    const links = `/v1/platforms/${id}/end-users/${user.id}/connect-links`;
    for (const [name, { app, login, answers, read }] of Object.entries(VENDORS)) {
      if (i >= share[name]) continue;
      const as = { login: name === 'zoho' ? ZOHO_PEOPLE[i % 3] : login, answers };
      const walk = async () => followConnect((await api.must(201, 'POST', links, { app, return_url: RETURN_URL })).url, as);
      let end = await walk();
      // A busy machine may be too slow for an exchange: as a person would, once more. This part is not measured.
      if (end.searchParams.get('status') !== 'connected') end = await walk();
      assert.equal(end.searchParams.get('status'), 'connected', end.href);
      all.push({ vendor: name, key: user.api_key.raw_key, read });
    }
  });
  return all;
}

async function callOnce(node, { key, read: [name, args] }) {
  const reply = await fetch(`${node.url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${key}`,
      'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': name,
    },
    body: JSON.stringify({
      jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args, _meta: modernMeta({}) },
    }),
  });
  const text = await reply.text();
  return JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text);
}

/** As an agent does: when it is told to come back later, or a read got no answer in time, it does. Gives how often. */
async function callUntilAnswered(node, connection, deadline) {
  for (let told = 0; ; told++) {
    const { result, error } = await callOnce(node, connection);
    if (result && !result.isError) return told;
    const said = JSON.stringify(error ?? result.structuredContent ?? result.content);
    const seconds = Number(/retry_after_s\W+(\d+)/.exec(said)?.[1] ?? 1);
    const later = /retry_after_s|Try again later|did not answer in time/.test(said);
    assert.ok(later && performance.now() < deadline, `${connection.vendor}: ${said}`);
    await pause(Math.max(1, seconds) * 1000);
  }
}

async function useAll(nodes, connections) {
  const began = performance.now();
  const calls = connections.flatMap((connection) =>
    Array.from({ length: CALLS }, (_, i) => callUntilAnswered(nodes[i % nodes.length], connection, began + GIVE_UP_MS)),
  );
  const told = await Promise.all(calls);
  return { seconds: (performance.now() - began) / 1000, toldToWait: told.filter((times) => times > 0).length };
}

const controlAll = (standins, change) => Promise.all(Object.values(standins).map((standin) => standin.control(change)));

const seenBy = async (standin) => {
  const { refreshes, refresh_errors, throttled = 0, api_unauthorized } = await standin.counters();
  return { refreshes, refused: refresh_errors + throttled, deadTokens: api_unauthorized };
};

/** Per vendor: connections, and what its stand-in counted. */
export async function measureRefresh({ connections, say }) {
  const standins = {};
  for (const name of Object.keys(VENDORS)) standins[name] = await startStandin(name);
  const { nodes, stop } = await startNodes(standins);
  try {
    await controlAll(standins, { expires_in: SHORT_S });
    const share = shares(connections);
    const all = await connectAll(nodes[0], share);
    await pause(SHORT_S * 1000 + 500);
    await controlAll(standins, { expires_in: LONG_S, reset_counters: true });
    const used = await useAll(nodes, all);
    const vendors = await Promise.all(Object.keys(VENDORS).map(async (name) => ({
      name, connections: share[name], ...(await seenBy(standins[name])), limit: LIMITS[name],
    })));
    const counted = vendors.map((v) => `${v.name} ${v.refreshes} of ${v.connections}`).join(', ');
    say(`refresh: ${counted}; ${all.length * CALLS} calls in ${used.seconds.toFixed(1)} s, ${used.toldToWait} told to wait`);
    return { connections: all.length, calls: all.length * CALLS, ...used, vendors };
  } finally {
    await stop();
    for (const standin of Object.values(standins)) await standin.stop();
  }
}
