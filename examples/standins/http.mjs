// What the stand-ins share: a small HTTP server on the loopback address and helpers for replies.
import http from 'node:http';

const BODY_LIMIT = 8 * 1024 * 1024;

export async function readBody(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Error('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A form or JSON body as an object of strings or values. */
export function parseBody(req, body) {
  const type = req.headers['content-type'] ?? '';
  const text = body.toString('utf8');
  if (type.includes('json') || /^\s*[{[]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return {};
    }
  }
  return Object.fromEntries(new URLSearchParams(text));
}

export function sendJson(res, status, value, headers = {}) {
  const text = JSON.stringify(value);
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text), ...headers });
  res.end(text);
}

export function sendHtml(res, status, html, headers = {}) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', ...headers });
  res.end(html);
}

export function redirect(res, location, headers = {}) {
  res.writeHead(302, { location, ...headers });
  res.end();
}

export function basicCredentials(req) {
  const match = /^Basic (.+)$/i.exec(req.headers.authorization ?? '');
  if (!match) return null;
  const [id, ...secret] = Buffer.from(match[1], 'base64').toString('utf8').split(':');
  return { id: decodeURIComponent(id), secret: decodeURIComponent(secret.join(':')) };
}

export function bearerToken(req) {
  return /^(?:Bearer|token) +(.+)$/i.exec(req.headers.authorization ?? '')?.[1] ?? null;
}

export function cookies(req) {
  return Object.fromEntries((req.headers.cookie ?? '').split(/; */).filter(Boolean).map((pair) => pair.split('=').map(decodeURIComponent)));
}

export const escapeHtml = (text) =>
  String(text).replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c]);

/** Listens on 127.0.0.1; stop() also ends connections that are kept alive or hanging. */
export async function listen(handler, port = 0) {
  const server = http.createServer((req, res) => {
    Promise.resolve(handler(req, res)).catch((error) => {
      if (res.headersSent) return res.destroy();
      sendJson(res, 500, { message: `stand-in failed: ${error.stack}` });
    });
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const bound = server.address().port;
  return {
    port: bound,
    url: `http://127.0.0.1:${bound}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

/** Starts a stand-in from the command line: reads --port, prints the address, stops on a signal. */
export async function runFromCommandLine(start) {
  const at = process.argv.indexOf('--port');
  const standin = await start({ port: at > 0 ? Number(process.argv[at + 1]) : 0 });
  console.log(standin.url);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => standin.stop().then(() => process.exit(0)));
}
