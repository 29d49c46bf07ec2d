// A proxy in front of a vendor's stand-in. It passes everything on until a test tells it to answer in the vendor's place.
import http from 'node:http';
import { listen, readBody } from '../../../examples/standins/http.mjs';

const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host'];
const without = (headers, names) => Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));

function forward(target, req, body) {
  return new Promise((resolve, reject) => {
    const { port } = new URL(target);
    const request = http.request({ host: '127.0.0.1', port, method: req.method, path: req.url, headers: { ...without(req.headers, HOP_BY_HOP), 'content-length': body.length } }, (reply) => {
      readBody(reply).then((text) => resolve({ status: reply.statusCode, headers: without(reply.headers, HOP_BY_HOP), body: text }), reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

export class Front {
  requests = []; // {method, url, body} since the last clear()
  /** (req, res, pass) => true when it answered; pass() asks the stand-in and gives {status, headers, body}. */
  fault = null;

  static async start(target) {
    const front = new Front();
    front.target = target;
    await front.up();
    return front;
  }

  /** Again on the same port, after down(). */
  async up() {
    this.server = await listen(async (req, res) => {
      const body = await readBody(req);
      this.requests.push({ method: req.method, url: req.url, body: body.toString('utf8') });
      const pass = () => forward(this.target, req, body);
      if (this.fault && await this.fault(req, res, pass)) return;
      const reply = await pass();
      res.writeHead(reply.status, reply.headers);
      res.end(reply.body);
    }, this.server?.port ?? 0);
    this.url = this.server.url;
  }

  /** Nobody listens any more. */
  async down() {
    await this.server?.stop();
  }

  clear() {
    this.requests.length = 0;
  }
}
