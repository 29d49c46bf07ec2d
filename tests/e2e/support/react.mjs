// A component around one hook, as a page would have it.
import { createElement, createRoot } from '../../js/agent-clients/react.mjs';
import { eventually } from './server.mjs';

/** `reads` are the members that the page shows: hooks ask the server for what is read of them. */
export function mount(useHook, options, reads) {
  let now;
  function Page() {
    now = useHook(options);
    for (const name of reads) void now[name];
    return null;
  }
  const root = createRoot(document.createElement('div'));
  root.render(createElement(Page));
  return {
    get now() {
      return now;
    },
    until: (is, what) => eventually(() => now && is(now), () => `${what}: ${JSON.stringify({ values: now?.values, error: String(now?.error) })}`, 60_000),
    close: () => root.unmount(),
  };
}
