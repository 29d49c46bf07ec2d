// MCP by hand: bare JSON-RPC over HTTP in both eras, and event streams.
import assert from 'node:assert/strict';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';

export const MODERN = '2026-07-28';
export const LEGACY = '2025-11-25';
let ids = 0;

const META = 'io.modelcontextprotocol/';
export const modernMeta = (capabilities = {}) => ({
  [`${META}protocolVersion`]: MODERN, [`${META}clientCapabilities`]: capabilities, [`${META}clientInfo`]: { name: 'e2e', version: '1' },
});

export async function post(url, key, message, headers = {}) {
  return fetch(url, {
    method: 'POST', body: typeof message === 'string' ? message : JSON.stringify(message),
    headers: {
      'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(key && { authorization: `Bearer ${key}` }), ...headers,
    },
  });
}

/** The answer to one request, from a JSON body or from the stream that carries it. */
export async function answer(reply, id) {
  const type = reply.headers.get('content-type') ?? '';
  if (type.includes('text/event-stream')) {
    for await (const event of events(reply)) {
      if (!event.data) continue;
      const message = JSON.parse(event.data);
      if (message.id === id && !message.method) return message;
    }
    throw new Error('the stream ended without the answer');
  }
  const text = await reply.text();
  return text ? JSON.parse(text) : null;
}

/** A bare legacy call: no initialize, no session unless headers name one. */
export async function legacyCall(url, key, method, params, headers = {}) {
  const id = ++ids;
  const reply = await post(url, key, { jsonrpc: '2.0', id, method, ...(params && { params }) }, headers);
  return { status: reply.status, headers: reply.headers, ...(await answer(reply, id)) };
}

export async function modernCall(url, key, method, params = {}, { capabilities, headers = {} } = {}) {
  const id = ++ids;
  const name = params.name ?? params.uri;
  const reply = await post(url, key, { jsonrpc: '2.0', id, method, params: { ...params, _meta: { ...modernMeta(capabilities), ...params._meta } } }, {
    'mcp-protocol-version': MODERN, 'mcp-method': method, ...(name && { 'mcp-name': name }), ...headers,
  });
  return { status: reply.status, headers: reply.headers, ...(await answer(reply, id)) };
}

/** tools/call that must succeed; returns the structured content. */
export async function useTool(url, key, name, args = {}) {
  const reply = await legacyCall(url, key, 'tools/call', { name, arguments: args });
  assert.ok(reply.result, `${name}: ${JSON.stringify(reply.error)}`);
  assert.ok(!reply.result.isError, `${name}: ${JSON.stringify(reply.result)}`);
  return reply.result.structuredContent;
}

/** tools/call that must fail inside the tool; returns the result. */
export async function failTool(url, key, name, args = {}) {
  const reply = await legacyCall(url, key, 'tools/call', { name, arguments: args });
  assert.ok(reply.result?.isError, `${name} should fail: ${JSON.stringify(reply.result ?? reply.error)}`);
  return reply.result;
}

/** What a failed tool says, as data: {code, message, ...}. It is text: an output schema describes successes only. */
export const errorOf = (result) => {
  assert.ok(result.isError && result.structuredContent === undefined, JSON.stringify(result));
  return JSON.parse(result.content[0].text).error;
};

export const textOf = (result) => result.content.map((c) => c.text ?? '').join('\n');

export async function toolNames(url, key) {
  const names = [];
  let cursor;
  do {
    const { result, error } = await legacyCall(url, key, 'tools/list', cursor && { cursor });
    assert.ok(result, JSON.stringify(error));
    names.push(...result.tools.map((t) => t.name));
    cursor = result.nextCursor;
  } while (cursor);
  return names;
}

/** A legacy session: initialize and the notification after it. */
export async function openSession(url, key, capabilities = {}) {
  const id = ++ids;
  const reply = await post(url, key, {
    jsonrpc: '2.0', id, method: 'initialize', params: { protocolVersion: LEGACY, capabilities, clientInfo: { name: 'e2e', version: '1' } },
  });
  const message = await answer(reply, id);
  assert.equal(reply.status, 200, JSON.stringify(message));
  const session = reply.headers.get('mcp-session-id');
  const headers = { 'mcp-protocol-version': LEGACY, ...(session && { 'mcp-session-id': session }) };
  const noted = await post(url, key, { jsonrpc: '2.0', method: 'notifications/initialized' }, headers);
  assert.equal(noted.status, 202);
  return { session, headers, result: message.result };
}

/** Events of a response, as they come. */
export async function* events(reply) {
  const decoder = new TextDecoder();
  let buffer = '';
  for await (const chunk of reply.body) {
    buffer += decoder.decode(chunk, { stream: true });
    for (let end; (end = /\r?\n\r?\n/.exec(buffer)); ) {
      const block = buffer.slice(0, end.index);
      buffer = buffer.slice(end.index + end[0].length);
      const event = {};
      for (const line of block.split(/\r?\n/)) {
        const [, field, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
        if (field) event[field] = field === 'data' && event.data !== undefined ? `${event.data}\n${value}` : value;
      }
      if (Object.keys(event).length) yield event;
    }
  }
}

/** A stream read in the background: `next(wanted)` waits for a message, `close()` ends it. */
export class Stream {
  messages = [];
  waiting = [];

  static async open(url, init) {
    const abort = new AbortController();
    const reply = await fetch(url, { ...init, signal: abort.signal });
    return Object.assign(new Stream(), { reply, abort }).start();
  }

  start() {
    if (!(this.reply.headers.get('content-type') ?? '').includes('text/event-stream')) return this;
    this.done = (async () => {
      try {
        for await (const event of events(this.reply)) {
          if (event.data) this.push({ id: event.id, ...JSON.parse(event.data), eventId: event.id });
        }
      } catch {
        // closed by us, or by a server that went away
      }
      this.waiting.splice(0).forEach(({ reject }) => reject(new Error(`the stream ended; it had: ${JSON.stringify(this.messages)}`)));
    })();
    return this;
  }

  push(message) {
    this.messages.push(message);
    this.waiting = this.waiting.filter(({ wanted, resolve }) => !(wanted(message) && (resolve(message), true)));
  }

  next(wanted, limitMs = 20_000) {
    const found = this.messages.find(wanted);
    if (found) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not on the stream: ${wanted}; it had: ${JSON.stringify(this.messages)}`)), limitMs);
      const settle = (f) => (value) => (clearTimeout(timer), f(value));
      this.waiting.push({ wanted, resolve: settle(resolve), reject: settle(reject) });
    });
  }

  async close() {
    this.abort.abort();
    await this.done;
  }
}

// --- the official clients ---

const withKey = (key) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } });

export async function connectLegacyClient(url, key, options = {}) {
  const client = new LegacyClient({ name: 'e2e-legacy', version: '1' }, { capabilities: {}, ...options });
  await client.connect(new LegacyTransport(new URL(url), withKey(key)));
  return client;
}

/** @param {'auto'|'legacy'|{pin: string}} mode which protocol era the client may speak */
export async function connectModernClient(url, key, mode = 'auto', options = {}) {
  const client = new ModernClient({ name: 'e2e-modern', version: '1' }, { versionNegotiation: { mode }, ...options });
  await client.connect(new ModernTransport(new URL(url), withKey(key)));
  return client;
}
