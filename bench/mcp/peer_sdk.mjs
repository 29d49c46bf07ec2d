// The peer: the official TypeScript SDK's server with one echo tool, both protocol eras, no authentication.
// With UPSTREAM set, the tool posts its text there first, as the gateway's does.
// Prints its port when it listens.
import { createServer } from 'node:http';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';

const upstream = process.env.UPSTREAM;

async function ask(text) {
  if (!upstream) return text;
  const reply = await fetch(`${upstream}/echo`, {
    method: 'POST',
    body: JSON.stringify({ text }),
    headers: { 'content-type': 'application/json', authorization: 'Bearer bench' },
  });
  return (await reply.json()).text;
}

function newServer() {
  const server = new McpServer({ name: 'peer', version: '1.0.0' });
  server.registerTool(
    'bench_echo',
    {
      title: 'Echo',
      description: 'Returns the text that was sent.',
      inputSchema: z.object({ text: z.string().max(200) }),
      annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    },
    async ({ text }) => ({ content: [{ type: 'text', text: await ask(text) }] }),
  );
  return server;
}

const handle = toNodeHandler(
  createMcpHandler(newServer, { responseMode: 'json', onerror: (error) => console.error(error) }),
);
const server = createServer((req, res) => void handle(req, res));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
