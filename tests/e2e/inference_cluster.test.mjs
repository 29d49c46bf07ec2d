// Two processes on one database, hammered through their inference doors: limits and budgets hold over both.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Api } from './support/api.mjs';
import { addKey, ask, fund, MODEL, usageOf } from './support/models.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const SEEN_WITHIN_MS = 1000; // what the product promises, not a measurement of this machine
const minute = () => Math.floor(Date.now() / 60_000);
const nanos = (usd) => Math.round(Number(usd) * 1e9);

describe('two processes behind one address', () => {
  let postgres, upstream, one, two, world, platform;
  const dirs = [];
  before(async () => {
    postgres = startPostgres();
    upstream = await startUpstream();
    const keys = path.join(tempDir('keys'), 'master-keys.json');
    dirs.push(path.dirname(keys));
    const node = async () => {
      const dataDir = tempDir();
      dirs.push(dataDir);
      return startServer({ dataDir, env: { ASSISTIV_DATABASE_URL: postgres.url, ASSISTIV_MASTER_KEYS_FILE: keys, ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1' } });
    };
    one = await node();
    two = await node();
    world = Object.assign(new World(), { server: one, admin: new Api(one.url, one.adminKey) });
    platform = await world.newPlatform([]);
    await fund(world, platform);
    platform.config = await addKey(world, platform, upstream, { api_key: 'before-0123456789abcdef' });
  });
  after(async () => {
    await Promise.all([one?.stop(), two?.stop()]);
    await upstream?.stop();
    postgres?.stop();
    dirs.forEach(stopLeftovers);
  });
  beforeEach(() => upstream.clear());

  /** So many calls at once, over both in turn. */
  const burst = (key, count, options) => Promise.all(Array.from({ length: count }, (_, i) => ask([one, two][i % 2].url, key, options)));

  test('a limit of 20 calls a minute lets 20 through, and at most one more', async () => {
    for (;;) {
      const user = await world.newUser(platform);
      await platform.api.must(200, 'PUT', `${user.path}/rate-limits`, { rpm_limit: 20 });
      upstream.clear();
      const began = minute();
      const replies = await burst(user.key, 60);
      const again = await burst(user.key, 10);
      if (minute() !== began) continue; // two windows
      for (const reply of [...replies, ...again]) {
        assert.ok(reply.status === 200 || reply.status === 429, reply.text);
        if (reply.status === 429) assert.ok(Number(reply.headers.get('retry-after')) >= 1);
      }
      const served = [...replies, ...again].filter((reply) => reply.status === 200).length;
      assert.ok(served >= 19 && served <= 21, `${served} were served`);
      assert.equal(upstream.exchanges.length, served);
      return;
    }
  });

  test('a budget of two cents is spent, and not overrun', async () => {
    // Every call uses all that it was let in for.
    upstream.always((x) => {
      const { max_tokens: completion_tokens } = x.body;
      const usage = { prompt_tokens: 10, completion_tokens, total_tokens: 10 + completion_tokens };
      x.json(200, { id: 'c', object: 'chat.completion', created: 1, model: 'served', usage, choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }] });
    });
    const user = await world.newUser(platform);
    await platform.api.must(201, 'POST', `${user.path}/budget`, { max_usd: '0.02' });
    const limit = nanos('0.02');
    const statuses = [];
    for (let round = 0; round < 6; round++) {
      for (const reply of await burst(user.key, 40, { change: { max_tokens: 1000 } })) {
        assert.ok(reply.status === 200 || reply.status === 402, reply.text);
        statuses.push(reply.status);
      }
    }
    assert.ok(statuses.includes(402));
    const served = statuses.filter((status) => status === 200).length;
    assert.equal(upstream.exchanges.length, served);
    let budget;
    await eventually(async () => {
      budget = await platform.api.must(200, 'GET', `${user.path}/budget`);
      return Number(budget.held_usd) === 0;
    }, () => `nothing held: ${JSON.stringify(budget)}`);
    const rows = await usageOf(platform, `&end_user_id=${user.id}`);
    assert.equal(rows.length, served);
    const spent = rows.reduce((sum, row) => sum + nanos(row.cost_usd), 0);
    assert.equal(nanos(budget.used_usd), spent);
    assert.ok(spent <= limit, `${spent} of ${limit}`);
    assert.ok(spent > limit * 0.9, `${spent} of ${limit}: what is left would have paid for more`);
    const wire = upstream.exchanges.reduce((sum, x) => sum + 10 * 150 + x.body.max_tokens * 600, 0);
    assert.equal(spent, wire, 'what the provider served is what was billed');
  });

  test('a changed configuration is seen by the other process within a second', async () => {
    for (const node of [one, two]) assert.equal((await ask(node.url, platform.key)).status, 200);
    const config = `${platform.path}/llm-configs/${platform.config.id}`;
    await platform.api.must(200, 'PATCH', config, { api_key: 'after-0123456789abcdef' });
    await eventually(async () => {
      assert.equal((await ask(two.url, platform.key)).status, 200);
      return upstream.last.key === 'after-0123456789abcdef';
    }, 'the new key is used', SEEN_WITHIN_MS);
    await platform.api.must(200, 'PATCH', config, { is_active: false });
    await eventually(async () => (await ask(two.url, platform.key)).status === 404, `${MODEL} is gone`, SEEN_WITHIN_MS);
  });
});
