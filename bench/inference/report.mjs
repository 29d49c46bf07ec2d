// Turns what was measured into Markdown.
import { NOISE_LIMIT } from '../support/machine.mjs';
import { spread } from '../mcp/report.mjs';
import { microsEach } from './throughput.mjs';

/** The goals; what they mean is explained in docs/benchmarks.md. */
const GOALS = { ofNginx: 0.4, addedP50: 0.5, addedP99: 5, residentMib: 150, openMib: 200, firstTokenMs: 10 };

const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
const whole = (number) => Math.round(number).toLocaleString('en-US');
const median = (runs, member) => spread(runs.map((run) => run[member])).median;
const percent = (runs, name) => {
  const values = runs.map(({ named }) => named[name]).filter((value) => value !== undefined);
  return values.length ? whole(spread(values).median) : '';
};

const micros = (runs, name) =>
  runs[0].named[name] === undefined ? '' : whole(spread(runs.map((run) => microsEach(run.named[name], run))).median);

const sameLoad = (a, b) => a.connections === b.connections && a.pace === b.pace;
const peerOf = (cases, id, load) => cases.find((one) => one.id === id && sameLoad(one.load, load));
const addedTo = (cases, one, member) =>
  median(one.runs, member) - median(peerOf(cases, 'upstream', one.load).runs, member);
const ofNginx = (cases, one) =>
  median(one.runs, 'perSecond') / median(peerOf(cases, 'nginx', one.load).runs, 'perSecond');

function throughput(cases) {
  const rows = cases.map((one) => {
    const { id, label, load, runs } = one;
    const direct = id === 'upstream';
    return [
      label,
      load.connections + (load.pace ? ', paced' : ''),
      whole(median(runs, 'perSecond')),
      load.pace ? '' : ofNginx(cases, one).toFixed(2),
      median(runs, 'p50').toFixed(2),
      median(runs, 'p99').toFixed(2),
      direct ? '' : addedTo(cases, one, 'p50').toFixed(2),
      direct ? '' : addedTo(cases, one, 'p99').toFixed(2),
      micros(runs, 'server'),
      micros(runs, 'postgres'),
      micros(runs, 'provider'),
      whole(Math.max(...runs.map(({ residentMib }) => residentMib))),
      whole(runs.reduce((sum, { failed }) => sum + failed, 0)),
      runs.filter(({ noisy }) => noisy).length || '',
    ];
  });
  const head = ['server', 'connections', 'requests/s', 'of nginx', 'p50 ms', 'p99 ms', 'added p50', 'added p99',
    'CPU µs per request', 'of PostgreSQL', 'of the provider', 'RSS MiB', 'failed', 'noisy runs'];
  return table(head, rows);
}

function streams(results) {
  const direct = results.find(({ id }) => id === 'upstream');
  const added = (runs, member) => (median(runs, member) - median(direct.runs, member)).toFixed(2);
  return table(
    ['server', 'streams', 'first token p50 ms', 'p99 ms', 'added p50', 'added p99', 'CPU %', 'RSS MiB', 'failed'],
    results.map(({ id, label, runs }) => [
      label,
      runs[0].streams,
      median(runs, 'p50').toFixed(2),
      median(runs, 'p99').toFixed(2),
      id === 'upstream' ? '' : added(runs, 'p50'),
      id === 'upstream' ? '' : added(runs, 'p99'),
      percent(runs, 'server'),
      whole(Math.max(...runs.map(({ residentMib }) => residentMib))),
      runs.reduce((sum, { failed }) => sum + failed, 0),
    ]),
  );
}

function goals({ throughput: cases, streams: timed, open }) {
  const rows = [];
  const add = (goal, measured, met) => rows.push([goal, measured, met ? 'met' : '**not met**']);
  if (cases) {
    const at = (connections, pace) => peerOf(cases, 'gateway', { connections, pace });
    const ratio = ofNginx(cases, at(64));
    add(`64 connections: ${GOALS.ofNginx} of nginx`, ratio.toFixed(2), ratio >= GOALS.ofNginx);
    for (const [name, one] of [['as fast as it goes', at(16)], ['paced', at(16, 8)]]) {
      for (const [member, limit] of [['p50', GOALS.addedP50], ['p99', GOALS.addedP99]]) {
        const added = addedTo(cases, one, member);
        add(`16 connections, ${name}: added ${member} under ${limit} ms`, `${added.toFixed(2)} ms`, added < limit);
      }
    }
    const rss = Math.max(...at(64).runs.map(({ residentMib }) => residentMib));
    add(`64 connections: under ${GOALS.residentMib} MB resident`, `${whole(rss * 1.048576)} MB`, rss * 1.048576 < GOALS.residentMib);
  }
  if (open) {
    const more = (open.open - open.before) * 1.048576;
    add(`${whole(open.streams)} open streams: under ${GOALS.openMib} MB more`, `${whole(more)} MB`, more < GOALS.openMib && !open.failed);
  }
  if (timed) {
    const [direct, ours] = ['upstream', 'gateway'].map((id) => timed.find((one) => one.id === id).runs);
    for (const member of ['p50', 'p99']) {
      const added = median(ours, member) - median(direct, member);
      add(
        `${ours[0].streams} streams of 20 tokens/s: under ${GOALS.firstTokenMs} ms added to the first token, ${member}`,
        `${added.toFixed(2)} ms`,
        added < GOALS.firstTokenMs,
      );
    }
  }
  return table(['goal', 'measured', 'verdict'], rows);
}

export function toMarkdown(results) {
  const { machine, settings, quick, throughput: cases, streams: timed, open } = results;
  const text = [
    `${quick ? 'A short run, not to quote. ' : ''}${machine.cpus} vCPU (${machine.cpu}), ${machine.memory_gib} GiB, ` +
      `${machine.system}. ${settings.rounds} runs of ${settings.seconds.run} s each, medians; a run is noisy when other ` +
      `processes used ${NOISE_LIMIT} % of a core or more.`,
  ];
  if (cases) {
    const others = spread(cases.flatMap(({ runs }) => runs.map((run) => run.others))).median;
    if (others >= NOISE_LIMIT)
      text.push(`The machine was shared: during a run other programs used ${whole(others)} % of a core (median).`);
    text.push('### Chat completions', throughput(cases));
  }
  if (timed) text.push('### Streams of 20 tokens/s', streams(timed));
  if (open) {
    text.push(
      '### Memory of open streams',
      table(
        ['streams', 'RSS before MiB', 'while open MiB', 'after MiB', 'failed'],
        [[whole(open.streams), whole(open.before), whole(open.open), whole(open.after), open.failed]],
      ),
    );
  }
  text.push('### Goals', goals(results));
  return `${text.join('\n\n')}\n`;
}
