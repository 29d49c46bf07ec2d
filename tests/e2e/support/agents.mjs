// Small agents for the tests of their doors, and how a client of the LangGraph API reaches them.
import { Client } from '../../js/agent-clients/clients.mjs';
import { CHAT } from './upstream.mjs';

const list = (reducer, more = {}) => ({ type: 'array', items: { type: 'string' }, 'x-reducer': reducer, ...more });
const messages = { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' };
const state = (properties) => ({ type: 'object', properties });
const writes = (write) => ({ type: 'transform', write });
const chain = (...names) => ['__start__', ...names].map((from, i) => ({ from, to: names[i] ?? '__end__' }));
const agent = (slug, graph, more = {}) => ({ slug, name: slug, graph: { spec: 'agentgraph/1', name: slug, ...graph }, ...more });

export const MODEL = 'gpt-4o-mini';
export const AGENTS = {
  line: agent('line', {
    state: state({ log: list('append'), n: { type: 'integer', 'x-reducer': 'sum', default: 0 } }),
    nodes: Object.fromEntries(['a', 'b', 'c'].map((name) => [name, writes({ log: `\${['${name}']}`, n: '${1}' })])),
    edges: chain('a', 'b', 'c'),
  }),
  sub: agent('sub', {
    state: state({ log: list('append') }),
    subgraphs: { inner: { state: state({ log: list('append') }), nodes: { deep: writes({ log: "${['deep']}" }) }, edges: chain('deep') } },
    nodes: { outer: { type: 'subgraph', graph: 'inner' }, after: writes({ log: "${['after']}" }) },
    edges: chain('outer', 'after'),
  }),
  ask: agent('ask', {
    state: state({ log: list('append') }),
    nodes: {
      question: { type: 'approval', prompt: 'well?', write: { log: '${[result.response]}' }, response_schema: { type: 'string' } },
      after: writes({ log: "${['after']}" }),
    },
    edges: chain('question', 'after'),
  }),
  both: agent('both', {
    state: state({ log: list('append') }),
    nodes: Object.fromEntries(['left', 'right'].map((name) => [name, {
      type: 'approval', prompt: name, write: { log: '${[result.response]}' }, response_schema: { type: 'string' },
    }])),
    edges: ['left', 'right'].flatMap((name) => [{ from: '__start__', to: name }, { from: name, to: '__end__' }]),
  }),
  stuck: agent('stuck', {
    state: state({ n: { type: 'integer', default: 0 } }),
    nodes: { stop: { type: 'end', status: 'error', error: 'no way on' } },
    edges: [{ from: '__start__', to: 'stop' }],
  }),
  chat: agent('chat', {
    state: state({ messages }),
    nodes: { answer: { type: 'llm', messages: 'messages', instructions: 'Be kind.' } },
    edges: chain('answer'),
  }, { model: MODEL }),
  polite: agent('polite', {
    state: state({ messages, said: { type: 'string' } }),
    nodes: {
      answer: { type: 'llm', messages: 'messages', instructions: 'Be kind.' },
      check: { type: 'approval', prompt: 'May this be sent?', write: { said: '${string(result.response)}' } },
    },
    edges: chain('answer', 'check'),
  }, { model: MODEL }),
};

export async function makeAgents(platform, names = Object.keys(AGENTS)) {
  for (const one of names) await platform.api.must(201, 'POST', `${platform.path}/agents`, AGENTS[one] ?? one);
}

export const apiOf = (world) => `${world.url}/v1/agents/api`;
export const clientOf = (world, key, more = {}) => new Client({ apiUrl: apiOf(world), apiKey: key, callerOptions: { maxRetries: 0 }, ...more });

/** All parts of a stream. */
export async function all(stream) {
  const out = [];
  for await (const part of stream) out.push(part);
  return out;
}
export const dataOf = (parts, event) => parts.filter((part) => part.event === event).map((part) => part.data);

/** An agent that notes something and then waits for whoever answers at `url`. */
export const slowAgent = (url) => agent('slow', {
  state: state({ log: list('append') }),
  nodes: { note: writes({ log: "${['noted']}" }), wait: { type: 'http', method: 'GET', url, write: { log: '${[result.text]}' } } },
  edges: chain('note', 'wait'),
});

/** The next call of such an agent, which is answered when the test says so. */
export class SlowCall {
  constructor(upstream) {
    this.asked = new Promise((resolve) => upstream.next(resolve));
  }
  async end(text) {
    (await this.asked).send(200, text);
  }
}

/** A model that calls one tool. For upstream.next(). */
export function toolCall(name, args) {
  const chunk = (delta, finish = null) => `data: ${JSON.stringify({ id: 'c', created: 1, model: 'served', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const call = { index: 0, id: 'call_1', type: 'function', function: { name, arguments: JSON.stringify(args) } };
  return (exchange) => exchange.stream(chunk({ role: 'assistant', tool_calls: [call] }) + chunk({}, 'tool_calls') + CHAT.end.slice(CHAT.end.indexOf('\n\n') + 2));
}

/** A model that says a word at a time, the next one when it is told to. */
export class SlowModel {
  constructor(upstream) {
    this.asked = new Promise((resolve) => upstream.next(async (exchange) => {
      this.exchange = exchange;
      await exchange.open(CHAT.role);
      resolve(exchange);
    }));
  }
  async say(text) {
    await this.asked;
    await this.exchange.write(CHAT.text(text));
  }
  async end() {
    await this.asked;
    this.exchange.end(CHAT.end);
  }
}
