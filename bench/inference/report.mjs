// Turns what was measured into Markdown.
import { NOISE_LIMIT } from '../support/machine.mjs';
import { spread } from '../mcp/report.mjs';

const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
const whole = (number) => Math.round(number).toLocaleString('en-US');
const median = (runs, member) => spread(runs.map((run) => run[member])).median;

function throughput(cases) {
  const rows = cases.map(({ id, label, connections, runs }) => {
    const peer = (other) => cases.find((c) => c.id === other && c.connections === connections);
    const ratio = median(runs, 'perSecond') / median(peer('nginx').runs, 'perSecond');
    const added = (member) => (median(runs, member) - median(peer('upstream').runs, member)).toFixed(2);
    return [
      label,
      connections,
      whole(median(runs, 'perSecond')),
      ratio.toFixed(2),
      median(runs, 'p50').toFixed(2),
      median(runs, 'p99').toFixed(2),
      id === 'upstream' ? '' : added('p50'),
      id === 'upstream' ? '' : added('p99'),
      whole(median(runs, 'cpu')),
      whole(Math.max(...runs.map(({ residentMib }) => residentMib))),
      whole(runs.reduce((sum, { failed }) => sum + failed, 0)),
      runs.filter(({ noisy }) => noisy).length || '',
    ];
  });
  const head = ['server', 'connections', 'requests/s', 'of nginx', 'p50 ms', 'p99 ms', 'added p50', 'added p99', 'CPU %',
    'RSS MiB', 'failed', 'noisy runs'];
  return table(head, rows);
}

function streams(results) {
  const direct = results.find(({ id }) => id === 'upstream');
  return table(
    ['server', 'streams', 'first token p50 ms', 'p99 ms', 'added p50', 'failed', 'RSS MiB'],
    results.map(({ id, label, streams: count, p50, p99, failed, residentMib }) => [
      label,
      count,
      p50.toFixed(1),
      p99.toFixed(1),
      id === 'upstream' ? '' : (p50 - direct.p50).toFixed(1),
      failed,
      whole(residentMib),
    ]),
  );
}

export function toMarkdown({ machine, settings, quick, throughput: cases, streams: timed, idle }) {
  const text = [
    `${quick ? 'A short run, not to quote. ' : ''}${machine.cpus} vCPU (${machine.cpu}), ${machine.memory_gib} GiB, ` +
      `${machine.system}. ${settings.rounds} runs of ${settings.seconds.run} s each, medians; a run is noisy when other ` +
      `processes used ${NOISE_LIMIT} % of a core or more.`,
  ];
  if (cases) text.push('### Chat completions', throughput(cases));
  if (timed) text.push('### Streams of 20 tokens/s', streams(timed));
  if (idle) {
    text.push(
      '### Memory of open streams',
      table(
        ['streams', 'RSS before MiB', 'while open MiB', 'after MiB', 'failed'],
        [[idle.streams, whole(idle.before), whole(idle.open), whole(idle.after), idle.failed]],
      ),
    );
  }
  return `${text.join('\n\n')}\n`;
}
