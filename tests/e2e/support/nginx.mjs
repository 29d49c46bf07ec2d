// nginx in front of several servers: round robin, no sticky sessions, its defaults for buffering and time limits.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { eventually, tempDir } from './server.mjs';

/** A port that was free a moment ago: servers must know their public address before nginx can know theirs. */
export const freePort = () => new Promise((resolve, reject) => {
  const probe = net.createServer().once('error', reject).listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});

/** Replies carry `x-node`: the address that answered. */
export async function startNginx(port, servers) {
  const home = tempDir('nginx');
  const config = path.join(home, 'nginx.conf');
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${home}/${kind};`).join(' ');
  // One worker: each keeps a turn of its own. max_fails=0: a server that was away is asked again at once.
  fs.writeFileSync(config, `daemon off; pid ${home}/nginx.pid; error_log ${home}/error.log; worker_processes 1;
events { worker_connections 1024; }
http {
  access_log off; ${temp}
  upstream nodes { ${servers.map(({ url }) => `server ${new URL(url).host} max_fails=0;`).join(' ')} }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://nodes; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      add_header X-Node $upstream_addr always;
    }
  }
}
`);
  const child = spawn('nginx', ['-c', config, '-p', home], { stdio: 'ignore' });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  const url = `http://127.0.0.1:${port}`;
  await eventually(() => fetch(`${url}/healthz`).then((reply) => reply.ok, () => false), () => `nginx: ${fs.readFileSync(path.join(home, 'error.log'), 'utf8')}`);
  return {
    url,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
}
