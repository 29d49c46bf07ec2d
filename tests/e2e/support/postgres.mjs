// A PostgreSQL of the test's own, for several servers on one database.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { tempDir } from './server.mjs';

const BIN = '/usr/lib/postgresql/15/bin';

function run(command, args) {
  const asRoot = process.getuid() === 0;
  const [program, list] = asRoot ? ['runuser', ['-u', 'postgres', '--', command, ...args]] : [command, args];
  const { status, stdout, stderr } = spawnSync(program, list, { encoding: 'utf8', cwd: '/tmp' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr || stdout}`);
}

/**
 * Unix socket only. The role is no superuser, so that row-level security holds for it.
 * @param {{durable?: boolean}} options `durable`: a commit waits for the disk, as in production
 */
export function startPostgres({ durable = false } = {}) {
  const dir = tempDir('pg');
  const data = path.join(dir, 'data');
  fs.mkdirSync(data, { mode: 0o700 });
  if (process.getuid() === 0) spawnSync('chown', ['-R', 'postgres:', dir]);
  run(`${BIN}/initdb`, ['-D', data, '-A', 'trust', '-U', 'owner', '--no-sync', '-E', 'UTF8']);
  run(`${BIN}/pg_ctl`, ['-D', data, '-w', '-l', path.join(dir, 'log'), '-o', `-k ${dir} -c listen_addresses= -c fsync=${durable ? 'on' : 'off'} -c max_connections=100`, 'start']);
  run(`${BIN}/psql`, ['-h', dir, '-U', 'owner', '-d', 'postgres', '-qc', 'CREATE ROLE assistiv LOGIN', '-c', 'CREATE DATABASE assistiv OWNER assistiv']);
  return {
    directory: dir,
    url: `postgresql://assistiv@/assistiv?host=${encodeURIComponent(dir)}`,
    query: (sql) => spawnSync(`${BIN}/psql`, ['-h', dir, '-U', 'owner', '-d', 'assistiv', '-Atc', sql], { encoding: 'utf8' }).stdout.trim(),
    /** How long each statement took, in ms. */
    timed: (sql) => {
      const { stdout } = spawnSync(`${BIN}/psql`, ['-h', dir, '-U', 'owner', '-d', 'assistiv', '-At'], { encoding: 'utf8', input: `\\timing on\n${sql.replaceAll(';', ';\n')}\n` });
      return [...stdout.matchAll(/^Time: ([0-9.]+) ms/gm)].map(([, ms]) => Number(ms));
    },
    pid: Number(fs.readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n')[0]),
    restart: () => run(`${BIN}/pg_ctl`, ['-D', data, '-m', 'immediate', '-w', '-l', path.join(dir, 'log'), 'restart']),
    stop: () => {
      run(`${BIN}/pg_ctl`, ['-D', data, '-m', 'immediate', 'stop']);
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
