// A stand-in for a model provider that speaks OpenAI's chat completions and embeddings: it answers with what it
// was asked, and says what that took. Asked to "use TOOL {arguments}" it calls that tool, if it was offered, and then
// tells what the tool said. Given a schema to answer in, it chooses what the text names. Of JSON with a title it tells the
// title. No account, no network, no npm packages.
//
//   node examples/standins/models.mjs --port 4002
import { pathToFileURL } from 'node:url';
import { listen, readBody, runFromCommandLine, sendJson } from './http.mjs';

const tokensOf = (text) => Math.ceil(text.length / 4);
const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(' '));

const isPerson = (message) => message.role === 'user';
const sinceAsked = (body) => body.messages.slice(body.messages.findLastIndex(isPerson) + 1);

/** The tools that it is asked to use: "use TOOL {arguments}" as the whole text, or several within it. */
function wishesOf(asked) {
  const whole = /^use (\w+)\s*(\{.*\})?$/s.exec(asked);
  return whole ? [whole] : [...asked.matchAll(/\buse (\w+)\s*(\{[^{}]*\})?/g)];
}

/** The next wish whose tool is offered and was not called since it was asked. */
function callFor(body, asked) {
  const offered = new Set((body.tools ?? []).map((tool) => tool.function?.name));
  const called = sinceAsked(body).flatMap((message) => message.tool_calls ?? []).map((call) => call.function?.name);
  const wish = wishesOf(asked).find(([, name]) => offered.has(name) && !called.includes(name));
  return wish && { id: `call_standin${called.length ? `_${called.length + 1}` : ''}`, type: 'function', function: { name: wish[1], arguments: wish[2] ?? '{}' } };
}

/** The choice of a schema with an enumeration: the first that JSON names; of plain text the next one that it names. */
function choiceFor(body, asked, values) {
  const named = (value) => asked.search(new RegExp(`\\b${value}\\b`, 'i'));
  if (asked.startsWith('{')) return values.find((value) => named(value) >= 0) ?? values.at(-1);
  const answered = sinceAsked(body).filter((message) => message.role === 'assistant' && !message.tool_calls?.length).length;
  return values.filter((value) => named(value) >= 0).sort((x, y) => named(x) - named(y))[answered] ?? values.at(-1);
}

function structured(body, asked) {
  const schema = body.response_format?.json_schema?.schema;
  if (!schema?.properties) return null;
  const valueOf = (member) => (member.enum ? choiceFor(body, asked, member.enum) : member.type === 'boolean' ? true : ['integer', 'number'].includes(member.type) ? 1 : asked);
  return JSON.stringify(Object.fromEntries(Object.entries(schema.properties).map(([name, member]) => [name, valueOf(member)])));
}

/** What a text with a title is about: as JSON, or as this stand-in told it before. */
const titleIn = (text) => /"title":\s*"((?:[^"\\]|\\.)+)"/.exec(text)?.[1] ?? /^It is about "(.*)"\.$/s.exec(text)?.[1];

/** What it has to say: text, or a call of a tool. */
function answerTo(body) {
  const last = body.messages.at(-1);
  const person = textOf(body.messages.findLast(isPerson)?.content);
  const asked = person || textOf(body.messages.findLast((message) => message.role === 'system')?.content);
  const call = callFor(body, asked);
  if (call) return { call };
  if (last?.role === 'tool') return { text: `The tool said: ${textOf(last.content).slice(0, 300)}` };
  const chosen = structured(body, asked);
  if (chosen) return { text: chosen };
  const title = !person || asked.startsWith('{') ? [...body.messages].reverse().map((message) => titleIn(textOf(message.content))).find(Boolean) : null;
  return { text: title ? `It is about "${title}".` : `You said: ${asked}` };
}

function usageOf(body, answer) {
  const prompt = tokensOf(JSON.stringify(body.messages));
  const completion = tokensOf(answer.text ?? JSON.stringify(answer.call));
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

const finishOf = (answer) => (answer.call ? 'tool_calls' : 'stop');

function completion(body, answer) {
  const message = { role: 'assistant', content: answer.text ?? null, refusal: null, ...(answer.call && { tool_calls: [answer.call] }) };
  return {
    id: 'chatcmpl-standin', object: 'chat.completion', created: 1767225600, model: body.model, usage: usageOf(body, answer),
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishOf(answer) }],
  };
}

function stream(res, body, answer) {
  const head = { id: 'chatcmpl-standin', object: 'chat.completion.chunk', created: 1767225600, model: body.model };
  const chunk = (choices, usage) => res.write(`data: ${JSON.stringify({ ...head, choices, ...(usage && { usage }) })}\n\n`);
  const delta = (members, finish_reason = null) => chunk([{ index: 0, delta: members, finish_reason }]);
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  delta({ role: 'assistant', content: answer.call ? null : '' });
  if (answer.call) delta({ tool_calls: [{ index: 0, ...answer.call }] });
  for (const word of answer.text?.match(/\S+\s*/g) ?? []) delta({ content: word });
  delta({}, finishOf(answer));
  if (body.stream_options?.include_usage) chunk([], usageOf(body, answer));
  res.end('data: [DONE]\n\n');
}

async function handle(req, res) {
  const { pathname } = new URL(req.url, 'http://standin');
  const body = JSON.parse((await readBody(req)).toString('utf8') || '{}');
  if (req.method === 'POST' && pathname === '/v1/chat/completions') {
    const answer = answerTo(body);
    return body.stream ? stream(res, body, answer) : sendJson(res, 200, completion(body, answer));
  }
  if (req.method === 'POST' && pathname === '/v1/embeddings') {
    const inputs = [body.input].flat();
    const data = inputs.map((_, index) => ({ object: 'embedding', index, embedding: [0.25, -0.5, 1] }));
    const tokens = inputs.reduce((sum, text) => sum + tokensOf(String(text)), 0);
    return sendJson(res, 200, { object: 'list', model: body.model, data, usage: { prompt_tokens: tokens, total_tokens: tokens } });
  }
  return sendJson(res, 404, { error: { message: `nothing at ${pathname}`, type: 'invalid_request_error', code: null, param: null } });
}

export const start = (options = {}) => listen(handle, options.port);

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await runFromCommandLine(start);
