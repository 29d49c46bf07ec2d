// The hook useStream of @langchain/langgraph-sdk (2.0.0) in React: a chat, an approval, and stop.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { useLegacyStream } from '../js/agent-clients/react.mjs';
import { apiOf, clientOf, makeAgents, SlowModel } from './support/agents.mjs';
import { addKey, fund } from './support/models.mjs';
import { mount } from './support/react.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const READS = ['messages', 'values', 'interrupt', 'isLoading', 'error'];
const human = (content) => ({ messages: [{ type: 'human', content }] });
const texts = (page) => page.messages.map(({ content }) => content);

describe('useStream', () => {
  let world, upstream, client, options;
  const pages = [];
  before(async () => {
    upstream = await startUpstream();
    world = await World.start({ apps: [] });
    await fund(world, world.platform);
    await addKey(world, world.platform, upstream);
    await makeAgents(world.platform, ['chat', 'polite']);
    const user = await world.newUser();
    client = clientOf(world, user.key);
    options = { apiUrl: apiOf(world), apiKey: user.key, messagesKey: 'messages', fetchStateHistory: true };
  });
  after(async () => {
    pages.forEach((page) => page.close());
    await world?.stop();
    await upstream?.stop();
  });
  const open = (more) => {
    const page = mount(useLegacyStream, { ...options, ...more }, READS);
    pages.push(page);
    return page;
  };

  test('a chat over several turns', async () => {
    let thread;
    const page = open({ assistantId: 'chat', onThreadId: (id) => (thread = id) });
    await page.until((now) => !now.isThreadLoading, 'a page');
    const model = new SlowModel(upstream);
    page.now.submit(human('hi'));
    await model.say('Good ');
    await page.until((now) => texts(now).at(-1) === 'Good ', 'the first words');
    assert.ok(page.now.isLoading);
    await model.say('morning');
    await model.end();
    await page.until((now) => !now.isLoading && texts(now).join() === 'hi,Good morning', 'an answer');
    page.now.submit(human('and you?'));
    await page.until((now) => !now.isLoading && texts(now).join() === 'hi,Good morning,and you?,Hello there', 'a second answer');
    assert.equal(page.now.error, undefined);
    assert.deepEqual((await client.threads.getState(thread)).values.messages.map(({ content }) => content), texts(page.now));
  });

  test('an approval is asked for and given', async () => {
    const page = open({ assistantId: 'polite' });
    await page.until((now) => !now.isThreadLoading, 'a page');
    page.now.submit(human('hi'));
    await page.until((now) => !now.isLoading && now.interrupt, 'a question');
    assert.equal(page.now.interrupt.value.prompt, 'May this be sent?');
    assert.deepEqual(texts(page.now), ['hi', 'Hello there']);
    page.now.submit(undefined, { command: { resume: true } });
    await page.until((now) => !now.isLoading && now.values.said === 'true', 'an end');
    assert.equal(page.now.interrupt, undefined);
  });

  test('stop ends the run', async () => {
    const threadId = (await client.threads.create()).thread_id;
    const page = open({ assistantId: 'chat', threadId, reconnectOnMount: true });
    await page.until((now) => !now.isThreadLoading, 'a page');
    const model = new SlowModel(upstream);
    page.now.submit(human('hi'));
    const exchange = await model.asked;
    await page.until((now) => now.isLoading && window.sessionStorage.getItem(`lg:stream:${threadId}`), 'a run');
    page.now.stop();
    await exchange.closed;
    await eventually(async () => (await client.runs.list(threadId))[0].status === 'interrupted', 'the run has ended');
    await page.until((now) => !now.isLoading, 'an end');
  });
});
