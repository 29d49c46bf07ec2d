// Memory of a server with many idle event streams: before, with them, after they closed, and with a second set.
import assert from 'node:assert/strict';
import net from 'node:net';
import { pause, residentKib } from '../support/machine.mjs';
import { modern, LEGACY } from './mcp_requests.mjs';
import { startGateway, startSdk, Tenant } from './servers.mjs';

const PER_USER = 25; // below the gateway's limit of streams per end user
const AT_ONCE = 50;
const SETTLE_MS = 10_000;
const LISTEN = modern('subscriptions/listen', { notifications: { toolsListChanged: true } });

const headLines = (headers) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');

/** A socket whose event stream has begun: `sign` has been seen in what the server sent. */
function openStream(server, text, sign) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(text));
    let seen = '';
    const fail = (why) => reject(new Error(`${why}; the server sent: ${seen.slice(0, 600)}`));
    socket.setTimeout(30_000, () => fail('no stream within 30 s'));
    socket.on('error', fail);
    socket.on('close', () => fail('the stream ended'));
    socket.on('data', (chunk) => {
      seen += chunk;
      if (!sign.test(seen)) return;
      socket.removeAllListeners();
      socket.setTimeout(0);
      socket.on('data', () => {});
      socket.on('close', () => (socket.ended = true));
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function modernListen(server, key) {
  const body = LISTEN.body.replace('@ID@', '1');
  const head = {
    Host: new URL(server.url).host,
    ...LISTEN.headers,
    ...(key && { Authorization: `Bearer ${key}` }),
    'Content-Length': Buffer.byteLength(body),
  };
  return openStream(server, `POST /mcp HTTP/1.1\r\n${headLines(head)}\r\n${body}`, /subscriptions\/acknowledged/);
}

/** A session of its own for each stream, as each client has one. */
async function legacyGet(server, key) {
  const headers = { Accept: 'application/json, text/event-stream', Authorization: `Bearer ${key}` };
  const post = (message, more) =>
    fetch(`${server.url}/mcp`, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
      headers: { ...headers, 'Content-Type': 'application/json', ...more },
    });
  const opened = await post({
    id: 1,
    method: 'initialize',
    params: { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
  });
  await opened.text();
  const session = { 'Mcp-Session-Id': opened.headers.get('mcp-session-id'), 'MCP-Protocol-Version': LEGACY };
  assert.ok(session['Mcp-Session-Id'], `initialize answered ${opened.status} without a session`);
  await (await post({ method: 'notifications/initialized' }, session)).text();
  const head = { Host: new URL(server.url).host, ...headers, Accept: 'text/event-stream', ...session };
  return openStream(
    server,
    `GET /mcp HTTP/1.1\r\n${headLines(head)}\r\n`,
    /^HTTP\/1\.1 200[\s\S]*text\/event-stream[\s\S]*?\r\n\r\n/i,
  );
}

async function openAll(server, open, keys, count) {
  const sockets = [];
  while (sockets.length < count) {
    const begun = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, (_, i) =>
      open(server, keys[(sockets.length + i) % keys.length]),
    );
    sockets.push(...(await Promise.all(begun)));
  }
  return sockets;
}

async function openAndClose(server, open, keys, count) {
  const sockets = await openAll(server, open, keys, count);
  await pause(SETTLE_MS);
  assert.equal(sockets.filter((socket) => socket.ended).length, 0, 'streams ended by themselves');
  const withStreams = residentKib(server.pid);
  sockets.forEach((socket) => socket.destroy());
  await pause(SETTLE_MS);
  return { withStreams, after: residentKib(server.pid) };
}

async function measureServer(server, open, keys, count) {
  (await open(server, keys[0])).destroy();
  await pause(1000);
  const before = residentKib(server.pid);
  const first = await openAndClose(server, open, keys, count);
  const second = await openAndClose(server, open, keys, count);
  await server.stop();
  return { streams: count, before, ...first, again: second.withStreams, afterAgain: second.after };
}

async function addListeners(world, count) {
  const gateway = await startGateway(world);
  const tenant = await Tenant.create(gateway);
  const keys = [];
  for (let i = 0; i < count; i++) keys.push((await tenant.addUser(gateway, `listener-${i}`)).api_key.raw_key);
  await gateway.stop();
  return keys;
}

/** Resident memory in KiB per kind of stream. Each kind has a server process of its own. */
export async function measureIdleStreams(world, { streams, peerStreams, say, only }) {
  const gateway = { start: () => startGateway(world), keys: null, streams };
  const kinds = [
    { ...gateway, id: 'gateway.listen', label: 'gateway, subscriptions/listen', open: modernListen },
    { ...gateway, id: 'gateway.get', label: 'gateway, legacy session with GET stream', open: legacyGet },
    {
      id: 'sdk.listen',
      label: 'TypeScript SDK, subscriptions/listen',
      open: modernListen,
      start: () => startSdk(),
      keys: [undefined],
      streams: peerStreams,
    },
  ].filter(({ id }) => !only || only.test(id));
  const listeners = kinds.some(({ keys }) => !keys) && (await addListeners(world, Math.ceil(streams / PER_USER)));
  const rows = [];
  for (const kind of kinds) {
    const measured = await measureServer(await kind.start(), kind.open, kind.keys ?? listeners, kind.streams);
    rows.push({ id: kind.id, label: kind.label, ...measured });
    const { before, withStreams, after, again, afterAgain } = measured;
    say(
      `${kind.id}: ${kind.streams} streams, RSS in KiB ${before} -> ${withStreams} -> ${after}` +
        `, again ${again} -> ${afterAgain}`,
    );
  }
  return rows;
}
