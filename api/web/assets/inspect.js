// The page /mcp/inspect: lists an end user's tools and calls them, as a client of the modern protocol (2026-07-28). The key
// lives in the field and in `session`, nowhere else: never in an address, a cookie or a storage.
const VERSION = '2026-07-28';
const META = 'io.modelcontextprotocol/';
const MESSAGES_MAX = 100;
const $ = (id) => document.getElementById(id);

const session = { key: '', url: '', tools: [], tool: null, ids: 0, mode: 'form' };

// An element with attributes and children; text is only ever text.
function el(name, attributes = {}, ...children) {
  const out = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) out.setAttribute(key, '');
    else if (value !== false && value !== undefined && value !== null) out.setAttribute(key, String(value));
  }
  out.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
  return out;
}

const pretty = (value) => JSON.stringify(value, null, 2);
const shown = (value) => el('pre', { tabindex: 0 }, pretty(value));
// As the server estimates it: four bytes for a token.
const tokensOf = (value) => Math.ceil(new TextEncoder().encode(JSON.stringify(value)).length / 4);
// Of a tool: clients show icons to people, not to models.
const costOf = (tool) => tokensOf({ ...tool, icons: undefined });
const counted = (tokens) => `${tokens.toLocaleString('en')} tokens`;

function say(text, bad = false) {
  $('status').textContent = text;
  $('status').className = bad ? 'bad' : 'soft';
}

// --- the protocol ---

class RpcError extends Error {}

function note(direction, title, message) {
  const item = el('li', {}, el('details', {}, el('summary', {}, `${direction} ${title}`), shown(message)));
  $('messages').prepend(item);
  while ($('messages').children.length > MESSAGES_MAX) $('messages').lastElementChild.remove();
  $('messages-section').hidden = false;
}

function* eventsOf(text) {
  for (const block of text.split(/\r?\n\r?\n/)) {
    const data = block.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, ''));
    if (data.length && data.join('')) yield JSON.parse(data.join('\n'));
  }
}

async function messagesOf(reply) {
  const text = await reply.text();
  if ((reply.headers.get('content-type') ?? '').includes('text/event-stream')) return [...eventsOf(text)];
  try {
    return text ? [JSON.parse(text)] : [];
  } catch {
    throw new RpcError(`The server answered ${reply.status} with something that is no JSON.`);
  }
}

function problemOf(reply, message) {
  const error = message?.error;
  if (reply.status === 401) return 'This key is not accepted. It must be an end user\'s key (sk-eu_...).';
  return error ? `${error.message} (${error.code ?? reply.status})` : `The server answered ${reply.status}.`;
}

async function rpc(method, params = {}) {
  const id = ++session.ids;
  const message = {
    jsonrpc: '2.0', id, method,
    params: { ...params, _meta: { [`${META}protocolVersion`]: VERSION, [`${META}clientCapabilities`]: {}, [`${META}clientInfo`]: { name: 'assistiv-inspect', version: '1' } } },
  };
  note('→', method + (params.name ? ` ${params.name}` : ''), message);
  const started = performance.now();
  let reply;
  try {
    reply = await fetch(session.url, {
      method: 'POST', body: JSON.stringify(message), credentials: 'omit', cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer',
      headers: {
        authorization: `Bearer ${session.key}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream',
        'mcp-protocol-version': VERSION, 'mcp-method': method, ...(params.name && { 'mcp-name': params.name }),
      },
    });
  } catch {
    throw new RpcError('The server cannot be reached.');
  }
  const messages = await messagesOf(reply);
  const took = Math.round(performance.now() - started);
  for (const one of messages) note('←', `${one.method ?? method} ${reply.status}, ${took} ms, ${counted(tokensOf(one))}`, one);
  const answer = messages.find((one) => one.id === id && !one.method) ?? messages.at(-1);
  if (!answer?.result) throw new RpcError(problemOf(reply, answer));
  return answer.result;
}

async function allTools() {
  const tools = [];
  let cursor;
  for (let page = 0; page < 50; page++) {
    const result = await rpc('tools/list', cursor ? { cursor } : {});
    tools.push(...result.tools);
    cursor = result.nextCursor;
    if (!cursor) break;
  }
  return tools;
}

// --- the list ---

function address() {
  const query = new URLSearchParams();
  const names = [$('search-mode').checked && 'search', $('names').value.trim()].filter(Boolean).join(',');
  if (names) query.set('tools', names);
  if ($('toolsets').value.trim()) query.set('toolsets', $('toolsets').value.trim());
  if ($('readonly').checked) query.set('readonly', 'true');
  if ($('budget').value) query.set('max_result_tokens', $('budget').value);
  const app = $('app').value.trim();
  return `/mcp${app ? `/${encodeURIComponent(app)}` : ''}${query.size ? `?${query}` : ''}`;
}

// Of this server, or carried along: the page's policy lets no other image in.
function iconOf(tool) {
  const icon = tool.icons?.find(({ src }) => src.startsWith('data:image/') || src.startsWith(`${location.origin}/mcp/icons/`));
  return icon && el('img', { class: 'icon', src: icon.src, alt: '', width: 16, height: 16 });
}

function showTools() {
  const wanted = $('filter').value.trim().toLowerCase();
  const tools = session.tools.filter((tool) => !wanted || `${tool.name} ${tool.title ?? ''} ${tool.description ?? ''}`.toLowerCase().includes(wanted));
  $('tools').replaceChildren(...tools.map((tool) => {
    const button = el('button', { type: 'button', class: 'pick', 'aria-pressed': tool === session.tool ? 'true' : 'false' },
      el('span', {}, iconOf(tool), tool.name), el('span', { class: 'count' }, counted(costOf(tool))));
    button.addEventListener('click', () => pick(tool));
    return el('li', {}, button);
  }));
  const total = session.tools.reduce((sum, tool) => sum + costOf(tool), 0);
  $('total').textContent = `${tools.length === session.tools.length ? '' : `${tools.length} of `}${session.tools.length} tools, ${counted(total)} in all`;
}

async function open() {
  session.key = $('key').value.trim();
  session.url = address();
  if (!session.key) return say('Paste a key first.', true);
  say('Listing the tools ...');
  try {
    session.tools = await allTools();
    session.tool = null;
    $('tool').replaceChildren(el('p', { class: 'soft' }, session.tools.length ? 'Choose a tool.' : 'This key sees no tools here.'));
    $('lists').hidden = false;
    showTools();
    say(`Connected to ${session.url}.`);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    say(error.message, true);
  }
}

function forget() {
  $('key').value = '';
  Object.assign(session, { key: '', tools: [], tool: null });
  $('lists').hidden = true;
  $('messages-section').hidden = true;
  for (const id of ['tools', 'tool', 'messages']) $(id).replaceChildren();
  say('The key is forgotten.');
  $('key').focus();
}

// --- one tool ---

const typeOf = (schema) => (Array.isArray(schema.type) ? schema.type.find((type) => type !== 'null') : schema.type);
const isTextList = (schema) => typeOf(schema) === 'array' && ['string', undefined].includes(typeOf(schema.items ?? {})) && !schema.items?.properties;

function control(id, schema) {
  const common = { id, class: 'text', 'aria-describedby': `${id}-help` };
  const type = typeOf(schema);
  if (schema.enum || type === 'boolean') {
    const values = schema.enum ?? [true, false];
    return el('select', common, el('option', { value: '' }, ''), ...values.map((value) => el('option', { value: JSON.stringify(value) }, String(value))));
  }
  if (type === 'integer' || type === 'number') {
    return el('input', { ...common, type: 'number', step: type === 'integer' ? 1 : 'any', min: schema.minimum, max: schema.maximum });
  }
  if (type === 'string') return el((schema.maxLength ?? 0) > 1000 ? 'textarea' : 'input', { ...common, autocomplete: 'off', spellcheck: 'false' });
  return el('textarea', { ...common, spellcheck: 'false' });
}

function help(schema) {
  const parts = [schema.description];
  if (isTextList(schema)) parts.push('One a line.');
  else if (!['string', 'integer', 'number', 'boolean'].includes(typeOf(schema)) && !schema.enum) parts.push('As JSON.');
  if (schema.default !== undefined) parts.push(`Default: ${JSON.stringify(schema.default)}.`);
  return parts.filter(Boolean).join(' ');
}

// Those that must be there come first.
function fieldsOf(tool) {
  const required = new Set(tool.inputSchema?.required ?? []);
  const fields = Object.entries(tool.inputSchema?.properties ?? {}).map(([name, schema], i) => ({ name, schema, id: `argument-${i}`, required: required.has(name) }));
  return [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)];
}

// The value of a field, or undefined when it is left empty.
function valueOf({ id, name, schema }) {
  const text = $(id).value;
  if (text === '') return undefined;
  const type = typeOf(schema);
  if (schema.enum || type === 'boolean') return JSON.parse(text);
  if (type === 'integer' || type === 'number') return Number(text);
  if (type === 'string') return text;
  if (isTextList(schema)) return text.split('\n').map((line) => line.trim()).filter(Boolean);
  try {
    return JSON.parse(text);
  } catch {
    throw new RpcError(`${name} is no JSON.`);
  }
}

function fill({ id, schema }, value) {
  const field = $(id);
  if (value === undefined) field.value = '';
  else if (schema.enum || typeOf(schema) === 'boolean') field.value = JSON.stringify(value);
  else if (isTextList(schema) && Array.isArray(value)) field.value = value.join('\n');
  else field.value = typeof value === 'string' ? value : JSON.stringify(value);
}

function formValues() {
  const out = {};
  for (const field of fieldsOf(session.tool)) {
    const value = valueOf(field);
    if (value !== undefined) out[field.name] = value;
  }
  return out;
}

function jsonValues() {
  try {
    const value = JSON.parse($('json').value || '{}');
    if (value && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // said below
  }
  throw new RpcError('The arguments must be a JSON object.');
}

function setMode(mode) {
  try {
    const values = session.mode === 'form' ? formValues() : jsonValues();
    if (mode === 'json') $('json').value = pretty(values);
    else for (const field of fieldsOf(session.tool)) fill(field, values[field.name]);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    $(`mode-${session.mode}`).checked = true;
    return say(error.message, true);
  }
  session.mode = mode;
  $('fields').hidden = mode !== 'form';
  $('json-field').hidden = mode !== 'json';
}

function modeChoice(mode, label) {
  const radio = el('input', { type: 'radio', name: 'mode', id: `mode-${mode}`, checked: mode === 'form' });
  radio.addEventListener('change', () => setMode(mode));
  return el('label', {}, radio, label);
}

function argumentsForm(tool) {
  const fields = fieldsOf(tool).map(({ name, schema, id, required }) => el('p', {},
    el('label', { for: id }, name, required ? ' (required)' : ''), control(id, schema), el('span', { class: 'soft', id: `${id}-help` }, help(schema))));
  const form = el('form', { class: 'arguments', id: 'call' },
    el('fieldset', { class: 'modes' }, el('legend', {}, 'Arguments'), modeChoice('form', 'Form'), modeChoice('json', 'JSON')),
    el('div', { id: 'fields' }, ...(fields.length ? fields : [el('p', { class: 'soft' }, 'This tool takes no arguments.')])),
    el('p', { id: 'json-field', hidden: true }, el('label', { for: 'json' }, 'Arguments as JSON'), el('textarea', { id: 'json', class: 'text json', spellcheck: 'false' })),
    el('button', { class: 'button', id: 'run' }, 'Call'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    call();
  });
  return form;
}

function hintsOf(tool) {
  const hints = tool.annotations ?? {};
  const words = [hints.readOnlyHint ? 'reads only' : 'makes changes', !hints.readOnlyHint && hints.destructiveHint !== false && 'can destroy',
    hints.idempotentHint && 'safe to repeat', `${costOf(tool).toLocaleString('en')} tokens`].filter(Boolean);
  return el('ul', { class: 'hints' }, ...words.map((word) => el('li', { class: word === 'can destroy' ? 'risky' : '' }, word)));
}

function pick(tool) {
  session.tool = tool;
  session.mode = 'form';
  for (const button of $('tools').querySelectorAll('.pick')) {
    button.setAttribute('aria-pressed', button.firstElementChild.textContent === tool.name ? 'true' : 'false');
  }
  const schema = (title, value) => value && el('details', {}, el('summary', {}, `${title} (${counted(tokensOf(value))})`), shown(value));
  $('tool').replaceChildren(...[
    el('h2', { id: 'tool-name', tabindex: -1 }, tool.title ? `${tool.title} (${tool.name})` : tool.name), hintsOf(tool), el('p', {}, tool.description ?? ''),
    schema('Input schema', tool.inputSchema), schema('Output schema', tool.outputSchema), argumentsForm(tool), el('div', { id: 'result', 'aria-live': 'polite' }),
  ].filter(Boolean));
  $('tool-name').focus({ preventScroll: true });
  $('tool').scrollIntoView({ block: 'nearest' });
}

function linksIn(text) {
  const found = [...new Set(text.match(/https?:\/\/[^\s"'<>\\]+\/connect\/[\w-]+/g) ?? [])];
  return found.map((url) => el('p', {}, el('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, `Open the connect page: ${url}`)));
}

function showResult(result) {
  const texts = (result.content ?? []).filter((part) => part.type === 'text').map((part) => part.text);
  const parts = [el('h3', { class: result.isError ? 'bad' : 'good' }, result.isError ? 'The tool failed' : 'Result', ` (${counted(tokensOf(result))})`)];
  if (result.structuredContent !== undefined) parts.push(shown(result.structuredContent));
  else parts.push(...texts.map((text) => el('pre', { tabindex: 0 }, text)));
  parts.push(...linksIn(texts.join('\n')));
  parts.push(el('details', {}, el('summary', {}, 'The whole result'), shown(result)));
  $('result').replaceChildren(...parts);
}

async function call() {
  $('run').disabled = true;
  try {
    const values = session.mode === 'form' ? formValues() : jsonValues();
    say(`Calling ${session.tool.name} ...`);
    const result = await rpc('tools/call', { name: session.tool.name, arguments: values });
    showResult(result);
    say(result.isError ? 'The tool failed; its result says why.' : 'Done.', Boolean(result.isError));
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    $('result').replaceChildren(el('p', { class: 'bad' }, error.message));
    say(error.message, true);
  } finally {
    $('run').disabled = false;
  }
}

$('open').addEventListener('submit', (event) => {
  event.preventDefault();
  open();
});
$('forget').addEventListener('click', forget);
$('filter').addEventListener('input', showTools);
// A page that is kept for the back button must not keep the key.
addEventListener('pagehide', () => ($('key').value = session.key = ''));
