// Starts what is measured: the gateway with its world, the peers, the vendor's API. Each has `pid`, `url` and `stop()`.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProgram } from '../support/programs.mjs';
import { startServer } from '../../tests/e2e/support/server.mjs';
import { followConnect, RETURN_URL } from '../../tests/e2e/support/world.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
export const startSdk = (upstream) =>
  startProgram(process.execPath, [here('peer_sdk.mjs')], upstream && { UPSTREAM: upstream.url });
export const startBare = () => startProgram(process.execPath, [here('peer_bare.mjs')]);
export const startUpstream = () => startProgram(process.env.BENCH_UPSTREAM, []);

/** The vendor's authorization server: says yes to everybody at once. */
export async function startAuthorization() {
  const server = createServer(async (req, res) => {
    const url = new URL(req.url, 'http://vendor');
    if (url.pathname === '/authorize') {
      const back = new URL(url.searchParams.get('redirect_uri'));
      back.searchParams.set('code', 'granted');
      back.searchParams.set('state', url.searchParams.get('state'));
      res.writeHead(302, { location: back.href }).end();
      return;
    }
    for await (const chunk of req) void chunk;
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(
      JSON.stringify({
        access_token: 'bench-access',
        refresh_token: 'bench-refresh',
        token_type: 'bearer',
        scope: 'echo',
        expires_in: 86400,
      }),
    );
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** The gateway on a data directory. `env` overrides the settings of the benchmark. */
export async function startGateway({ dataDir, authorization, upstream, env = {} }) {
  const server = await startServer({ dataDir, env: { ...gatewaySettings(authorization, upstream), ...env } });
  return Object.assign(server, { postgresPid: postgresPid(dataDir) });
}

// Settings of the environment reach the server, so that a variant can be measured.
const environment = Object.entries(process.env).filter(
  ([name]) => name.startsWith('ASSISTIV_') && !['ASSISTIV_BIN', 'ASSISTIV_KEEP_DATA'].includes(name),
);

export function gatewaySettings(authorization, upstream) {
  return {
    ...Object.fromEntries(environment),
    ASSISTIV_MANIFESTS_DIR: here('manifests'),
    ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1',
    ASSISTIV_CONNECTOR_OVERRIDES: JSON.stringify({ bench: { web: authorization.url, api: upstream.url } }),
  };
}

export function postgresPid(dataDir) {
  const file = fs.readdirSync(dataDir, { recursive: true }).find((name) => path.basename(name) === 'postmaster.pid');
  assert.ok(file, 'the private PostgreSQL has no postmaster.pid');
  return Number(fs.readFileSync(path.join(dataDir, file), 'utf8').split('\n')[0]);
}

async function rest(gateway, key, method, route, body, expected) {
  const reply = await fetch(gateway.url + route, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await reply.text();
  assert.equal(reply.status, expected, `${method} ${route}: ${text}`);
  return JSON.parse(text).data;
}

/** A platform with the app, a policy for it, and users. */
export class Tenant {
  static async create(gateway) {
    const tenant = new Tenant();
    const platform = await rest(gateway, gateway.adminKey, 'POST', '/v1/platforms', { name: 'Bench' }, 201);
    Object.assign(tenant, { path: `/v1/platforms/${platform.id}`, key: platform.api_key.raw_key });
    await rest(
      gateway,
      tenant.key,
      'POST',
      `${tenant.path}/mcp/apps`,
      { app: 'bench', client_id: 'bench-client', client_secret: 'bench-secret', return_urls: [RETURN_URL] },
      201,
    );
    await rest(
      gateway,
      tenant.key,
      'PUT',
      `${tenant.path}/mcp/apps/bench/policy`,
      {
        mode: 'list',
        tools: ['bench_echo'],
        deny: ['bench_reset'],
        require_approval: { classes: ['destructive'], tools: [] },
      },
      200,
    );
    return tenant;
  }

  /** From now on calls of this tool wait for the platform's approval. */
  askFor(gateway, tool) {
    const rules = { mode: 'all', tools: [], deny: [], require_approval: { classes: [], tools: [tool] } };
    return rest(gateway, this.key, 'PUT', `${this.path}/mcp/apps/bench/policy`, rules, 200);
  }

  async addUser(gateway, name) {
    const user = await rest(gateway, this.key, 'POST', `${this.path}/end-users`, { external_id: name }, 201);
    return Object.assign(user, { path: `${this.path}/end-users/${user.id}` });
  }

  /** A user with a rule of their own who connected the app; with `grants` [], the platform's policy is all there is. */
  async addConnectedUser(gateway, name, grants = [{ app: 'bench', mode: 'list', tools: ['bench_echo'] }]) {
    const user = await this.addUser(gateway, name);
    await rest(gateway, this.key, 'PUT', `${user.path}/grants`, { grants }, 200);
    const link = await rest(
      gateway,
      this.key,
      'POST',
      `${user.path}/connect-links`,
      { app: 'bench', return_url: RETURN_URL },
      201,
    );
    const end = await followConnect(link.url);
    assert.equal(end.searchParams.get('status'), 'connected', end.href);
    return user;
  }
}
