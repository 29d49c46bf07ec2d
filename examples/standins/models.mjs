// A stand-in for a model provider that speaks OpenAI's chat completions and embeddings: it answers with what it
// was asked, and says what that took. No account, no network.
//
//   node examples/standins/models.mjs --port 4002
import { pathToFileURL } from 'node:url';
import { listen, readBody, runFromCommandLine, sendJson } from './http.mjs';

const tokensOf = (text) => Math.ceil(text.length / 4);
const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(' '));

function answerTo(body) {
  const asked = textOf(body.messages.findLast((message) => message.role === 'user')?.content);
  return `You said: ${asked}`;
}

function usageOf(body, answer) {
  const prompt = tokensOf(JSON.stringify(body.messages));
  const completion = tokensOf(answer);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

function completion(body, answer) {
  return {
    id: 'chatcmpl-standin', object: 'chat.completion', created: 1767225600, model: body.model, usage: usageOf(body, answer),
    choices: [{ index: 0, message: { role: 'assistant', content: answer, refusal: null }, logprobs: null, finish_reason: 'stop' }],
  };
}

function stream(res, body, answer) {
  const head = { id: 'chatcmpl-standin', object: 'chat.completion.chunk', created: 1767225600, model: body.model };
  const chunk = (choices, usage) => res.write(`data: ${JSON.stringify({ ...head, choices, ...(usage && { usage }) })}\n\n`);
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
  for (const word of answer.match(/\S+\s*/g)) chunk([{ index: 0, delta: { content: word }, finish_reason: null }]);
  chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]);
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
