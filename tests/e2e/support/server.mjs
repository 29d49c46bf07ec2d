// Starts the built binary on a free port with a data directory of its own, and stops what it started.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const BINARY = path.resolve(process.env.ASSISTIV_BIN ?? path.join(ROOT, 'build/dev/assistiv'));
const READY_MS = 60_000;

const started = new Set();
process.on('exit', () => started.forEach((child) => child.kill('SIGKILL')));

/** A directory that the unprivileged PostgreSQL of a server run by root can reach. */
export function tempDir(name = 'data') {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), `assistiv-${name}-`));
  fs.chmodSync(dir, 0o711);
  return dir;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until the answer is truthy. The limit only ends a test that hangs: nothing is measured. */
export async function eventually(ask, what = 'condition', limitMs = 60_000) {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`never happened: ${typeof what === 'function' ? what() : what}`);
    await pause(50);
  }
}

/**
 * @param {object} options
 * @param {string} [options.dataDir] kept when given, so that a second start finds the first one's state
 * @param {Record<string, string>} [options.env] ASSISTIV_* settings
 * @param {string[]} [options.args] after `serve`
 */
export async function startServer({ dataDir, env = {}, args = [] } = {}) {
  if (!fs.existsSync(BINARY)) throw new Error(`${BINARY} is not built`);
  const ownDir = !dataDir;
  const dir = dataDir ?? tempDir();
  const log = path.join(dir, 'e2e.log');
  const runFile = path.join(dir, 'run.json');
  const out = fs.openSync(log, 'a');
  const child = spawn(BINARY, ['serve', ...args], {
    cwd: dir,
    stdio: ['ignore', out, out],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ASSISTIV_PORT: '0', ASSISTIV_DATA_DIR: dir, ...env },
  });
  fs.closeSync(out);
  started.add(child);
  const exited = new Promise((resolve) => child.once('exit', (code, signal) => {
    started.delete(child);
    resolve({ code, signal });
  }));
  const readLog = () => fs.readFileSync(log, 'utf8');
  const gone = exited.then(({ code, signal }) => {
    throw new Error(`the server ended while it was starting (${signal ?? code}):\n${readLog().slice(-4000)}`);
  });
  gone.catch(() => {});
  const ready = eventually(async () => {
    let run;
    try {
      run = JSON.parse(fs.readFileSync(runFile, 'utf8'));
    } catch {
      return null;
    }
    if (run.pid !== child.pid) return null; // of a server before this one
    const reply = await fetch(`http://127.0.0.1:${run.port}/readyz`).catch(() => null);
    return reply?.status === 200 ? run : null;
  }, () => `${BINARY} ready; log:\n${readLog().slice(-4000)}`, READY_MS);
  const run = await Promise.race([ready, gone]).catch((error) => {
    child.kill('SIGKILL');
    throw error;
  });

  const server = {
    url: `http://127.0.0.1:${run.port}`,
    port: run.port,
    pid: child.pid,
    dataDir: dir,
    log: readLog,
    get adminKey() {
      return fs.readFileSync(path.join(dir, 'admin.key'), 'utf8').trim();
    },
    /** Ends the process as a crash does; its PostgreSQL may live on. */
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    stop: async () => {
      child.kill('SIGTERM');
      const forced = setTimeout(() => child.kill('SIGKILL'), 20_000);
      const result = await exited;
      clearTimeout(forced);
      if (ownDir) stopLeftovers(dir);
      return result;
    },
    exited,
  };
  return server;
}

/**
 * A data directory in which a server has started once. It is made once per binary and copied, because a first start
 * takes seconds: the cluster, and every migration.
 */
export async function startedDir() {
  const { mtimeMs, size } = fs.statSync(BINARY);
  const template = path.join(os.tmpdir(), `assistiv-e2e-template-${process.getuid()}-${size}-${Math.trunc(mtimeMs)}`);
  if (!fs.existsSync(template)) await makeStartedDir(template);
  const dir = tempDir();
  const { status, stderr, error } = spawnSync('cp', ['-a', `${template}/.`, dir], { encoding: 'utf8' });
  if (status === 0) return dir;
  fs.rmSync(dir, { recursive: true, force: true });
  throw error ?? new Error(stderr);
}

async function makeStartedDir(template) {
  // Those of builds of yesterday.
  for (const name of fs.readdirSync(os.tmpdir()).filter((one) => /^assistiv-e2e-(template|making)-/.test(one))) {
    const old = path.join(os.tmpdir(), name);
    const { mtimeMs = Date.now() } = fs.statSync(old, { throwIfNoEntry: false }) ?? {};
    if (mtimeMs < Date.now() - 86_400_000) fs.rmSync(old, { recursive: true, force: true });
  }
  const making = tempDir('e2e-making');
  try {
    const server = await startServer({ dataDir: making });
    const { code } = await server.stop();
    if (code !== 0) throw new Error(`the server that makes ${template} ended with ${code}:\n${server.log().slice(-4000)}`);
    fs.rmSync(path.join(making, 'e2e.log'));
    fs.renameSync(making, template);
  } catch (error) {
    stopLeftovers(making);
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error; // else somebody was faster
  }
}

/** `assistiv <args>` to its end. */
export function runCommand(args, env = {}) {
  const { status, stdout, stderr } = spawnSync(BINARY, args, { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
  return { status, stdout, stderr };
}

/** Removes a data directory, after stopping a PostgreSQL that a killed server left in it. */
export function stopLeftovers(dir) {
  for (const entry of fs.readdirSync(dir, { recursive: true })) {
    if (path.basename(entry) !== 'postmaster.pid') continue;
    const pid = Number(fs.readFileSync(path.join(dir, entry), 'utf8').split('\n')[0]);
    try {
      process.kill(pid, 'SIGQUIT');
    } catch {
      // it is gone already
    }
  }
  if (!process.env.ASSISTIV_KEEP_DATA) fs.rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
