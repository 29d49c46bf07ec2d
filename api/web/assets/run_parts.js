// What the pages of runs are made of. Whatever a model, a tool or a person said is only ever text.

export const $ = (id) => document.getElementById(id);

// An element with attributes and children.
export function el(name, attributes = {}, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) out.setAttribute(key, '');
    else if (value !== false && value !== undefined && value !== null) out.setAttribute(key, String(value));
  }
  out.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ''));
  return out;
}

export const cut = (text, max) => (text.length > max ? `${text.slice(0, max)}… (${(text.length - max).toLocaleString('en')} more characters)` : text);
export const pretty = (value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2) ?? '');
export const shown = (value) => el('pre', { tabindex: 0 }, cut(pretty(value), 20000));
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
export const words = (text) => String(text).replaceAll('_', ' ');

// --- numbers ---

export const count = (number, noun) => `${Number(number).toLocaleString('en')} ${noun}${Number(number) === 1 ? '' : 's'}`;

export function usd(amount) {
  const number = Number(amount ?? 0);
  if (number === 0) return 'USD 0.00';
  const digits = number >= 1 ? 2 : number >= 0.01 ? 4 : Math.min(9, 1 - Math.floor(Math.log10(number)));
  return `USD ${number.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, '$1')}`;
}

export function took(ms) {
  if (!(ms >= 0)) return '';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60000);
  return minutes < 90 ? `${minutes} min ${Math.round((ms % 60000) / 1000)} s` : `${(ms / 3600000).toFixed(1)} h`;
}

export function when(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? '' : el('time', { datetime: at.toISOString(), title: at.toISOString() }, at.toLocaleString());
}

// --- states: a mark and a word beside the colour ---

export const MARKS = { done: '✓', running: '●', waiting: '‖', failed: '✕', next: '○', stopped: '■' };
export const WORDS = {
  done: 'done', running: 'running', waiting: 'waits', failed: 'failed', next: 'not yet', stopped: 'stopped',
};

export function pill(state, text = WORDS[state]) {
  return el('span', { class: `pill ${state}` }, el('span', { 'aria-hidden': 'true' }, MARKS[state]), ' ', text);
}

// The state of a whole run, in one of the words above and in words for people.
export function stateOf(run, waits = false) {
  if (run.status === 'success') return ['done', 'finished'];
  if (run.status === 'error') return ['failed', 'failed'];
  if (run.status === 'timeout') return ['failed', 'out of time'];
  if (run.status === 'interrupted') return waits ? ['waiting', 'waits for an answer'] : ['stopped', 'stopped'];
  return run.status === 'pending' ? ['next', 'waits for its turn'] : ['running', 'running'];
}

// --- messages and values ---

const textOf = (content) => (typeof content === 'string' ? content
  : Array.isArray(content) ? content.map((part) => part?.text ?? (part?.type ? `[${part.type}]` : '')).join('\n') : pretty(content));
const ROLES = { human: 'Person', user: 'Person', ai: 'Model', assistant: 'Model', system: 'Instructions', tool: 'Tool' };
export const isMessages = (value) => Array.isArray(value) && value.length > 0
  && value.every((one) => one && typeof one === 'object' && typeof (one.type ?? one.role) === 'string' && 'content' in one);

export function message(one) {
  const role = one.type ?? one.role;
  const calls = (Array.isArray(one.tool_calls) ? one.tool_calls : []).map((call) => el('p', { class: 'asks' }, 'asks for ', el('code', {}, call?.name ?? '?'), ` ${cut(JSON.stringify(call?.args ?? {}), 400)}`));
  const text = textOf(one.content ?? '');
  return el('div', { class: `message ${role === 'ai' || role === 'assistant' ? 'ai' : ''}` },
    el('span', { class: 'who' }, ROLES[role] ?? role, one.name ? ` ${one.name}` : ''), text ? el('p', {}, cut(text, 1500)) : null, calls);
}

// A value on one line, or its messages.
export function brief(value) {
  if (isMessages(value)) return value.map(message);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return el('span', { class: typeof value === 'string' ? 'value' : 'value mono' }, cut(text ?? '', 400));
}

// What `after` has that `before` does not; of lists that grew only the new elements.
export function changes(before, after) {
  const out = [];
  for (const [key, value] of Object.entries(after ?? {})) {
    const old = before?.[key];
    if (same(old, value)) continue;
    const grew = Array.isArray(value) && Array.isArray(old) && value.length > old.length && same(value.slice(0, old.length), old);
    out.push({ key, value: grew ? value.slice(old.length) : value, grew });
  }
  return out;
}

export function changeList(list) {
  return el('dl', { class: 'changes' }, list.map(({ key, value, grew }) => [el('dt', {}, el('code', {}, key), grew ? ' +' : ''), el('dd', {}, brief(value))]).flat());
}

// --- calls ---

const KINDS = { model: 'Model', tool: 'Tool', http: 'HTTP' };

export function call(one) {
  const facts = [one.took_ms >= 0 && took(one.took_ms), one.tokens > 0 && count(one.tokens, 'token'), one.cost_nano_usd > 0 && usd(one.cost_nano_usd / 1e9)].filter(Boolean);
  const head = [el('span', { class: 'kind' }, KINDS[one.kind] ?? one.kind), ' ', el('code', {}, one.name), ' ',
    one.state === 'started' ? pill('running') : one.state === 'failed' ? pill('failed') : null, el('span', { class: 'facts' }, facts.join(' · '))];
  const inside = [
    one.arguments !== undefined && [el('h4', {}, 'Arguments'), shown(one.arguments)],
    one.result !== undefined && one.result !== '' && [el('h4', {}, one.state === 'failed' ? 'What it said' : 'Result'), shown(one.result)],
    one.error && [el('h4', {}, 'Error'), el('p', { class: 'bad' }, one.error)],
  ].filter(Boolean);
  return el('li', { class: `call ${one.kind}` }, inside.length ? el('details', {}, el('summary', {}, head), inside) : el('div', { class: 'flat' }, head));
}

// --- bounds ---

// What was used of what may be used, as a bar with words.
export function meter(label, value, max, text, maxText) {
  const full = max > 0 ? Math.min(1, value / max) : 0;
  const bar = max > 0 ? el('progress', { max: 1, value: full, 'aria-label': `${label}: part of the limit`, class: full > 0.9 ? 'near' : '' }) : null;
  return el('div', { class: 'fact' }, el('dt', {}, label), el('dd', {}, el('strong', {}, text), max > 0 ? el('span', { class: 'soft' }, ` of ${maxText}`) : null, bar));
}
