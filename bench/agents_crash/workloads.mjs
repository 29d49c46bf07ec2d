// What is run: a graph each, with which durability, the input of its run number `mark`, and what must be true of its
// end.
import assert from 'node:assert/strict';

const line = (...names) => names.slice(1).map((to, i) => ({ from: names[i], to }));
const agent = (slug, graph, more) => ({ slug, name: slug, ...more, graph: { spec: 'agentgraph/1', name: slug, ...graph } });
const state = (properties, required) => ({ type: 'object', properties, required });
const text = { type: 'string' };
const count = { type: 'integer', default: 0 };
const sum = { type: 'integer', default: 0, 'x-reducer': 'sum' };

export const FANOUT = 16;

export function workloads(outside) {
  const keyed = (mark) => ({ type: 'http', method: 'POST', url: `${outside.url}/keyed`, body: { mark } });
  const all = [
    {
      agent: agent('linear', {
        state: state({ mark: text, a: count, b: count, c: count }, ['mark']), input: ['mark'], output: ['a', 'b', 'c'],
        nodes: {
          first: { type: 'transform', write: { a: '${state.a + 1}' } },
          second: { type: 'transform', write: { b: '${state.a + 1}' } },
          third: { type: 'transform', write: { c: '${state.b + 1}' } },
        },
        edges: line('__start__', 'first', 'second', 'third', '__end__'),
      }),
      check: ({ a, b, c }) => assert.deepEqual([a, b, c], [1, 2, 3]),
    },
    {
      agent: agent('fanout', {
        state: state({ mark: text, items: { type: 'array', items: { type: 'integer' }, default: [] }, sum }, ['mark']),
        input: ['mark'], output: ['sum'],
        nodes: {
          list: { type: 'transform', write: { items: `\${[${Array.from({ length: FANOUT }, (_, i) => i + 1)}]}` } },
          each: { type: 'map', over: 'state.items', node: 'post', input: { mark: '${state.mark}-${item}', n: '${item}' } },
          post: { ...keyed('${input.mark}'), write: { sum: '${input.n}' } },
        },
        edges: line('__start__', 'list', 'each'),
      }),
      check: (values, mark) => {
        assert.equal(values.sum, (FANOUT * (FANOUT + 1)) / 2);
        for (let i = 1; i <= FANOUT; i++) assert.equal(outside.times(`${mark}-${i}`), 1, `${mark}-${i}`);
      },
    },
    {
      agent: agent('approval', {
        state: state({ mark: text, answer: text }, ['mark']), input: ['mark'], output: ['answer'],
        nodes: {
          ask: { type: 'approval', prompt: 'Go on with ${state.mark}?', write: { answer: '${string(result.response)}' } },
          post: keyed('${state.mark}-${state.answer}'),
        },
        edges: line('__start__', 'ask', 'post', '__end__'),
      }),
      check: (values, mark) => {
        assert.equal(values.answer, 'yes');
        assert.equal(outside.times(`${mark}-yes`), 1);
      },
    },
    {
      agent: agent('subgraph', {
        state: state({ mark: text, n: count }, ['mark']), input: ['mark'], output: ['n'],
        subgraphs: {
          inner: {
            state: state({ mark: text, n: count }, ['mark']), input: ['mark', 'n'], output: ['n'],
            nodes: { post: keyed('${state.mark}-inner'), add: { type: 'transform', write: { n: '${state.n + 10}' } } },
            edges: line('__start__', 'post', 'add', '__end__'),
          },
        },
        nodes: {
          before: { type: 'transform', write: { n: '${state.n + 1}' } },
          inner: { type: 'subgraph', graph: 'inner' },
          after: { type: 'transform', write: { n: '${state.n + 100}' } },
        },
        edges: line('__start__', 'before', 'inner', 'after', '__end__'),
      }),
      check: (values, mark) => {
        assert.equal(values.n, 111);
        assert.equal(outside.times(`${mark}-inner`), 1);
      },
    },
    {
      agent: agent('tools', {
        state: state({ mark: text, messages: { type: 'array', items: { type: 'object' }, default: [], 'x-reducer': 'messages' } }, ['mark', 'messages']),
        input: ['mark', 'messages'], output: ['messages'],
        models: { default: { model: 'crash-model' } },
        tools: { app: { connector: 'crash', allow: ['put', 'send'], side_effects: { put: 'idempotent', send: 'unsafe' } } },
        nodes: { work: { type: 'agent', tools: ['app'] } },
        edges: line('__start__', 'work', '__end__'),
      }),
      input: (mark) => ({ mark, messages: [{ role: 'user', content: `mark ${mark}` }] }),
      models: 2,
      check: (values, mark) => {
        assert.equal(values.messages.at(-1).content, `done ${mark}`);
        assert.ok(outside.times(`${mark}-put`) >= 1, 'put was done');
        assert.equal(outside.times(`${mark}-send`), 1, 'sent once');
      },
    },
  ].map((one) => ({ ...one, name: one.agent.slug, durability: 'sync' }));
  // What is keyed is done once also where writes follow the steps.
  const asynchronous = ['fanout', 'approval', 'subgraph'].map((slug) => {
    const one = all.find(({ name }) => name === slug);
    return { ...one, name: `${slug}-async`, durability: 'async' };
  });
  return [...all, ...asynchronous];
}
