// What one end user's agents keep is not there for another end user or another platform, at any door.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AGENTS, makeAgents } from './support/agents.mjs';
import { World } from './support/world.mjs';

const API = '/v1/agents/api';

describe('walls around what agents keep', () => {
  let world, owner, stranger, outsider, thread, run, task, response;

  const send = (key, method, path, body, headers = {}) => fetch(`${world.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).then(async (reply) => ({ status: reply.status, body: await reply.json().catch(() => null) }));
  const a2a = (key, method, params) => send(key, 'POST', '/v1/agents/a2a/asks', { jsonrpc: '2.0', id: 1, method, params }, { 'A2A-Version': '1.0' });
  const says = (text, more = {}) => ({ message: { messageId: 'm', role: 'ROLE_USER', parts: [{ text }], ...more } });
  const chat = (key, more) => send(key, 'POST', '/v1/chat/completions', { model: 'agent/asks', messages: [{ role: 'user', content: 'yes' }], ...more });
  const strangers = () => [stranger, outsider].map((one) => one.key);

  before(async () => {
    world = await World.start({ apps: [] });
    const other = await world.newPlatform([]);
    const asks = structuredClone(AGENTS.polite);
    Object.assign(asks, { slug: 'asks', name: 'asks', model: undefined });
    asks.graph.nodes = { check: asks.graph.nodes.check };
    asks.graph.edges = [{ from: '__start__', to: 'check' }];
    await makeAgents(world.platform, [asks]);
    await makeAgents(other, [asks]);
    [owner, stranger, outsider] = [await world.newUser(), await world.newUser(), await world.newUser(other)];
    const made = (await a2a(owner.key, 'SendMessage', says('a secret'))).body.result.task;
    [task, thread] = [made.id, made.contextId];
    run = (await send(owner.key, 'GET', `/v1/agents/runs?thread_id=${thread}`)).body.data[0].id;
    response = (await send(owner.key, 'POST', '/v1/responses', { model: 'agent/asks', input: 'a secret' })).body.id;
  });
  after(() => world?.stop());

  test('the LangGraph API and the runs of people', async () => {
    const one = `${API}/threads/${thread}`;
    const calls = [
      ['GET', one], ['PATCH', one, {}], ['DELETE', one], ['POST', `${one}/copy`], ['GET', `${one}/state`], ['POST', `${one}/state`, { values: {} }],
      ['POST', `${one}/history`, {}], ['GET', `${one}/runs`], ['GET', `${one}/runs/${run}`], ['DELETE', `${one}/runs/${run}`], ['GET', `${one}/stream`],
      ['POST', `${one}/runs`, { assistant_id: 'asks', command: { resume: true } }], ['POST', `${one}/runs`, { assistant_id: 'asks', input: {} }],
      ['POST', `${one}/runs/${run}/cancel`], ['GET', `${API}/runs/${run}/join`], ['GET', `${API}/runs/${run}/stream`],
      ['POST', `${API}/runs/cancel`, { run_ids: [run] }], ['POST', `${one}/runs/crons`, { assistant_id: 'asks', schedule: '0 0 1 1 *' }],
      ['POST', `${one}/commands`, { id: 1, method: 'state.get', params: {} }], ['GET', `/v1/agents/runs/${run}`], ['GET', `/v1/agents/runs/${run}/events`],
    ];
    for (const key of strangers()) {
      for (const [method, path, body] of calls) assert.equal((await send(key, method, path, body)).status, 404, `${method} ${path}`);
      assert.deepEqual((await send(key, 'POST', `${API}/threads/search`, {})).body, []);
      assert.deepEqual((await send(key, 'POST', `${API}/threads/prune`, { thread_ids: [thread] })).body, { pruned_count: 0 });
      assert.deepEqual((await send(key, 'GET', '/v1/agents/runs')).body.data, []);
    }
  });

  test('A2A', async () => {
    for (const key of strangers()) {
      for (const [method, params] of [['GetTask', { id: task }], ['CancelTask', { id: task }], ['SubscribeToTask', { id: task }], ['ListTasks', { contextId: thread }],
        ['SendMessage', says('yes', { contextId: thread })], ['SendMessage', says('yes', { taskId: task })]]) {
        const { body } = await a2a(key, method, params);
        // A platform of its own may have a context of the same id.
        if (body.result && key === outsider.key) assert.notEqual(body.result.task?.id, task);
        else assert.equal(body.error?.code, -32001, `${method}: ${JSON.stringify(body)}`);
      }
      assert.ok(!JSON.stringify((await a2a(key, 'ListTasks', {})).body).includes('a secret'));
    }
  });

  test('agents as models and as MCP tools', async () => {
    assert.equal((await chat(stranger.key, { metadata: { thread_id: thread } })).status, 404);
    for (const key of strangers()) {
      assert.equal((await send(key, 'POST', '/v1/responses', { model: 'agent/asks', input: 'yes', previous_response_id: response })).status, 404);
    }
    const called = await send(stranger.key, 'POST', '/mcp/agents', { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'asks', arguments: { message: 'yes', thread_id: thread } } });
    assert.equal(called.body.result.isError, true);
    assert.equal((await send(owner.key, 'GET', `${API}/threads/${thread}`)).body.status, 'interrupted');
  });

  test('who acts is said by the key', async () => {
    const as = { 'x-aig-end-user': owner.id };
    assert.equal((await send(stranger.key, 'GET', `${API}/threads/${thread}`, undefined, as)).status, 403);
    assert.equal((await send(outsider.platform.key, 'GET', `${API}/threads/${thread}`, undefined, as)).status, 404);
    assert.equal((await send(world.platform.key, 'GET', `${API}/threads/${thread}`, undefined, as)).status, 200);
    assert.equal((await send(world.platform.key, 'GET', `${API}/threads/${thread}`, undefined, { 'x-aig-end-user': stranger.id })).status, 404);
  });
});
