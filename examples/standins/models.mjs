// A stand-in for a model provider that speaks OpenAI's chat completions and embeddings: it answers with what it
// was asked, and says what that took. Asked to "use TOOL {arguments}" it calls that tool, if it was offered, and then
// tells what the tool said. No account, no network, no npm packages.
//
//   node examples/standins/models.mjs --port 4002
import { pathToFileURL } from 'node:url';
import { listen, readBody, runFromCommandLine, sendJson } from './http.mjs';

const tokensOf = (text) => Math.ceil(text.length / 4);
const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(' '));

/** What it has to say: text, or a call of a tool. */
function answerTo(body) {
  const last = body.messages.at(-1);
  if (last?.role === 'tool') return { text: `The tool said: ${textOf(last.content).slice(0, 300)}` };
  const asked = textOf(body.messages.findLast((message) => message.role === 'user')?.content);
  const [, name, args] = /^use (\w+)\s*(\{.*\})?$/s.exec(asked) ?? [];
  const offered = (body.tools ?? []).some((tool) => tool.function?.name === name);
  if (offered) return { call: { id: 'call_standin', type: 'function', function: { name, arguments: args ?? '{}' } } };
  return { text: `You said: ${asked}` };
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
