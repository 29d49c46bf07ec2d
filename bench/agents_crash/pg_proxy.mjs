// A proxy in front of PostgreSQL that stops at each commit of a transaction that wrote rows of agents: once before the
// server hears of it, and once when it is durable and the client does not know yet. Messages: PostgreSQL protocol 3.0,
// chapter 55 of its manual.
import net from 'node:net';

const COMMIT = /^\s*commit\b/i;
const WRITES = /\b(insert\s+into|update|delete\s+from)\s+agent_/i;

/** Whole messages out of a stream of bytes. The first message of a client has no type. */
class Messages {
  constructor(untyped) {
    this.rest = Buffer.alloc(0);
    this.untyped = untyped;
  }

  *take(chunk) {
    this.rest = this.rest.length ? Buffer.concat([this.rest, chunk]) : chunk;
    for (;;) {
      const head = this.untyped ? 0 : 1;
      if (this.rest.length < head + 4) return;
      const size = head + this.rest.readUInt32BE(head);
      if (this.rest.length < size) return;
      const bytes = this.rest.subarray(0, size);
      this.rest = this.rest.subarray(size);
      const type = this.untyped ? 'startup' : String.fromCharCode(bytes[0]);
      // A request for encryption is a startup message that another one follows.
      if (this.untyped && bytes.readUInt32BE(4) !== 80877103) this.untyped = false;
      yield { type, bytes };
    }
  }
}

const text = (bytes, from) => bytes.toString('utf8', from, bytes.indexOf(0, from));

class Link {
  constructor(client, socketPath, at) {
    this.statements = new Map();
    this.writes = false;
    this.at = at;
    this.client = client;
    this.server = net.connect(socketPath);
    this.fromClient = new Messages(true);
    this.fromServer = new Messages(false);
    this.awaitsCommit = false;
    for (const socket of [client, this.server]) socket.on('error', () => this.close()).on('close', () => this.close());
    this.pump(client, (chunk) => this.clientSent(chunk));
    this.pump(this.server, (chunk) => this.serverSent(chunk));
  }

  /** Nothing of what was not sent on yet reaches the other side. */
  close() {
    this.closed = true;
    this.client.destroy();
    this.server.destroy();
  }

  pump(socket, handle) {
    let turn = Promise.resolve();
    socket.on('data', (chunk) => {
      turn = turn.then(() => !this.closed && handle(chunk)).catch(() => this.close());
    });
  }

  async clientSent(chunk) {
    for (const { type, bytes } of this.fromClient.take(chunk)) {
      const sql = this.sqlOf(type, bytes);
      if (sql && WRITES.test(sql)) this.writes = true;
      if (sql && COMMIT.test(sql) && this.writes) {
        this.awaitsCommit = true;
        this.writes = false;
        await this.at('before commit');
      }
      this.server.write(bytes);
    }
  }

  async serverSent(chunk) {
    if (this.encrypted === undefined && chunk.length === 1) return void this.client.write(chunk); // 'N': no encryption
    this.encrypted = false;
    for (const { type, bytes } of this.fromServer.take(chunk)) {
      if (type === 'C' && this.awaitsCommit && text(bytes, 5) === 'COMMIT') {
        this.awaitsCommit = false;
        await this.at('after commit');
      }
      this.client.write(bytes);
    }
  }

  sqlOf(type, bytes) {
    if (type === 'Q') return text(bytes, 5);
    if (type === 'P') {
      const name = text(bytes, 5);
      const sql = text(bytes, 5 + Buffer.byteLength(name) + 1);
      this.statements.set(name, sql);
      return null;
    }
    if (type !== 'B') return null;
    const portal = text(bytes, 5);
    return this.statements.get(text(bytes, 5 + Buffer.byteLength(portal) + 1)) ?? null;
  }
}

/** @param {(point: string) => Promise<void>} at called at each point; what it awaits holds the message back */
export async function startProxy(socketPath, at) {
  const links = new Set();
  const server = net.createServer((client) => {
    const link = new Link(client, socketPath, at);
    links.add(link);
    client.on('close', () => links.delete(link));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    stop: () => {
      server.close();
      links.forEach(({ client }) => client.destroy());
    },
  };
}
