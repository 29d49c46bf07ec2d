// MCP servers of other makers that a platform could register: the official SDKs, both generations, and one that misbehaves.
import crypto from 'node:crypto';
import http from 'node:http';
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, McpServer as ModernServer } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import * as z from 'zod';

async function listen(handle) {
  const server = http.createServer(handle);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const readBody = async (request) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : undefined;
};

/** A server with the tools `echo`, `add_page` and `whoami`; `describe` replaces what `echo` says of itself. */
class OfficialServer {
  seen = []; // {method, headers} of each POST
  pages = [];
  echoDescription = 'Gives the text back.';

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/mcp`;
  }

  define(server, shape) {
    server.registerTool('echo', {
      title: 'Echo', description: this.echoDescription, inputSchema: shape({ text: z.string().max(200) }), annotations: { readOnlyHint: true },
    }, async ({ text }) => ({ content: [{ type: 'text', text: `echo: ${text}` }] }));
    server.registerTool('add_page', { description: 'Adds a page.', inputSchema: shape({ title: z.string() }) }, async ({ title }) => {
      this.pages.push(title);
      return { content: [{ type: 'text', text: `added ${title}` }] };
    });
    server.registerTool('whoami', { description: 'Who calls.', inputSchema: shape({}), annotations: { readOnlyHint: true } },
      async () => ({ content: [{ type: 'text', text: this.seen.at(-1).headers.authorization ?? 'nobody' }] }));
    return server;
  }

  note(request, body) {
    this.seen.push({ method: body?.method, headers: request.headers });
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** SDK 1.x: legacy only, with a session for each client. */
export async function startLegacyServer() {
  const self = new OfficialServer();
  self.sessions = new Map();
  self.server = await listen(async (request, response) => {
    const body = await readBody(request);
    self.note(request, body);
    let transport = self.sessions.get(request.headers['mcp-session-id']);
    if (!transport && body?.method === 'initialize') {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(), onsessioninitialized: (id) => self.sessions.set(id, transport),
      });
      await self.define(new LegacyServer({ name: 'legacy-wiki', version: '1.2' }), (shape) => shape).connect(transport);
    }
    if (transport) return transport.handleRequest(request, response, body);
    const gone = request.headers['mcp-session-id'] !== undefined;
    response.writeHead(gone ? 404 : 400, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32000, message: gone ? 'Session not found' : 'No valid session ID' }, id: null }));
  });
  return self;
}

/** SDK 2.x: 2026-07-28. */
export async function startModernServer() {
  const self = new OfficialServer();
  const handler = toNodeHandler(createMcpHandler(() => self.define(new ModernServer({ name: 'modern-wiki', version: '2.0' }), (shape) => z.object(shape))));
  self.server = await listen(async (request, response) => {
    const body = await readBody(request);
    self.note(request, body);
    return handler(request, response, body);
  });
  return self;
}

/** Answers tools/list as `tools` says and tools/call as `call(response, message)` does. */
export async function startHostileServer() {
  const self = new OfficialServer();
  self.tools = [];
  self.call = (response) => response.end();
  self.server = await listen(async (request, response) => {
    const message = await readBody(request);
    self.note(request, message);
    const result = (value) => response.writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: value }));
    if (message?.method === 'server/discover') return result({ resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } });
    if (message?.method === 'tools/list') return result({ resultType: 'complete', tools: self.tools });
    return self.call(response, message);
  });
  return self;
}
