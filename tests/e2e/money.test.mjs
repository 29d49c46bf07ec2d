// Wallet, budget, idempotency and webhooks as a platform uses them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertError } from './support/api.mjs';
import { startReceiver, verify } from './support/receiver.mjs';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

describe('money', () => {
  let world, platform, receiver;
  before(async () => {
    world = await World.start({ apps: [] });
    ({ platform } = world);
    receiver = await startReceiver();
  });
  after(async () => {
    await world?.stop();
    await receiver?.stop();
  });
  const key = (name) => ({ headers: { 'idempotency-key': name } });
  const newBudget = async (body = { max_usd: '10' }) => {
    const user = await world.newUser();
    await platform.api.must(201, 'POST', `${user.path}/budget`, body);
    return user;
  };

  test('the operator pays in, the platform sees it', async () => {
    const wallet = `${platform.path}/wallet`;
    assert.equal((await platform.api.get(wallet)).data.balance, '0.00');
    assertError(await platform.api.post(`${wallet}/topup`, { amount: '1' }), 403, 'forbidden');
    const paid = await world.admin.post(`${wallet}/topup`, { amount: '25.000000001', description: 'invoice 1' }, key('invoice-1'));
    assert.equal(paid.status, 201);
    assert.equal(paid.data.balance, '25.000000001');
    const again = await world.admin.post(`${wallet}/topup`, { amount: '25.000000001', description: 'invoice 1' }, key('invoice-1'));
    assert.equal(again.headers.get('idempotent-replayed'), 'true');
    assert.equal(again.data.transaction.id, paid.data.transaction.id);
    assert.equal((await world.admin.post(`${wallet}/adjust`, { amount: '-5', reason: 'refund' })).data.balance, '20.000000001');
    assertError(await world.admin.post(`${wallet}/adjust`, { amount: '-500', reason: 'too much' }), 409, 'insufficient_balance');
    assert.equal((await platform.api.patch(wallet, { low_balance_threshold: 1 })).data.low_balance_threshold, '1.00');
    const { data } = await platform.api.get(wallet);
    assert.equal(data.balance, '20.000000001');
    assert.deepEqual(data.recent_transactions.filter((t) => t.direction !== 'none').map((t) => [t.type, t.amount]), [['adjustment', '5.00'], ['top_up', '25.000000001']]);
    const list = await platform.api.get(`${wallet}/transactions?limit=1`);
    assert.equal(list.body.data.length, 1);
  });

  test('amounts are taken by their digits', async () => {
    const topup = (raw) => world.admin.send('POST', `${platform.path}/wallet/topup`, undefined, { raw });
    assert.equal((await topup('{"amount": 0.000000003}')).data.transaction.amount, '0.000000003');
    assert.equal((await topup('{"amount": 1234567.123456789}')).data.transaction.amount, '1234567.123456789');
    for (const amount of ['1e3', '0.0000000001', '"1,5"', '"1e3"', '""', 'true', '-1', '0', '99999999999999']) {
      assertError(await topup(`{"amount": ${amount}}`), 400, 'bad_request');
    }
    assertError(await topup('{"amount": "1", "surprise": 1}'), 400, 'bad_request');
  });

  test('a budget: made, read by both, changed, suspended', async () => {
    const user = await world.newUser();
    const at = `${user.path}/budget`;
    assertError(await platform.api.get(at), 404, 'not_found');
    assertError(await user.api.get('/v1/me/budget'), 404, 'not_found');
    assertError(await platform.api.post(at, {}), 400, 'bad_request');
    assertError(await platform.api.post(at, { max_usd: '1', extra: 1 }), 400, 'bad_request');
    const made = await platform.api.must(201, 'POST', at, { max_usd: '2.5', max_tokens: 1000, period: 'monthly', low_balance_threshold: '1' });
    assert.equal(made.remaining_usd, '2.50');
    assert.match(made.period_start, /-01T00:00:00\.000Z$/);
    assertError(await platform.api.post(at, { max_usd: '1' }), 409, 'conflict');
    assert.equal((await platform.api.patch(at, { max_usd: '5' })).data.max_usd, '5.00');
    assert.equal((await platform.api.patch(at, { is_suspended: true, reason: 'chargeback' })).data.is_suspended, true);
    const mine = await user.api.get('/v1/me/budget');
    assert.equal(mine.data.is_suspended, true, 'it answers while it is suspended');
    assertError(await user.api.patch(at, { is_suspended: false }), 403, 'forbidden');
    assertError(await platform.api.get('/v1/me/budget'), 403, 'forbidden');
  });

  test('a debit moves once, whatever is repeated', async () => {
    const user = await newBudget();
    const at = `${user.path}/budget`;
    const missing = await platform.api.post(`${at}/debit`, { amount_usd: '1' });
    assertError(missing, 400, 'bad_request');
    assert.equal(missing.body.error.field, 'Idempotency-Key');
    const many = await Promise.all(Array.from({ length: 12 }, () => platform.api.post(`${at}/debit`, { amount_usd: '4' }, key(`once-${user.id}`))));
    assert.deepEqual([...new Set(many.map((r) => r.status))], [201]);
    assert.equal(many.filter((r) => !r.headers.get('idempotent-replayed')).length, 1);
    assert.equal(new Set(many.map((r) => JSON.stringify(r.data))).size, 1);
    assertError(await platform.api.post(`${at}/debit`, { amount_usd: '5' }, key(`once-${user.id}`)), 409, 'conflict');
    assertError(await platform.api.post(`${at}/debit`, { amount_usd: '7' }, key(`more-${user.id}`)), 409, 'insufficient_balance');
    assert.equal((await platform.api.post(`${at}/topup`, { amount_usd: '1' }, key(`top-${user.id}`))).data.remaining_usd, '7.00');
    assert.equal((await platform.api.post(`${at}/debit`, { amount_usd: '7' }, key(`more-${user.id}`))).data.remaining_usd, '0.00');
    const { body } = await platform.api.get(`${at}/transactions`);
    assert.deepEqual(body.data.map((t) => t.type), ['debit', 'top_up', 'debit', 'opening']);
    const events = (await world.audit(platform, `&end_user_id=${user.id}`)).map((e) => e.event);
    assert.equal(events.filter((e) => e === 'budget.debited').length, 2);
  });

  test('a platform can give every new end user a budget', async () => {
    const own = await world.newPlatform([]);
    assertError(await own.api.patch(own.path, { settings: { default_budget_usd: 'much' } }), 400, 'bad_request');
    await own.api.must(200, 'PATCH', own.path, { settings: { default_budget_usd: 2.5 } });
    const user = await world.newUser(own);
    const { data } = await user.api.get('/v1/me/budget');
    assert.equal(data.max_usd, '2.50');
    assert.equal(data.period, 'monthly');
  });

  test('a webhook arrives, signed, and again on request', async () => {
    const user = await newBudget({ max_usd: '10', low_balance_threshold: '5' });
    const hook = await platform.api.must(201, 'POST', `${platform.path}/webhooks`, { url: `${receiver.url}/in`, events: ['budget.topped_up', 'budget.low_balance'] });
    assert.match(hook.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.equal('secret' in (await platform.api.get(`${platform.path}/webhooks/${hook.id}`)).data, false);
    await platform.api.post(`${user.path}/budget/debit`, { amount_usd: '6', reason: 'a chargeback' }, key(`hook-${user.id}`));
    const low = await eventually(() => receiver.got.find((r) => r.headers['x-aig-event-type'] === 'budget.low_balance'), 'budget.low_balance');
    verify(low, hook.secret);
    const event = JSON.parse(low.body);
    assert.equal(event.api_version, '2026-04-11');
    assert.equal(event.event_id, `${event.data.transaction_id}:budget.low_balance`);
    assert.deepEqual([event.data.end_user_id, event.data.amount_usd, event.data.remaining_usd_after, event.data.reason], [user.id, '6.00', '4.00', 'a chargeback']);
    assert.equal(low.headers['x-aig-attempt'], '1');

    const deliveries = `${platform.path}/webhooks/${hook.id}/deliveries`;
    const delivered = await eventually(async () => (await platform.api.get(`${deliveries}?status=delivered`)).body.data[0], 'delivered');
    assert.equal(delivered.id, low.headers['x-aig-delivery-id']);
    const replayed = await platform.api.must(201, 'POST', `${deliveries}/${delivered.id}/replay`, {});
    const second = await eventually(() => receiver.got.find((r) => r.headers['x-aig-delivery-id'] === replayed.id), 'the replay');
    assert.equal(second.headers['webhook-id'], low.headers['webhook-id']);
    assert.equal(second.body, low.body);

    const rotated = await platform.api.must(200, 'POST', `${platform.path}/webhooks/${hook.id}/rotate-secret`, {});
    assert.equal((await platform.api.post(`${platform.path}/webhooks/${hook.id}/test`)).status, 204);
    const test = await eventually(() => receiver.got.find((r) => r.headers['x-aig-event-type'] === 'webhook.test'), 'webhook.test');
    verify(test, rotated.secret);
    assert.equal(test.headers['webhook-signature'].split(' ').length, 2, 'the secret before signs too');
  });

  test('an endpoint that is gone is switched off', async () => {
    const user = await newBudget();
    const hook = await platform.api.must(201, 'POST', `${platform.path}/webhooks`, { url: `${receiver.url}/gone`, events: ['budget.suspended'] });
    receiver.statuses.push(410);
    await platform.api.must(200, 'PATCH', `${user.path}/budget`, { is_suspended: true });
    const off = await eventually(async () => {
      const { data } = await platform.api.get(`${platform.path}/webhooks/${hook.id}`);
      return data.is_active ? null : data;
    }, 'switched off');
    assert.equal(off.disabled_reason, 'gone');
    assert.equal((await platform.api.delete(`${platform.path}/webhooks/${hook.id}`)).status, 204);
  });

  test('what waits is delivered by the next server after a crash', async () => {
    const own = await world.newPlatform([]);
    const user = await world.newUser(own);
    await own.api.must(201, 'POST', `${user.path}/budget`, { max_usd: '1' });
    const hook = await own.api.must(201, 'POST', `${own.path}/webhooks`, { url: `${receiver.url}/crash` });
    await own.api.must(200, 'PATCH', `${user.path}/budget`, { is_suspended: true });
    await world.server.kill();
    await world.boot();
    // Sent before the crash or after it, and perhaps twice: at least once.
    const got = await eventually(() => receiver.got.find((r) => r.path === '/crash'), 'the event', 90_000);
    verify(got, hook.secret);
    assert.equal(JSON.parse(got.body).event_type, 'budget.suspended');
  });

  test('strangers and bad addresses', async () => {
    const other = await world.newPlatform([]);
    const hook = await platform.api.must(201, 'POST', `${platform.path}/webhooks`, { url: `${receiver.url}/mine` });
    assertError(await other.api.get(`${other.path}/webhooks/${hook.id}`), 404, 'not_found');
    for (const url of ['ftp://example.com/', 'http://169.254.169.254/latest', 'not a url', 'http://user:pass@127.0.0.1/']) {
      assertError(await platform.api.post(`${platform.path}/webhooks`, { url }), 400, 'bad_request');
    }
    assertError(await platform.api.post(`${platform.path}/webhooks`, { url: receiver.url, events: ['budget.exploded'] }), 400, 'bad_request');
  });
});
