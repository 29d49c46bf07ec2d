// The pages of runs as a client of this server. The key is typed in by a person, goes into the header of each call and
// into the storage of this tab, so that going from one run to the next does not ask for it again: never into an address.
const KEY = 'assistiv.runs.key';
export const LANGGRAPH = '/v1/agents/api';

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const session = {
  key: sessionStorage.getItem(KEY) ?? '',
  use(key) {
    this.key = key;
    sessionStorage.setItem(KEY, key);
  },
  forget() {
    this.key = '';
    sessionStorage.removeItem(KEY);
  },
  get isPlatform() {
    return this.key.startsWith('sk-plat_');
  },
};

const options = (method, headers, body, signal) => ({
  method, signal, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'omit', cache: 'no-store', redirect: 'error', referrerPolicy: 'no-referrer',
  headers: { authorization: `Bearer ${session.key}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
});

async function problemOf(reply) {
  if (reply.status === 401) return new Refused(401, 'This key is not accepted. It must be an end user\'s key (sk-eu_...) or a platform\'s (sk-plat_...).');
  const body = await reply.json().catch(() => null);
  return new Refused(reply.status, body?.error?.message ?? body?.message ?? `The server answered ${reply.status}.`);
}

/** One call; gives the body, `data` of an envelope. `actAs`: the end user that a platform's key acts for. */
export async function ask(method, path, body, actAs) {
  if (!session.key) throw new Refused(401, 'The key is forgotten.'); // in the middle of a look at the run
  let reply;
  try {
    reply = await fetch(path, options(method, session.isPlatform && actAs ? { 'x-aig-end-user': actAs } : {}, body));
  } catch {
    throw new Refused(0, 'The server cannot be reached.');
  }
  if (!reply.ok) throw await problemOf(reply);
  if (reply.status === 204) return null;
  const text = await reply.text();
  const json = text ? JSON.parse(text) : null;
  return json && !Array.isArray(json) && 'data' in json ? json.data : json;
}

function readEvent(block) {
  const out = { event: 'message', data: '', id: '' };
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at <= 0) continue;
    const [name, value] = [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')];
    if (name === 'data') out.data += (out.data ? '\n' : '') + value;
    else if (name in out) out[name] = value;
  }
  return out;
}

async function* readEvents(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest = (rest + value).replaceAll('\r\n', '\n');
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const event = readEvent(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (event.data) yield event;
    }
  }
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
});

/** Follows the events of a run to its end, over lost connections. `tell(event)`, `lost(yes)`. */
export async function follow(run, { tell, lost, signal }) {
  let last = '';
  for (let failures = 0; !signal.aborted;) {
    try {
      const reply = await fetch(`/v1/agents/runs/${run}/events`, options('GET', { accept: 'text/event-stream', ...(last && { 'last-event-id': last }) }, undefined, signal));
      if (!reply.ok) throw await problemOf(reply);
      for await (const event of readEvents(reply)) {
        failures = 0;
        lost(false);
        if (event.id) last = event.id;
        const data = JSON.parse(event.data);
        tell({ ...data, method: event.event, seq: Number(event.id || 0) });
        if (event.event === 'end') return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
    }
    failures += 1;
    if (failures > 1) lost(true);
    await pause(Math.min(5000, 500 * 2 ** Math.min(failures, 4)), signal);
  }
}
