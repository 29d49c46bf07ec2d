// A page without a browser: React and its hooks on jsdom, which has to be there before them.
import { JSDOM } from 'jsdom';

const dom = new JSDOM('<!doctype html><body></body>', { url: 'http://localhost/' });
globalThis.window = dom.window;
globalThis.document = dom.window.document;

export const { createElement } = await import('react');
export const { createRoot } = await import('react-dom/client');
const { useStream } = await import('@langchain/react');
export const { useStream: useLegacyStream } = await import('@langchain/langgraph-sdk/react');

/**
 * A page with one useStream of @langchain/react. What it shows is in `text`, what the hook gives in `stream`.
 * @param {object} options of the hook
 */
export function openChat(options) {
  const place = dom.window.document.createElement('div');
  const root = createRoot(place);
  const page = { text: () => place.textContent, close: () => root.unmount(), error: undefined };
  const Chat = () => {
    const stream = useStream(options);
    page.stream = stream;
    return createElement('div', null,
      stream.messages.map((message, i) => createElement('p', { key: message.id ?? i }, `[${message.getType()}] ${message.text}`)),
      stream.toolCalls.map((call) => createElement('code', { key: call.callId }, `{${call.name} ${call.status}}`)),
      stream.interrupts.map((one) => createElement('b', { key: one.id }, `?${one.value?.prompt ?? one.value?.type}?`)),
      stream.isLoading ? createElement('i', null, 'loading') : null);
  };
  root.render(createElement(Chat));
  return page;
}
