// Turns what was measured into Markdown.
import { NOISE_LIMIT } from '../support/machine.mjs';

/** Bars of the project; the numbers are explained in docs/benchmarks.md. */
const TARGETS = {
  timesThePeer: 10, p99Ms: 5, streamsMb: 100, givenBack: 0.8, coldStartMs: 1000, listsPerSecond: 10_000, ofTheEdge: 0.5, tasksMb: 50,
};

export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { min: sorted[0], median, max: sorted.at(-1) };
}

const whole = (number) => Math.round(number).toLocaleString('en-US');
const fixed = (digits) => (number) => number.toFixed(digits);
const show = ({ min, median, max }, format) =>
  min === max ? format(median) : `${format(min)} / **${format(median)}** / ${format(max)}`;
const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
const mib = (kib) => kib / 1024;

function percentOf(runs, name) {
  const values = runs.map(({ named }) => named[name]).filter((value) => value !== undefined);
  return values.length ? whole(spread(values).median) : '';
}

function throughputTable(cases) {
  const of = (runs, member) => runs.map((run) => run[member]);
  return table(
    [
      'server',
      'request',
      'era',
      'requests/s',
      'p50 ms',
      'p99 ms',
      'server CPU %',
      'PostgreSQL CPU %',
      'API CPU %',
      'RSS MiB',
      'failed',
      'noisy runs',
    ],
    cases.map(({ label, what, era, runs }) => [
      label,
      what,
      era,
      show(spread(of(runs, 'perSecond')), whole),
      fixed(2)(spread(of(runs, 'p50')).median),
      show(spread(of(runs, 'p99')), fixed(2)),
      percentOf(runs, 'server'),
      percentOf(runs, 'postgres'),
      percentOf(runs, 'upstream'),
      whole(spread(of(runs, 'residentMib')).median),
      whole(of(runs, 'failed').reduce((sum, failed) => sum + failed, 0)),
      runs.filter(({ noisy }) => noisy).length || '',
    ]),
  );
}

function streamsTable(rows) {
  return table(
    [
      'server',
      'streams',
      'RSS before MiB',
      'with streams',
      'after closing',
      'second time with',
      'and after',
      'KiB per stream',
    ],
    rows.map((r) => [
      r.label,
      whole(r.streams),
      ...[r.before, r.withStreams, r.after, r.again, r.afterAgain].map((kib) => fixed(1)(mib(kib))),
      fixed(1)((r.withStreams - r.before) / r.streams),
    ]),
  );
}

const verdict = (met) => (met ? 'met' : '**not met**');

function throughputTargets(cases) {
  const median = (id, member) => {
    const found = cases.find((one) => one.id === id);
    return found && spread(found.runs.map((run) => run[member])).median;
  };
  const out = [];
  for (const [id, what, peer] of [
    ['list_modern', 'tools/list, modern', 'sdk.list_modern'],
    ['list_legacy', 'tools/list, legacy', 'sdk.list_legacy'],
    ['call_modern', "echo through the API, modern, to the SDK's own echo", 'sdk.call_modern'],
    ['call_legacy', "echo through the API, legacy, to the SDK's own echo", 'sdk.call_legacy'],
    ['call_modern', 'echo through the API, modern, to the SDK doing the same', 'sdk_upstream.call_modern'],
    ['call_legacy', 'echo through the API, legacy, to the SDK doing the same', 'sdk_upstream.call_legacy'],
  ]) {
    const [ours, theirs] = [median(`gateway.${id}`, 'perSecond'), median(peer, 'perSecond')];
    if (!ours || !theirs) continue;
    out.push([
      `${what}: at least ${TARGETS.timesThePeer} times`,
      `${fixed(1)(ours / theirs)} times`,
      verdict(ours >= TARGETS.timesThePeer * theirs),
    ]);
  }
  for (const { id, what, era, runs } of cases.filter(
    (one) => one.id.startsWith('gateway.') && one.id !== 'gateway.health',
  )) {
    const p99 = median(id, 'p99');
    if (runs.length)
      out.push([`${what}, ${era}: p99 under ${TARGETS.p99Ms} ms`, `${fixed(2)(p99)} ms`, verdict(p99 < TARGETS.p99Ms)]);
  }
  return out;
}

function streamTargets(rows) {
  return rows
    .filter(({ id }) => id.startsWith('gateway.'))
    .flatMap((r) => {
      const megabytes = ((r.withStreams - r.before) * 1024) / 1e6;
      const givenBack = (r.withStreams - r.after) / Math.max(1, r.withStreams - r.before);
      return [
        [
          `${r.label}: ${whole(r.streams)} streams in under ${TARGETS.streamsMb} MB`,
          `${fixed(1)(megabytes)} MB`,
          verdict(megabytes < TARGETS.streamsMb),
        ],
        [
          `${r.label}: at least ${TARGETS.givenBack * 100} % of it given back after closing`,
          `${whole(givenBack * 100)} %`,
          verdict(givenBack >= TARGETS.givenBack),
        ],
      ];
    });
}

function coldStartTarget(times) {
  const slowest = spread(times).max;
  return [
    [
      `ready within ${TARGETS.coldStartMs / 1000} s, existing database, the slowest of ${times.length} starts`,
      `${whole(slowest)} ms`,
      verdict(slowest < TARGETS.coldStartMs),
    ],
  ];
}

function appsTargets(cases) {
  const perSecond = (id) => {
    const found = cases.find((one) => one.id === id);
    return found && spread(found.runs.map((run) => run.perSecond)).median;
  };
  const edge = perSecond('edge.bare');
  return cases
    .filter(({ id }) => id.startsWith('apps_'))
    .flatMap(({ id, label, what, era }) => {
      const ours = perSecond(id);
      const name = `${label}: ${what}, ${era}`;
      if (id.includes('.list_')) {
        const bar = `${name}: at least ${whole(TARGETS.listsPerSecond)}/s`;
        return [[bar, `${whole(ours)}/s`, verdict(ours >= TARGETS.listsPerSecond)]];
      }
      if (!edge) return [];
      const bar = `${name}: at least ${TARGETS.ofTheEdge} of a POST through the edge`;
      return [[bar, fixed(2)(ours / edge), verdict(ours >= TARGETS.ofTheEdge * edge)]];
    });
}

function refreshTable({ vendors }) {
  return table(
    ['vendor', 'connections', 'refreshes it saw', 'refused', 'calls with a dead token', 'its limit'],
    vendors.map((v) => [v.name, whole(v.connections), whole(v.refreshes), v.refused, v.deadTokens, v.limit]),
  );
}

function refreshTarget({ connections, vendors }) {
  const once = vendors.every((v) => v.refreshes === v.connections && !v.refused && !v.deadTokens);
  const seen = vendors.reduce((sum, v) => sum + v.refreshes, 0);
  return [
    [
      `${whole(connections)} connections that expire at once: one refresh each, none refused, no call with a dead token`,
      `${whole(seen)} refreshes`,
      verdict(once),
    ],
  ];
}

function tasksTargets({ tasks, before, open }) {
  const megabytes = ((open.rss - before.rss) * 1024) / 1e6;
  return [
    [`${whole(tasks)} open tasks in under ${TARGETS.tasksMb} MB`, `${fixed(1)(megabytes)} MB`, verdict(megabytes < TARGETS.tasksMb)],
    [
      `${whole(tasks)} open tasks cost no thread`,
      `${before.threads} threads before, ${open.threads} with them`,
      verdict(open.threads <= before.threads),
    ],
  ];
}

const aboutMachine = ({ machine, commit, date }) =>
  `Measured ${date} at commit ${commit} on ${machine.cpus} vCPU (${machine.cpu}), ${machine.memory_gib} GiB, ` +
  `${machine.system}, kernel ${machine.kernel}; peers on Node.js ${machine.node}. Servers, database, upstream API ` +
  `and wrk shared these ${machine.cpus} cores.`;

const aboutThroughput = ({ threads, connections, rounds, seconds, tries }) =>
  `wrk, ${threads} threads, ${connections} connections; warm-up ${seconds.warmUp} s, ${rounds} runs of ` +
  `${seconds.run} s in alternating order; min / **median** / max. CPU: 100 is one core. A run during which other ` +
  `processes used more than ${NOISE_LIMIT} % of a core was tried again, up to ${tries} times in all; one that ` +
  'stayed above is counted as noisy.';

/** What main.mjs collected, as a piece of docs/benchmarks.md. */
export function toMarkdown(results) {
  const { settings, throughput, streams, coldStart, apps, refresh, tasks } = results;
  const parts = [aboutMachine(results)];
  const targets = [];
  if (throughput) {
    parts.push('### Requests per second and latency', aboutThroughput(settings), throughputTable(throughput));
    targets.push(...throughputTargets(throughput));
  }
  if (streams) {
    parts.push('### Idle event streams', streamsTable(streams));
    targets.push(...streamTargets(streams));
  }
  if (coldStart) {
    const times = show(spread(coldStart), whole);
    parts.push('### Cold start', `${coldStart.length} starts: ${times} ms (min / **median** / max).`);
    targets.push(...coldStartTarget(coldStart));
  }
  if (apps) {
    parts.push('### Four apps, 115 tools', aboutThroughput(settings), throughputTable(apps));
    targets.push(...appsTargets(apps));
  }
  if (refresh) {
    const told = `${whole(refresh.toldToWait)} of them told to come back later and answered then`;
    const about = `${whole(refresh.calls)} calls at once on two processes, answered within ${fixed(1)(refresh.seconds)} s, ${told}.`;
    parts.push('### Connections that expire at once', about, refreshTable(refresh));
    targets.push(...refreshTarget(refresh));
  }
  if (tasks) targets.push(...tasksTargets(tasks));
  parts.push('### Targets', table(['target', 'measured', 'verdict'], targets));
  return `${parts.join('\n\n')}\n`;
}
