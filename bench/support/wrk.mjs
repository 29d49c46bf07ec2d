// Runs wrk with load.lua.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const THREADS = 2;
export const CONNECTIONS = 64;
const SCRIPT = fileURLToPath(new URL('load.lua', import.meta.url));
const run = promisify(execFile);

/**
 * @param {{url: string, method: string, headers?: Record<string, string>, body?: string, keys?: string[]}} request
 * @param {string} scratch a directory for the files that load.lua reads
 * @param {number} [pace] ms that each connection waits before a request, on average
 */
export async function wrk(request, seconds, scratch, connections = CONNECTIONS, pace = 0) {
  const args = [
    `-t${Math.min(THREADS, connections)}`,
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '10s',
    '-s',
    SCRIPT,
  ];
  for (const [name, value] of Object.entries(request.headers ?? {})) args.push('-H', `${name}: ${value}`);
  args.push(request.url, '--', request.method);
  if (request.body) args.push(write(scratch, 'wrk_body', request.body));
  if (request.keys) args.push(write(scratch, 'wrk_keys', request.keys.join('\n')));
  const { stdout } = await run('wrk', args, { env: { ...process.env, PACE_MS: String(pace) } });
  const result = JSON.parse(stdout.trim().split('\n').at(-1));
  return {
    perSecond: result.requests / (result.micros / 1e6),
    failed: result.failed + result.bad_status,
    requests: result.requests,
    bytesEach: result.bytes / result.requests,
    p50: result.p50 / 1000,
    p90: result.p90 / 1000,
    p99: result.p99 / 1000,
    max: result.max / 1000,
  };
}

function write(scratch, name, text) {
  const file = path.join(scratch, name);
  fs.writeFileSync(file, text, { mode: 0o600 });
  return file;
}
