// The requests of the benchmark in both protocol eras, and what a right answer to each looks like.
import assert from 'node:assert/strict';

const MODERN = '2026-07-28';
export const LEGACY = '2025-11-25';
const META = 'io.modelcontextprotocol/';
export const TEXT = 'hello from the benchmark';

const common = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

/** A body in which @ID@ stands for the request's id. */
function message(method, params) {
  return JSON.stringify({ jsonrpc: '2.0', id: '@ID@', method, params }).replace('"@ID@"', '@ID@');
}

export function modern(method, params = {}) {
  const meta = {
    [`${META}protocolVersion`]: MODERN,
    [`${META}clientCapabilities`]: {},
    [`${META}clientInfo`]: { name: 'bench', version: '1' },
  };
  return {
    method: 'POST',
    body: message(method, { ...params, _meta: meta }),
    headers: {
      ...common,
      'MCP-Protocol-Version': MODERN,
      'Mcp-Method': method,
      ...(params.name && { 'Mcp-Name': params.name }),
    },
  };
}

export function legacy(method, params = {}) {
  return { method: 'POST', body: message(method, params), headers: { ...common, 'MCP-Protocol-Version': LEGACY } };
}

export const echo = { name: 'bench_echo', arguments: { text: TEXT } };
export const tooLong = { name: 'bench_echo', arguments: { text: 'x'.repeat(201) } };

/** Sends the request once and gives back the JSON-RPC result and how many bytes the answer took. */
export async function once({ url, method, headers, body, keys }) {
  const reply = await fetch(url, {
    method,
    body: body?.replace('@ID@', '7000000001'),
    headers: { ...headers, ...(keys && { authorization: `Bearer ${keys[0]}` }) },
  });
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  const json = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? text);
  return { json, bytes: Buffer.byteLength(text) };
}

export function isHealthy({ status }) {
  assert.equal(status, 'ok');
}

export function isEcho({ result }) {
  assert.ok(result && !result.isError, JSON.stringify(result));
  assert.ok(JSON.stringify(result.content).includes(TEXT), JSON.stringify(result));
}

export function isRefusal({ result }) {
  assert.equal(result?.isError, true, JSON.stringify(result));
}

export function isToolList({ result }) {
  assert.deepEqual(
    result?.tools?.map((tool) => tool.name),
    ['bench_echo'],
    JSON.stringify(result),
  );
}
