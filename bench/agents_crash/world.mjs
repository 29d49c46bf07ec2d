// The gateway behind the proxy, with a platform that has everything the workloads need, and one end user.
import assert from 'node:assert/strict';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAuthorization } from '../mcp/servers.mjs';
import { startPostgres } from '../../tests/e2e/support/postgres.mjs';
import { startServer, tempDir } from '../../tests/e2e/support/server.mjs';
import { followConnect, RETURN_URL } from '../../tests/e2e/support/world.mjs';
import { pause } from '../support/machine.mjs';
import { Outside, MODEL_RATES } from './outside.mjs';
import { startProxy } from './pg_proxy.mjs';
import { workloads } from './workloads.mjs';

export class World {
  gateways = [];
  at = async () => {};

  static async start(gateways) {
    const world = new World();
    const at = (point) => world.at(point);
    world.postgres = startPostgres({ durable: true });
    world.proxy = await startProxy(path.join(world.postgres.directory, '.s.PGSQL.5432'), at);
    world.outside = await Outside.start(at);
    world.authorization = await startAuthorization();
    for (let i = 0; i < gateways; i++) world.gateways.push({ dataDir: tempDir('crash') });
    await world.boot(0);
    await world.fill();
    for (let i = 1; i < gateways; i++) await world.boot(i);
    world.workloads = workloads(world.outside);
    for (const agent of new Set(world.workloads.map((one) => one.agent))) await world.rest(world.platform.key, 'POST', `${world.platform.home}/agents`, agent);
    return world;
  }

  get env() {
    return {
      ASSISTIV_DATABASE_URL: `postgresql://assistiv@127.0.0.1:${this.proxy.port}/assistiv`,
      ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1',
      ASSISTIV_MANIFESTS_DIR: fileURLToPath(new URL('manifests', import.meta.url)),
      ASSISTIV_CONNECTOR_OVERRIDES: JSON.stringify({ crash: { web: this.authorization.url, api: this.outside.url } }),
      ASSISTIV_AGENT_LEASE: '2',
      ASSISTIV_AGENT_THREADS_MAX: '0', // one end user does here what many do
      ASSISTIV_AGENT_WAITING_RUNS_MAX: '0',
    };
  }

  /** Starts gateway `i`, again on its port when it ran before. */
  async boot(i) {
    const one = this.gateways[i];
    const first = this.gateways[0];
    const port = one.port && { ASSISTIV_PORT: String(one.port) };
    // All nodes have the keys of the first one.
    const keys = i > 0 && { ASSISTIV_MASTER_KEYS_FILE: path.join(first.dataDir, 'master-keys.json') };
    one.server = await startServer({ dataDir: one.dataDir, env: { ...this.env, ...port, ...keys } });
    one.port = one.server.port;
    return one.server;
  }

  async rest(key, method, route, body, headers = {}) {
    const reply = await fetch(this.gateways[0].server.url + route, {
      method, body: body && JSON.stringify(body), headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    });
    const text = await reply.text();
    assert.ok(reply.ok, `${method} ${route}: ${reply.status} ${text}`);
    return text ? JSON.parse(text).data : null;
  }

  async fill() {
    const admin = this.gateways[0].server.adminKey;
    const platform = await this.rest(admin, 'POST', '/v1/platforms', { name: 'Crash' });
    const [home, key] = [`/v1/platforms/${platform.id}`, platform.api_key.raw_key];
    this.platform = { home, key, id: platform.id };
    const provider = await this.rest(admin, 'POST', '/v1/admin/providers', {
      slug: 'crash', title: 'Crash', dialect: 'openai.chat', flavor: 'compatible', base_url: `${this.outside.url}/v1`,
    });
    await this.rest(admin, 'POST', '/v1/admin/models', {
      slug: 'crash-model', provider_id: provider.id, provider_model: 'crash-model', context_tokens: 100_000, max_output_tokens: 4096,
    });
    await this.rest(admin, 'PUT', '/v1/admin/prices', { prices: [{ provider: 'crash', model: 'crash-model', rates: MODEL_RATES }] });
    await this.rest(admin, 'POST', `${home}/wallet/topup`, { amount: '1000' }, { 'idempotency-key': 'crash-wallet' });
    await this.rest(key, 'POST', `${home}/llm-configs`, { provider: 'crash', api_key: 'crash-key' });
    await this.rest(key, 'POST', `${home}/mcp/apps`, { app: 'crash', client_id: 'crash-client', client_secret: 'crash-secret', return_urls: [RETURN_URL] });
    await this.rest(key, 'PUT', `${home}/mcp/apps/crash/policy`, { mode: 'all' });
    const user = await this.rest(key, 'POST', `${home}/end-users`, { external_id: 'one' });
    this.user = { id: user.id, key: user.api_key.raw_key, path: `${home}/end-users/${user.id}` };
    const link = await this.rest(key, 'POST', `${this.user.path}/connect-links`, { app: 'crash', return_url: RETURN_URL });
    const back = await followConnect(link.url);
    assert.equal(back.searchParams.get('status'), 'connected', back.href);
  }

  /** kill -9, and a start when the machine has noticed. */
  async crash(i) {
    await this.gateways[i].server.kill();
    await pause(20);
    await this.boot(i);
  }

  async stop() {
    this.at = async () => {};
    for (const { server } of this.gateways) await server.kill();
    this.proxy.stop();
    this.outside.stop();
    await this.authorization.stop();
    this.postgres.stop();
  }
}
