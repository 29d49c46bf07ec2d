// A model provider of the tests' own on a raw socket: it keeps what it was sent, and answers byte by byte as a test
// says. What nobody scripted is answered happily, in the dialect that the path belongs to.
import net from 'node:net';

const USAGE = { prompt: 10, completion: 5 };
const TEXT = 'Hello there';
const CHUNK = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'served' };
const chatChunk = (delta, finish = null) => ({ ...CHUNK, choices: [{ index: 0, delta, finish_reason: finish }] });
const openaiUsage = { prompt_tokens: USAGE.prompt, completion_tokens: USAGE.completion, total_tokens: USAGE.prompt + USAGE.completion };

const sse = (...events) => events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('');
export const CHAT = {
  whole: { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'served', usage: openaiUsage,
    choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }] },
  role: sse(chatChunk({ role: 'assistant', content: '' })),
  text: (text = TEXT) => sse(chatChunk({ content: text })),
  end: sse(chatChunk({}, 'stop'), { ...CHUNK, choices: [], usage: openaiUsage }, '[DONE]'),
};

const messages = {
  id: 'msg_1', type: 'message', role: 'assistant', model: 'served', content: [{ type: 'text', text: TEXT }], stop_reason: 'end_turn',
  stop_sequence: null, usage: { input_tokens: USAGE.prompt, output_tokens: USAGE.completion },
};
const gemini = {
  candidates: [{ content: { role: 'model', parts: [{ text: TEXT }] }, finishReason: 'STOP', index: 0 }],
  usageMetadata: { promptTokenCount: USAGE.prompt, candidatesTokenCount: USAGE.completion, totalTokenCount: USAGE.prompt + USAGE.completion },
};

function happy(exchange) {
  const { path, body } = exchange;
  if (path.endsWith('/chat/completions')) {
    return body.stream ? exchange.stream(CHAT.role + CHAT.text() + CHAT.end) : exchange.json(200, CHAT.whole);
  }
  if (path.endsWith('/messages/count_tokens') || path.endsWith(':countTokens')) return exchange.json(200, { input_tokens: 7, totalTokens: 7 });
  if (path.endsWith('/messages') && !body.stream) return exchange.json(200, messages);
  if (path.endsWith(':generateContent')) return exchange.json(200, gemini);
  if (path.endsWith('/embeddings')) {
    return exchange.json(200, { object: 'list', model: 'served', data: [{ object: 'embedding', index: 0, embedding: [0.5] }], usage: { prompt_tokens: 4, total_tokens: 4 } });
  }
  return exchange.json(404, { error: { message: `nothing at ${path}`, type: 'invalid_request_error' } });
}

/** One request and the socket to answer it on. */
class Exchange {
  constructor(socket, head, body) {
    const [line, ...lines] = head.split('\r\n');
    const [method, target] = line.split(' ');
    this.socket = socket;
    this.method = method;
    this.path = target.split('?')[0];
    this.headers = Object.fromEntries(lines.map((text) => [text.slice(0, text.indexOf(':')).toLowerCase(), text.slice(text.indexOf(':') + 1).trim()]));
    this.text = body.toString('utf8');
    this.closed = new Promise((resolve) => socket.once('close', resolve));
  }

  get body() {
    return JSON.parse(this.text || '{}');
  }

  /** The credential, in whichever header the dialect has it. */
  get key() {
    return (this.headers.authorization ?? this.headers['x-api-key'] ?? this.headers['x-goog-api-key'] ?? '').replace('Bearer ', '');
  }

  write = (bytes) => new Promise((resolve) => this.socket.write(bytes, () => resolve(!this.socket.destroyed)));
  end = (bytes = '') => this.socket.end(bytes);
  reset = () => this.socket.resetAndDestroy();
  head(status, headers = {}) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `HTTP/1.1 ${status} Scripted\r\n${lines.join('')}\r\n`;
  }
  send(status, body, headers = {}) {
    const bytes = Buffer.from(body);
    this.write(Buffer.concat([Buffer.from(this.head(status, { 'content-length': bytes.length, ...headers })), bytes]));
  }
  json = (status, value, headers = {}) => this.send(status, JSON.stringify(value), { 'content-type': 'application/json', ...headers });
  /** A stream's head and its first bytes; the length is not told, so that only closing ends it. */
  open = (bytes = '') => this.write(this.head(200, { 'content-type': 'text/event-stream', connection: 'close' }) + bytes);
  stream = (bytes) => this.send(200, bytes, { 'content-type': 'text/event-stream' });
}

class Upstream {
  exchanges = [];
  #scripts = [];
  #places = new Map();
  #always = happy;
  #sockets = new Set();

  static async start() {
    const upstream = new Upstream();
    upstream.server = net.createServer((socket) => upstream.#serve(socket));
    await new Promise((resolve) => upstream.server.listen(0, '127.0.0.1', resolve));
    upstream.url = `http://127.0.0.1:${upstream.server.address().port}`;
    return upstream;
  }

  /** Answers the next request that nobody has scripted; several are used in order. */
  next(script) {
    this.#scripts.push(script);
  }
  /** Answers all that are not scripted; without an argument happily, as at the start. */
  always(script = happy) {
    this.#always = script;
  }
  /** Answers all whose path begins so, and nobody else's. */
  at(prefix, script) {
    this.#places.set(prefix, script);
    return prefix;
  }
  happy = happy;
  get last() {
    return this.exchanges.at(-1);
  }
  /** Forgets what it has seen. */
  clear() {
    this.exchanges = [];
    this.#scripts = [];
    this.#always = happy;
  }
  async stop() {
    this.#sockets.forEach((socket) => socket.destroy());
    await new Promise((resolve) => this.server.close(resolve));
  }

  #serve(socket) {
    let got = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {}); // resets are part of the game
    socket.on('data', (bytes) => {
      got = Buffer.concat([got, bytes]);
      for (;;) {
        const end = got.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = got.subarray(0, end).toString('latin1');
        const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
        if (got.length < end + 4 + length) return;
        const exchange = new Exchange(socket, head, got.subarray(end + 4, end + 4 + length));
        got = got.subarray(end + 4 + length);
        this.exchanges.push(exchange);
        const place = [...this.#places].find(([prefix]) => exchange.path.startsWith(prefix))?.[1];
        (place ?? this.#scripts.shift() ?? this.#always)(exchange);
      }
    });
  }
}

export const startUpstream = () => Upstream.start();
