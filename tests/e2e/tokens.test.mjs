// The life of a provider's token: refreshed before it ends, never lost to a passing fault, revoked at the provider.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { failTool, legacyCall, textOf, useTool } from './support/mcp.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

describe('provider tokens', () => {
  let world;
  const me = (user) => useTool(world.mcp('github'), user.key, 'github_get_me');
  const status = async (user) => (await world.connections(user))[0]?.status;
  before(async () => (world = await World.start()));
  after(() => world?.stop());

  test('an expired token is refreshed without anybody noticing', async () => {
    const user = await world.newConnectedUser();
    world.github.control({ reset_counters: true, expire_all: true });
    assert.equal((await me(user)).item.login, 'octocat');
    const counters = world.github.counters();
    assert.equal(counters.refreshes, 1);
    assert.equal(await status(user), 'active');
    assert.ok((await world.audit(world.platform, '&event=connection.refreshed')).length >= 1);
  });

  test('a token close to its end is refreshed first: the provider never sees a dead one', async () => {
    world.github.control({ expires_in: 2 });
    const user = await world.newConnectedUser();
    world.github.control({ reset_counters: true, expires_in: 28_800 });
    await me(user);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await me(user);
    assert.equal(world.github.counters().api_unauthorized, 0);
    assert.equal(world.github.counters().refreshes, 1);
  });

  test('parallel calls at expiry refresh once', async () => {
    const user = await world.newConnectedUser();
    world.github.control({ reset_counters: true, expire_all: true, delay_ms: 50 });
    await Promise.all(Array.from({ length: 25 }, () => me(user)));
    world.github.control({ delay_ms: 0 });
    assert.equal(world.github.counters().refreshes, 1);
    assert.equal(world.github.counters().refresh_errors, 0);
  });

  for (const fault of ['500', '503', 'hang']) {
    test(`a token endpoint that answers ${fault} does not cost the connection`, { timeout: 120_000 }, async () => {
      const user = await world.newConnectedUser();
      world.github.control({ expire_all: true, fail_token_endpoint: fault });
      const result = await failTool(world.mcp('github'), user.key, 'github_get_me');
      assert.doesNotMatch(textOf(result), /gh[uor]_/);
      world.github.control({ fail_token_endpoint: null });
      assert.equal(await status(user), 'active');
      for (let tries = 0; ; tries++) {
        const reply = await legacyCall(world.mcp('github'), user.key, 'tools/call', { name: 'github_get_me', arguments: {} });
        if (!reply.result.isError) break;
        assert.ok(tries < 120, `never recovers: ${textOf(reply.result)}`);
        await new Promise((resolve) => setTimeout(resolve, 500)); // it may be told to wait
      }
    });
  }

  test('a refresh token that the provider refuses asks the user to connect again', async () => {
    const user = await world.newConnectedUser();
    world.github.control({ revoke_all: true });
    const result = await failTool(world.mcp('github'), user.key, 'github_get_me');
    assert.match(textOf(result), /\/connect\//, 'with the way to do it');
    assert.equal(await status(user), 'needs_reauth');
    assert.ok((await world.audit(world.platform, '&event=connection.needs_reauth')).length >= 1);
    assert.equal(await world.connect(user), user.connectionId);
    assert.equal(await status(user), 'active');
    await me(user);
  });

  test('a refresh whose reply is lost ends in a clear state', { timeout: 120_000 }, async () => {
    const user = await world.newConnectedUser();
    world.github.control({ expire_all: true, fail_token_endpoint: 'lost', fail_token_times: 1 });
    await failTool(world.mcp('github'), user.key, 'github_get_me');
    world.github.control({ fail_token_endpoint: null, fail_token_times: undefined });
    for (let tries = 0; (await status(user)) !== 'needs_reauth'; tries++) {
      assert.ok(tries < 120, 'the provider has rotated away: only the user can help');
      await legacyCall(world.mcp('github'), user.key, 'tools/call', { name: 'github_get_me', arguments: {} });
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await world.connect(user);
    await me(user);
  });

  test('disconnecting revokes at the provider first', async () => {
    const user = await world.newConnectedUser();
    const before = world.github.counters();
    const { status: code, data } = await user.api.delete(`/v1/me/connections/${user.connectionId}`);
    assert.equal(code, 200);
    assert.equal(data.id, user.connectionId);
    assert.equal(data.revoked_upstream, true);
    const now = world.github.counters();
    assert.equal(now.live_access_tokens, before.live_access_tokens - 1);
    assert.equal(now.token_revokes + now.grant_revokes, before.token_revokes + before.grant_revokes + 1);
    assert.deepEqual((await world.connections(user)).filter((c) => c.status === 'active'), []);
    await failTool(world.mcp('github'), user.key, 'github_get_me');
    assert.ok((await world.audit(world.platform, '&event=connection.revoked')).length >= 1);
  });

  test('disconnecting one user leaves another one with the same account at work', async () => {
    const [one, two] = [await world.newConnectedUser(), await world.newConnectedUser()];
    const elsewhere = await world.newPlatform();
    const three = await world.newConnectedUser({ platform: elsewhere });
    await one.api.delete(`/v1/me/connections/${one.connectionId}`);
    await me(two);
    await me(three);
  });

  test('the platform can disconnect, and deleting an end user does', async () => {
    const user = await world.newConnectedUser();
    const before = world.github.counters().live_access_tokens;
    const reply = await world.platform.api.delete(`${user.path}/connections/${user.connectionId}`);
    assert.ok([200, 204].includes(reply.status));
    assert.equal(world.github.counters().live_access_tokens, before - 1);
    const leaver = await world.newConnectedUser();
    assert.equal((await world.platform.api.delete(leaver.path)).status, 204);
    await eventually(() => world.github.counters().live_access_tokens === before - 1, 'the revocation at GitHub');
    assert.equal((await leaver.api.get('/v1/me')).status, 401);
  });

  test('no secret is in the log, in the files or in the audit trail', async () => {
    const user = await world.newConnectedUser();
    world.github.control({ expire_all: true });
    await me(user);
    const everything = [world.server.log(), JSON.stringify(await world.audit())];
    for (const entry of fs.readdirSync(world.dataDir, { recursive: true })) {
      const file = path.join(world.dataDir, entry);
      if (/admin\.key$/.test(file) || !fs.statSync(file, { throwIfNoEntry: false })?.isFile()) continue;
      everything.push(fs.readFileSync(file, 'latin1'));
    }
    const text = everything.join('\n');
    for (const secret of [/gh[uor]_[A-Za-z0-9]{20}/, /demo-github-app-secret/, new RegExp(user.key), new RegExp(world.platform.key)]) {
      assert.doesNotMatch(text.match(secret)?.[0] ?? '', /./, String(secret));
    }
    for (const name of ['admin.key', 'master-keys.json']) assert.equal(fs.statSync(path.join(world.dataDir, name)).mode & 0o077, 0, name);
  });
});
