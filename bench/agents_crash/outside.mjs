// The world outside of the gateway: an API that counts what was done under which mark, and a model provider with a bill.
// Each act has a point before it takes effect and one before its answer leaves.
import { createServer } from 'node:http';

const PRICE = { input: 1, output: 2 }; // USD per million tokens, as the bench sets them
const USAGE = { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 };
export const MODEL_RATES = { input: String(PRICE.input), output: String(PRICE.output) };
export const CALL_NANO_USD = USAGE.prompt_tokens * PRICE.input * 1000 + USAGE.completion_tokens * PRICE.output * 1000;

/** First it sets and sends, then it has an answer. */
function answerTo({ messages }) {
  const mark = /mark ([\w-]+)/.exec(messages.findLast(({ role }) => role === 'user').content)[1];
  if (messages.some(({ role }) => role === 'tool')) return { content: `done ${mark}` };
  const call = (name) => ({ id: `call_${name}`, type: 'function', function: { name, arguments: JSON.stringify({ mark: `${mark}-${name}` }) } });
  return { content: null, tool_calls: [call('put'), call('send')] };
}

const toolNamed = (tools, ending) => tools.find(({ function: { name } }) => name.endsWith(ending)).function.name;

export class Outside {
  done = new Map(); // mark -> how often
  keys = new Map(); // idempotency key -> answer
  modelCalls = 0;

  /** @param {(point: string) => Promise<void>} at */
  static async start(at) {
    const outside = new Outside();
    outside.at = at;
    const server = createServer((req, res) => outside.handle(req, res).catch(() => res.destroy()));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    outside.url = `http://127.0.0.1:${server.address().port}`;
    outside.stop = () => {
      server.close();
      server.closeAllConnections();
    };
    return outside;
  }

  times(mark) {
    return this.done.get(mark) ?? 0;
  }

  async handle(req, res) {
    let text = '';
    for await (const chunk of req) text += chunk;
    const reply = (body) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (req.url.startsWith('/me')) return reply({ id: 'one', name: 'One' });
    const body = JSON.parse(text || '{}');
    const what = req.url.endsWith('/chat/completions') ? 'model' : req.url.slice(1).split('?')[0];
    await this.at(`before ${what}`);
    const answer = what === 'model' ? this.model(body) : this.act(body.mark, req.headers['idempotency-key'], what);
    await this.at(`after ${what}`);
    if (what === 'model' && body.stream) return this.stream(res, answer);
    return reply(answer);
  }

  act(mark, key, what) {
    const known = what === 'keyed' && this.keys.get(key);
    if (known) return known;
    this.done.set(mark, this.times(mark) + 1);
    const answer = { mark };
    if (key) this.keys.set(key, answer);
    return answer;
  }

  model(body) {
    this.modelCalls++;
    const message = answerTo(body);
    for (const call of message.tool_calls ?? []) call.function.name = toolNamed(body.tools, call.function.name);
    return {
      id: 'chatcmpl-crash', object: 'chat.completion', created: 1767225600, model: body.model, usage: USAGE,
      choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: message.tool_calls ? 'tool_calls' : 'stop', logprobs: null }],
    };
  }

  stream(res, { id, model, created, choices: [{ message, finish_reason }] }) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const chunk = (choices, usage) => res.write(`data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices, ...(usage && { usage }) })}\n\n`);
    const delta = { ...message, ...(message.tool_calls && { tool_calls: message.tool_calls.map((call, index) => ({ index, ...call })) }) };
    chunk([{ index: 0, delta, finish_reason: null }]);
    chunk([{ index: 0, delta: {}, finish_reason }]);
    chunk([], USAGE);
    res.end('data: [DONE]\n\n');
  }
}
