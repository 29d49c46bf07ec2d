// Starts what is measured: the gateway with one agent, on a PostgreSQL that waits for the disk, and the peers.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { startServer } from '../../tests/e2e/support/server.mjs';
import { pause } from '../support/machine.mjs';

const AGENT = JSON.parse(fs.readFileSync(new URL('graph.json', import.meta.url), 'utf8'));
const START_MS = 60_000;
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.startsWith('ASSISTIV_') && name !== 'ASSISTIV_BIN'),
);

export async function rest(server, key, method, route, body) {
  const reply = await fetch(server.url + route, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await reply.text();
  assert.ok(reply.ok, `${method} ${route}: ${reply.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** The gateway with a platform, one end user and the agent "bench". The same data directory finds them again. */
export async function startGateway({ dataDir, databaseUrl, known, env = {} }) {
  const server = await startServer({
    dataDir,
    // One end user does here what many do.
    env: { ASSISTIV_AGENT_THREADS_MAX: '100000000', ASSISTIV_AGENT_WAITING_RUNS_MAX: '100000', ...environment, ASSISTIV_DATABASE_URL: databaseUrl, ...(known && { ASSISTIV_PORT: String(known.port) }), ...env },
  });
  if (known) return Object.assign(server, { key: known.key, platformKey: known.platformKey, home: known.home });
  const { data: platform } = await rest(server, server.adminKey, 'POST', '/v1/platforms', { name: 'Bench' });
  const platformKey = platform.api_key.raw_key;
  await rest(server, platformKey, 'POST', `/v1/platforms/${platform.id}/agents`, AGENT);
  const { data: user } = await rest(server, platformKey, 'POST', `/v1/platforms/${platform.id}/end-users`, { external_id: 'one' });
  return Object.assign(server, { key: user.api_key.raw_key, platformKey, home: `/v1/platforms/${platform.id}` });
}

const API = '/v1/agents/api';
const body = (more) => JSON.stringify({ assistant_id: 'bench', input: { n: 1 }, ...more });
const headers = (key) => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' });

/** A run on a thread of its own; the threads of no two calls of this are the same. */
export const threadRun = (server, durability) => ({
  url: `${server.url}${API}/threads/${randomBytes(4).toString('hex')}-0000-7000-8000-00@ID@/runs/wait`,
  method: 'POST',
  headers: headers(server.key),
  body: body({ if_not_exists: 'create', durability }),
});
export const statelessRun = (server) => ({
  url: `${server.url}${API}/runs/wait`, method: 'POST', headers: headers(server.key), body: body({ durability: 'exit' }),
});
export const peerRun = (server) => ({
  url: `${server.url}/runs/wait`, method: 'POST', headers: { 'content-type': 'application/json' }, body: body(),
});

/** LangGraph's development server, which keeps everything in memory. */
export async function startDevServer() {
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  const child = spawn(path.join(process.env.LANGGRAPH, 'node_modules/.bin/langgraphjs'),
    ['dev', '--no-browser', '--port', String(port), '--config', 'langgraph.json'],
    { cwd: process.env.LANGGRAPH, stdio: 'ignore', detached: true, env: { ...process.env, LANGSMITH_TRACING: 'false', LANGGRAPH_CLI_NO_ANALYTICS: '1' } });
  const kill = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  };
  process.once('exit', kill);
  const url = `http://localhost:${port}`;
  const end = Date.now() + START_MS;
  while (!(await fetch(`${url}/ok`).then((reply) => reply.ok, () => false))) {
    assert.ok(Date.now() < end, 'the development server does not answer');
    await pause(100);
  }
  return { pid: child.pid, url, stop: kill };
}

/** The library with its PostgreSQL checkpointer, in a process of its own. */
export async function runLibrary(databaseUrl, durability, concurrency, seconds) {
  const child = spawn(process.execPath, ['library.mjs', databaseUrl, durability, String(concurrency), String(seconds)],
    { cwd: process.env.LANGGRAPH, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += chunk;
  return JSON.parse(text.trim().split('\n').at(-1));
}
