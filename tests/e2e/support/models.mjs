// Platforms with providers and money, and calls of models in every dialect.
import assert from 'node:assert/strict';
import http from 'node:http';
import { eventually } from './server.mjs';

export const MODEL = 'gpt-4o-mini';
const MESSAGES = [{ role: 'user', content: 'Hello' }];

/** How each dialect asks, and how it says no. */
export const DIALECTS = {
  chat: {
    path: () => '/v1/chat/completions',
    body: (model, stream) => ({ model, stream, max_tokens: 100, messages: MESSAGES }),
    assertError(body) {
      assert.equal(typeof body.error.message, 'string');
      assert.equal(typeof body.error.type, 'string');
      assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type']);
    },
    streamError: /data: \{"error":\{/,
  },
  responses: {
    path: () => '/v1/responses',
    body: (model, stream) => ({ model, stream, max_output_tokens: 100, input: 'Hello' }),
    assertError: (body) => DIALECTS.chat.assertError(body),
    streamError: /event: response\.failed/,
  },
  messages: {
    path: () => '/v1/messages',
    body: (model, stream) => ({ model, stream, max_tokens: 100, messages: MESSAGES }),
    assertError(body) {
      assert.equal(body.type, 'error');
      assert.deepEqual(Object.keys(body.error).sort(), ['message', 'type']);
    },
    streamError: /event: error\ndata: \{"error":|event: error\ndata: \{"type":"error"/,
  },
  gemini: {
    path: (model, stream) => `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: () => ({ contents: [{ role: 'user', parts: [{ text: 'Hello' }] }], generationConfig: { maxOutputTokens: 100 } }),
    assertError(body, status) {
      assert.equal(body.error.code, status);
      assert.equal(typeof body.error.message, 'string');
      assert.match(body.error.status, /^[A-Z_]+$/);
    },
    streamError: /data: \{"error":\{/,
  },
};

/** Posts and reads the reply to its end. `text` is what came, `broken` whether the connection was cut. */
export async function post(url, path, key, body, headers = {}) {
  const raw = typeof body === 'string' || Buffer.isBuffer(body);
  const reply = await fetch(url + path, {
    method: 'POST', body: raw ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }), ...headers },
  });
  let text = '';
  let broken = false;
  const decoder = new TextDecoder();
  try {
    for await (const piece of reply.body) text += decoder.decode(piece, { stream: true });
  } catch {
    broken = true;
  }
  const isJson = (reply.headers.get('content-type') ?? '').includes('json');
  return { status: reply.status, headers: reply.headers, text, broken, body: isJson ? JSON.parse(text) : null };
}

/** A call in a dialect, with changes to its usual body. */
export function ask(url, key, { dialect = 'chat', model = MODEL, stream = false, change = {}, headers = {} } = {}) {
  const { path, body } = DIALECTS[dialect];
  return post(url, path(model, stream), key, { ...body(model, stream), ...change }, headers);
}

/** A streamed call that is left when its first bytes have come (`leave`), or before. */
export function openStream(url, key, { dialect = 'chat', model = MODEL, stream = true } = {}) {
  const { path, body } = DIALECTS[dialect];
  const request = http.request(url + path(model, stream), {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
  });
  request.on('error', () => {});
  const opened = { text: '', leave: () => request.destroy() };
  opened.head = new Promise((resolve) => request.once('response', resolve));
  opened.ended = opened.head.then((response) => new Promise((resolve) => {
    response.on('data', (piece) => (opened.text += piece));
    response.once('end', () => resolve('ended'));
    response.once('error', () => resolve('broken'));
  }));
  request.end(JSON.stringify(body(model, stream)));
  return opened;
}

/** Money, and settings: one attempt, and times that only a test that is about them makes short. */
export async function fund(world, platform, { amount = '10.00', settings = {} } = {}) {
  const paid = await world.admin.send('POST', `${platform.path}/wallet/topup`, { amount });
  assert.equal(paid.status, 201, JSON.stringify(paid.body));
  const inference = { attempts_max: 1, first_byte_timeout_seconds: 30, idle_timeout_seconds: 30, total_timeout_seconds: 60, ...settings };
  await platform.api.must(200, 'PATCH', platform.path, { settings: { inference } });
}

export function addKey(world, platform, upstream, config = {}) {
  const { base = '/v1', ...rest } = config;
  return world.admin.must(201, 'POST', `${platform.path}/llm-configs`, { provider: 'openai', api_key: 'key-of-the-test-0123456789', base_url: upstream.url + base, ...rest });
}

export const usageOf = async (platform, query = '') => (await platform.api.must(200, 'GET', `${platform.path}/usage?limit=100${query}`));

/** The row of the platform's only call, when it has been written. */
export async function onlyRow(platform) {
  const rows = await eventually(async () => {
    const found = await usageOf(platform);
    return found.length > 0 && found;
  }, 'a usage row');
  assert.equal(rows.length, 1, JSON.stringify(rows));
  return rows[0];
}

const nanos = (text) => BigInt(text.replace('.', '').padEnd(text.indexOf('.') < 0 ? 0 : text.indexOf('.') + 9, '0'));

/** Nothing is held any more, and what the wallet lost is what the rows say. */
export async function assertBalanced(platform, paidIn = '10.00') {
  const path = `${platform.path}/wallet`;
  let wallet;
  await eventually(async () => {
    wallet = await platform.api.must(200, 'GET', path);
    return Number(wallet.held) === 0;
  }, () => `nothing held: ${JSON.stringify(wallet)}`);
  const spent = (await usageOf(platform)).reduce((sum, row) => sum + nanos(row.cost_usd), 0n);
  assert.equal(nanos(wallet.balance), nanos(paidIn) - spent);
}
