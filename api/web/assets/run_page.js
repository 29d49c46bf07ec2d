// The pages /agents/runs and /agents/runs/{thread}/{run}: what an agent did, is doing and waits for. One picture is made
// of three sources: the thread's history (states), the run's events (calls, text as it comes) and the usage rows (money).
import { draw } from '/assets/run_graph.js';
import { LANGGRAPH, Refused, ask, follow, session } from '/assets/run_client.js';
import { $, call, changeList, changes, count, cut, el, meter, pill, same, shown, stateOf, took, usd, when } from '/assets/run_parts.js';
import { callsOf, heaviest, idOf, now, paintGraph, spaceOf, stepsOf } from '/assets/run_steps.js';
import { questions } from '/assets/run_questions.js';

const HISTORY = 200; // states of one thread that are shown at most
const POLL = 2500;
let unreachable = false;
const place = location.pathname.split('/').filter(Boolean).slice(2).map(decodeURIComponent); // thread, run


function say(text, bad = false) {
  $('status').textContent = text;
  $('status').className = bad ? 'bad' : 'soft';
}

async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401) openKeyForm();
    unreachable = error.status === 0;
    say(error.message, true);
    return undefined;
  }
}

function openKeyForm() {
  $('open').hidden = false;
  $('using').hidden = true;
  $('key').focus();
}

// --- the list ---

function runRow(run) {
  const [state, text] = stateOf(run, run.waits);
  const link = el('a', { href: `/agents/runs/${run.thread_id}/${run.id}` }, run.agent_name || run.agent || 'An agent that is gone');
  return el('li', {}, el('div', { class: 'row-main' }, link, pill(state, text)),
    el('p', { class: 'soft' }, when(run.created_at), ` · ${count(run.usage.supersteps, 'step')} · ${usd(run.usage.cost_usd)}`, run.error ? ` · ${cut(run.error.message ?? '', 160)}` : ''));
}

async function showList() {
  const status = $('pick-status').value;
  const runs = await guarded(() => ask('GET', `/v1/agents/runs?limit=50${status ? `&status=${status}` : ''}`));
  if (!runs) return;
  $('runs').replaceChildren(...runs.map(runRow));
  $('list').hidden = false;
  say(runs.length ? '' : 'This key sees no runs here.');
}

// --- one run: what is known ---

// The run with those before it that waited and were answered: for people it is one story.
function chainOf(runs, id) {
  const ordered = [...runs].sort((a, b) => a.created_at.localeCompare(b.created_at) || a.id.localeCompare(b.id));
  let first = ordered.findIndex((run) => run.id === id);
  let last = first;
  while (first > 0 && ordered[first].resumes) first -= 1;
  while (last + 1 < ordered.length && ordered[last + 1].resumes) last += 1;
  return first < 0 ? [] : ordered.slice(first, last + 1);
}

async function readRuns(id) {
  const [run, runs] = await Promise.all([ask('GET', `/v1/agents/runs/${id}`), ask('GET', `/v1/agents/runs?thread_id=${now.thread}&limit=100`)]);
  now.chain = chainOf(runs, id);
  const last = now.chain.at(-1);
  now.run = last && last.id !== id ? await ask('GET', `/v1/agents/runs/${last.id}`) : run;
  if (!now.chain.length) now.chain = [now.run];
  now.chain[now.chain.length - 1] = now.run;
}

const threadPath = (rest) => `${LANGGRAPH}/threads/${now.thread}${rest}`;
const readHistory = (ns) => ask('POST', threadPath('/history'), { limit: HISTORY, ...(ns && { checkpoint: { checkpoint_ns: ns } }) }, now.run.end_user_id);

async function readStates() {
  const states = (await readHistory('')).reverse();
  const ids = new Set(now.chain.map((run) => run.id));
  const first = states.findIndex((state) => ids.has(state.metadata?.run_id));
  now.history = first < 0 ? [] : states.slice(first).filter((state) => ids.has(state.metadata?.run_id) || state.metadata?.source === 'update');
  const groups = new Set((now.run.graph?.nodes ?? []).filter((node) => node.graph).map((node) => node.id));
  const wanted = now.history.flatMap((state) => (state.tasks ?? []).filter((task) => groups.has(task.name)));
  const spaces = new Map(wanted.map((task) => [task.checkpoint?.checkpoint_ns || `${task.name}:${task.id}`, task]));
  for (const [ns, task] of [...spaces].slice(-20)) {
    const states = await readHistory(ns).catch(() => []);
    now.inner.set(ns, { node: task.name, task: task.id, states: states.reverse() });
  }
}

async function readUsage() {
  const base = session.isPlatform ? '/v1/usage' : '/v1/me/usage';
  await Promise.all(now.chain.map(async (run) => {
    if (now.usage.has(run.id) && run.ended_at && now.usage.get(run.id).final) return;
    const rows = await ask('GET', `${base}?limit=100&run_id=${run.id}&from=${encodeURIComponent(run.created_at)}`);
    const known = rows.reduce((sum, row) => sum + Number(row.cost_usd), 0);
    now.usage.set(run.id, { rows, final: Boolean(run.ended_at) && known + 1e-9 >= Number(run.usage.cost_usd) });
  }));
}

const titleOf = (name) => (name === '__start__' ? 'Input' : now.titles.get(name)?.title || name);

function hidden(values) {
  const out = { ...values };
  for (const key of now.run.redact ?? []) if (key in out) out[key] = '[redacted]';
  return out;
}

function taskHeads(step) {
  const groups = new Map();
  step.tasks.forEach((task, i) => {
    const key = `${task.name} ${step.states[i]}`;
    groups.set(key, { task, state: step.states[i], times: (groups.get(key)?.times ?? 0) + 1 });
  });
  return [...groups.values()].map(({ task, state, times }) => el('div', { class: 'task' }, pill(state), el('span', { class: 'task-name' }, titleOf(task.name), times > 1 ? el('span', { class: 'times' }, ` × ${times}`) : null),
    now.titles.get(task.name) ? el('span', { class: 'type' }, now.titles.get(task.name).type) : null));
}

function inputCard(step) {
  return el('li', { class: 'step input', id: `step-${idOf(step.state)}` }, el('div', { class: 'step-head' }, el('h3', {}, 'Input'), when(step.state.created_at)),
    changeList(changes({}, hidden(step.after?.values ?? step.state.values)).slice(0, 30)));
}

function stepCard(step, number) {
  if (step.is_input) return inputCard(step);
  const calls = callsOf(step);
  const written = step.after ? changes(hidden(step.state.values), hidden(step.after.values)) : [];
  const text = step.after ? '' : step.nodes.map((name) => now.pieces.get(name) ?? '').join('');
  const errors = step.tasks.filter((task) => task.error).map((task) => el('p', { class: 'bad' }, cut(String(task.error), 1000)));
  const time = step.after ? took(Date.parse(step.after.created_at) - Date.parse(step.state.created_at)) : '';
  return el('li', { class: `step ${heaviest(step.states)}`, id: `step-${idOf(step.state)}`, tabindex: -1 },
    el('div', { class: 'step-head' }, el('h3', {}, `Step ${number}`), el('span', { class: 'soft' }, time)), taskHeads(step), errors,
    calls.length ? el('ul', { class: 'calls', 'aria-label': `Calls of step ${number}` }, calls.map(call)) : null,
    text ? el('p', { class: 'live' }, cut(text, 4000)) : null, written.length ? changeList(written) : null,
    el('details', { class: 'state' }, el('summary', {}, step.after ? 'The state after it' : 'The state before it'), shown(hidden((step.after ?? step.state).values))));
}

// Replaces only what changed, so that what somebody has opened or is reading stays.
function update(parent, children) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const out = children.map(({ key, signature, make }) => {
    const known = old.get(key);
    if (known && known.dataset.signature === signature) return known;
    const fresh = make();
    fresh.dataset.key = key;
    fresh.dataset.signature = signature;
    if (known) {
      const open = [...known.querySelectorAll('details')].map((one) => one.open);
      [...fresh.querySelectorAll('details')].forEach((one, i) => (one.open = open[i] ?? false));
    }
    return fresh;
  });
  if (out.length !== parent.children.length || out.some((child, i) => parent.children[i] !== child)) parent.replaceChildren(...out);
}

function showSteps(steps) {
  let number = 0;
  let run = now.chain[0]?.id;
  const cards = [];
  for (const step of steps) {
    const n = step.is_input ? 0 : (number += 1);
    if (step.run !== run && !step.is_input && now.chain.some((one) => one.id === step.run)) {
      run = step.run;
      cards.push({ key: `run-${run}`, signature: run, make: () => el('li', { class: 'joint' }, 'Answered: it went on as run ', el('code', {}, run)) });
    }
    cards.push({ key: idOf(step.state), signature: JSON.stringify([n, step.states, step.after?.values, step.tasks, callsOf(step), step.after ? 0 : [...now.pieces]]), make: () => stepCard(step, n) });
  }
  update($('steps'), cards);
  $('no-steps').hidden = cards.length > 0;
}

const sum = (read) => now.chain.reduce((total, run) => total + Number(read(run) ?? 0), 0);

function activeMs() {
  const open = now.run.started_at && !now.run.ended_at ? Date.now() - Date.parse(now.run.started_at) : 0;
  return sum((run) => run.usage.active_ms) || open;
}

function showFacts() {
  const limits = now.run.limits ?? {};
  const facts = [
    meter('Cost', sum((run) => run.usage.cost_usd), Number(limits.max_cost_usd ?? 0), usd(sum((run) => run.usage.cost_usd)), usd(limits.max_cost_usd)),
    meter('Steps', sum((run) => run.usage.supersteps), limits.max_supersteps, sum((run) => run.usage.supersteps).toLocaleString('en'), limits.max_supersteps),
    meter('Model calls', sum((run) => run.usage.llm_calls), limits.max_llm_calls, sum((run) => run.usage.llm_calls).toLocaleString('en'), limits.max_llm_calls),
    meter('Tool calls', sum((run) => run.usage.tool_calls), limits.max_tool_calls, sum((run) => run.usage.tool_calls).toLocaleString('en'), limits.max_tool_calls),
    meter('Tokens', sum((run) => run.usage.tokens), limits.max_tokens, sum((run) => run.usage.tokens).toLocaleString('en'), Number(limits.max_tokens ?? 0).toLocaleString('en')),
    meter('Time working', activeMs(), (limits.max_active_s ?? 0) * 1000, took(activeMs()) || '0 ms', took((limits.max_active_s ?? 0) * 1000)),
  ];
  update($('facts'), facts.map((fact, i) => ({ key: String(i), signature: fact.textContent, make: () => fact })));
}

function showHead() {
  const { run } = now;
  const waits = run.interrupts.length > 0;
  const [state, text] = stateOf(run, waits || run.waits);
  $('run-title').textContent = run.agent_name || run.agent || 'A run';
  document.title = `${text}: ${$('run-title').textContent}`;
  $('run-state').replaceChildren(pill(state, text));
  $('run-ids').replaceChildren(...[run.agent && ['agent ', el('code', {}, `${run.agent} v${run.version}`), ' · '], ['run ', el('code', {}, run.id), ' · thread ', el('code', {}, run.thread_id), ' · begun '], when(now.chain[0].created_at)].flat().filter(Boolean));
  $('run-error').hidden = !run.error;
  if (run.error) $('run-error').textContent = `${run.error.error ? `${run.error.error}: ` : ''}${cut(run.error.message ?? '', 1000)}`;
  $('cancel').hidden = Boolean(run.ended_at);
}

function showQuestions() {
  const open = now.run.is_last ? now.run.interrupts : []; // of a run that failed: those that may be answered again
  const nodes = open.length === 0 && now.run.status === 'interrupted' && now.run.is_last ? now.run.next ?? [] : [];
  update($('questions'), questions({ open, nodes, run: now.run, answer, goOn, settle }));
  $('waits').hidden = open.length === 0 && nodes.length === 0;
}

function showUsage() {
  const rows = now.chain.flatMap((run) => now.usage.get(run.id)?.rows ?? []).sort((a, b) => a.created_at.localeCompare(b.created_at));
  $('usage-section').hidden = rows.length === 0;
  const cell = (name, ...what) => el('td', { 'data-name': name }, ...what);
  update($('usage'), rows.map((row) => ({
    key: `${row.request_id}-${row.attempt}`, signature: JSON.stringify(row),
    make: () => el('tr', {}, cell('Model', row.model), cell('Provider', row.provider), cell('Tokens in', (row.prompt_tokens ?? 0).toLocaleString('en')), cell('Tokens out', (row.completion_tokens ?? 0).toLocaleString('en')),
      cell('Time', took(row.latency_ms)), cell('Cost', usd(row.cost_usd)), cell('Result', row.status)),
  })));
  $('usage-total').textContent = `${count(rows.length, 'call')}, ${usd(rows.reduce((total, row) => total + Number(row.cost_usd), 0))}`;
}

function drawGraph() {
  const { graph } = now.run;
  const titles = (nodes) => nodes.flatMap((node) => [[node.id, node], ...(node.graph ? titles(node.graph.nodes) : [])]);
  now.titles = new Map(titles(graph?.nodes ?? []).reverse());
  if (!graph || (now.drawn && same(now.drawn.graph, graph))) return;
  now.drawn = { ...draw(graph, `The graph of ${now.run.agent}`), graph };
  $('graph').replaceChildren(now.drawn.element);
}

function show() {
  showHead();
  drawGraph();
  const steps = stepsOf();
  if (now.drawn) paintGraph(steps);
  $('graph-section').hidden = !now.drawn;
  showFacts();
  showQuestions();
  showSteps(steps);
  showUsage();
  $('run').hidden = false;
}

// --- following ---

let due = null;
const soon = (ms = 200) => {
  due ??= setTimeout(async () => {
    due = null;
    await refresh();
  }, ms);
};

async function refresh() {
  await guarded(async () => {
    const before = now.run.id;
    await readRuns(now.run.id);
    if (now.run.id !== before) goTo(now.run.id);
    await Promise.all([readStates(), readUsage()]);
    show();
    if (unreachable) say('');
    unreachable = false;
  });
}

function hear(run, event) {
  const list = now.events.get(run) ?? [];
  const key = `${event.ns} ${event.data?.task} ${event.data?.act}`;
  if (event.method === 'calls' && event.data.state === 'started') {
    now.busy.set(key, event);
  } else if (event.method === 'messages' && event.seq === 0) {
    const node = spaceOf(event.ns ?? '').split(':')[0] || event.node;
    // Each new connection is told the message from its beginning.
    const { id, langgraph, content } = event.data ?? {};
    if ((langgraph?.piece ?? Infinity) < (now.heard.get(id) ?? 0)) return undefined;
    now.heard.set(id, (langgraph?.piece ?? 0) + 1);
    const text = typeof content === 'string' ? content : '';
    now.pieces.set(node, cut((now.pieces.get(node) ?? '') + text, 4000));
    return soon(80);
  } else if (event.seq > 0 && !list.some((one) => one.seq === event.seq)) {
    if (event.method === 'calls') {
      now.busy.delete(key);
      now.pieces.delete(spaceOf(event.ns ?? '').split(':')[0] || event.node);
    }
    if (event.method === 'calls' || event.method === 'error') list.push(event);
    now.events.set(run, list);
  }
  if (event.method === 'end') now.busy.clear();
  return soon();
}

function watch(run) {
  const signal = now.stop.signal;
  follow(run, { tell: (event) => hear(run, event), lost: (yes) => ($('lost').hidden = !yes), signal })
    .catch((error) => say(error.message, true));
}

// What no event tells: a step without calls, an answer that somebody else gave, a row of usage that came later.
async function poll() {
  const open = !now.run.ended_at || now.run.status === 'interrupted' || [...now.usage.values()].some((one) => !one.final);
  if (open && !document.hidden) await refresh();
  if (!now.stop.signal.aborted) now.timer = setTimeout(poll, POLL);
}

function goTo(id) {
  history.replaceState(null, '', `/agents/runs/${now.thread}/${id}`);
  if (!now.events.has(id)) {
    now.events.set(id, []);
    watch(id);
  }
}

async function answer(body) {
  return guarded(async () => {
    say('Going on ...');
    const started = await ask('POST', threadPath('/runs'), { assistant_id: now.run.assistant_id, stream_mode: ['values', 'updates', 'messages-tuple'], ...body }, now.run.end_user_id);
    now.run.id = started.run_id;
    goTo(started.run_id);
    await refresh();
    say('');
    $('run-title').focus();
    return true;
  });
}

// What goes on by itself once it is settled: a second run beside that one would find no question any more.
async function goOn(body) {
  return guarded(async () => {
    try {
      const started = await ask('POST', threadPath('/runs'), { assistant_id: now.run.assistant_id, stream_mode: ['values', 'updates', 'messages-tuple'], multitask_strategy: 'reject', ...body }, now.run.end_user_id);
      now.run.id = started.run_id;
      goTo(started.run_id);
    } catch (error) {
      if (!(error instanceof Refused) || ![409, 422].includes(error.status)) throw error;
    }
    await refresh();
    return false; // a question that is still there may be answered again
  });
}

// An approval of the platform's own, by the platform's key. What waits for it goes on by itself.
const settle = (approval, choice) => guarded(async () => {
  await ask('POST', `/v1/platforms/${now.run.platform_id}/approvals/${approval}/${choice}`, {});
  soon();
  return true;
});

async function openRun([thread, run]) {
  now.thread = thread;
  say('Reading the run ...');
  await guarded(async () => {
    await readRuns(run);
    now.thread = now.run.thread_id;
    await Promise.all([readStates(), readUsage()]);
    show();
    say('');
    now.stop = new AbortController();
    for (const one of now.chain) now.events.set(one.id, []);
    for (const one of now.chain) watch(one.id);
    history.replaceState(null, '', `/agents/runs/${now.thread}/${now.run.id}${location.hash}`);
    now.timer = setTimeout(poll, POLL);
  });
}

async function begin() {
  if (!session.key) return openKeyForm();
  $('open').hidden = true;
  $('using').hidden = false;
  $('using-key').textContent = `${session.key.slice(0, 12)}…`;
  await (place.length === 2 ? openRun(place) : showList());
}

$('open').addEventListener('submit', (event) => {
  event.preventDefault();
  session.use($('key').value.trim());
  $('key').value = '';
  begin();
});
$('forget').addEventListener('click', () => {
  now.stop?.abort();
  clearTimeout(now.timer);
  session.forget();
  for (const id of ['list', 'run']) $(id).hidden = true;
  say('The key is forgotten.');
  openKeyForm();
});
$('pick-status').addEventListener('change', showList);
$('refresh').addEventListener('click', showList);
$('cancel').addEventListener('click', () => guarded(async () => {
  await ask('POST', threadPath(`/runs/${now.run.id}/cancel?wait=0&action=interrupt`), {}, now.run.end_user_id);
  soon();
}));
begin();
