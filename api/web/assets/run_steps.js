// What is known of a run as steps, and the path that it took through its graph.
import { MARKS, WORDS } from '/assets/run_parts.js';

// `chain`: the run with those that it goes on from; `history`: states of the thread, oldest first; `inner`: of subgraphs, by
// namespace; `busy`: calls without an end; `pieces`: text as it comes, by node;
// `heard`: how many pieces of a message were told, by its id.
export const now = { thread: '', run: null, chain: [], history: [], inner: new Map(), events: new Map(), usage: new Map(), pieces: new Map(), heard: new Map(), busy: new Map(), drawn: null, stop: null };

export const idOf = (state) => state.checkpoint?.checkpoint_id;
const allEvents = (method) => now.chain.flatMap((run) => (now.events.get(run.id) ?? []).filter((event) => event.method === method));
export const spaceOf = (ns) => ns.split('|')[0];

export function callsOf(step) {
  const ended = allEvents('calls').filter((event) => event.step === idOf(step.state) || belongs(event, step)).map((event) => event.data);
  const open = [...now.busy.values()].filter((event) => belongs(event, step)).map((event) => event.data);
  return [...ended, ...open];
}

// An event is of the step whose task it names, or whose subgraph it comes from.
function belongs(event, step) {
  const ids = new Set((step.state.tasks ?? []).map((task) => task.id));
  if (ids.has(event.data.task)) return true;
  const space = spaceOf(event.ns ?? '');
  if (!space) return false;
  const [node, id] = space.split(':');
  if (id) return ids.has(id);
  const at = Date.parse(event.at);
  return step.nodes.includes(node) && at >= Date.parse(step.state.created_at) && !(step.after && at > Date.parse(step.after.created_at));
}

function taskState(task, step, isOver) {
  if (step.after) return 'done';
  if (task.interrupts?.length) return isOver && now.run.status === 'interrupted' ? 'waiting' : isOver ? 'stopped' : 'running';
  if (task.error) return 'failed';
  if (task.result && Object.keys(task.result).length) return 'done';
  if (!isOver) return now.run.status === 'running' ? 'running' : 'next';
  return now.run.status === 'error' || now.run.status === 'timeout' ? 'failed' : 'next';
}

export function stepsOf() {
  const isOver = Boolean(now.run.ended_at);
  const next = new Map(now.history.filter((state) => state.parent_checkpoint).map((state) => [state.parent_checkpoint.checkpoint_id, state]));
  const steps = [];
  for (const state of now.history) {
    const tasks = state.tasks?.length ? state.tasks : (state.next ?? []).map((name) => ({ id: name, name }));
    const after = next.get(idOf(state));
    if (tasks.length === 0 || (after && after.metadata?.source !== 'loop')) continue;
    const step = { state, tasks, after, nodes: tasks.map((task) => task.name), run: (after ?? state).metadata?.run_id };
    step.states = tasks.map((task) => taskState(task, step, isOver));
    step.is_input = tasks.length === 1 && tasks[0].name === '__start__';
    steps.push(step);
  }
  return steps;
}

const WEIGHT = ['next', 'done', 'stopped', 'running', 'waiting', 'failed'];
export const heaviest = (states) => states.reduce((a, b) => (WEIGHT.indexOf(b) > WEIGHT.indexOf(a) ? b : a), 'next');

function paintPath(steps, prefix, paint) {
  let before = prefix ? [] : ['__start__'];
  const ran = new Set(before);
  for (const step of steps) {
    if (step.is_input) continue;
    step.nodes.forEach((name, i) => {
      const key = prefix + name;
      const known = paint.nodes.get(key) ?? { times: 0, state: 'next' };
      paint.nodes.set(key, { times: known.times + (step.states[i] === 'next' ? 0 : 1), state: step.states[i] === 'next' ? known.state : step.states[i] });
      if (step.states[i] === 'next') return;
      for (const edge of now.drawn.edges.filter((one) => one.target === key)) {
        const source = edge.source.slice(prefix.length);
        if (before.includes(source) || (!step.after && ran.has(source) && before.includes(source))) paint.edges.add(edge);
      }
    });
    before = step.nodes.filter((_, i) => step.states[i] !== 'next');
    before.forEach((name) => ran.add(name));
  }
  return before;
}

export function paintGraph(steps) {
  const paint = { nodes: new Map(), edges: new Set() };
  const last = paintPath(steps, '', paint);
  for (const { node, states } of now.inner.values()) {
    const inner = innerSteps(states, paint.nodes.get(node)?.state ?? 'done');
    const end = paintPath(inner, `${node}:`, paint);
    const starts = inner.find((step) => !step.is_input)?.nodes ?? [];
    for (const edge of now.drawn.edges) {
      if (edge.source === `${node}:__start__` && starts.includes(edge.target.slice(node.length + 1))) paint.edges.add(edge);
      if (edge.target === `${node}:__end__` && paint.nodes.get(node)?.state === 'done' && end.includes(edge.source.slice(node.length + 1))) paint.edges.add(edge);
    }
  }
  const finished = now.run.status === 'success';
  for (const edge of now.drawn.edges) {
    if (finished && edge.target === '__end__' && last.includes(edge.source)) paint.edges.add(edge);
  }
  for (const [id, { group, mark, title, label, type }] of now.drawn.nodes) {
    const isPoint = id.endsWith('__start__') || id.endsWith('__end__');
    const { state, times } = paint.nodes.get(id) ?? { state: id === '__start__' || (finished && id === '__end__') ? 'done' : 'next', times: 0 };
    for (const one of WEIGHT) group.classList.toggle(one, one === state);
    mark.lastElementChild.textContent = times > 1 ? `${times}×` : MARKS[state];
    title.textContent = isPoint ? label : `${label} (${type}): ${WORDS[state]}${times > 1 ? `, ${times} times` : ''}`;
    const target = steps.findLast((step) => step.nodes.includes(id.split(':')[0]) && step.states.some((one) => one !== 'next'));
    if (target && !isPoint) group.setAttribute('href', `#step-${idOf(target.state)}`);
    else group.removeAttribute('href');
  }
  for (const edge of now.drawn.edges) {
    edge.path.classList.toggle('taken', paint.edges.has(edge));
    edge.path.setAttribute('marker-end', paint.edges.has(edge) ? 'url(#arrow-taken)' : 'url(#arrow)');
  }
}

function innerSteps(states, outer) {
  const next = new Map(states.filter((state) => state.parent_checkpoint).map((state) => [state.parent_checkpoint.checkpoint_id, state]));
  return states.filter((state) => (state.tasks ?? []).length).map((state) => {
    const after = next.get(idOf(state));
    return { state, after, nodes: state.tasks.map((task) => task.name), states: state.tasks.map(() => (after ? 'done' : outer)), is_input: state.tasks[0].name === '__start__' };
  });
}
