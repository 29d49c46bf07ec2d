// Small graphs carried out by the LangGraph library and by ours: the same checkpoints (step, source, values, next) in
// the same order, and the same updates. The first ones by our planner alone; those with subgraphs, retries and events of
// streams by the executor, from a document of agentgraph/1.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { createRequire } from 'node:module';
import test from 'node:test';
import { BINARY } from './support/server.mjs';

const require = createRequire(new URL('../js/mcp-clients/package.json', import.meta.url));
const { Annotation, Command, END, MemorySaver, Send, StateGraph, interrupt } = require('@langchain/langgraph');

const ORACLE = path.join(path.dirname(BINARY), 'tests', 'pregel_oracle');

const CHANNELS = {
  last: () => Annotation(),
  append: () => Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }),
  sum: () => Annotation({ reducer: (a, b) => a + b, default: () => 0 }),
  any: () => Annotation({ reducer: (_, b) => b }),
};

const filled = (value, input, answer) => {
  if (value === '$input') return input;
  if (value === '$answer') return answer;
  return Array.isArray(value) ? value.map((one) => filled(one, input, answer)) : value;
};

function nodeOf(name, body, updates) {
  return (input) => {
    const answer = body.asks === undefined ? undefined : interrupt(body.asks);
    const writes = Object.fromEntries(Object.entries(body.writes ?? {}).map(([k, v]) => [k, filled(v, input, answer)]));
    updates.push([name, writes]);
    if (!body.to && !body.sends) return writes;
    return new Command({ update: writes, goto: [...(body.to ?? []), ...(body.sends ?? []).map(([node, arg]) => new Send(node, arg))] });
  };
}

function compiled(graph, updates) {
  const state = Object.fromEntries(Object.entries(graph.state).map(([key, reducer]) => [key, CHANNELS[reducer]()]));
  const builder = new StateGraph(Annotation.Root(state));
  for (const [name, body] of Object.entries(graph.nodes)) {
    const ends = [...(body.to ?? []), ...(body.sends ?? []).map(([node]) => node)];
    builder.addNode(name, nodeOf(name, body, updates), { ...(ends.length ? { ends } : {}), ...(body.defer ? { defer: true } : {}) });
  }
  for (const [from, targets] of graph.edges) for (const to of targets) builder.addEdge(from, to === '__end__' ? END : to);
  for (const [from, to] of graph.joins ?? []) builder.addEdge(from, to);
  return builder.compile({ checkpointer: new MemorySaver() });
}

async function theirs(graph) {
  const updates = [];
  const app = compiled(graph, updates);
  let config = { configurable: { thread_id: 't' } };
  for (const action of graph.actions) {
    if (action.update) {
      await app.updateState(config, action.update, action.as);
      continue;
    }
    let from = config;
    if (action.back !== undefined) {
      for await (const one of app.getStateHistory(config)) {
        if (one.metadata.step === action.back) {
          from = one.config;
          break;
        }
      }
    }
    const input = action.input ?? ('resume' in action ? new Command({ resume: action.resume }) : null);
    await app.invoke(input, { ...from, interruptBefore: action.interrupt_before });
  }
  const history = [];
  for await (const one of app.getStateHistory(config)) {
    history.unshift({ step: one.metadata.step, source: one.metadata.source, values: one.values, next: [...one.next].sort() });
  }
  return { history, updates };
}

function ours(graph) {
  const run = spawnSync(ORACLE, { input: JSON.stringify(graph) + '\n', encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const out = JSON.parse(run.stdout);
  for (const one of out.history ?? []) one.next.sort();
  return out;
}

const word = (text) => ({ writes: { log: [text] } });
const GRAPHS = {
  'a line with reducers': {
    state: { log: 'append', n: 'sum', x: 'last' },
    nodes: { a: { writes: { log: ['a'], n: 2 } }, b: { writes: { log: ['b'], n: 3, x: 'y' } } },
    edges: [['__start__', ['a']], ['a', ['b']], ['b', ['__end__']]],
    actions: [{ input: { log: ['in'], x: 'z' } }, { input: { log: ['again'] } }],
  },
  'branches side by side, and a node that each sets off': {
    state: { log: 'append' },
    nodes: { b: word('b'), a: word('a'), a2: word('a2'), c: word('c') },
    edges: [['__start__', ['b', 'a']], ['a', ['a2']], ['a2', ['c']], ['b', ['c']]],
    actions: [{ input: { log: [] } }],
  },
  'a join waits for both': {
    state: { log: 'append' },
    nodes: { a: word('a'), b: word('b'), b2: word('b2'), c: word('c') },
    edges: [['__start__', ['a', 'b']], ['b', ['b2']]],
    joins: [[['a', 'b2'], 'c']],
    actions: [{ input: { log: [] } }],
  },
  'a deferred node is last': {
    state: { log: 'append' },
    nodes: { a: word('a'), b: word('b'), b2: word('b2'), c: { ...word('c'), defer: true } },
    edges: [['__start__', ['a', 'b']], ['a', ['c']], ['b', ['b2']], ['b2', ['c']]],
    actions: [{ input: { log: [] } }],
  },
  'a fan-out beside a node': {
    state: { log: 'append' },
    nodes: {
      fan: { writes: { log: ['fan'] }, sends: [['work', 'x'], ['work', 'y'], ['work', 'z']], to: ['also'] },
      work: { writes: { log: ['$input'] } },
      also: word('also'),
      after: word('after'),
    },
    edges: [['__start__', ['fan']], ['work', ['after']], ['also', ['__end__']], ['after', ['__end__']]],
    actions: [{ input: { log: [] } }],
  },
  'an interrupt in the middle; its sibling runs once': {
    state: { log: 'append' },
    nodes: { ask: { asks: 'well?', writes: { log: ['$answer'] } }, beside: word('beside'), after: word('after') },
    edges: [['__start__', ['ask', 'beside']], ['ask', ['after']], ['after', ['__end__']], ['beside', ['__end__']]],
    actions: [{ input: { log: [] } }, { resume: 'yes' }],
  },
  'a breakpoint, an update as a node, and on': {
    state: { log: 'append' },
    nodes: { a: word('a'), b: word('b'), c: word('c') },
    edges: [['__start__', ['a']], ['a', ['b']], ['b', ['c']], ['c', ['__end__']]],
    actions: [{ input: { log: [] }, interrupt_before: ['b'] }, { update: { log: ['by hand'] }, as: 'b' }, {}],
  },
  'time travel': {
    state: { log: 'append' },
    nodes: { a: word('a'), b: word('b'), c: word('c') },
    edges: [['__start__', ['a']], ['a', ['b']], ['b', ['c']], ['c', ['__end__']]],
    actions: [{ input: { log: [] } }, { back: 1 }],
  },
};

for (const [name, graph] of Object.entries(GRAPHS)) {
  test(name, async () => {
    assert.deepEqual(ours(graph), await theirs(graph));
  });
}

test('two writers of a key without a reducer', async () => {
  const graph = {
    state: { x: 'last' },
    nodes: { a: { writes: { x: 1 } }, b: { writes: { x: 2 } } },
    edges: [['__start__', ['a', 'b']]],
    actions: [{ input: { x: 0 } }],
  };
  assert.deepEqual(ours(graph), { error: 'INVALID_CONCURRENT_GRAPH_UPDATE' });
  await assert.rejects(theirs(graph), (error) => error.lc_error_code === 'INVALID_CONCURRENT_GRAPH_UPDATE');
});

// ---- the executor ----

const SCHEMAS = {
  last: {}, any: { 'x-reducer': 'any' },
  append: { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' },
  sum: { type: 'integer', 'x-reducer': 'sum' },
};
const template = (value) => {
  if (value === '$input') return '${input.item}';
  if (value === '$answer') return '${result.response}';
  return Array.isArray(value) ? value.map(template) : value;
};
const mapped = (object, of) => Object.fromEntries(Object.entries(object ?? {}).map(([key, value]) => [key, of(value, key)]));

/** The node of agentgraph/1 that does what the test says. */
function documented(body, name) {
  const more = { write: mapped(body.writes, template), ...(body.emits !== undefined && { emit: body.emits }) };
  if (body.graph) return { type: 'subgraph', graph: body.graph };
  if (body.over) return { type: 'map', over: JSON.stringify(body.over), node: body.each };
  if (body.asks) return { type: 'approval', prompt: body.asks, ...more };
  if (body.fails !== undefined) {
    const retry = { max_attempts: body.attempts, initial_interval_s: 0.001, jitter: false };
    return { type: 'http', method: 'GET', url: `https://flaky.example.com/${name}/${body.fails}`, retry, ...more };
  }
  return { type: 'transform', ...more };
}
const part = (graph) => ({
  state: { type: 'object', properties: mapped(graph.state, (reducer) => SCHEMAS[reducer]) },
  nodes: mapped(graph.nodes, documented),
  edges: graph.edges.map(([from, to]) => ({ from, to })),
});
const documentOf = (graph) => ({
  spec: 'agentgraph/1', name: 'made', ...part(graph), ...(graph.subgraphs && { subgraphs: mapped(graph.subgraphs, part) }),
});

/** The same node for the library. */
function function_(body) {
  let failures = body.fails ?? 0;
  return (input, config) => {
    const answer = body.asks === undefined ? undefined : interrupt(body.asks);
    if (failures-- > 0) throw new Error('not yet');
    if (body.emits !== undefined) config.writer(body.emits);
    if (body.over) return new Command({ goto: body.over.map((one) => new Send(body.each, one)) });
    return mapped(body.writes, (value) => filled(value, input, answer));
  };
}
function built(graph, top = graph) {
  const builder = new StateGraph(Annotation.Root(mapped(graph.state, (reducer) => CHANNELS[reducer]())));
  for (const [name, body] of Object.entries(graph.nodes)) {
    if (body.graph) {
      builder.addNode(name, built(top.subgraphs[body.graph], top).compile());
    } else {
      const retryPolicy = { maxAttempts: body.attempts ?? 1, initialInterval: 1, jitter: false, retryOn: () => true, logWarning: false };
      builder.addNode(name, function_(body), { ...(body.over && { ends: [body.each] }), ...(body.fails !== undefined && { retryPolicy }) });
    }
  }
  for (const [from, targets] of graph.edges) for (const to of targets) builder.addEdge(from, to === '__end__' ? END : to);
  return builder;
}

const names = (path) => path.map((one) => one.replace(/:.*$/, '')).join('|');
/** What waits, without ids and without what an approval says besides. */
const plain = (data) => {
  if (data?.__interrupt__) return { ...data, __interrupt__: data.__interrupt__.map(({ value }) => value?.prompt ?? value) };
  return mapped(data, (writes) => writes ?? {});
};

/**
 * The events of one action. Three differences are meant: ours tell the state after every step, also unchanged; theirs tell
 * it once more when a run goes on; and what waits within a subgraph ours tell at the root alone.
 */
function comparable(events, goesOn) {
  const last = {}, updated = {};
  return events.filter(([path, mode, data]) => {
    if (data?.__interrupt__) return path === '';
    if (mode === 'updates') updated[path] = true;
    if (mode !== 'values') return true;
    if (goesOn && !updated[path]) return false;
    const text = JSON.stringify(data, Object.keys(data).sort());
    if (last[path] === text) return false;
    last[path] = text;
    return true;
  });
}
const goesOn = (action) => action.input === undefined;

async function theirRuns(graph) {
  const app = built(graph).compile({ checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: 't' } };
  const events = [];
  let failed = '';
  for (const action of graph.actions) {
    let from = config;
    for await (const one of action.back === undefined ? [] : app.getStateHistory(config)) {
      if (one.metadata.step !== action.back) continue;
      from = one.config;
      break;
    }
    const input = action.input ?? ('resume' in action ? new Command({ resume: action.resume }) : null);
    const told = [];
    try {
      const stream = await app.stream(input, { ...from, streamMode: ['values', 'updates', 'custom'], subgraphs: true });
      for await (const [path, mode, data] of stream) told.push([names(path), mode, mode === 'custom' ? data : plain(data)]);
    } catch (error) {
      failed ||= error.message;
    }
    events.push(comparable(told, goesOn(action)));
  }
  const history = [];
  for await (const one of app.getStateHistory(config)) {
    history.unshift({ step: one.metadata.step, source: one.metadata.source, values: one.values, next: [...one.next].sort() });
  }
  return { history, events, failed: failed !== '' };
}

function ourRuns(graph) {
  const { history, events, error } = ours({ document: documentOf(graph), actions: graph.actions });
  const told = (one) => one.map(([ns, mode, data]) => [names(ns.split('|')), mode, mode === 'custom' ? data : plain(data)]);
  return { history, events: events.map((one, i) => comparable(told(one), goesOn(graph.actions[i]))), failed: error !== '' };
}

const RUNS = {
  'events of branches side by side, and what nodes tell': {
    state: { log: 'append' },
    nodes: { a: { ...word('a'), emits: { at: 'a' } }, b: { ...word('b'), emits: { at: 'b' } }, c: { ...word('c'), emits: { at: 'c' } } },
    edges: [['__start__', ['a', 'b']], ['a', ['c']], ['b', ['c']], ['c', ['__end__']]],
    actions: [{ input: { log: ['in'] } }],
  },
  'a fan-out': {
    state: { log: 'append', n: 'sum' },
    nodes: { fan: { over: ['x', 'y', 'z'], each: 'work' }, work: { writes: { log: ['$input'], n: 1 } }, after: word('after') },
    edges: [['__start__', ['fan']], ['work', ['after']], ['after', ['__end__']]],
    actions: [{ input: { log: [] } }],
  },
  'a node that is tried again': {
    state: { log: 'append' },
    nodes: { shaky: { ...word('shaky'), fails: 2, attempts: 3 }, after: word('after') },
    edges: [['__start__', ['shaky']], ['shaky', ['after']], ['after', ['__end__']]],
    actions: [{ input: { log: [] } }],
  },
  'a node whose attempts are spent, its sibling, and the run that goes on': {
    state: { log: 'append' },
    nodes: { shaky: { ...word('shaky'), fails: 2, attempts: 2 }, after: word('after') },
    edges: [['__start__', ['shaky']], ['shaky', ['after']], ['after', ['__end__']]],
    actions: [{ input: { log: ['in'] } }, {}],
  },
  'a subgraph with a state of its own': {
    state: { x: 'last', log: 'append' },
    subgraphs: {
      inner: {
        state: { x: 'last', own: 'append' },
        nodes: { first: { writes: { own: ['first'] } }, second: { writes: { x: 'from within', own: ['second'] } } },
        edges: [['__start__', ['first']], ['first', ['second']], ['second', ['__end__']]],
      },
    },
    nodes: { before: word('before'), sub: { graph: 'inner' }, after: word('after') },
    edges: [['__start__', ['before']], ['before', ['sub']], ['sub', ['after']], ['after', ['__end__']]],
    actions: [{ input: { x: 'in', log: [] } }],
  },
  'a subgraph that waits, and time travel over it': {
    state: { x: 'last', log: 'append' },
    subgraphs: {
      inner: {
        state: { x: 'last', own: 'append' },
        nodes: { first: { writes: { own: ['first'] } }, ask: { asks: 'well?', writes: { x: '$answer' } } },
        edges: [['__start__', ['first']], ['first', ['ask']], ['ask', ['__end__']]],
      },
    },
    nodes: { sub: { graph: 'inner' }, after: word('after') },
    edges: [['__start__', ['sub']], ['sub', ['after']], ['after', ['__end__']]],
    actions: [{ input: { x: 'in', log: [] } }, { resume: 'yes' }, { back: 1 }],
  },
};

for (const [name, graph] of Object.entries(RUNS)) {
  test(name, async () => {
    assert.deepEqual(ourRuns(graph), await theirRuns(graph));
  });
}
