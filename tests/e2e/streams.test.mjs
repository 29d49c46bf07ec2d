// List changes reach exactly the streams of the user concerned, in both eras.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LEGACY, MODERN, modernMeta, openSession, Stream, toolNames } from './support/mcp.mjs';
import { eventually, pause } from './support/server.mjs';
import { World } from './support/world.mjs';

const CHANGED = 'notifications/tools/list_changed';
const changed = (message) => message.method === CHANGED;

describe('list changes', () => {
  let world;
  before(async () => (world = await World.start()));
  after(() => world?.stop());

  async function legacyStream(user) {
    const session = await openSession(world.mcp(), user.key);
    return Stream.open(world.mcp(), { headers: { accept: 'text/event-stream', authorization: `Bearer ${user.key}`, ...session.headers } });
  }

  async function modernStream(user, notifications = { toolsListChanged: true }) {
    const stream = await Stream.open(world.mcp(), {
      method: 'POST',
      headers: {
        'content-type': 'application/json', accept: 'application/json, text/event-stream', authorization: `Bearer ${user.key}`,
        'mcp-protocol-version': MODERN, 'mcp-method': 'subscriptions/listen',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 'listen-1', method: 'subscriptions/listen', params: { notifications, _meta: modernMeta() } }),
    });
    await stream.next((m) => m.method === 'notifications/subscriptions/acknowledged');
    return stream;
  }

  for (const [name, open] of [['legacy GET stream', legacyStream], ['modern subscriptions/listen', modernStream]]) {
    test(`${name}: a new connection, a grant and a disconnect are told, to this user only`, async () => {
      const user = await world.newUser();
      const other = await world.newUser();
      const stream = await open(user);
      const elsewhere = await open(other);

      await world.connect(user);
      const first = await stream.next(changed);
      if (open === modernStream) assert.equal(first.params._meta['io.modelcontextprotocol/subscriptionId'], 'listen-1');
      stream.messages.length = 0;

      await world.platform.api.must(200, 'PUT', `${user.path}/grants`, { grants: [{ app: 'github', mode: 'read_only' }] });
      await stream.next(changed);
      assert.ok(!(await toolNames(world.mcp(), user.key)).includes('github_create_issue'), 'the list is new when it is told');
      stream.messages.length = 0;

      const [connection] = await world.connections(user);
      await user.api.delete(`/v1/me/connections/${connection.id}`);
      await stream.next(changed);

      // A change of the policy concerns everybody, so the other stream has this one and none before.
      const before = elsewhere.messages.filter(changed).length;
      assert.equal(before, 0, JSON.stringify(elsewhere.messages));
      await world.platform.api.must(200, 'PUT', `${world.platform.path}/mcp/apps/github/policy`, { mode: 'all', tools: [], deny: ['github_merge_pull_request'], require_approval: { classes: [], tools: [] } });
      await elsewhere.next(changed);
      await world.platform.api.must(200, 'PUT', `${world.platform.path}/mcp/apps/github/policy`, { mode: 'all', tools: [], deny: [], require_approval: { classes: [], tools: [] } });
      await stream.close();
      await elsewhere.close();
    });
  }

  test('what was not asked for is not sent', async () => {
    const user = await world.newUser();
    const stream = await modernStream(user, { promptsListChanged: true });
    await world.connect(user);
    await pause(500);
    assert.equal(stream.messages.filter(changed).length, 0);
    await stream.close();
  });

  test('a legacy stream is resumed after its last event', async () => {
    const user = await world.newUser();
    const session = await openSession(world.mcp(), user.key);
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${user.key}`, ...session.headers };
    const stream = await Stream.open(world.mcp(), { headers });
    await world.connect(user);
    const { eventId } = await stream.next(changed);
    assert.ok(eventId, 'events carry ids');
    await stream.close();
    await world.platform.api.must(200, 'PUT', `${user.path}/grants`, { grants: [{ app: 'github', mode: 'read_only' }] });
    const resumed = await Stream.open(world.mcp(), { headers: { ...headers, 'last-event-id': eventId } });
    assert.equal(resumed.reply.status, 200);
    const missed = await resumed.next(changed);
    assert.notEqual(missed.eventId, eventId);
    await resumed.close();
    const foreign = await world.newUser();
    const theirs = await openSession(world.mcp(), foreign.key);
    const refused = await fetch(world.mcp(), { headers: { accept: 'text/event-stream', authorization: `Bearer ${foreign.key}`, ...theirs.headers, 'last-event-id': eventId } });
    assert.ok(refused.status >= 400 || !(await Promise.race([refused.text(), pause(500).then(() => '')])).includes(CHANGED), 'an event id of another session gives nothing');
    refused.body?.cancel().catch(() => {});
  });

  test('shutting down ends listen streams with their result', async () => {
    const user = await world.newUser();
    const stream = await modernStream(user);
    await world.server.stop();
    await eventually(() => stream.messages.some((m) => m.id === 'listen-1' && m.result), 'the result of the listen request');
    await world.boot();
    assert.ok(LEGACY);
  });
});
