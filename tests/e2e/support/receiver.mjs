// Who receives webhooks. Signatures are checked with node:crypto alone.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import http from 'node:http';

/** A receiver of webhooks that keeps what it got and answers with the next of `statuses`, else 204. */
export async function startReceiver() {
  const got = [];
  const statuses = [];
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      got.push({ path: request.url, headers: request.headers, body });
      response.writeHead(statuses.shift() ?? 204).end();
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { got, statuses, url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => server.close(resolve)) };
}

/** Checks both signatures of a message. */
export function verify({ headers, body }, secret) {
  const at = headers['webhook-timestamp'];
  assert.ok(Math.abs(Date.now() / 1000 - Number(at)) < 300, 'webhook-timestamp is now');
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = crypto.createHmac('sha256', key).update(`${headers['webhook-id']}.${at}.${body}`).digest('base64');
  assert.ok(headers['webhook-signature'].split(' ').includes(`v1,${expected}`), 'webhook-signature');
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers['x-aig-signature']);
  assert.equal(v1, crypto.createHmac('sha256', secret).update(`${t}.${body}`).digest('hex'), 'x-aig-signature');
}
