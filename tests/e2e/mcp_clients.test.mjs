// The official TypeScript clients, both generations, at work for an end user.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { connectLegacyClient, connectModernClient, MODERN, textOf, toolNames } from './support/mcp.mjs';
import { World } from './support/world.mjs';

const AT = { owner: 'octocat', repo: 'hello-world' };

describe('official MCP clients', () => {
  let world, user;
  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser();
  });
  after(() => world?.stop());

  async function work(client, label) {
    const { tools } = await client.listTools();
    const github = tools.filter((tool) => tool.name.startsWith('github_'));
    assert.equal(github.length, 28, github.map((t) => t.name).join());
    for (const tool of github) {
      assert.ok(tool.description && tool.title, tool.name);
      assert.equal(tool.inputSchema.additionalProperties, false, tool.name);
      assert.equal(tool.outputSchema?.type, 'object', tool.name);
      for (const hint of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) {
        assert.equal(typeof tool.annotations?.[hint], 'boolean', `${tool.name} ${hint}`);
      }
    }
    const created = await client.callTool({ name: 'github_create_issue', arguments: { ...AT, title: `From ${label}`, body: 'hello' } });
    assert.ok(!created.isError, textOf(created));
    const { number } = created.structuredContent.item;
    const read = await client.callTool({ name: 'github_get_issue', arguments: { ...AT, issue_number: number } });
    assert.equal(read.structuredContent.item.title, `From ${label}`);
    const wrong = await client.callTool({ name: 'github_get_issue', arguments: { ...AT, issue_number: 'seven' } });
    assert.equal(wrong.isError, true, 'arguments that break the schema are a tool error that the model can mend');
    assert.match(textOf(wrong), /issue_number/);
    await assert.rejects(client.callTool({ name: 'github_no_such_tool', arguments: {} }), (e) => e.code === -32602);
    const { tools: again } = await client.listTools();
    assert.deepEqual(again.map((t) => t.name), tools.map((t) => t.name), 'the order is stable');
  }

  test('legacy SDK 1.x over HTTP+SSE, the transport of 2024-11-05', async () => {
    const client = new Client({ name: 'e2e-sse', version: '1' }, { capabilities: {} });
    await client.connect(new SSEClientTransport(new URL(`${world.mcp()}/sse`), { requestInit: { headers: { authorization: `Bearer ${user.key}` } } }));
    await work(client, 'sse');
    await client.ping();
    const other = await world.newUser();
    const foreign = await fetch(client.transport._endpoint, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${other.key}` }, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    });
    assert.equal(foreign.status, 404, 'the session is its user\'s');
    await client.close();
    assert.equal((await fetch(`${world.mcp()}/sse`, { headers: { accept: 'text/event-stream' } })).status, 401);
  });

  test('legacy SDK 1.x', async () => {
    const client = await connectLegacyClient(world.mcp(), user.key);
    assert.equal(client.getServerVersion().name.length > 0, true);
    assert.equal(client.getServerCapabilities().tools.listChanged, true);
    await work(client, 'legacy');
    await client.ping();
    await client.transport.terminateSession();
    await client.close();
  });

  test('icons of the server, of apps, prompts and resources, not before 2025-11-25', async () => {
    const old = new Client({ name: 'e2e-old', version: '1' }, { capabilities: {} });
    await old.connect(new StreamableHTTPClientTransport(new URL(world.mcp()), {
      requestInit: { headers: { authorization: `Bearer ${user.key}` } },
      fetch: (url, init) => fetch(url, { ...init, body: init?.body?.replace('"protocolVersion":"2025-11-25"', '"protocolVersion":"2025-06-18"') }),
    }));
    const seen = async (client) => [
      client.getServerVersion(), ...(await client.listTools()).tools.filter((t) => t.name.startsWith('github_')), ...(await client.listPrompts()).prompts,
      ...(await client.listResources()).resources.filter((r) => r.uri !== 'assistiv://connections'),
    ];
    const older = await seen(old);
    assert.equal(old.transport.protocolVersion, '2025-06-18');
    await old.close();
    assert.ok(older.length > 30);
    assert.deepEqual(older.filter((one) => 'icons' in one), []);
    for (const client of [await connectLegacyClient(world.mcp(), user.key), await connectModernClient(world.mcp(), user.key, { pin: MODERN })]) {
      const now = await seen(client);
      assert.equal(now.length, older.length);
      for (const { name, icons } of now) {
        assert.equal(icons?.length, 1, name);
        assert.deepEqual([icons[0].mimeType, icons[0].sizes], ['image/svg+xml', ['any']], name);
        assert.ok(icons[0].src.startsWith(`${world.mcp()}/icons/`), icons[0].src);
      }
      const sources = [...new Set(now.map(({ icons }) => icons[0].src))];
      assert.equal(sources.length, 2, 'the server\'s and the app\'s');
      for (const src of sources) {
        const reply = await fetch(src);
        assert.equal(reply.status, 200, src);
        assert.match(reply.headers.get('content-type'), /^image\/svg\+xml/);
        assert.match(reply.headers.get('cache-control'), /public, max-age=\d{4,}/);
        assert.equal(reply.headers.get('content-security-policy'), 'default-src \'none\'; sandbox');
        assert.match(await reply.text(), /^<svg /);
      }
      await client.close();
    }
    assert.equal((await fetch(`${world.mcp()}/icons/nothing.svg`)).status, 404);
  });

  test('SDK 2.x chooses the modern protocol by itself', async () => {
    const client = await connectModernClient(world.mcp(), user.key, 'auto');
    assert.equal(client.getNegotiatedProtocolVersion(), MODERN);
    await work(client, 'auto');
    await client.close();
  });

  test('SDK 2.x pinned to the modern protocol', async () => {
    const client = await connectModernClient(world.mcp(), user.key, { pin: MODERN });
    await work(client, 'pinned');
    await client.close();
  });

  test('SDK 2.x held to the legacy protocol', async () => {
    const client = await connectModernClient(world.mcp(), user.key, 'legacy');
    await work(client, 'held');
    await client.close();
  });

  test('one app by its own URL', async () => {
    const client = await connectLegacyClient(world.mcp('github'), user.key);
    assert.ok((await client.listTools()).tools.every((t) => t.name.startsWith('github_')));
    await client.close();
    const elsewhere = await connectLegacyClient(world.mcp('github_oauth'), user.key); // known, but not activated by this platform
    await assert.rejects(elsewhere.listTools(), /not activated the app/);
    await assert.rejects(elsewhere.callTool({ name: 'github_get_me', arguments: {} }), (e) => e.code === -32602);
    await elsewhere.close();
    for (const connect of [connectLegacyClient, connectModernClient]) {
      await assert.rejects(connect(world.mcp('nothing'), user.key), /no app \\?"nothing/);
    }
  });

  test('an app that is not connected gives the way to connect it', async () => {
    const stranger = await world.newUser();
    const names = await toolNames(world.mcp(), stranger.key);
    assert.ok(!names.includes('github_get_me') || names.includes('github_create_issue'));
    for (const client of [await connectLegacyClient(world.mcp(), stranger.key), await connectModernClient(world.mcp(), stranger.key)]) {
      const result = await client.callTool({ name: 'github_get_me', arguments: {} });
      assert.equal(result.isError, true);
      const [link] = textOf(result).match(/http:\/\/127\.0\.0\.1:\d+\/connect\/[\w-]+/) ?? [];
      assert.ok(link, textOf(result));
      await client.close();
    }
  });

  test('a client that can open URLs is asked to (legacy URL elicitation)', async () => {
    const stranger = await world.newUser();
    const client = await connectLegacyClient(world.mcp(), stranger.key, { capabilities: { elicitation: { form: {}, url: {} } } });
    await assert.rejects(client.callTool({ name: 'github_get_me', arguments: {} }), (error) => {
      assert.equal(error.code, -32042, String(error));
      const [ask] = error.data.elicitations;
      assert.equal(ask.mode, 'url');
      assert.match(ask.url, /\/connect\//);
      return true;
    });
    await client.close();
  });
});
