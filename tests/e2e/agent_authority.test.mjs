// Who may act in a run: for how long, in whose name.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { eventually } from './support/server.mjs';
import { World } from './support/world.mjs';

const API = '/v1/agents/api';
const PATIENCE = 60_000;

describe('who may act in a run', () => {
  let world, upstream, at;
  const hits = [];
  const held = new Map(); // path -> replies that wait

  const send = async (key, method, path, body, headers = {}) => {
    const reply = await fetch(`${world.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: reply.status, body: await reply.json().catch(() => null) };
  };
  const make = (platform, slug, graph) => platform.api.must(201, 'POST', `${platform.path}/agents`, { slug, name: slug, graph: { spec: 'agentgraph/1', name: slug, ...graph } });
  const newThread = async (key) => (await send(key, 'POST', `${API}/threads`, {})).body.thread_id;
  const call = (path) => ({ type: 'http', method: 'POST', url: `${at}${path}`, write: {} });
  const count = (path) => hits.filter((hit) => hit === path).length;

  before(async () => {
    upstream = http.createServer((request, reply) => {
      hits.push(request.url);
      if (request.url.startsWith('/hang/')) held.set(request.url, [...held.get(request.url) ?? [], reply]);
      else reply.end('{}');
    }).listen(0, '127.0.0.1');
    await new Promise((listens) => upstream.once('listening', listens));
    at = `http://127.0.0.1:${upstream.address().port}`;
    world = await World.start({ apps: [] });
  });
  after(async () => {
    for (const reply of [...held.values()].flat()) reply.destroy();
    await world?.stop();
    upstream?.close();
    upstream?.closeAllConnections();
  });

  const WAYS = {
    'key revoked': ({ user, platform }) => send(platform.key, 'DELETE', `${user.path}/api-keys/${user.keyId}`),
    'end user suspended': ({ user, platform }) => send(platform.key, 'PATCH', user.path, { is_active: false }),
    'agent switched off': ({ platform, slug }) => send(platform.key, 'PATCH', `${platform.path}/agents/${slug}`, { is_active: false }),
    'end user struck from the agent': ({ platform, slug, other }) => send(platform.key, 'PATCH', `${platform.path}/agents/${slug}`, { end_users: [other.id] }),
  };
  for (const [index, [what, end]] of Object.entries(WAYS).entries()) {
    test(`a run ends when its right to act does: ${what}`, async () => {
      const { platform } = world;
      const [user, other] = [await world.newUser(platform), await world.newUser(platform)];
      const slug = `held-${index}`;
      await make(platform, slug, {
        state: { type: 'object', properties: {} },
        nodes: { wait: { type: 'http', method: 'GET', url: `${at}/hang/${index}`, write: {} }, act: call(`/act/${index}`) },
        edges: [{ from: '__start__', to: 'wait' }, { from: 'wait', to: 'act' }],
      });
      const thread = await newThread(user.key);
      const run = (await send(user.key, 'POST', `${API}/threads/${thread}/runs`, { assistant_id: slug, input: {} })).body;
      const here = send(user.key, 'POST', `${API}/runs/wait`, { assistant_id: slug, input: {} });
      await eventually(() => count(`/hang/${index}`) === 2, 'both runs call', PATIENCE);
      const done = await end({ user, other, platform, slug });
      assert.ok(done.status < 300, JSON.stringify(done));
      assert.match(JSON.stringify((await here).body), /revoked/);
      const ended = await eventually(async () => {
        const { body } = await send(platform.key, 'GET', `/v1/agents/runs/${run.run_id}`);
        return !['pending', 'running'].includes(body.data.status) && body.data;
      }, 'the run ends', PATIENCE);
      assert.equal(ended.status, 'error');
      assert.equal(ended.error.error ?? ended.error.code, 'revoked');
      for (const reply of held.get(`/hang/${index}`)) reply.end('{}');
      assert.equal(count(`/act/${index}`), 0);
    });
  }

  test('an agent within another is for those whom it is for itself, and while it is switched on', async () => {
    const { platform } = world;
    const [user, other] = [await world.newUser(platform), await world.newUser(platform)];
    const state = { type: 'object', properties: { by: { type: 'string' }, ok: { type: 'boolean', default: false } } };
    const part = { type: 'subgraph', graph: 'agent:part@1' };
    const edges = [{ from: '__start__', to: 'part' }];
    await make(platform, 'part', {
      state,
      nodes: { ask: { type: 'approval', when: 'state.ok', prompt: 'Well?', write: {} }, act: call('/part'), say: { type: 'transform', write: { by: 'part' } } },
      edges: [{ from: '__start__', to: 'ask' }, { from: 'ask', to: 'act' }, { from: 'act', to: 'say' }],
    });
    await make(platform, 'whole', { state, nodes: { part }, edges });
    await make(platform, 'careful', {
      state, nodes: { part: { ...part, on_error: 'late' }, late: { type: 'transform', write: { by: '${error.code}' } } }, edges,
    });
    const change = (body) => platform.api.must(200, 'PATCH', `${platform.path}/agents/part`, body);
    const stateless = async (key, agent = 'whole') => (await send(key, 'POST', `${API}/runs/wait`, { assistant_id: agent, input: {} })).body;
    const on = async (key, thread, body) => (await send(key, 'POST', `${API}/threads/${thread}/runs/wait`, { assistant_id: 'whole', ...body })).body;
    const gone = (body, what) => assert.equal(body.__error__?.error, 'agent_gone', `${what}: ${JSON.stringify(body)}`);

    const waiting = await newThread(user.key);
    assert.equal((await on(user.key, waiting, { input: { ok: true } })).__interrupt__?.length, 1);
    assert.equal((await stateless(user.key)).by, 'part');
    const before = count('/part');
    await change({ is_active: false });
    gone(await stateless(user.key), 'switched off, without a thread');
    gone(await on(user.key, await newThread(user.key), { input: {} }), 'switched off');
    gone(await stateless(platform.key), 'switched off, for the platform');
    assert.equal((await stateless(user.key, 'careful')).by, 'agent_gone');
    await change({ is_active: true, end_users: [other.id] });
    gone(await stateless(user.key), 'not for this end user');
    gone(await on(user.key, waiting, { command: { resume: true } }), 'an answer');
    assert.equal(count('/part'), before);
    assert.equal((await stateless(other.key)).by, 'part');
    assert.equal((await stateless(platform.key)).by, 'part');
    await change({ end_users: [user.id] });
    assert.equal((await on(user.key, waiting, { input: null })).by, 'part');
    assert.equal(count('/part'), before + 3);
  });

  test('who follows a run through a door is told when its thread is deleted', async () => {
    const user = await world.newUser();
    const messages = { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' };
    await make(world.platform, 'follower', {
      state: { type: 'object', properties: { messages } },
      nodes: { wait: { type: 'http', method: 'GET', url: `${at}/hang/follower`, write: {} } },
      edges: [{ from: '__start__', to: 'wait' }],
    });
    const begin = async (path, body, headers = {}) => {
      const reply = await fetch(`${world.url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${user.key}`, 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
      assert.equal(reply.status, 200);
      return { text: reply.text(), thread: reply.headers.get('x-aig-thread') ?? context };
    };
    const context = crypto.randomUUID();
    const message = { messageId: 'm', role: 'ROLE_USER', contextId: context, parts: [{ text: 'hi' }] };
    const model = 'agent/follower';
    const streams = await Promise.all([
      begin('/v1/chat/completions', { model, stream: true, messages: [{ role: 'user', content: 'hi' }] }),
      begin('/v1/responses', { model, stream: true, input: 'hi' }),
      begin('/v1/agents/a2a/follower', { jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params: { message } }, { 'a2a-version': '1.0' }),
    ]);
    await eventually(() => count('/hang/follower') === 3, 'all of them call', PATIENCE);
    for (const { thread } of streams) assert.equal((await send(user.key, 'DELETE', `${API}/threads/${thread}`)).status, 204);
    const [chat, responses, task] = await Promise.all(streams.map((one) => one.text));
    assert.match(chat, /"error":.*was deleted/);
    assert.match(responses, /event: response.failed\n.*was deleted/);
    assert.match(task, /"error":.*-32001/);
  });

  test('a platform does not act for an end user who is suspended', async () => {
    const { platform } = world;
    const user = await world.newUser();
    await make(platform, 'whoami', {
      state: { type: 'object', properties: { who: { type: 'string' } } },
      nodes: { say: { type: 'transform', write: { who: "${user.id}" } } },
      edges: [{ from: '__start__', to: 'say' }],
    });
    const thread = await newThread(user.key);
    const runs = (more = {}, headers = {}) => send(platform.key, 'POST', `${API}/threads/${thread}/runs/wait`, { assistant_id: 'whoami', input: {}, ...more }, headers);
    assert.equal((await runs()).body.who, user.id);
    assert.equal((await runs({ after_seconds: 1 })).body.who, user.id);
    await platform.api.must(200, 'PATCH', user.path, { is_active: false });
    for (const name of [user.id, (await send(platform.key, 'GET', user.path)).body.data.external_id])
      assert.equal((await runs({}, { 'x-aig-end-user': name })).status, 403);
    for (const more of [{}, { after_seconds: 1 }]) assert.match(JSON.stringify((await runs(more)).body), /caller_gone|not valid any more/);
  });

  describe('what the platform is asked', () => {
    let user;
    const run = (key, thread, body, headers) => send(key, 'POST', `${API}/threads/${thread}/runs/wait`, { assistant_id: 'pay', ...body }, headers);
    const refused = ({ status, body }, what) => assert.equal(status, 403, `${what}: ${JSON.stringify(body)}`);
    /** A thread of the end user whose run waits for the platform. */
    async function asked(input = {}) {
      const thread = await newThread(user.key);
      const { body } = await run(user.key, thread, { input: { amount: 5, ...input } });
      assert.equal(body.__interrupt__?.[0]?.value.who, 'platform', JSON.stringify(body));
      return { thread, id: body.__interrupt__[0].id };
    }

    before(async () => {
      user = await world.newUser();
      await make(world.platform, 'pay', {
        state: { type: 'object', properties: { ok: { type: 'boolean', default: false }, amount: { type: 'integer', default: 1 }, by: { type: 'string' } } },
        input: ['amount'],
        nodes: {
          slow: { type: 'router', branches: [{ when: 'state.amount > 100', to: 'wait' }, { else: 'ask' }] },
          wait: { type: 'http', method: 'GET', url: `${at}/hang/pay`, write: {} },
          ask: { type: 'approval', who: 'platform', prompt: 'Pay?', expires_s: 86400, on_expire: 'late', write: { ok: '${result.response.ok}', by: '${result.by}' } },
          decide: { type: 'router', branches: [{ when: 'state.ok', to: 'pay' }, { else: '__end__' }] },
          pay: call('/pay'), late: call('/late'),
        },
        edges: [{ from: '__start__', to: 'slow' }, { from: 'wait', to: 'ask' }, { from: 'ask', to: 'decide' }],
      });
    });

    test('is not for the end user to answer, nor to go round', async () => {
      const { thread, id } = await asked();
      const state = `${API}/threads/${thread}/state`;
      const ok = { ok: true };
      for (const command of [{ resume: ok }, { resume: { [id]: ok } }, { goto: 'pay' }, { update: { ok: true } }, { resume: ok, update: { amount: 7 } }])
        refused(await run(user.key, thread, { command }), JSON.stringify(command));
      refused(await send(user.key, 'POST', `${API}/runs/wait`, { assistant_id: 'pay', command: { goto: 'pay' } }), 'stateless');
      refused(await send(user.key, 'POST', state, { values: ok, as_node: 'ask' }), 'state');
      refused(await send(user.key, 'POST', `${API}/threads/${thread}/copy`), 'copy');
      refused(await send(user.key, 'POST', `${API}/threads`, { metadata: { graph_id: 'pay' }, supersteps: [{ updates: [{ values: ok, as_node: 'ask' }] }] }), 'supersteps');
      const said = await send(user.key, 'POST', `${API}/threads/${thread}/commands`, { id: 1, method: 'input.respond', params: { namespace: [], interrupt_id: id, response: ok } });
      assert.notEqual(said.body.type, 'success', JSON.stringify(said.body));
      for (const key of [user.key, world.platform.key]) {
        for (const resume of [{ __expired__: true }, { [id]: { __expired__: true } }]) {
          const { status } = await run(key, thread, { command: { resume } });
          assert.ok(status === 400 || status === 422, `${status}`);
        }
      }
      assert.deepEqual([count('/pay'), count('/late')], [0, 0]);

      // The thread still waits. One answer of the platform is one act.
      const answered = (await run(world.platform.key, thread, { command: { resume: ok } })).body;
      assert.equal(answered.ok, true, JSON.stringify(answered));
      assert.equal(answered.by, 'platform');
      assert.equal(count('/pay'), 1);
      const history = (await send(user.key, 'GET', `${API}/threads/${thread}/history?limit=50`)).body;
      for (const next of ['pay', 'decide', 'ask']) {
        const { checkpoint_id } = history.find((one) => one.next[0] === next).checkpoint;
        refused(await run(user.key, thread, { checkpoint_id }), next);
        refused(await run(user.key, thread, { checkpoint: { checkpoint_id }, input: { amount: 6 } }), next);
        refused(await send(user.key, 'POST', state, { values: { amount: 9 }, checkpoint_id }), next);
      }
      assert.equal(count('/pay'), 1);
      // The newest is where the thread stands: clients name it with every input.
      const { body } = await run(user.key, thread, { checkpoint_id: history[0].checkpoint.checkpoint_id, input: { amount: 6 } });
      assert.equal(body.__interrupt__?.length, 1, JSON.stringify(body));
    });

    test('is answered by the platform itself, not for the end user', async () => {
      const { thread } = await asked();
      const answer = { command: { resume: { ok: false } } };
      refused(await run(world.platform.key, thread, answer, { 'x-aig-end-user': user.id }), 'for the end user');
      const { body } = await run(world.platform.key, thread, answer);
      assert.equal(body.by, 'platform', JSON.stringify(body));
      await make(world.platform, 'mine', {
        state: { type: 'object', properties: { by: { type: 'string' } } },
        nodes: { ask: { type: 'approval', prompt: 'Well?', write: { by: '${result.by}' } } },
        edges: [{ from: '__start__', to: 'ask' }],
      });
      const own = await newThread(user.key);
      await run(user.key, own, { assistant_id: 'mine', input: {} });
      assert.equal((await run(user.key, own, { assistant_id: 'mine', command: { resume: true } })).body.by, 'end_user');
    });

    test('is not gone round by way of another agent on the thread', async () => {
      const paid = count('/pay');
      await make(world.platform, 'other', {
        state: { type: 'object', properties: { ok: { type: 'boolean', default: false }, amount: { type: 'integer', default: 1 } } },
        nodes: { pay: { type: 'transform', write: { ok: '${true}' } } },
        edges: [{ from: '__start__', to: 'pay' }],
      });
      const platformOnly = ({ body }, what) => assert.match(JSON.stringify(body), /platform_only/, what);
      const left = async () => {
        const thread = await newThread(user.key);
        const { body } = await run(user.key, thread, { assistant_id: 'other', input: { ok: true }, interrupt_before: ['pay'] });
        assert.equal(body.ok, true, JSON.stringify(body));
        return thread;
      };
      for (const body of [{}, { input: null }, { command: { resume: 'x' } }, { input: { amount: 3 } }])
        platformOnly(await run(user.key, await left(), body), JSON.stringify(body));
      const written = await left();
      const state = await send(user.key, 'POST', `${API}/threads/${written}/state`, { values: { ok: true }, as_node: '__start__' });
      assert.equal(state.status, 200, JSON.stringify(state.body));
      platformOnly(await run(user.key, written, {}), 'a state that was written');
      assert.equal(count('/pay'), paid);
      // The platform may take it over, and what it writes is the agent's own.
      const { thread } = await asked();
      await send(world.platform.key, 'POST', `${API}/threads/${thread}/state`, { values: { ok: true }, as_node: 'ask' });
      const { body } = await run(user.key, thread, {});
      assert.equal(body.ok, true, JSON.stringify(body));
      assert.equal(count('/pay'), paid + 1);
    });

    test('is no wall for the platform: it goes on from an older checkpoint', async () => {
      const { thread } = await asked();
      const history = (await send(user.key, 'GET', `${API}/threads/${thread}/history?limit=50`)).body;
      const { checkpoint_id } = history.find((one) => one.next[0] === 'slow').checkpoint;
      const { status, body } = await run(world.platform.key, thread, { checkpoint_id });
      assert.equal(body.__interrupt__?.[0]?.value.who, 'platform', `${status} ${JSON.stringify(body)}`);
    });

    test('is not answered ahead of the question', async () => {
      const paid = count('/pay');
      const thread = await newThread(user.key);
      const post = async (body) => (await send(user.key, 'POST', `${API}/threads/${thread}/runs`, { assistant_id: 'pay', ...body })).body.run_id;
      const first = await post({ input: { amount: 500 } });
      await eventually(() => held.has('/hang/pay'), 'the first run calls', PATIENCE);
      const second = await post({ command: { resume: { ok: true } } });
      for (const reply of held.get('/hang/pay')) reply.end('{}');
      const ended = (id) => eventually(async () => {
        const { body } = await send(user.key, 'GET', `/v1/agents/runs/${id}`);
        return !['pending', 'running'].includes(body.data.status) && body.data;
      }, 'the run ends', PATIENCE);
      assert.equal((await ended(first)).status, 'interrupted');
      assert.match(JSON.stringify((await ended(second)).error), /INVALID_ANSWER/);
      assert.equal(count('/pay'), paid);
      const answered = (await run(world.platform.key, thread, { command: { resume: { ok: true } } })).body;
      assert.equal(answered.ok, true, JSON.stringify(answered));
      assert.equal(count('/pay'), paid + 1);
    });
  });
});
