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
});
