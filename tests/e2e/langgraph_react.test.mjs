// The hooks useStream in React, each over its own protocol: of @langchain/langgraph-sdk (2.0.0) and of @langchain/react
// (1.1.0). A chat, a tool, an approval, a page that is loaded anew in the middle, and stop.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openChat, useLegacyStream } from '../js/agent-clients/react.mjs';
import { apiOf, clientOf, makeAgents, MODEL, SlowModel, toolCall } from './support/agents.mjs';
import { addKey, fund } from './support/models.mjs';
import { mount } from './support/react.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';
import { World } from './support/world.mjs';

const READS = ['messages', 'values', 'interrupt', 'isLoading', 'error'];
const human = (content) => ({ messages: [{ type: 'human', content }] });
const texts = (page) => page.messages.map(({ content }) => content);

describe('useStream', () => {
  let world, upstream, client, user, options;
  const pages = [];
  before(async () => {
    upstream = await startUpstream();
    world = await World.start();
    await fund(world, world.platform);
    await addKey(world, world.platform, upstream);
    await makeAgents(world.platform, ['chat', 'polite', { slug: 'helper', name: 'helper', model: MODEL, apps: ['github'] }]);
    user = await world.newConnectedUser();
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

  const newThread = async () => (await client.threads.create()).thread_id;

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
    const threadId = await newThread();
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

  test('a page that is loaded anew takes the answer up', async () => {
    const threadId = await newThread();
    const first = open({ assistantId: 'chat', threadId, reconnectOnMount: true });
    await first.until((now) => !now.isThreadLoading, 'a page');
    const model = new SlowModel(upstream);
    first.now.submit(human('hi'));
    await model.say('Good ');
    await first.until((now) => texts(now).at(-1) === 'Good ', 'the first words');
    const second = open({ assistantId: 'chat', threadId, reconnectOnMount: true });
    await second.until((now) => now.isLoading && texts(now).join() === 'hi,Good ', 'the page again');
    await model.say('evening');
    for (const page of [second, first]) await page.until((now) => texts(now).join() === 'hi,Good evening', 'more of it');
    assert.ok(second.now.isLoading);
    await model.end();
    for (const page of [second, first]) await page.until((now) => !now.isLoading && texts(now).join() === 'hi,Good evening', 'the answer');
  });

  // ---- @langchain/react ----

  /** A page with the newer hook; `shows` waits for its text. */
  async function openNew(more) {
    const page = openChat({ apiUrl: apiOf(world), apiKey: user.key, ...more });
    pages.push(page);
    page.shows = (text) => eventually(() => page.text() === text, () => `"${text}": "${page.text()}" ${page.stream?.error ?? ''}`, 60_000);
    await eventually(() => page.stream && !page.stream.isThreadLoading, 'the page', 60_000);
    return page;
  }

  test('the newer hook: an answer comes in pieces, and a page that is loaded anew takes it up', async () => {
    const threadId = await newThread();
    const first = await openNew({ assistantId: 'chat', threadId });
    const model = new SlowModel(upstream);
    first.stream.submit(human('hi'));
    await model.say('Good ');
    await first.shows('[human] hi[ai] Good loading');
    const second = await openNew({ assistantId: 'chat', threadId });
    await second.shows('[human] hi[ai] Good loading');
    await model.say('even');
    for (const page of [second, first]) await page.shows('[human] hi[ai] Good evenloading');
    await model.say('ing');
    await model.end();
    for (const page of [second, first]) await page.shows('[human] hi[ai] Good evening');
    second.stream.submit(human('and you?'));
    await second.shows('[human] hi[ai] Good evening[human] and you?[ai] Hello there');
    assert.equal(second.stream.error, undefined);
  });

  test('the newer hook: a tool call is shown, with what came of it', async () => {
    const page = await openNew({ assistantId: 'helper' });
    upstream.next(toolCall('github_get_me', {}));
    const model = new SlowModel(upstream);
    page.stream.submit(human('who am I?'));
    await model.say('You are ');
    const call = () => page.stream.toolCalls.find(({ name }) => name === 'get_me');
    await eventually(() => call()?.status === 'finished' && page.text().includes('You are ') && page.stream.isLoading, () => page.text(), 60_000);
    assert.match(JSON.stringify(call().output), /octocat/);
    await model.say('octocat');
    await model.end();
    await eventually(() => !page.stream.isLoading && page.stream.messages.at(-1)?.text === 'You are octocat', () => page.text(), 60_000);
    assert.deepEqual(page.stream.messages.map((message) => message.getType()), ['human', 'ai', 'tool', 'ai']);
    assert.equal(page.stream.error, undefined);
  });

  test('the newer hook: a page that is loaded anew while it waits shows the question, and its answer counts', async () => {
    const threadId = await newThread();
    const first = await openNew({ assistantId: 'polite', threadId });
    first.stream.submit(human('hi'));
    await first.shows('[human] hi[ai] Hello there?May this be sent??');
    first.close();
    const second = await openNew({ assistantId: 'polite', threadId });
    await second.shows('[human] hi[ai] Hello there?May this be sent??');
    // Without its id the hook answers only what its own stream has told it by then.
    await second.stream.respond(true, { interruptId: second.stream.interrupts[0].id });
    await second.shows('[human] hi[ai] Hello there');
    await eventually(() => second.stream.values.said === 'true', 'the answer is in the state', 60_000);
  });

  test('the newer hook: stop ends the run', async () => {
    const threadId = await newThread();
    const created = Promise.withResolvers();
    const page = await openNew({ assistantId: 'chat', threadId, onCreated: created.resolve });
    const model = new SlowModel(upstream);
    page.stream.submit(human('hi'));
    const { runId } = await created.promise; // a run that the page does not know it cannot stop
    const exchange = await model.asked;
    await model.say('Good ');
    await page.shows('[human] hi[ai] Good loading');
    page.stream.stop();
    await exchange.closed;
    await eventually(async () => (await client.runs.get(threadId, runId)).status === 'interrupted', 'the run has ended', 60_000);
    await eventually(() => !page.stream.isLoading, 'an end', 60_000);
  });
});
