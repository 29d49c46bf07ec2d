// What a run waits for, as forms: a person's approval, a call that may have happened, an account to connect, an approval of
// the platform, anything else as JSON. The answer goes on as a run with command.resume.
import { el, pretty, shown, words } from '/assets/run_parts.js';
import { session } from '/assets/run_client.js';

const button = (text, press, quiet = false) => {
  const out = el('button', { type: 'button', class: quiet ? 'button quiet' : 'button' }, text);
  out.addEventListener('click', async () => {
    const all = out.closest('.question').querySelectorAll('button');
    all.forEach((one) => (one.disabled = true));
    const done = await press();
    if (!done) all.forEach((one) => (one.disabled = false));
  });
  return out;
};

const row = (...buttons) => el('div', { class: 'actions' }, ...buttons);
const typeOf = (schema) => (Array.isArray(schema?.type) ? schema.type.find((type) => type !== 'null') : schema?.type);

// Where the server says that the account is connected: a page of our own, nothing else that a tool gave.
function connectLink(ask) {
  const url = URL.parse(typeof ask?.connect_url === 'string' ? ask.connect_url : '');
  const own = url?.origin === location.origin && url.pathname.startsWith('/connect/');
  return own ? url.href : null;
}

// Fields for the members of an answer that are no plain yes or no.
function field(name, schema, id, needed) {
  const type = typeOf(schema);
  const common = { id, class: 'text', autocomplete: 'off' };
  const control = schema?.enum || type === 'boolean'
    ? el('select', common, (schema.enum ?? [true, false]).map((value) => el('option', { value: JSON.stringify(value) }, String(value))))
    : type === 'integer' || type === 'number' ? el('input', { ...common, type: 'number', step: type === 'integer' ? 1 : 'any' })
      : el('textarea', { ...common, rows: 2 });
  const read = () => {
    if (control.value === '') return undefined;
    if (schema?.enum || type === 'boolean') return JSON.parse(control.value);
    if (type === 'integer' || type === 'number') return Number(control.value);
    return type === 'string' || type === undefined ? control.value : JSON.parse(control.value);
  };
  return { name, read, element: el('p', {}, el('label', { for: id }, schema?.title ?? words(name), needed ? '' : ' (optional)'), control) };
}

// An approval whose answer has one yes or no: two buttons, and fields for the rest.
function approvalForm(one, { resume }) {
  const schema = one.value.response_schema ?? {};
  const members = Object.entries(schema.properties ?? {});
  const yesNo = members.find(([, member]) => typeOf(member) === 'boolean');
  if (typeOf(schema) === 'boolean' || members.length === 0) {
    const plain = typeOf(schema) === 'boolean' ? (yes) => yes : (yes) => ({ approved: yes });
    if (!schema.type || typeOf(schema) === 'boolean' || typeOf(schema) === 'object') return [row(button('Approve', () => resume(plain(true))), button('Reject', () => resume(plain(false)), true))];
    return jsonForm(one, { resume });
  }
  const fields = members.filter((member) => member !== yesNo).map(([name, member], i) => field(name, member, `answer-${one.id}-${i}`, (schema.required ?? []).includes(name)));
  const send = (yes) => {
    const out = yesNo ? { [yesNo[0]]: yes } : {};
    for (const { name, read } of fields) {
      const value = read();
      if (value !== undefined) out[name] = value;
    }
    return resume(out);
  };
  return [...fields.map((one) => one.element), yesNo ? row(button('Approve', () => send(true)), button('Reject', () => send(false), true)) : row(button('Answer', () => send()))];
}

function jsonForm(one, { resume }) {
  const id = `answer-${one.id}`;
  const text = el('textarea', { id, class: 'text json', spellcheck: 'false', rows: 3 }, 'true');
  const problem = el('p', { class: 'bad', role: 'alert' });
  return [el('p', {}, el('label', { for: id }, 'The answer, as JSON'), text), problem, row(button('Answer', () => {
    try {
      return resume(JSON.parse(text.value));
    } catch {
      problem.textContent = 'This is no JSON.';
      return false;
    }
  }))];
}

function toolApproval(one, { resume }) {
  const id = `arguments-${one.id}`;
  const text = el('textarea', { id, class: 'text json', spellcheck: 'false', rows: 4 }, pretty(one.value.arguments ?? {}));
  const problem = el('p', { class: 'bad', role: 'alert' });
  const approve = () => {
    try {
      const given = JSON.parse(text.value);
      return resume(JSON.stringify(given) === JSON.stringify(one.value.arguments) ? { type: 'approve' } : { type: 'edit', arguments: given });
    } catch {
      problem.textContent = 'The arguments must be a JSON object.';
      return false;
    }
  };
  return [el('p', {}, el('label', { for: id }, 'With these arguments'), text), problem, row(button('Approve', approve), button('Reject', () => resume({ type: 'reject' }), true))];
}

const UNCERTAIN = { happened: 'It happened', retry: 'Do it again', abort: 'Give up' };

function platformApproval(one, { goOn, settle }) {
  const id = one.value.ask?.approval_id ?? one.value.ask?.id ?? '';
  if (!session.isPlatform || !id) return [el('p', {}, 'Somebody who runs the platform must approve this call', id ? [' (', el('code', {}, id), ')'] : '', '.'), row(button('It is approved: go on', goOn))];
  return [row(button('Approve', () => settle(id, 'approve')), button('Deny', () => settle(id, 'deny'), true))];
}

function connectForm(one, { goOn }) {
  const url = connectLink(one.value.ask);
  return [url ? el('p', {}, el('a', { class: 'button', href: url, target: '_blank', rel: 'noopener noreferrer' }, 'Connect the account')) : shown(one.value.ask ?? {}),
    row(button('It is connected: go on', goOn, Boolean(url)))];
}

const KINDS = {
  approval: { title: (value) => value.prompt || 'May it go on?', form: approvalForm },
  tool_approval: { title: (value) => `May it call ${value.tool}?`, form: toolApproval },
  uncertain_effect: { title: (value) => `Did the call of ${value.tool} happen? No answer came.`, form: (one, { resume }) => [row(...(one.value.options ?? Object.keys(UNCERTAIN)).map((action, i) => button(UNCERTAIN[action] ?? action, () => resume({ action }), i > 0)))] },
  connection_required: { title: (value) => `${value.tool} needs an account that is not connected yet.`, form: connectForm },
  approval_required: { title: (value) => `${value.tool} needs an approval.`, form: platformApproval },
};

function card(one, { answer, goOn, settle }) {
  const value = one.value && typeof one.value === 'object' ? one.value : { value: one.value };
  const kind = KINDS[value.type];
  const command = (said) => ({ command: { resume: { [one.id]: said } } });
  const ways = { resume: (said) => answer(command(said)), goOn: () => goOn(command(true)), settle };
  const about = value.payload ?? (kind && value.type !== 'approval' && value.type !== 'tool_approval' ? value.arguments : kind ? null : one.value);
  return el('div', { class: 'question' }, el('h3', {}, kind ? kind.title(value) : 'It asks for an answer.'),
    about !== null && about !== undefined ? payload(about) : null, value.expires_at ? el('p', { class: 'soft' }, `Until ${new Date(value.expires_at).toLocaleString()}.`) : null,
    ...(kind?.form ?? jsonForm)({ id: one.id, value }, ways));
}

// Members as a list; what is deeper as JSON.
function payload(value) {
  if (!value || typeof value !== 'object' || Array.isArray(value)) return shown(value);
  return el('dl', { class: 'payload' }, Object.entries(value).map(([name, member]) => [el('dt', {}, words(name)), el('dd', {}, typeof member === 'string' ? member : pretty(member))]).flat());
}

/** For update(): a card for each open question, or one for a run that stopped before `nodes`. */
export function questions({ open, nodes, run, answer, goOn, settle }) {
  const out = open.map((one) => ({ key: one.id, signature: one.id, make: () => card(one, { answer, goOn, settle }) }));
  if (nodes.length) {
    out.push({ key: `next-${run.id}`, signature: nodes.join(), make: () => el('div', { class: 'question' }, el('h3', {}, `It stopped before ${nodes.join(', ')}.`), row(button('Go on', () => answer({ input: null })))) });
  }
  return out;
}
