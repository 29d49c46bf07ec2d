// Runs through the official LangGraph SDK (2.0.0): made, waited for, followed in every mode, answered, cancelled, taken up
// again after a lost connection and a lost process. What streams tell is held against the LangGraph library itself.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { all, apiOf, clientOf, dataOf, makeAgents, slowAgent, SlowCall, SlowModel } from './support/agents.mjs';
import { addKey, fund } from './support/models.mjs';
import { startRoad } from './support/road.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const require = createRequire(new URL('../js/mcp-clients/package.json', import.meta.url));
const { Annotation, Command, MemorySaver, StateGraph, interrupt } = require('@langchain/langgraph');

const INPUT = { log: ['in'], n: 1 };
const DONE = { log: ['in', 'a', 'b', 'c'], n: 4 };
const said = (...log) => ({ log });

describe('Runs of the LangGraph API', () => {
  let world, upstream, user, client;
  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [], env: { ASSISTIV_AGENT_LEASE: '2' } });
    upstream.always((exchange) => exchange.send(200, 'quick'));
    await fund(world, world.platform);
    await addKey(world, world.platform, upstream);
    await makeAgents(world.platform, ['line', 'sub', 'ask', 'both', 'stuck', 'chat', slowAgent(`${upstream.url}/slow`)]);
    user = await world.newUser();
    client = clientOf(world, user.key);
  });
  after(async () => {
    await world?.stop();
    await upstream?.stop();
  });
  const newThread = async () => (await client.threads.create()).thread_id;

  test('a run is made, waited for, listed and deleted', async () => {
    const thread = await newThread();
    let seen;
    assert.deepEqual(await client.runs.wait(thread, 'line', { input: INPUT, onRunCreated: (meta) => (seen = meta) }), DONE);
    assert.equal(seen.thread_id, thread);
    const run = await client.runs.get(thread, seen.run_id);
    assert.deepEqual([run.status, run.multitask_strategy, run.metadata.graph_id], ['success', 'enqueue', 'line']);
    assert.deepEqual(await client.runs.join(thread, run.run_id), DONE);
    const other = await client.runs.create(thread, 'line', { input: { log: ['more'] }, metadata: { by: 'test' } });
    assert.deepEqual((await client.runs.join(thread, other.run_id)).log, [...DONE.log, 'more', 'a', 'b', 'c']);
    assert.deepEqual((await client.runs.list(thread)).map((one) => one.run_id), [other.run_id, run.run_id]);
    assert.deepEqual((await client.runs.list(thread, { limit: 1, offset: 1, select: ['run_id'] })), [{ run_id: run.run_id }]);
    assert.deepEqual(await client.runs.list(thread, { status: 'error' }), []);
    await client.runs.delete(thread, run.run_id);
    await assert.rejects(client.runs.get(thread, run.run_id), /404/);
    await assert.rejects(client.runs.get(await newThread(), other.run_id), /404/);
    await assert.rejects(client.runs.wait(crypto.randomUUID(), 'line', { input: INPUT }), /404/);
    await assert.rejects(client.runs.wait(thread, 'nobody', { input: INPUT }), /404.*assistants\/search/s);
    await assert.rejects(client.runs.wait(thread, 'line', { input: INPUT, streamMode: 'x', interruptBefore: ['nowhere'] }), /422/);
  });

  test('runs are of their end user alone', async () => {
    const thread = await newThread();
    const run = await client.runs.create(thread, 'line', { input: INPUT });
    await client.runs.join(thread, run.run_id);
    const stranger = clientOf(world, (await world.newUser()).key);
    await assert.rejects(stranger.runs.get(thread, run.run_id), /404/);
    await assert.rejects(stranger.runs.join(thread, run.run_id), /404/);
    await assert.rejects(stranger.runs.wait(thread, 'line', { input: INPUT }), /404/);
    await assert.rejects(all(stranger.runs.joinStream(thread, run.run_id)), /404/);
    await assert.rejects(all(stranger.runs.joinStream(null, run.run_id)), /404/);
    await assert.rejects(stranger.runs.cancel(thread, run.run_id), /404/);
    await assert.rejects(stranger.runs.delete(thread, run.run_id), /404/);
    const platform = clientOf(world, world.platform.key);
    assert.equal((await platform.runs.get(thread, run.run_id)).run_id, run.run_id);
    const acting = clientOf(world, world.platform.key, { defaultHeaders: { 'x-aig-end-user': user.id } });
    assert.equal((await acting.runs.list(thread)).length, 1);
  });

  test('what streams tell is what the LangGraph library tells', async () => {
    const word = (text) => () => ({ log: [text], n: 1 });
    const shape = Annotation.Root({
      log: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }), n: Annotation({ reducer: (a, b) => a + b, default: () => 0 }),
    });
    const line = new StateGraph(shape).addNode('a', word('a')).addNode('b', word('b')).addNode('c', word('c'))
      .addEdge('__start__', 'a').addEdge('a', 'b').addEdge('b', 'c').compile({ checkpointer: new MemorySaver() });
    const modes = ['values', 'updates', 'tasks', 'checkpoints', 'debug'];
    const theirs = await all(await line.stream(INPUT, { streamMode: modes, configurable: { thread_id: 't' } }));
    const ours = await all(client.runs.stream(await newThread(), 'line', { input: INPUT, streamMode: modes }));
    assert.equal(ours[0].event, 'metadata');
    assert.equal(ours.at(-1).event, 'end');

    const task = ({ name, input, result, interrupts }) => JSON.parse(JSON.stringify({ name, input, result, interrupts }));
    const checkpoint = ({ values, next, metadata, tasks }) => ({
      values, next, step: metadata.step, source: metadata.source, tasks: tasks.map(({ name }) => name),
    });
    const same = {
      values: (data) => data, updates: (data) => data, tasks: task, checkpoints: checkpoint,
      debug: ({ step, type, payload }) => ({ step, type, payload: type === 'checkpoint' ? checkpoint(payload) : task(payload) }),
    };
    // The channel of the input is one of theirs alone, and so are the defaults of what nobody has written.
    const began = (data) => JSON.stringify(data.payload ?? data).includes('__start__');
    for (const mode of modes) {
      const told = theirs.filter(([name]) => name === mode).map(([, data]) => data).filter((data) => !began(data)).map(same[mode]);
      assert.deepEqual(dataOf(ours, mode).filter((data) => !began(data)).map(same[mode]), told, mode);
    }
    for (const { config, checkpoint: name, parent_checkpoint: parent } of dataOf(ours, 'checkpoints').slice(1)) {
      assert.deepEqual(config.configurable, name);
      assert.ok(parent.checkpoint_id < name.checkpoint_id);
    }
  });

  test('an interrupt is told as the library tells it, and answered', async () => {
    const shape = Annotation.Root({ log: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }) });
    const graph = new StateGraph(shape).addNode('question', () => ({ log: [interrupt('well?')] })).addNode('after', () => ({ log: ['after'] }))
      .addEdge('__start__', 'question').addEdge('question', 'after').compile({ checkpointer: new MemorySaver() });
    const thread = await newThread();
    const modes = ['values', 'updates'];
    const config = { streamMode: modes, configurable: { thread_id: 't' } };
    const shown = (mode, data) => [mode, data.__interrupt__ ? { __interrupt__: data.__interrupt__.map(({ value }) => value.prompt ?? value) } : data];
    const theirs = async (input) => (await all(await graph.stream(input, config))).map(([mode, data]) => shown(mode, data));
    const ours = async (payload) => (await all(client.runs.stream(thread, 'ask', { ...payload, streamMode: modes })))
      .filter(({ event }) => modes.includes(event)).map(({ event, data }) => shown(event, data));
    const sorted = (parts) => parts.map((part) => JSON.stringify(part)).sort();
    assert.deepEqual(sorted(await ours({ input: { log: ['in'] } })), sorted(await theirs({ log: ['in'] })));
    const { interrupts, status } = await client.threads.get(thread);
    assert.equal(status, 'interrupted');
    assert.match(Object.values(interrupts).flat()[0].id, /^[0-9a-f]{32}$/);
    // The library says first how the state is that the run goes on from.
    const [before, ...rest] = await theirs(new Command({ resume: 'yes' }));
    assert.deepEqual(before, ['values', { log: ['in'] }]);
    assert.deepEqual(sorted(await ours({ command: { resume: 'yes' } })), sorted(rest));
    assert.equal((await client.threads.get(thread)).status, 'idle');
  });

  test('several interrupts at once are answered by their ids', async () => {
    const thread = await newThread();
    const first = await client.runs.wait(thread, 'both', { input: { log: [] } });
    const [left, right] = ['left', 'right'].map((name) => first.__interrupt__.find(({ value }) => value.prompt === name).id);
    await assert.rejects(client.runs.wait(thread, 'both', { command: { resume: 'which?' } }), /MULTIPLE_INTERRUPTS/);
    const second = await client.runs.wait(thread, 'both', { command: { resume: { [right]: 'R' } } });
    assert.deepEqual(second.__interrupt__.map(({ id }) => id), [left]);
    assert.deepEqual((await client.runs.wait(thread, 'both', { command: { resume: { [left]: 'L' } } })).log, ['L', 'R']);
  });

  test('subgraphs are told with their namespaces', async () => {
    const parts = await all(client.runs.stream(await newThread(), 'sub', { input: { log: [] }, streamMode: ['updates', 'values'], streamSubgraphs: true }));
    const inner = parts.find(({ event }) => /^updates\|outer:[0-9a-f-]{36}$/.test(event));
    assert.deepEqual(inner.data, { deep: { log: ['deep'] } });
    const alone = await all(client.runs.stream(await newThread(), 'sub', { input: { log: [] }, streamMode: 'updates' }));
    assert.deepEqual(dataOf(alone, 'updates'), [{ outer: { log: ['deep'] } }, { after: { log: ['after'] } }]);
    assert.ok(alone.every(({ event }) => !event.includes('|')));
  });

  test('a model is heard while it speaks', async () => {
    const model = new SlowModel(upstream);
    const stream = client.runs.stream(await newThread(), 'chat', { input: { messages: [{ type: 'human', content: 'hi' }] }, streamMode: ['messages-tuple', 'messages', 'values', 'events'] });
    const parts = [];
    for await (const part of stream) {
      parts.push(part);
      const chunks = dataOf(parts, 'messages').length;
      if (parts.length === 1) await model.say('Hel');
      if (part.event === 'messages' && chunks === 1) {
        await model.say('lo');
        await model.end();
      }
    }
    const tuples = dataOf(parts, 'messages');
    assert.equal(tuples.map(([chunk]) => chunk.content).join(''), 'Hello');
    assert.equal(new Set(tuples.map(([chunk]) => chunk.id)).size, 1);
    const [, meta] = tuples[0];
    assert.equal(meta.langgraph_node, 'answer');
    assert.match(meta.langgraph_checkpoint_ns, /^answer:[0-9a-f-]{36}$/);
    assert.equal(dataOf(parts, 'messages/metadata').length, 1);
    assert.equal(dataOf(parts, 'messages/partial').at(-1)[0].content, 'Hello');
    assert.deepEqual(dataOf(parts, 'messages/complete').flat().map(({ type }) => type), ['human', 'ai']);
    assert.equal(dataOf(parts, 'values').at(-1).messages.at(-1).content, 'Hello');
    const kinds = dataOf(parts, 'events').map(({ event }) => event);
    for (const kind of ['on_chain_start', 'on_chat_model_stream', 'on_chat_model_end', 'on_chain_end']) assert.ok(kinds.includes(kind), kind);
  });

  test('a failure is told as LangGraph tells it', async () => {
    const raw = await client.runs.wait(await newThread(), 'stuck', { input: { n: 1 }, raiseError: false });
    assert.equal(raw.__error__.error, 'ended_in_error');
    await assert.rejects(client.runs.wait(await newThread(), 'stuck', { input: { n: 1 } }), /ended_in_error: /);
    const parts = await all(client.runs.stream(await newThread(), 'stuck', { input: { n: 1 } }));
    assert.equal(parts.at(-1).event, 'error');
    assert.equal(parts.at(-1).data.error, 'ended_in_error');
  });

  test('time travel: a run goes on from a checkpoint of the past', async () => {
    const thread = await newThread();
    const checkpoints = dataOf(await all(client.runs.stream(thread, 'line', { input: INPUT, streamMode: 'checkpoints' })), 'checkpoints');
    const past = checkpoints.find(({ metadata }) => metadata.step === 2);
    assert.deepEqual(past.next, ['c']);
    const parts = await all(client.runs.stream(thread, 'line', { input: null, checkpointId: past.checkpoint.checkpoint_id, streamMode: ['values', 'checkpoints', 'updates'] }));
    assert.deepEqual(dataOf(parts, 'values').at(-1), DONE);
    assert.deepEqual(dataOf(parts, 'updates').map((data) => Object.keys(data)), [['c']]);
    const [fork] = dataOf(parts, 'checkpoints');
    assert.deepEqual([fork.metadata.source, fork.parent_checkpoint.checkpoint_id], ['fork', past.checkpoint.checkpoint_id]);
    const stopped = await client.runs.wait(thread, 'line', { input: { log: ['x'] }, interruptBefore: ['b'] });
    assert.equal(stopped.log.at(-1), 'a');
    assert.deepEqual((await client.runs.wait(thread, 'line', { input: null })).log.slice(-3), ['a', 'b', 'c']);
  });

  test('double texting: enqueue, reject, interrupt, rollback', async () => {
    const thread = await newThread();
    const busy = async (input) => {
      const model = new SlowCall(upstream);
      const run = await client.runs.create(thread, 'slow', { input });
      await model.asked;
      return { model, run };
    };
    const first = await busy(said('one'));
    await assert.rejects(client.runs.create(thread, 'slow', { input: said('no'), multitaskStrategy: 'reject' }), /409/);
    const queued = await client.runs.create(thread, 'slow', { input: said('two') });
    assert.equal(queued.status, 'pending');
    await first.model.end('1');
    assert.deepEqual((await client.runs.join(thread, queued.run_id)).log, ['one', 'noted', '1', 'two', 'noted', 'quick']);

    const second = await busy(said('three'));
    const over = await client.runs.wait(thread, 'slow', { input: said('four'), multitaskStrategy: 'interrupt' });
    assert.deepEqual(over.log.slice(-5), ['three', 'noted', 'four', 'noted', 'quick']);
    assert.equal((await client.runs.get(thread, second.run.run_id)).status, 'interrupted');

    const third = await busy(said('five'));
    const back = await client.runs.wait(thread, 'slow', { input: said('six'), multitaskStrategy: 'rollback' });
    assert.deepEqual(back.log.slice(-6), ['four', 'noted', 'quick', 'six', 'noted', 'quick']);
    await assert.rejects(client.runs.get(thread, third.run.run_id), /404/);
  });

  test('cancelling reaches the call in flight, ends streams and is final', async () => {
    const thread = await newThread();
    const model = new SlowCall(upstream);
    const run = await client.runs.create(thread, 'slow', { input: said('hi'), streamMode: ['values'] });
    const parts = all(client.runs.joinStream(thread, run.run_id));
    const exchange = await model.asked;
    await client.runs.cancel(thread, run.run_id, true);
    await exchange.closed;
    assert.equal((await client.runs.get(thread, run.run_id)).status, 'interrupted');
    assert.equal((await parts).at(-1).event, 'error');
    await client.runs.cancel(thread, run.run_id);
    assert.equal((await client.runs.get(thread, run.run_id)).status, 'interrupted');

    const again = new SlowCall(upstream);
    const rolled = await client.runs.create(thread, 'slow', { input: said('gone') });
    await again.asked;
    await client.runs.cancel(thread, rolled.run_id, true, 'rollback');
    await assert.rejects(client.runs.get(thread, rolled.run_id), /404/);

    const bulk = [new SlowCall(upstream), await client.runs.create(thread, 'slow', { input: said('a') }), await client.runs.create(thread, 'slow', { input: said('b') })];
    await bulk[0].asked;
    const reply = await user.api.send('POST', '/v1/agents/api/runs/cancel', { thread_id: thread, run_ids: [bulk[1].run_id, bulk[2].run_id] });
    assert.equal(reply.status, 204);
    await eventually(async () => (await client.runs.list(thread, { status: 'interrupted' })).length === 3, 'all cancelled');
    assert.equal((await user.api.send('POST', '/v1/agents/api/runs/cancel', { thread_id: thread, status: 'all' })).status, 422);
    assert.equal((await user.api.send('POST', '/v1/agents/api/runs/cancel', { status: 'all' })).status, 204);
  });

  test('who goes away cancels the run, unless it said continue', async () => {
    const thread = await newThread();
    for (const [onDisconnect, status] of [['cancel', 'interrupted'], ['continue', 'success']]) {
      const model = new SlowCall(upstream);
      const stop = new AbortController();
      let id;
      const parts = all(client.runs.stream(thread, 'slow', { input: said('hi'), onDisconnect, signal: stop.signal, onRunCreated: ({ run_id }) => (id = run_id) })).catch(() => {});
      await model.asked;
      stop.abort();
      await parts;
      if (onDisconnect === 'continue') await model.end('late');
      await eventually(async () => (await client.runs.get(thread, id)).status === status, `${onDisconnect}: ${status}`);
    }
  });

  test('a lost connection is taken up again where it was', async () => {
    const road = await startRoad(world.server);
    try {
      const over = clientOf(world, user.key, { apiUrl: `${road.url}/v1/agents/api` });
      const model = new SlowCall(upstream);
      const thread = await newThread();
      const parts = [];
      for await (const part of over.runs.stream(thread, 'slow', { input: said('hi'), streamMode: ['values', 'updates'], streamResumable: true, onDisconnect: 'continue' })) {
        parts.push(part);
        if (part.event !== 'updates' || dataOf(parts, 'updates').length > 1) continue;
        await model.asked;
        road.cut();
        await model.end('there');
      }
      assert.deepEqual(dataOf(parts, 'values'), [{ log: ['hi'] }, { log: ['hi', 'noted'] }, { log: ['hi', 'noted', 'there'] }]);
      assert.equal(parts.filter(({ event }) => event === 'metadata').length, 1);
      const ids = parts.filter(({ event }) => event === 'values').map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      const run = (await client.runs.list(thread))[0];
      const replay = await all(client.runs.joinStream(thread, run.run_id, { lastEventId: '-1' }));
      assert.deepEqual(dataOf(replay, 'values'), dataOf(parts, 'values'));
      const rest = await all(client.runs.joinStream(thread, run.run_id, { lastEventId: ids.at(-1), streamMode: ['values'] }));
      assert.deepEqual(rest.map(({ event }) => event), ['end']);
    } finally {
      road.stop();
    }
  });

  test('who comes in mid-answer, or comes back to it, has all of it once', async () => {
    const road = await startRoad(world.server);
    try {
      const over = clientOf(world, user.key, { apiUrl: `${road.url}/v1/agents/api` });
      const model = new SlowModel(upstream);
      const thread = await newThread();
      const run = await client.runs.create(thread, 'chat', { input: { messages: [{ type: 'human', content: 'hi' }] }, streamMode: ['messages-tuple', 'values'] });
      const chunks = (parts) => dataOf(parts, 'messages').filter(([{ type }]) => type !== 'human').map(([{ content }]) => content);
      const heard = (stream) => {
        const parts = [];
        const ended = (async () => {
          for await (const part of stream) parts.push(part);
        })();
        ended.catch(() => {});
        return { parts, ended, hears: (text) => eventually(() => chunks(parts).join('') === text, () => `"${text}": ${JSON.stringify(parts)}`, 60_000) };
      };
      const join = (by, options = {}) => heard(by.runs.joinStream(thread, run.run_id, { streamMode: ['messages-tuple', 'values'], ...options }));
      await model.say('Good ');
      const first = join(over);
      await first.hears('Good ');
      await model.say('eve');
      await first.hears('Good eve');
      const second = join(client);
      await second.hears('Good eve');
      assert.deepEqual(chunks(second.parts), chunks(first.parts), 'the same pieces');
      const stop = new AbortController();
      const whole = heard(client.threads.joinStream(thread, { streamMode: ['run_modes'], signal: stop.signal }));
      await whole.hears('Good eve');
      road.cut();
      await model.say('ning');
      for (const one of [second, whole]) await one.hears('Good evening');
      // As a page does that is loaded anew with what it has.
      const had = [...first.parts];
      const back = join(client, { lastEventId: had.findLast(({ event }) => event === 'messages').id });
      await back.hears('Good evening'.slice(chunks(had).join('').length));
      await model.end();
      await Promise.all([second.ended, back.ended]);
      assert.equal(chunks(second.parts).join(''), 'Good evening');
      assert.equal(dataOf(second.parts, 'values').at(-1).messages.at(-1).content, 'Good evening');
      const late = await all(client.runs.joinStream(thread, run.run_id, { streamMode: ['messages-tuple'] }));
      assert.deepEqual(chunks(late), ['Good evening']);
      await whole.hears('Good evening');
      stop.abort();
    } finally {
      road.stop();
    }
  });

  test('without a thread nothing is kept', async () => {
    assert.deepEqual(await client.runs.wait(null, 'line', { input: INPUT }), DONE);
    const parts = await all(client.runs.stream(null, 'line', { input: INPUT, streamMode: ['values', 'updates'] }));
    assert.deepEqual(dataOf(parts, 'values').at(-1), DONE);
    assert.deepEqual(dataOf(parts, 'updates').map((data) => Object.keys(data)[0]), ['a', 'b', 'c']);
    assert.equal(parts.at(-1).event, 'end');
    await assert.rejects(client.runs.wait(null, 'stuck', { input: { n: 1 } }), /ended_in_error/);
    // One of which nothing is kept is told to operators, too, when it fails.
    const lines = () => world.server.log().split('\n').filter((line) => line.includes('"agent.run"') && line.includes('ended_in_error')).map((line) => JSON.parse(line));
    const line = await eventually(() => lines().at(-1), 'the run is logged');
    assert.deepEqual([line.status, line['gen_ai.agent.name'], line.end_user_id], ['error', 'stuck', user.id]);
    const metrics = await (await fetch(`${world.url}/metrics`)).text();
    assert.match(metrics, /^assistiv_agent_runs_total\{end="error"\} [1-9]/m);
    for (const name of ['assistiv_agent_runs_running', 'assistiv_agent_places_taken{of="kept"}', 'assistiv_agent_places_taken{of="not_kept"}', 'assistiv_agent_journal_batch_bucket{le="1"}'])
      assert.ok(metrics.includes(`\n${name} `), name);
    await assert.rejects(client.runs.wait(null, 'nobody', { input: INPUT }), /404/);
    await assert.rejects(all(client.runs.stream(null, 'nobody', { input: INPUT })), /404/);
    const [one, two] = await client.runs.createBatch([{ assistantId: 'line', input: INPUT }, { assistantId: 'line', input: { log: [] } }]);
    assert.notEqual(one.run_id, two.run_id);
    const later = await all(client.runs.joinStream(null, one.run_id));
    assert.deepEqual(dataOf(later, 'values').at(-1), DONE);
  });

  test('a thread is followed over its runs', async () => {
    const thread = await newThread();
    const stop = new AbortController();
    const parts = [];
    const following = (async () => {
      for await (const part of client.threads.joinStream(thread, { streamMode: ['run_modes', 'lifecycle'], lastEventId: '0', signal: stop.signal })) {
        parts.push(part);
        if (dataOf(parts, 'metadata').filter(({ status }) => status === 'run_done').length === 2) stop.abort();
      }
    })().catch(() => {});
    await client.runs.wait(thread, 'line', { input: INPUT });
    await client.runs.wait(thread, 'line', { input: INPUT });
    await following;
    assert.equal(dataOf(parts, 'values').length, 8);
    assert.equal(dataOf(parts, 'metadata').filter(({ attempt }) => attempt === 1).length, 2);
  });

  test('the same request with the same key makes one run', async () => {
    const thread = await newThread();
    const send = (body, key = 'once') => user.api.send('POST', `/v1/agents/api/threads/${thread}/runs`, body, { headers: { 'idempotency-key': key } });
    const first = await send({ assistant_id: 'line', input: INPUT });
    assert.equal(first.headers.get('content-location'), `/threads/${thread}/runs/${first.body.run_id}`);
    const second = await send({ assistant_id: 'line', input: INPUT });
    assert.deepEqual([second.status, second.body.run_id, second.headers.get('idempotent-replayed')], [200, first.body.run_id, 'true']);
    assert.equal((await send({ assistant_id: 'line', input: { log: [] } })).status, 409);
    assert.notEqual((await send({ assistant_id: 'line', input: INPUT }, 'twice')).body.run_id, first.body.run_id);
  });

  test('the heads of streams, and bodies that are refused', async () => {
    const thread = await newThread();
    const headers = { 'x-api-key': user.key, 'content-type': 'application/json' };
    const reply = await fetch(`${apiOf(world)}/threads/${thread}/runs/stream`, { method: 'POST', headers, body: JSON.stringify({ assistant_id: 'line', input: INPUT }) });
    const run = reply.headers.get('content-location');
    assert.match(run, new RegExp(`^/threads/${thread}/runs/[0-9a-f-]{36}$`));
    assert.equal(reply.headers.get('location'), `${run}/stream`);
    assert.equal(reply.headers.get('x-accel-buffering'), 'no');
    assert.match(await reply.text(), /^event: metadata\ndata: .*\n\nevent: values\ndata: .*\nid: \d+\n\n/);
    const repeated = await fetch(`${apiOf(world)}${run}/stream?stream_mode=values&stream_mode=updates`, { headers });
    assert.match(await repeated.text(), /event: values\n/);
    for (const body of [{}, { assistant_id: 'line', stream_mode: 'x' }, { assistant_id: 'line', feedback_keys: ['a'] }, { assistant_id: 'line', on_disconnect: 'x' }]) {
      const refused = await user.api.send('POST', `/v1/agents/api/threads/${thread}/runs/stream`, body);
      assert.equal(refused.status, 422, JSON.stringify(refused.body));
      assert.ok(refused.body.detail && refused.body.message && refused.body.error.code);
    }
  });

  test('a process that is killed in mid-stream loses nothing', async () => {
    const thread = await newThread();
    const model = new SlowCall(upstream);
    const parts = [];
    let killed = false;
    for await (const part of client.runs.stream(thread, 'slow', { input: said('hi'), streamMode: 'values', onDisconnect: 'continue', streamResumable: true })) {
      parts.push(part);
      if (dataOf(parts, 'values').length < 2 || killed) continue;
      killed = true;
      await model.asked;
      await world.server.kill();
      await world.boot();
    }
    assert.equal(parts.at(-1).event, 'end');
    assert.deepEqual(dataOf(parts, 'values'), [{ log: ['hi'] }, { log: ['hi', 'noted'] }, { log: ['hi', 'noted', 'quick'] }]);
    assert.equal(dataOf(parts, 'metadata').at(-1).attempt, 2);
    assert.equal((await client.runs.list(thread))[0].status, 'success');
  });
});
