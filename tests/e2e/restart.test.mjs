// What must survive a restart or a crash does.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { legacyCall, openSession, useTool } from './support/mcp.mjs';
import { runCommand, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { World } from './support/world.mjs';

describe('restart', () => {
  let world;
  before(async () => (world = await World.start()));
  after(() => world?.stop());

  test('SIGTERM ends it cleanly, and takes its PostgreSQL along', async () => {
    const user = await world.newUser();
    const { code, signal } = await world.server.stop();
    assert.equal(code, 0, `${signal}\n${world.server.log().slice(-2000)}`);
    const left = fs.readdirSync(world.dataDir, { recursive: true }).filter((f) => path.basename(f) === 'postmaster.pid');
    assert.deepEqual(left, []);
    await world.boot();
    assert.equal((await world.admin.as(user.key).get('/v1/me')).status, 200);
  });

  test('kill -9: keys, connections, sessions and the audit chain are there again', async () => {
    const user = await world.newConnectedUser();
    const session = await openSession(world.mcp(), user.key);
    await useTool(world.mcp(), user.key, 'github_get_me');
    await world.server.kill();
    await world.boot();
    const list = await legacyCall(world.mcp(), user.key, 'tools/list', undefined, session.headers);
    assert.equal(list.status, 200, JSON.stringify(list.error));
    await useTool(world.mcp(), user.key, 'github_get_me');
    const platform = { ...world.platform, api: world.admin.as(world.platform.key) };
    const { data } = await platform.api.get(`${platform.path}/audit/verify`);
    assert.equal(data.valid, true);
  });

  test('kill -9 of the server and of its PostgreSQL', async () => {
    const user = await world.newUser();
    const pidFile = fs.readdirSync(world.dataDir, { recursive: true }).find((f) => path.basename(f) === 'postmaster.pid');
    const postmaster = Number(fs.readFileSync(path.join(world.dataDir, pidFile), 'utf8').split('\n')[0]);
    await world.server.kill();
    process.kill(postmaster, 'SIGKILL');
    await world.boot();
    assert.equal((await world.admin.as(user.key).get('/v1/me')).status, 200);
  });

  test('the server gets through its PostgreSQL being killed under it', async () => {
    const user = await world.newUser();
    const pidFile = fs.readdirSync(world.dataDir, { recursive: true }).find((f) => path.basename(f) === 'postmaster.pid');
    process.kill(Number(fs.readFileSync(path.join(world.dataDir, pidFile), 'utf8').split('\n')[0]), 'SIGKILL');
    let reply;
    for (let i = 0; i < 200; i++) {
      reply = await fetch(`${world.url}/v1/platforms/${world.platform.id}/end-users`, { headers: { authorization: `Bearer ${world.platform.key}` } });
      if (reply.status === 200 && i > 0) break;
      assert.ok([200, 503].includes(reply.status), `status ${reply.status}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(reply.status, 200, 'it comes back');
    assert.equal((await world.admin.as(user.key).get('/v1/me')).status, 200);
  });

  test('requests in flight are finished before it ends', async () => {
    const user = await world.newConnectedUser();
    world.github.control({ delay_ms: 800 });
    const call = useTool(world.mcp(), user.key, 'github_get_me');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stopped = world.server.stop();
    assert.equal((await call).item.login, 'octocat');
    assert.equal((await stopped).code, 0);
    world.github.control({ delay_ms: 0 });
    await world.boot();
  });

  test('a second server on the same data directory is told so', async () => {
    await assert.rejects(
      startServer({ env: { ...world.env, ASSISTIV_DATA_DIR: world.dataDir } }),
      (error) => /ended while it was starting/.test(error.message) && /already|another|in use|lock/i.test(error.message));
    assert.equal((await fetch(`${world.url}/readyz`)).status, 200);
  });

  test('the operator key is rotated by command', async () => {
    const old = world.server.adminKey;
    const { status, stderr } = runCommand(['admin', 'rotate-admin-key'], { ASSISTIV_DATA_DIR: world.dataDir });
    assert.equal(status, 0, stderr);
    assert.notEqual(world.server.adminKey, old);
    assert.equal((await world.admin.as(world.server.adminKey).get('/v1/platforms')).status, 200);
    for (let i = 0; i < 40 && (await world.admin.as(old).get('/v1/platforms')).status !== 401; i++) await new Promise((r) => setTimeout(r, 50));
    assert.equal((await world.admin.as(old).get('/v1/platforms')).status, 401);
    world.admin = world.admin.as(world.server.adminKey);
  });

  test('re-encryption under load loses nothing', async () => {
    const users = await Promise.all([1, 2, 3].map(() => world.newConnectedUser()));
    let working = true;
    let calls = 0;
    const load = Promise.all(users.map(async (user) => {
      while (working) {
        await useTool(world.mcp(), user.key, 'github_get_me');
        calls++;
      }
    }));
    const file = path.join(world.dataDir, 'master-keys.json');
    const keyring = JSON.parse(fs.readFileSync(file, 'utf8'));
    const { status, stderr, stdout } = runCommand(['admin', 're-encrypt'], { ASSISTIV_DATA_DIR: world.dataDir });
    working = false;
    await load;
    assert.equal(status, 0, stderr + stdout);
    assert.ok(calls > 0 && keyring.keys.length >= 1);
    for (const user of users) await useTool(world.mcp(), user.key, 'github_get_me');
  });
});

describe('the command line', () => {
  const dirs = [];
  const dir = () => (dirs.push(tempDir()), dirs.at(-1));
  after(() => dirs.forEach(stopLeftovers));

  test('version and help', () => {
    assert.match(runCommand(['version']).stdout, /\d+\.\d+/);
    for (const args of [['--help'], ['serve', '--help'], ['admin', '--help']]) {
      const { status, stdout } = runCommand(args);
      assert.equal(status, 0, args.join(' '));
      assert.ok(stdout.length > 100);
    }
    assert.notEqual(runCommand(['no-such-command']).status, 0);
  });

  test('a wrong setting is named with its fix', () => {
    for (const [env, words] of [
      [{ ASSISTIV_PORT: 'eighty' }, /ASSISTIV_PORT.*number/],
      [{ ASSISTIV_PUBLIC_URL: 'not a url' }, /ASSISTIV_PUBLIC_URL.*http/],
      [{ ASSISTIV_CONNECTOR_OVERRIDES: '{"github":{"web":"http://127.0.0.1:1","api":"http://127.0.0.1:1"}}' }, /allow_loopback_upstreams/i],
    ]) {
      const { status, stderr, stdout } = runCommand(['config', 'check'], { ASSISTIV_DATA_DIR: dir(), ...env });
      assert.notEqual(status, 0);
      assert.match(stderr + stdout, words);
    }
    assert.equal(runCommand(['config', 'check'], { ASSISTIV_DATA_DIR: dir() }).status, 0);
  });

  test('config check reads the files that the settings name, and points at what is no setting', () => {
    const manifests = dir();
    fs.writeFileSync(path.join(manifests, 'broken.json'), '{"id": 7}');
    for (const [env, words] of [
      [{ ASSISTIV_TLS_CERTIFICATE_FILE: '/no/such.pem', ASSISTIV_TLS_KEY_FILE: '/no/such.key' }, /such\.pem/],
      [{ ASSISTIV_TRUSTED_PROXIES: '10.0.0.0/99' }, /10\.0\.0\.0\/99/],
      [{ ASSISTIV_MANIFESTS_DIR: manifests }, /broken\.json/],
    ]) {
      const { status, stderr } = runCommand(['config', 'check'], { ASSISTIV_DATA_DIR: dir(), ...env });
      assert.notEqual(status, 0);
      assert.match(stderr, words);
    }
    const { status, stderr } = runCommand(['config', 'check'], { ASSISTIV_DATA_DIR: dir(), ASSISTIV_PROT: '80' });
    assert.equal(status, 0);
    assert.match(stderr, /ASSISTIV_PROT is no setting/);
  });

  test('a word too many is refused before anything is done', () => {
    for (const words of [['serve', 'now'], ['migrate', 'plan'], ['config', 'check', 'x'], ['admin', 'rotate-admin-key', 'x']]) {
      const data = dir();
      const { status, stderr } = runCommand(words, { ASSISTIV_DATA_DIR: data });
      assert.equal(status, 2, words.join(' '));
      assert.match(stderr, /one word too many/);
      assert.deepEqual(fs.readdirSync(data), []);
    }
  });

  test('a process with other master keys does not start; the books of an unknown platform are not "balanced"', async () => {
    const data = dir();
    const first = await startServer({ dataDir: data });
    await first.stop();
    for (const command of ['verify-audit', 'verify-ledger']) {
      const { status, stdout } = runCommand(['admin', command, '--platform', '00000000-0000-4000-8000-000000000000'], { ASSISTIV_DATA_DIR: data });
      assert.equal(status, 1);
      assert.equal(stdout, '');
    }
    const others = path.join(data, 'others.json');
    await assert.rejects(
      startServer({ dataDir: data, env: { ASSISTIV_MASTER_KEYS_FILE: others } }),
      /master keys of this process do not open/);
    await (await startServer({ dataDir: data })).stop();
  });

  test('a port that is taken is said so', async () => {
    const first = await startServer();
    await assert.rejects(startServer({ env: { ASSISTIV_PORT: String(first.port) } }), /in use|already/i);
    await first.stop();
  });
});
