// What runs of agents do outside: models that the end user pays for, tools that they were granted, what is asked first.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { addKey, fund, MODEL, post, usageOf } from './support/models.mjs';
import { eventually } from './support/server.mjs';
import { CHAT, startUpstream } from './support/upstream.mjs';
import { followConnect, RETURN_URL, World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };
const POLICY = { mode: 'all', tools: [], deny: [], require_approval: { classes: [], tools: [] } };
const chunk = (delta, finish = null) => `data: ${JSON.stringify({ id: 'c', created: 1, model: 'served', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const calls = (name, args) => (exchange) => exchange.stream(
  chunk({ role: 'assistant', tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name, arguments: JSON.stringify(args) } }] })
  + chunk({}, 'tool_calls') + CHAT.end.slice(CHAT.end.indexOf('\n\n') + 2));

describe('What agents do outside', () => {
  let world, upstream, platform;
  before(async () => {
    upstream = await startUpstream();
    world = await World.start();
    ({ platform } = world);
    await fund(world, platform);
    await addKey(world, platform, upstream);
    const branch = { type: 'llm', model: 'default', messages: 'messages', params: { max_tokens: 100 } };
    const agents = [
      { slug: 'helper', apps: ['github'] },
      { slug: 'wide', limits: { max_cost_usd: '0.0000001' }, graph: {
        spec: 'agentgraph/1', name: 'wide',
        state: { type: 'object', properties: { messages: { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' } } },
        nodes: { a: branch, b: branch, c: branch }, edges: [{ from: '__start__', to: ['a', 'b', 'c'] }],
      } },
    ];
    for (const agent of agents) await platform.api.must(201, 'POST', `${platform.path}/agents`, { name: agent.slug, model: MODEL, ...agent });
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });
  const policy = (change) => platform.api.must(200, 'PUT', `${platform.path}/mcp/apps/github/policy`, { ...POLICY, ...change });
  const api = (user, path, body) => post(world.url, `/v1/agents/api${path}`, user.key, body);
  const newThread = async (user) => (await api(user, '/threads', {})).body.thread_id;
  const get = async (user, path) => (await fetch(`${world.url}/v1/agents/api${path}`, { headers: { authorization: `Bearer ${user.key}` } })).json();
  /** A command of the thread protocol, and the thread as it stands when its run is over or waits. */
  async function command(user, thread, method, params) {
    const { body } = await api(user, `/threads/${thread}/commands`, { id: 1, method, params });
    assert.equal(body.type, 'success', JSON.stringify(body));
    const ended = await eventually(async () => {
      const found = await get(user, `/threads/${thread}`);
      return !['busy', 'pending'].includes(found.status) && found;
    }, 'the end of the run');
    return { ...ended.values, run: body.result.run_id, status: ended.status, error: JSON.stringify(ended.error ?? null), waits: Object.values(ended.interrupts ?? {}).flat() };
  }
  const start = (user, thread, agent = 'helper') => command(user, thread, 'run.start', { assistant_id: agent, input: { messages: [{ type: 'human', content: 'Hello' }] } });
  const ask = (user, thread) => start(user, thread);
  const respond = (user, thread, interrupt) => command(user, thread, 'input.respond', { namespace: [], interrupt_id: interrupt.id, response: true });
  const idle = (user, thread) => eventually(async () => {
    const found = await get(user, `/threads/${thread}`);
    return found.status === 'idle' && found.values;
  }, 'the run goes on');
  const issues = () => world.github.counters().requests.filter((one) => JSON.stringify(one).includes('POST') && JSON.stringify(one).includes('/issues')).length;

  test('an agent calls models and tools as its end user, who pays', async () => {
    const user = await world.newConnectedUser();
    await platform.api.must(201, 'POST', `${user.path}/budget`, { max_usd: '1' });
    upstream.next(calls('github_create_issue', { ...AT, title: 'From a run' }));
    const thread = await newThread(user);
    const values = await ask(user, thread);
    assert.deepEqual(values.messages.map((message) => message.type), ['human', 'ai', 'tool', 'ai']);
    assert.match(values.messages[2].content, /From a run/);
    assert.equal(values.messages[3].content, 'Hello there');
    const rows = await eventually(async () => {
      const found = await usageOf(platform, `&end_user_id=${user.id}`);
      return found.length === 2 && found;
    }, 'two usage rows');
    for (const row of rows) assert.deepEqual([row.run_id, row.request_type], [values.run, 'agent']);
    const spent = rows.reduce((sum, row) => sum + Number(row.cost_usd), 0);
    assert.ok(spent > 0);
    await eventually(async () => Math.abs(Number((await platform.api.must(200, 'GET', `${user.path}/budget`)).used_usd) - spent) < 1e-9, 'the budget has paid');
    assert.equal(new Set(rows.map((row) => row.request_id)).size, 2);
    const entries = () => world.audit(platform, `&event=tool.called&end_user_id=${user.id}`);
    await eventually(async () => (await entries()).length > 0, 'the call is in the trail');
    assert.equal((await entries()).length, 1);
    assert.equal((await entries())[0].details.run_id, values.run);
  });

  test('what is not granted is no tool of the agent\'s, and a budget that is used up ends the run', async () => {
    const user = await world.newConnectedUser();
    await platform.api.must(200, 'PUT', `${user.path}/grants`, { grants: [{ app: 'github', mode: 'list', tools: ['github_get_me'] }] });
    const before = issues();
    upstream.next(calls('github_create_issue', { ...AT, title: 'x' }));
    const values = await ask(user, await newThread(user));
    assert.equal(values.messages[2].status, 'error');
    assert.equal(issues(), before);
    assert.deepEqual(upstream.last.body.tools.map((tool) => tool.function.name), ['github_get_me']);
    const poor = await world.newUser();
    await platform.api.must(201, 'POST', `${poor.path}/budget`, { max_usd: '0.000001' });
    const thread = await newThread(poor);
    const failed = await start(poor, thread);
    assert.equal(failed.status, 'error');
    assert.match(failed.error, /budget/);
  });

  test('an approval parks the run, which goes on when it is given', async () => {
    const user = await world.newConnectedUser();
    await policy({ require_approval: { classes: [], tools: ['github_create_issue'] } });
    upstream.next(calls('github_create_issue', { ...AT, title: 'Approved' }));
    const thread = await newThread(user);
    const [parked] = (await ask(user, thread)).waits;
    assert.equal(parked.value.type, 'approval_required');
    const before = issues();
    const [again] = (await respond(user, thread, parked)).waits;
    assert.equal(again.value.ask.approval_id, parked.value.ask.approval_id, 'it is not decided yet');
    await platform.api.must(200, 'POST', `${platform.path}/approvals/${again.value.ask.approval_id}/approve`, {});
    const done = await idle(user, thread); // by itself
    assert.match(done.messages[2].content, /Approved/);
    assert.equal(issues(), before + 1);
    await policy({});
  });

  test('a missing connection parks the run with a link, and it goes on when the user has connected', async () => {
    const user = await world.newUser();
    upstream.next(calls('github_create_issue', { ...AT, title: 'Connected' }));
    const thread = await newThread(user);
    const [parked] = (await ask(user, thread)).waits;
    assert.equal(parked.value.type, 'connection_required');
    const landed = await followConnect(parked.value.ask.connect_url, { stopAt: new URL(RETURN_URL).host });
    assert.equal(landed.searchParams.get('status'), 'connected');
    const done = await idle(user, thread); // by itself
    assert.match(done.messages[2].content, /Connected/);
  });

  test('the cap of a run holds before anything is sent', async () => {
    const user = await world.newUser();
    const before = upstream.exchanges.length;
    const thread = await newThread(user);
    const failed = await start(user, thread, 'wide');
    assert.equal(failed.status, 'error');
    assert.match(failed.error, /budget of the run cannot pay/);
    assert.equal(upstream.exchanges.length, before);
  });
});
