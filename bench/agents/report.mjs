// Turns what was measured into Markdown.
import { spread } from '../mcp/report.mjs';

const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
const whole = (number) => Math.round(number).toLocaleString('en-US');
const median = (runs, member) => spread(runs.map((run) => run[member])).median;
const ms = (number) => number.toFixed(2);

function runsTable(cases) {
  return table(
    ['who', 'at a time', 'runs/s', 'p50 ms', 'p99 ms', 'CPU ms per run', 'RSS MiB', 'failed', 'noisy rounds'],
    cases.map(({ label, connections, runs }) => [
      label, connections, whole(median(runs, 'perSecond')), ms(median(runs, 'p50')), ms(median(runs, 'p99')),
      median(runs, 'cpuMsPerRun').toFixed(3), runs[0].residentMib ? whole(median(runs, 'residentMib')) : '',
      whole(runs.reduce((sum, { failed }) => sum + failed, 0)), runs.filter(({ noisy }) => noisy).length || '',
    ]),
  );
}

function goals({ durable, stateless, events, parked, recovery, commitMs }) {
  const rows = [];
  const add = (goal, measured, met) => rows.push([goal, measured, met ? 'met' : '**not met**']);
  const of = (cases, id, connections) => cases.find((one) => one.id === id && one.connections === connections).runs;
  if (durable) {
    const sync = median(of(durable, 'gateway.sync', 16), 'perSecond');
    add('`sync`, 16 at a time: 1,000 runs/s', whole(sync), sync >= 1000);
    const single = median(of(durable, 'gateway.sync', 1), 'p50');
    add('`sync`, one at a time: 5 commits of the disk', `${ms(single)} ms = ${(single / commitMs).toFixed(1)} commits of ${ms(commitMs)} ms`, single <= 5 * commitMs);
    const later = median(of(durable, 'gateway.async', 16), 'perSecond');
    add('`async`, 16 at a time: 3,000 runs/s', whole(later), later >= 3000);
  }
  if (stateless) {
    const fast = of(stateless, 'gateway.stateless', 64);
    add('stateless `/runs/wait`: 10,000 runs/s', whole(median(fast, 'perSecond')), median(fast, 'perSecond') >= 10_000);
    const single = median(of(stateless, 'gateway.stateless', 1), 'p50');
    add('stateless, one at a time: p50 1 ms', `${ms(single)} ms`, single <= 1);
    const cpu = median(fast, 'cpuMsPerRun');
    add('CPU per run at most 0.2 ms (stateless, PostgreSQL included)', `${cpu.toFixed(3)} ms`, cpu <= 0.2);
  }
  if (events) add('first event within 5 ms of the run being durable', `p50 ${ms(events.first.p50)}, p99 ${ms(events.first.p99)} ms`, events.first.p99 <= 5);
  if (parked) {
    const more = (parked.afterMib - parked.beforeMib) * 1.048576;
    add(`${whole(parked.runs)} parked runs: no thread, under 50 MB`, `${parked.threads} threads, ${more.toFixed(1)} MB`, parked.threads <= 0 && more < 50);
  }
  if (recovery) {
    const { runs, resumedSeconds, lastSeconds } = recovery;
    add('runs of a killed process go on within the lease (15 s)',
      `all ${runs} taken up ${resumedSeconds.toFixed(1)} s after the kill, the last of them ended after ${lastSeconds.toFixed(1)} s`,
      resumedSeconds <= 15);
  }
  return table(['goal', 'measured', 'verdict'], rows);
}

export function toMarkdown(results) {
  const { machine, settings, quick, commitMs, durable, stateless } = results;
  const text = [
    `${quick ? 'A short run, not to quote. ' : ''}${machine.cpus} vCPU (${machine.cpu}), ${machine.memory_gib} GiB, ${machine.system}. ` +
      `${settings.rounds} rounds of ${settings.seconds} s, medians. One commit of this disk: ${ms(commitMs)} ms.`,
  ];
  if (durable) text.push('### Runs on threads, durable (PostgreSQL with fsync)', runsTable(durable));
  if (stateless) text.push('### Runs of which nothing is kept', runsTable(stateless));
  text.push('### Goals', goals(results));
  return `${text.join('\n\n')}\n`;
}
