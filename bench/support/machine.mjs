// What the machine does while something is measured: processor time per process tree and of everything else, memory.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function statOf(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // Own time and that of children which ended.
    return {
      pid: Number(pid),
      parent: Number(fields[1]),
      ticks: fields.slice(11, 15).reduce((sum, n) => sum + Number(n), 0),
    };
  } catch {
    return null; // it ended
  }
}

function processTable() {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter(Boolean);
}

function tree(table, root) {
  const found = new Set([root]);
  for (let before = 0; before < found.size;) {
    before = found.size;
    table.forEach(({ pid, parent }) => found.has(parent) && found.add(pid));
  }
  return table.filter(({ pid }) => found.has(pid));
}

const seconds = (ticks) => ticks / TICKS_PER_SECOND;
const treeSeconds = (table, root) => seconds(tree(table, root).reduce((sum, { ticks }) => sum + ticks, 0));

/** Time of all processes in user and kernel mode, and time that the hypervisor took away. */
function wholeMachine() {
  const [user, nice, system, , , , , steal] = fs
    .readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { busy: seconds(user + nice + system), steal: seconds(steal) };
}

/**
 * Processor use over an interval, in percent of one core.
 * This process and all below it count as ours.
 * @param {Record<string, number>} roots name -> pid; each stands for the process and all below it
 */
export class Meter {
  constructor(roots = {}) {
    this.roots = roots;
    this.start();
  }

  start() {
    this.began = this.read();
  }

  read() {
    const table = processTable();
    return {
      at: performance.now() / 1000,
      ...wholeMachine(),
      ours: treeSeconds(table, process.pid),
      // The private PostgreSQL is no descendant of ours when its server was started again.
      named: Object.fromEntries(Object.entries(this.roots).map(([name, pid]) => [name, treeSeconds(table, pid)])),
      ids: new Set(tree(table, process.pid).map(({ pid }) => pid)),
    };
  }

  stop() {
    const [a, b] = [this.began, this.read()];
    const percent = (before, after) => ((after - before) / (b.at - a.at)) * 100;
    const named = Object.fromEntries(
      Object.keys(this.roots).map((name) => [name, percent(a.named[name], b.named[name])]),
    );
    const outside = Object.entries(this.roots)
      .filter(([, pid]) => !b.ids.has(pid))
      .reduce((sum, [name]) => sum + named[name], 0);
    return {
      named,
      others: percent(a.busy, b.busy) - percent(a.ours, b.ours) - outside,
      steal: percent(a.steal, b.steal),
    };
  }
}

/** A run counts when everything else on the machine used less than this, in percent of one core. */
export const NOISE_LIMIT = 20;

/** Waits for two quiet seconds in a row; gives up after a while, and the run is judged by its own noise. */
export async function untilQuiet(limitSeconds) {
  for (let quiet = 0, waited = 0; quiet < 2 && waited < limitSeconds; waited++) {
    const meter = new Meter();
    await pause(1000);
    quiet = meter.stop().others < NOISE_LIMIT ? quiet + 1 : 0;
  }
}

export function residentKib(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

export function describeMachine() {
  const release = /^PRETTY_NAME="(.*)"/m.exec(fs.readFileSync('/etc/os-release', 'utf8'))?.[1];
  return {
    cpus: os.cpus().length,
    cpu: os.cpus()[0].model.trim(),
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    system: release,
    kernel: os.release(),
    node: process.versions.node,
  };
}
