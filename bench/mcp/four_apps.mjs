// The same bars with all four apps: every user has connected GitHub, Slack, Zendesk, Zoho CRM and Zoho Desk to our
// stand-ins, and asks once with a key and once with an access token of our own authorization server. The yardstick of a
// tool call is a POST through the same edge and outbound client to the same API, and nothing else (tests/tools/bench_edge.cpp).
import assert from 'node:assert/strict';
import { startProgram } from '../support/programs.mjs';
import { authorizeByHand } from '../../tests/e2e/support/authorize.mjs';
import { Api } from '../../tests/e2e/support/api.mjs';
import { activation, VENDORS } from '../../tests/e2e/support/vendors.mjs';
import { followConnect, RETURN_URL } from '../../tests/e2e/support/world.mjs';
import { legacy, modern, TEXT } from './mcp_requests.mjs';
import { startGateway } from './servers.mjs';
import { measureThroughput, withRoots } from './throughput.mjs';

const USERS = 16; // as in throughput.mjs
const APPS = { ...VENDORS, desk: { ...VENDORS.zoho, app: 'zoho_desk' } };
const TOOLS = 115;
const issue = {
  name: 'github_create_issue',
  arguments: { owner: 'octocat', repo: 'hello-world', title: TEXT, body: 'From the benchmark.' },
};

function isWholeList({ result }) {
  assert.equal(result?.tools?.length, TOOLS, `${result?.tools?.length} tools, next page: ${result?.nextCursor}`);
}

function isIssue({ result }) {
  assert.ok(result && !result.isError, JSON.stringify(result));
  assert.ok(JSON.stringify(result.structuredContent).includes(TEXT), JSON.stringify(result));
}

const isText = (json) => assert.equal(json.title, TEXT);
const bare = {
  method: 'POST',
  body: JSON.stringify({ title: TEXT, body: issue.arguments.body }),
  headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
};

const REQUESTS = {
  list_modern: { what: `tools/list, ${TOOLS} tools`, era: 'modern', request: modern('tools/list'), check: isWholeList },
  list_legacy: { what: `tools/list, ${TOOLS} tools`, era: 'legacy', request: legacy('tools/list'), check: isWholeList },
  call_modern: { what: `tools/call ${issue.name}`, era: 'modern', request: modern('tools/call', issue), check: isIssue },
  call_legacy: { what: `tools/call ${issue.name}`, era: 'legacy', request: legacy('tools/call', issue), check: isIssue },
  bare: { what: 'POST, passed on to the API', era: '', request: bare, check: isText },
  here: { what: 'POST, answered at once', era: '', request: bare, check: isText },
};
const ASKED = ['list_modern', 'list_legacy', 'call_modern', 'call_legacy'];

async function startStandins() {
  const standins = {};
  for (const [name, vendor] of Object.entries(VENDORS)) standins[name] = await vendor.start();
  return standins;
}

/** Sign-in goes to the stand-ins. So do the APIs, but GitHub's: calls are measured against the benchmark's own. */
function overrides(standins, upstream) {
  const all = Object.values(VENDORS).map(({ app, override }, i) => [app, override(Object.values(standins)[i].url)]);
  const out = Object.fromEntries(all);
  out.zoho_desk = out.zoho_crm;
  out.github.api = upstream.url;
  return JSON.stringify(out);
}

async function newUser(gateway, platform, name) {
  const created = await platform.api.must(201, 'POST', `${platform.path}/end-users`, { external_id: name });
  const path = `${platform.path}/end-users/${created.id}`;
  for (const { app, login, answers } of Object.values(APPS)) {
    const link = await platform.api.must(201, 'POST', `${path}/connect-links`, { app, return_url: RETURN_URL });
    const end = await followConnect(link.url, { login, answers });
    assert.equal(end.searchParams.get('status'), 'connected', end.href);
  }
  const key = created.api_key.raw_key;
  const { tokens } = await authorizeByHand(gateway.url, key);
  return { key, token: tokens.access_token };
}

async function startFourApps(world) {
  world.standins = await startStandins();
  const env = { ASSISTIV_CONNECTOR_OVERRIDES: overrides(world.standins, world.upstream) };
  const server = await startGateway({ ...world, env });
  const admin = new Api(server.url, server.adminKey);
  const { id, api_key } = await admin.must(201, 'POST', '/v1/platforms', { name: 'Bench' });
  const platform = { path: `/v1/platforms/${id}`, api: admin.as(api_key.raw_key) };
  for (const app of Object.values(APPS)) {
    await platform.api.must(201, 'POST', `${platform.path}/mcp/apps`, activation(app));
  }
  const users = [];
  for (let i = 0; i < USERS; i++) users.push(await newUser(server, platform, `user-${i}`));
  const roots = { server: server.pid, postgres: server.postgresPid, upstream: world.upstream.pid };
  return { server, pathname: '/mcp', roots, users };
}

const credentials = (member) => async (world) => {
  const { users, ...started } = await (world.fourApps ??= startFourApps(world));
  return { ...started, keys: users.map((user) => user[member]) };
};
const startEdge = (pathname) => async (world) => {
  const server = await (world.edge ??= startProgram(process.env.BENCH_EDGE, [world.upstream.url]));
  return withRoots(server, pathname, { upstream: world.upstream.pid });
};

const CONTESTANTS = [
  { name: 'apps_key', label: 'gateway, four apps, key', asked: ASKED, start: credentials('key') },
  { name: 'apps_token', label: 'gateway, four apps, access token', asked: ASKED, start: credentials('token') },
  { name: 'edge', label: 'the edge alone', asked: ['bare'], start: startEdge('/') },
  { name: 'edge_here', label: 'the edge alone', asked: ['here'], start: startEdge('/here') },
];

export async function measureApps(world, settings) {
  try {
    return await measureThroughput(world, settings, CONTESTANTS, REQUESTS);
  } finally {
    for (const standin of Object.values(world.standins ?? {})) await standin.stop();
  }
}
