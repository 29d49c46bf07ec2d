// From the start of the program to the first 200 of /readyz, with a database that exists and was stopped cleanly.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { untilQuiet } from '../support/machine.mjs';
import { gatewaySettings, startGateway } from './servers.mjs';
import { BINARY } from '../../tests/e2e/support/server.mjs';

const LIMIT_MS = 30_000;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The status, or 0 while nothing listens. */
function statusOf(port) {
  return new Promise((resolve) => {
    const request = http.get({ host: '127.0.0.1', port, path: '/readyz', agent: false }, (reply) => {
      reply.resume();
      resolve(reply.statusCode);
    });
    request.on('error', () => resolve(0));
  });
}

async function startOnce(world) {
  const port = await freePort();
  const env = {
    PATH: process.env.PATH,
    ...gatewaySettings(world.authorization, world.upstream),
    ASSISTIV_PORT: String(port),
    ASSISTIV_DATA_DIR: world.dataDir,
  };
  const began = performance.now();
  const child = spawn(BINARY, ['serve'], { cwd: world.dataDir, stdio: 'ignore', env });
  const ended = once(child, 'exit');
  try {
    while ((await statusOf(port)) !== 200) {
      assert.ok(performance.now() - began < LIMIT_MS && child.exitCode === null, 'the server did not become ready');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return performance.now() - began;
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** Milliseconds of each start. */
export async function measureColdStart(world, { starts, patience, say }) {
  await (await startGateway(world)).stop();
  const times = [];
  for (let i = 0; i < starts; i++) {
    await untilQuiet(patience);
    times.push(await startOnce(world));
  }
  say(`cold start: ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  return times;
}
