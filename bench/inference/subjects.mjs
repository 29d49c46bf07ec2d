// Who is asked, and how: the same body to each.
const MODEL = 'gpt-4o-mini';
export const JSON_HEADERS = { 'Content-Type': 'application/json' };

/** A chat request of about 1 KB. */
export const chat = (more = {}) =>
  JSON.stringify({
    model: MODEL,
    messages: [
      { role: 'system', content: 'You answer in one sentence.' },
      { role: 'user', content: 'word '.repeat(170).trim() },
    ],
    max_tokens: 256,
    temperature: 0.5,
    ...more,
  });

/** @returns {{id: string, label: string, server: object, roots: object, request: object}[]} */
export function subjects({ upstream, nginx, gateway, portkey }) {
  const asked = (server, more = {}) => ({
    server,
    roots: { server: server.pid },
    request: { method: 'POST', headers: JSON_HEADERS, body: chat(), url: `${server.url}/v1/chat/completions`, ...more },
  });
  const portkeyHeaders = {
    ...JSON_HEADERS,
    'x-portkey-provider': 'openai',
    'x-portkey-custom-host': `${upstream.url}/v1`,
    Authorization: 'Bearer sk-bench',
  };
  const all = [
    { id: 'upstream', label: 'the provider itself', ...asked(upstream) },
    { id: 'nginx', label: 'nginx proxy_pass', ...asked(nginx) },
    { id: 'gateway', label: 'gateway, everything on', ...asked(gateway, { keys: gateway.keys }) },
  ];
  all[2].roots.postgres = gateway.postgresPid;
  if (portkey) all.push({ id: 'portkey', label: 'Portkey 1.15.2', ...asked(portkey, { headers: portkeyHeaders }) });
  for (const subject of all) if (subject.id !== 'upstream') subject.roots.provider = upstream.pid;
  return all;
}
