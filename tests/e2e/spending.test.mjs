// Money and limits when several processes serve one platform: nothing is spent twice, nothing beyond a limit, and a process
// that is killed in the middle of a stream leaves no hold behind.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Api, assertError } from './support/api.mjs';
import { startPostgres } from './support/postgres.mjs';
import { eventually, runCommand, startServer, stopLeftovers, tempDir } from './support/server.mjs';
import { World } from './support/world.mjs';

const MODEL = 'gpt-4o-mini';
const PRICE = '0.01'; // USD per request, whatever its tokens
const CHUNK = 'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n';

/** A provider that answers at once, or starts a stream that never ends. */
async function startProvider() {
  const server = http.createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    const body = JSON.parse(text);
    if (body.stream) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(CHUNK);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({
      id: 'c', object: 'chat.completion', created: 1, model: body.model, usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
      choices: [{ index: 0, message: { role: 'assistant', content: 'yes' }, finish_reason: 'stop' }],
    }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
  };
}

describe('two processes spend one platform\'s money', () => {
  let postgres, provider, one, two, admin, platform, keys;
  const dirs = [];
  const env = () => ({ ASSISTIV_DATABASE_URL: postgres.url, ASSISTIV_MASTER_KEYS_FILE: keys, ASSISTIV_ALLOW_LOOPBACK_UPSTREAMS: '1' });
  const node = async (dataDir = tempDir()) => {
    dirs.push(dataDir);
    return startServer({ dataDir, env: env() });
  };

  before(async () => {
    postgres = startPostgres();
    provider = await startProvider();
    keys = path.join(tempDir('keys'), 'master-keys.json');
    dirs.push(path.dirname(keys));
    one = await node();
    two = await node();
    admin = new Api(one.url, one.adminKey);
    platform = await Object.assign(new World(), { server: one, admin }).newPlatform([]);
    await admin.must(200, 'PUT', '/v1/admin/prices', { prices: [{ provider: 'openai', model: MODEL, rates: { request: PRICE } }] });
    await admin.must(201, 'POST', `${platform.path}/llm-configs`, { provider: 'openai', base_url: provider.url, api_key: 'a-key-of-the-provider' });
    await admin.must(201, 'POST', `${platform.path}/wallet/topup`, { amount: '5' });
  });
  after(async () => {
    await Promise.all([one?.stop(), two?.stop()]);
    await provider?.stop();
    postgres?.stop();
    new Set(dirs).forEach(stopLeftovers);
  });

  const nodes = () => [one, two];
  const newUser = async (budget) => {
    const user = await platform.api.must(201, 'POST', `${platform.path}/end-users`, { external_id: `u-${Math.random()}` });
    user.path = `${platform.path}/end-users/${user.id}`;
    user.key = user.api_key.raw_key;
    if (budget) await platform.api.must(201, 'POST', `${user.path}/budget`, { max_usd: budget });
    return user;
  };
  const ask = (server, user, more = {}) => fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${user.key}`, 'content-type': 'application/json', 'x-aig-tag': 'two' },
    body: JSON.stringify({ model: MODEL, max_tokens: 20, messages: [{ role: 'user', content: 'yes?' }], ...more }),
  });
  const askAll = (user, count) => Promise.all(Array.from({ length: count }, (_, i) => ask(nodes()[i % 2], user)));
  const sorted = (replies) => replies.map((reply) => reply.status).sort();
  const wallet = () => platform.api.must(200, 'GET', `${platform.path}/wallet`);
  const settled = (user, used) => eventually(async () => (await platform.api.must(200, 'GET', `${user.path}/budget`)).used_usd === used, `${used} used`);
  const verifyLedger = (...flags) => runCommand(['admin', 'verify-ledger', '--data-dir', one.dataDir, ...flags], env());
  const verified = () => {
    const { status, stdout, stderr } = verifyLedger();
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`^balanced  ${platform.id}`, 'm'));
  };

  test('a budget for 25 calls pays for 25 of 60 at once, over both', async () => {
    const before = Number((await wallet()).balance);
    const user = await newUser('0.25');
    const replies = await askAll(user, 60);
    const paid = replies.filter((reply) => reply.status === 200);
    assert.ok(paid.length <= 25, `${paid.length} calls were paid`);
    assert.deepEqual([...new Set(sorted(replies))].filter((status) => status !== 200 && status !== 402), []);
    assert.equal(paid[0].headers.get('x-aig-cost-usd'), PRICE);
    // Whoever was refused while the other process held a share: what fits the rest is admitted, by either of them.
    for (let calls = paid.length; calls < 25; calls += 1) {
      await eventually(async () => (await ask(nodes()[calls % 2], user)).status === 200, `call ${calls + 1} of 25`);
    }
    for (const server of nodes()) {
      const refused = await ask(server, user);
      assert.equal(refused.status, 402);
      assert.equal((await refused.json()).error.code, 'budget_exceeded');
    }
    await settled(user, '0.25');
    const { data: [sum] } = (await platform.api.get(`${platform.path}/usage/by-end-user?end_user_id=${user.id}`)).body;
    assert.deepEqual([sum.calls, sum.cost_usd], [25, '0.25']);
    assert.equal(Number((await wallet()).balance).toFixed(9), (before - 0.25).toFixed(9));
    verified();
  });

  test('a debit that is repeated over both moves once', async () => {
    const user = await newUser('1');
    const headers = { 'idempotency-key': `once-${user.id}` };
    const replies = await Promise.all(Array.from({ length: 10 }, (_, i) =>
      new Api(nodes()[i % 2].url, platform.key).post(`${user.path}/budget/debit`, { amount_usd: '0.3' }, { headers })));
    assert.deepEqual([...new Set(replies.map((reply) => reply.status))], [201]);
    assert.equal(new Set(replies.map((reply) => reply.data.transaction.transaction_id)).size, 1);
    assert.equal((await platform.api.must(200, 'GET', `${user.path}/budget`)).remaining_usd, '0.70');
  });

  test('a suspension on one stops the other within a second', async () => {
    const user = await newUser('1');
    assert.equal((await ask(two, user)).status, 200);
    await platform.api.must(200, 'PATCH', `${user.path}/budget`, { is_suspended: true });
    await eventually(async () => (await ask(two, user)).status === 402, 'the refusal', 1000);
    assert.equal((await (await ask(two, user)).json()).error.code, 'budget_suspended');
  });

  test('requests per day and per minute are exact over both', async () => {
    for (const limit of ['rpd_limit', 'rpm_limit']) {
      for (;;) {
        const user = await newUser();
        const window = () => Math.floor(Date.now() / (limit === 'rpm_limit' ? 60_000 : 86_400_000));
        const began = window();
        await platform.api.must(200, 'PUT', `${user.path}/rate-limits`, { [limit]: 20 });
        const replies = await askAll(user, 50);
        let calls = replies.filter((reply) => reply.status === 200).length;
        const refused = replies.find((reply) => reply.status === 429);
        // A share that the other process leased and did not use comes back.
        for (const until = Date.now() + 10_000; calls < 20 && Date.now() < until && window() === began;) {
          calls += (await ask(nodes()[calls % 2], user)).status === 200 ? 1 : 0;
        }
        const further = await askAll(user, 6);
        if (window() !== began) continue; // a new window opened in between: once more
        assert.equal(calls, 20, limit);
        assert.deepEqual([...new Set(sorted(further))], [429]);
        assert.equal((await refused.json()).error.code, 'rate_limit_exceeded');
        assert.ok(Number(refused.headers.get('retry-after')) >= 1);
        assert.equal(refused.headers.get('x-ratelimit-limit-requests'), '20');
        break;
      }
    }
  });

  test('a process that is killed in mid-stream: the call is billed as lost, and nothing stays held', async () => {
    const user = await newUser('1');
    const reply = await ask(two, user, { stream: true });
    assert.equal(reply.status, 200);
    const reader = reply.body.getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /word/);
    assert.notEqual((await platform.api.must(200, 'GET', `${user.path}/budget`)).held_usd, '0.00');
    await two.kill();
    await reader.read().catch(() => {});
    two = await node(two.dataDir);
    await settled(user, PRICE);
    const { data: [row] } = (await platform.api.get(`${platform.path}/usage?end_user_id=${user.id}`)).body;
    assert.deepEqual([row.status, row.cost_usd, row.token_count_method], ['lost', PRICE, 'estimated']);
    assert.equal(row.request_id, reply.headers.get('x-request-id'));
    await eventually(async () => (await platform.api.must(200, 'GET', `${user.path}/budget`)).held_usd === '0.00', 'nothing is held');
    assertError(await platform.api.post(`${user.path}/budget/debit`, { amount_usd: '1' }, { headers: { 'idempotency-key': user.id } }), 409, 'insufficient_balance');
    verified();
  });

  test('books that were changed behind the server do not verify', async () => {
    const user = await newUser('1');
    assert.equal((await ask(one, user)).status, 200);
    await settled(user, PRICE);
    const spend = (nanos) => postgres.query(`update account set settled = settled + ${nanos} where end_user_id = '${user.id}'`);
    spend(1);
    const { status, stdout } = verifyLedger('--platform', platform.id);
    spend(-1);
    assert.equal(status, 1);
    assert.match(stdout, /^BROKEN /m);
    assert.match(stdout, /budget .*what was spent is not what the entries say/);
    verified();
  });
});
