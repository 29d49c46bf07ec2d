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

/** Unix socket only. The role is no superuser, so that row-level security holds for it. */
export function startPostgres() {
  const dir = tempDir('pg');
  const data = path.join(dir, 'data');
  fs.mkdirSync(data, { mode: 0o700 });
  if (process.getuid() === 0) spawnSync('chown', ['-R', 'postgres:', dir]);
  run(`${BIN}/initdb`, ['-D', data, '-A', 'trust', '-U', 'owner', '--no-sync', '-E', 'UTF8']);
  run(`${BIN}/pg_ctl`, ['-D', data, '-w', '-l', path.join(dir, 'log'), '-o', `-k ${dir} -c listen_addresses= -c fsync=off -c max_connections=100`, 'start']);
  run(`${BIN}/psql`, ['-h', dir, '-U', 'owner', '-d', 'postgres', '-qc', 'CREATE ROLE assistiv LOGIN', '-c', 'CREATE DATABASE assistiv OWNER assistiv']);
  return {
    url: `postgresql://assistiv@/assistiv?host=${encodeURIComponent(dir)}`,
    query: (sql) => spawnSync(`${BIN}/psql`, ['-h', dir, '-U', 'owner', '-d', 'assistiv', '-Atc', sql], { encoding: 'utf8' }).stdout.trim(),
    stop: () => {
      run(`${BIN}/pg_ctl`, ['-D', data, '-m', 'immediate', 'stop']);
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}
