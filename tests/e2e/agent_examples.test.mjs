// The ready agents of examples/agents, saved and run as they are, by LangGraph's client, over the stand-ins.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { AgentWorld, REPOSITORY } from './support/agent_world.mjs';
import { eventually } from './support/server.mjs';

describe('The ready agents', () => {
  let agents, client;
  before(async () => {
    agents = await AgentWorld.start(['tool-loop', 'triage', 'research', 'supervisor']);
    client = agents.client();
  });
  after(() => agents?.stop());

  const person = (content) => ({ messages: [{ role: 'user', content }] });
  const run = (thread, agent, more) => client.runs.wait(thread.thread_id, agent, more);
  const repository = JSON.stringify(REPOSITORY);

  test('the tool loop reads issues and answers', async () => {
    const values = await run(await client.threads.create(), 'tool-loop', { input: person(`use github_list_issues ${repository}`) });
    assert.deepEqual(values.messages.map((message) => message.type), ['human', 'ai', 'tool', 'ai'], JSON.stringify(values));
    assert.match(values.messages.at(-1).content, /^The tool said: /);
  });

  test('triage sorts an issue, waits for a person, and posts only what was approved', async () => {
    const issue_number = await agents.newIssue('A bug in the rocket');
    const input = { ...REPOSITORY, issue_number, channel: '#general' };
    const said = async (ok) => {
      const thread = await client.threads.create();
      await run(thread, 'triage', { input });
      const state = await client.threads.getState(thread.thread_id);
      assert.deepEqual(state.next, ['approve']);
      const [{ value }] = state.tasks[0].interrupts;
      assert.deepEqual([value.type, value.prompt, value.payload], ['approval', 'Post this to #general?', { channel: '#general', text: 'It is about "A bug in the rocket".' }]);
      return run(thread, 'triage', { command: { resume: { ok } } });
    };
    const before = agents.posted().length;
    const refused = await said(false);
    assert.deepEqual([refused.category, refused.approved], ['bug', false]);
    assert.equal(agents.posted().length, before);
    const approved = await said(true);
    assert.equal(approved.approved, true);
    assert.equal(agents.posted().length, before + 1);
    assert.match(JSON.stringify(agents.posted().at(-1)), /A bug in the rocket/);
  });

  test('research studies each open issue by itself and writes one report', async () => {
    const values = await run(await client.threads.create(), 'research', { input: REPOSITORY });
    assert.ok(values.issues.length >= 2, JSON.stringify(values));
    assert.equal(values.findings.length, values.issues.length);
    for (const finding of values.findings) assert.match(finding, /^It is about ".+"\.$/);
    assert.ok(values.report.length > 0);
  });

  test('the supervisor hands on to both specialists, and the message waits for its approval', async () => {
    const before = agents.posted().length;
    const thread = await client.threads.create();
    await run(thread, 'supervisor', { input: person(`First the coder: use github_list_issues ${repository}. Then the writer: use slack_send_message {"channel": "#general", "text": "Read the issues"}`) });
    const state = await client.threads.getState(thread.thread_id, undefined, { subgraphs: true });
    assert.deepEqual(state.next, ['writer'], JSON.stringify(state.values));
    const [interrupt] = state.tasks.flatMap((task) => task.interrupts);
    assert.deepEqual([interrupt.value.type, interrupt.value.tool, interrupt.value.arguments.text], ['tool_approval', 'send_message', 'Read the issues']);
    assert.equal(agents.posted().length, before);
    const values = await run(thread, 'supervisor', { command: { resume: { [interrupt.id]: { type: 'approve' } } } });
    assert.equal(agents.posted().length, before + 1, JSON.stringify(values));
    assert.equal(values.messages.at(-1).type, 'ai');
  });

  test('all of it is on the bill, under the runs', async () => {
    const path = agents.platform.path;
    const runs = await agents.user.api.must(200, 'GET', '/v1/agents/runs?limit=50');
    assert.ok(runs.length >= 7, JSON.stringify(runs.map((one) => one.agent)));
    for (const one of runs) {
      await eventually(async () => {
        const rows = await agents.user.api.must(200, 'GET', `/v1/me/usage?limit=100&run_id=${one.id}`);
        const sum = rows.reduce((total, row) => total + Math.round(Number(row.cost_usd) * 1e9), 0);
        return rows.length === one.usage.llm_calls && sum === Math.round(Number(one.usage.cost_usd) * 1e9);
      }, `the rows of a run of ${one.agent} are what it cost: ${JSON.stringify(one.usage)}`);
    }
    const wallet = await agents.platform.api.must(200, 'GET', `${path}/wallet`);
    const spent = runs.reduce((total, one) => total + Math.round(Number(one.usage.cost_usd) * 1e9), 0);
    assert.equal(Math.round((5 - Number(wallet.balance)) * 1e9), spent);
  });
});
