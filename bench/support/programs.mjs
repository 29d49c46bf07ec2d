// Programs that a benchmark starts beside the server.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A program that prints its port, or its URL, and serves until it is stopped. */
export async function startProgram(command, args, env = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });
  running.add(child);
  const ended = once(child, 'exit').then(() => running.delete(child));
  const first = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (first.done) throw new Error(`${command} ended before it served`);
  return {
    pid: child.pid,
    url: new URL(first.value.trim().replace(/^(\d+)$/, 'http://127.0.0.1:$1')).origin,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
