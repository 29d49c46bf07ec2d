// Agents over A2A 1.0 with the official JavaScript SDK: card, message, stream, input, cancel, lists, and what is refused.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { A2A } from '../js/agent-clients/clients.mjs';
import { World } from './support/world.mjs';

const TALK = { type: 'array', items: { type: 'object' }, 'x-reducer': 'messages' };
const talker = (slug, nodes, edges) => ({
  slug, name: slug, description: `The agent ${slug}.`,
  graph: {
    spec: 'agentgraph/1', name: slug, input: ['messages'], output: ['messages', 'approved'],
    state: { type: 'object', properties: { messages: TALK, approved: { type: 'boolean', default: false } } }, nodes, edges,
  },
});
const ECHOED = '${[{"type": "ai", "content": "You said: " + state.messages[size(state.messages) - 1].content}]}';
const ECHO = talker('echo', { say: { type: 'transform', write: { messages: ECHOED } } }, [{ from: '__start__', to: 'say' }]);
const APPROVER = talker('approver', {
  ask: {
    type: 'approval', prompt: 'Send the letter?', write: { approved: '${result.response.approved}' },
    response_schema: { type: 'object', required: ['approved'], properties: { approved: { type: 'boolean' } } },
  },
  tell: { type: 'transform', write: { messages: '${[{"type": "ai", "content": "Decided: " + string(state.approved)}]}' } },
}, [{ from: '__start__', to: 'ask' }, { from: 'ask', to: 'tell' }]);

describe('A2A', () => {
  let world, user, stranger;

  before(async () => {
    world = await World.start({ apps: [] });
    user = await world.newUser();
    stranger = await world.newUser();
    for (const agent of [ECHO, { ...APPROVER, end_users: [user.id] }]) await world.platform.api.must(201, 'POST', `${world.platform.path}/agents`, agent);
  });
  after(() => world?.stop());

  const at = (slug) => `${world.url}/v1/agents/a2a/${slug}`;
  async function clientOf(slug, who = user) {
    const fetchImpl = (url, init = {}) => fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init.headers)), authorization: `Bearer ${who.key}` } });
    const factory = new A2A.ClientFactory(A2A.ClientFactoryOptions.createFrom(A2A.ClientFactoryOptions.default, {
      transports: [new A2A.JsonRpcTransportFactory({ fetchImpl })], cardResolver: new A2A.DefaultAgentCardResolver({ fetchImpl }),
    }));
    return factory.createFromUrl(`${at(slug)}/`);
  }
  let ids = 0;
  const message = (text, more = {}) => ({
    tenant: '', metadata: undefined, configuration: undefined,
    message: {
      messageId: `m-${++ids}`, contextId: '', taskId: '', role: 1, metadata: undefined, extensions: [], referenceTaskIds: [],
      parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: '' }], ...more,
    },
  });
  const textOf = (parts) => parts.filter((part) => part.content?.$case === 'text').map((part) => part.content.value).join('');
  const rpc = async (slug, method, params = {}, { key = user.key, version = '1.0' } = {}) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}`, ...(version && { 'a2a-version': version }) };
    const reply = await fetch(at(slug), { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
    return { status: reply.status, body: await reply.json() };
  };
  const STATES = { completed: 3, canceled: 5, inputRequired: 6 };

  test('the card says where and what; nobody sees the card of an agent that they may not use', async () => {
    const card = await fetch(`${at('echo')}/.well-known/agent-card.json`, { headers: { authorization: `Bearer ${user.key}` } }).then((reply) => reply.json());
    assert.deepEqual(card.supportedInterfaces, [{ url: at('echo'), protocolBinding: 'JSONRPC', protocolVersion: '1.0' }]);
    assert.deepEqual(card.capabilities, { streaming: true, pushNotifications: false, extendedAgentCard: false });
    const hidden = await fetch(`${at('approver')}/.well-known/agent-card.json`, { headers: { authorization: `Bearer ${stranger.key}` } });
    assert.equal(hidden.status, 404);
    assert.equal((await rpc('approver', 'ListTasks', {}, { key: stranger.key })).status, 404);
  });

  test('a message becomes a task with its answer; the context goes on', async () => {
    const client = await clientOf('echo');
    const task = await client.sendMessage(message('one'));
    assert.equal(task.status.state, STATES.completed);
    assert.equal(textOf(task.artifacts[0].parts), 'You said: one');
    const next = await client.sendMessage(message('two', { contextId: task.contextId }));
    assert.notEqual(next.id, task.id);
    assert.equal(next.contextId, task.contextId);
    assert.deepEqual(next.history.map((one) => textOf(one.parts)), ['one', 'You said: one', 'two', 'You said: two']);
    // The answer of a task stays its own when its context has gone on.
    const first = await client.getTask({ tenant: '', id: task.id, historyLength: 0 });
    assert.equal(textOf(first.artifacts[0].parts), 'You said: one');
    assert.deepEqual(first.history ?? [], []);
  });

  test('a stream: the task, its answer, its end', async () => {
    const client = await clientOf('echo');
    const kinds = [];
    let text, state;
    for await (const event of client.sendMessageStream(message('three'))) {
      kinds.push(event.payload.$case);
      if (event.payload.$case === 'artifactUpdate') text = textOf(event.payload.value.artifact.parts);
      if (event.payload.$case === 'statusUpdate') state = event.payload.value.status.state;
    }
    assert.equal(kinds[0], 'task');
    assert.equal(kinds.at(-1), 'statusUpdate');
    assert.deepEqual([text, state], ['You said: three', STATES.completed]);
  });

  test('a task that asks is answered by a message to it, and keeps its id', async () => {
    const client = await clientOf('approver');
    const task = await client.sendMessage(message('write to them'));
    assert.equal(task.status.state, STATES.inputRequired);
    assert.equal(task.status.message.parts[0].content.value, 'Send the letter?');
    const done = await client.sendMessage(message('{"approved": true}', { taskId: task.id }));
    assert.deepEqual([done.id, done.status.state], [task.id, STATES.completed]);
    assert.equal(done.artifacts[0].parts[0].content.value, 'Decided: true');
    const over = await rpc('approver', 'SendMessage', { message: { messageId: 'late', role: 'ROLE_USER', taskId: task.id, parts: [{ text: 'more' }] } });
    assert.equal(over.body.error.code, -32004);
  });

  test('subscribing to a task that waits tells of it going on', async () => {
    const client = await clientOf('approver');
    const task = await client.sendMessage(message('write to them'));
    const stream = client.resubscribeTask({ tenant: '', id: task.id })[Symbol.asyncIterator]();
    const first = (await stream.next()).value;
    assert.deepEqual([first.payload.$case, first.payload.value.status.state], ['task', STATES.inputRequired]);
    await client.sendMessage(message('{"approved": false}', { taskId: task.id }));
    let last;
    for (let next = await stream.next(); !next.done; next = await stream.next()) last = next.value;
    assert.equal(last.payload.value.status.state, STATES.completed);
    const over = await rpc('approver', 'SubscribeToTask', { id: task.id });
    assert.equal(over.body.error.code, -32004);
  });

  test('a task that waits can be cancelled, once', async () => {
    const client = await clientOf('approver');
    const task = await client.sendMessage(message('write to them'));
    const canceled = await client.cancelTask({ tenant: '', id: task.id, metadata: undefined });
    assert.equal(canceled.status.state, STATES.canceled);
    assert.equal((await client.getTask({ tenant: '', id: task.id })).status.state, STATES.canceled);
    assert.equal((await rpc('approver', 'CancelTask', { id: task.id })).body.error.code, -32002);
  });

  test('tasks are listed to whom they belong, by page and by state', async () => {
    const { body } = await rpc('approver', 'ListTasks', { pageSize: 1 });
    assert.ok(body.result.totalSize >= 3);
    assert.equal(body.result.tasks.length, 1);
    const rest = await rpc('approver', 'ListTasks', { pageToken: body.result.nextPageToken });
    assert.equal(rest.body.result.tasks.length, body.result.totalSize - 1);
    assert.equal(rest.body.result.nextPageToken, '');
    const canceled = await rpc('approver', 'ListTasks', { status: 'TASK_STATE_CANCELED' });
    assert.deepEqual(canceled.body.result.tasks.map((task) => task.status.state), ['TASK_STATE_CANCELED']);
    assert.equal((await rpc('echo', 'ListTasks', {}, { key: stranger.key })).body.result.totalSize, 0);
    const foreign = await rpc('echo', 'GetTask', { id: body.result.tasks[0].id }, { key: stranger.key });
    assert.equal(foreign.body.error.code, -32001);
  });

  test('refusals have the codes of the specification', async () => {
    const code = async (...how) => (await rpc('echo', ...how)).body.error.code;
    const send = (more) => ({ message: { messageId: 'x', role: 'ROLE_USER', parts: [{ text: 'hi' }], ...more } });
    assert.equal(await code('SendMessage', send(), { version: '' }), -32009);
    assert.equal(await code('SendMessage', send({ parts: [] })), -32602);
    assert.equal(await code('SendMessage', send({ taskId: '0190a1b2-0000-7000-8000-000000000000' })), -32001);
    assert.equal(await code('SendMessage', send({ parts: [{ url: 'https://example.com/a.pdf', mediaType: 'application/pdf' }] })), -32005);
    assert.equal(await code('CreateTaskPushNotificationConfig'), -32003);
    assert.equal(await code('GetExtendedAgentCard'), -32004);
    assert.equal(await code('message/send'), -32601);
    const broken = await fetch(at('echo'), { method: 'POST', headers: { authorization: `Bearer ${user.key}`, 'content-type': 'application/json', 'a2a-version': '1.0' }, body: '{' });
    assert.equal((await broken.json()).error.code, -32700);
  });
});
