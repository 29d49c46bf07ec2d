// Starts what is measured: the gateway with its world, the peers. Each has `pid`, `url` and `stop()`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startServer } from '../../tests/e2e/support/server.mjs';
import { postgresPid } from '../mcp/servers.mjs';
import { pause } from '../support/machine.mjs';

const USERS = 16;
const START_MS = 15_000;

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

// Settings of the environment reach the server, so that a variant can be measured.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.startsWith('ASSISTIV_') && name !== 'ASSISTIV_BIN'),
);

/** The gateway as scripts/run starts it, with a platform that has money, a provider and users with budgets. */
export async function startGateway(upstream, dataDir) {
  const server = await startServer({ dataDir, env: { ...environment, ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1' } });
  const platform = await rest(server, server.adminKey, 'POST', '/v1/platforms', { name: 'Bench' });
  const home = `/v1/platforms/${platform.id}`;
  const key = platform.api_key.raw_key;
  const once = (name) => ({ 'idempotency-key': `bench-${name}` });
  await rest(server, server.adminKey, 'POST', `${home}/wallet/topup`, { amount: '100000' }, once('wallet'));
  await rest(server, key, 'POST', `${home}/llm-configs`, {
    provider: 'openai',
    api_key: 'sk-bench-0123456789',
    base_url: `${upstream.url}/v1`,
  });
  await rest(server, key, 'PUT', `${home}/rate-limits`, {
    platform: { rpm_limit: 100_000_000, tpm_limit: 900_000_000_000 },
    default: { rpm_limit: 10_000_000, tpm_limit: 90_000_000_000 },
  });
  const keys = [];
  for (let i = 0; i < USERS; i++) {
    const user = await rest(server, key, 'POST', `${home}/end-users`, { external_id: `user-${i}` });
    await rest(server, key, 'POST', `${home}/end-users/${user.id}/budget`, { max_usd: '5000' }, once(`budget-${i}`));
    keys.push((await rest(server, key, 'POST', `${home}/end-users/${user.id}/api-keys`, {})).raw_key);
  }
  return Object.assign(server, { keys, platformKey: key, home, postgresPid: postgresPid(dataDir) });
}

async function answers(url) {
  const end = Date.now() + START_MS;
  while (Date.now() < end) {
    if (await fetch(url).then(() => true, () => false)) return;
    await pause(50);
  }
  throw new Error(`${url} does not answer`);
}

function peer(child, port, signal) {
  const kill = () => child.kill(signal);
  process.once('exit', kill);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    pid: child.pid,
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      kill();
      await ended;
    },
  };
}

const somePort = () => 20_000 + Math.floor(Math.random() * 12_000);

export async function startNginx(upstream, scratch) {
  const port = somePort();
  const home = path.join(scratch, 'nginx');
  fs.mkdirSync(home);
  const config = path.join(home, 'nginx.conf');
  fs.writeFileSync(
    config,
    `daemon off; pid ${home}/nginx.pid; error_log stderr crit; worker_processes ${os.cpus().length};
events { worker_connections 8192; }
http {
  access_log off; client_body_temp_path ${home}/body; proxy_temp_path ${home}/proxy;
  fastcgi_temp_path ${home}/f; uwsgi_temp_path ${home}/u; scgi_temp_path ${home}/s;
  keepalive_requests 100000000;
  upstream provider { server ${new URL(upstream.url).host}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}
`,
  );
  const child = spawn('nginx', ['-c', config, '-p', home], { stdio: ['ignore', 'inherit', 'inherit'] });
  const nginx = peer(child, port, 'SIGTERM');
  await answers(nginx.url);
  return nginx;
}

export async function startPortkey() {
  const port = somePort();
  const entry = path.join(process.env.PORTKEY, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  const child = spawn(process.execPath, [entry, `--port=${port}`, '--headless'], { stdio: 'ignore' });
  const portkey = peer(child, port, 'SIGKILL');
  await answers(portkey.url);
  return portkey;
}
