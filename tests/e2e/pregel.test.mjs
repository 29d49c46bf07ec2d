// Small graphs carried out by the LangGraph library and by ours: the same checkpoints (step, source, values, next) in
// the same order, and the same updates.
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
