// The page of a run in Chromium: the path taken, the calls and their cost, each kind of question answered by a click, live,
// also over a lost connection.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { AgentWorld, REPOSITORY } from './support/agent_world.mjs';
import { makeAgents, SlowModel } from './support/agents.mjs';
import { assertGoodPage, DESKTOP, launchBrowser, newVisitor, PHONE } from './support/browser.mjs';
import { addKey } from './support/models.mjs';
import { startRoad } from './support/road.mjs';
import { eventually } from './support/server.mjs';
import { startUpstream } from './support/upstream.mjs';

const SHOTS = process.env.RUN_PAGE_SCREENSHOTS; // a folder, to look at the pages
const HOSTILE = 'A bug: <img src=x onerror=alert(1)> & <b>bold</b>';

// A form, JSON, and a node that a run can stop before.
const ASKING = {
  slug: 'asking', name: 'Asking',
  graph: {
    spec: 'agentgraph/1', name: 'asking',
    state: { type: 'object', properties: { log: { type: 'array', items: { type: 'string' }, 'x-reducer': 'append' } } },
    nodes: {
      form: {
        type: 'approval', prompt: 'Which one?', write: { log: '${[to_json(result.response)]}' },
        response_schema: {
          type: 'object', required: ['colour', 'count'],
          properties: {
            ok: { type: 'boolean' }, colour: { type: 'string', enum: ['red', 'blue'] }, count: { type: 'integer' },
            words: { type: 'string', title: 'Some words' }, note: { type: 'string' },
          },
        },
      },
      list: { type: 'approval', prompt: 'Which ones?', write: { log: '${[to_json(result.response)]}' }, response_schema: { type: 'array', items: { type: 'string' } } },
      last: { type: 'transform', write: { log: "${['last']}" } },
    },
    edges: [{ from: '__start__', to: 'form' }, { from: 'form', to: 'list' }, { from: 'list', to: 'last' }, { from: 'last', to: '__end__' }],
  },
};

describe('The page of a run', () => {
  let agents, browser, client, issue_number, upstream;
  before(async () => {
    upstream = await startUpstream();
    agents = await AgentWorld.start(['triage', 'supervisor']);
    await addKey(agents.world, agents.platform, upstream);
    await makeAgents(agents.platform, ['chat', ASKING]);
    client = agents.client();
    issue_number = await agents.newIssue(HOSTILE);
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await agents?.stop();
    await upstream?.stop();
  });

  const shoot = (page, name) => SHOTS && (fs.mkdirSync(SHOTS, { recursive: true }), page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true }));
  const addressOf = (run) => `${agents.url}/agents/runs/${run.thread_id}/${run.run_id}`;

  /** A run that waits, of triage for its approval. */
  async function waiting(by = client, agent = 'triage', payload = { input: { ...REPOSITORY, issue_number, channel: '#general' } }) {
    const thread = await by.threads.create();
    const run = await by.runs.create(thread.thread_id, agent, payload);
    await by.runs.join(thread.thread_id, run.run_id);
    return run;
  }

  async function open(address, { viewport = DESKTOP, key = agents.user.key } = {}) {
    const visitor = await newVisitor(browser, viewport);
    visitor.page.setDefaultTimeout(60_000);
    visitor.reply = await visitor.page.goto(address);
    await visitor.page.getByLabel('Key of an end user or of a platform').fill(key);
    await visitor.page.getByRole('button', { name: 'Open' }).click();
    return visitor;
  }
  const step = (page, title) => page.locator('#steps > li', { hasText: title });
  const node = (page, title) => page.locator('#graph a.node', { has: page.locator('> title', { hasText: new RegExp(`^${title} \\(`) }) });

  for (const [name, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    test(`tells what happened and goes on when it is approved, on a ${name}`, async () => {
      const run = await waiting();
      const posted = agents.posted().length;
      const { page, problems, reply, close } = await open(addressOf(run), { viewport });
      await page.getByRole('heading', { name: 'Triage', level: 1 }).waitFor();
      await page.locator('#run-state', { hasText: 'waits for an answer' }).waitFor();
      await page.getByRole('heading', { name: 'Post this to #general?' }).waitFor();
      await step(page, 'Read the issue').getByText('github_get_issue').first().waitFor();
      await step(page, 'Sort it').getByText(/tokens · USD 0\.0/).waitFor();
      assert.match(await node(page, 'Which way\\?').getAttribute('class'), /\bdone\b/);
      assert.match(await node(page, 'May it be posted\\?').getAttribute('class'), /\bwaiting\b/);
      assert.match(await node(page, 'Post it').getAttribute('class'), /\bnext\b/);
      assert.match(await page.locator('#questions').innerText(), /<img src=x onerror=alert\(1\)> & <b>bold<\/b>/);
      assert.equal(await page.locator('main img, main b').count(), 0, 'what a tool or a model says is only text');
      await page.locator('#usage tr').first().waitFor();
      await assertGoodPage(page, reply);
      await shoot(page, `${name}-waits`);

      await page.getByRole('button', { name: 'Approve' }).click();
      await page.locator('#run-state', { hasText: 'finished' }).waitFor();
      await page.getByText('Answered: it went on as run').waitFor();
      await step(page, 'Post it').getByText('slack_send_message').waitFor();
      assert.match(await node(page, 'Post it').getAttribute('class'), /\bdone\b/);
      assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0);
      assert.equal(agents.posted().length, posted + 1);
      const runs = await client.runs.list(run.thread_id);
      assert.equal(runs.length, 2);
      assert.ok(page.url().endsWith(runs.find((one) => one.run_id !== run.run_id).run_id), 'the address is of the run that went on');
      await shoot(page, `${name}-finished`);
      await assertGoodPage(page, reply);
      assert.deepEqual(problems, []);
      await close();
    });
  }

  test('is live: an answer given elsewhere is seen here, in the dark', async () => {
    const run = await waiting();
    const context = await browser.newContext({ viewport: DESKTOP, colorScheme: 'dark' });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(addressOf(run));
    await page.getByLabel('Key of an end user or of a platform').fill(agents.user.key);
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Reject' }).waitFor();
    await client.runs.wait(run.thread_id, 'triage', { command: { resume: { ok: false } } });
    await page.locator('#run-state', { hasText: 'finished' }).waitFor();
    assert.match(await node(page, 'Post it').getAttribute('class'), /\bnext\b/);
    await shoot(page, 'dark');
    await context.close();
  });

  test('shows what a subgraph did, and approves the call of a tool with other arguments', async () => {
    const thread = await client.threads.create();
    const asked = 'The writer: use slack_send_message {"channel": "#general", "text": "First words"}';
    const run = await client.runs.create(thread.thread_id, 'supervisor', { input: { messages: [{ role: 'user', content: asked }] } });
    await client.runs.join(thread.thread_id, run.run_id);
    const { page, problems, close } = await open(addressOf(run));
    await page.getByRole('heading', { name: 'May it call send_message?' }).waitFor();
    const text = page.getByLabel('With these arguments');
    await text.fill((await text.inputValue()).replace('First words', 'Better words'));
    await shoot(page, 'subgraph');
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.locator('#run-state', { hasText: 'finished' }).waitFor();
    assert.match(JSON.stringify(agents.posted().at(-1)), /Better words/);
    await step(page, 'subgraph').getByText('slack_send_message').first().waitFor();
    assert.ok(await page.locator('#graph a.group.done a.node.done', { hasText: 'work' }).count() >= 1);
    assert.deepEqual(problems, []);
    await close();
  });

  test('forms: fields as the answer\'s schema has them, JSON, and a run that stopped before a node', async () => {
    const run = await waiting(client, 'asking', { input: { log: [] }, interruptBefore: ['last'] });
    const { page, problems, close } = await open(addressOf(run));
    await page.getByRole('heading', { name: 'Which one?' }).waitFor();
    await page.getByLabel('Colour').selectOption('"blue"');
    await page.getByLabel('Count').fill('3');
    await page.getByLabel('Some words (optional)').fill('a "word" <b>');
    await page.getByRole('button', { name: 'Reject' }).click();

    await page.getByRole('heading', { name: 'Which ones?' }).waitFor();
    const json = page.getByLabel('The answer, as JSON');
    await json.fill('["left"');
    await page.getByRole('button', { name: 'Answer' }).click();
    await page.getByText('This is no JSON.').waitFor();
    await json.fill('["left", "right"]');
    await page.getByRole('button', { name: 'Answer' }).click();
    // The answer's own run was not told to stop: only the first one was.
    await page.locator('#run-state', { hasText: 'finished' }).waitFor();
    const { values } = await client.threads.getState(run.thread_id);
    assert.deepEqual(JSON.parse(values.log[0]), { ok: false, colour: 'blue', count: 3, words: 'a "word" <b>' });
    assert.deepEqual(JSON.parse(values.log[1]), ['left', 'right']);
    assert.equal(values.log[2], 'last');

    const stopped = await waiting(client, 'asking', { input: { log: [] }, interruptBefore: ['form'] });
    await page.goto(addressOf(stopped));
    await page.getByRole('heading', { name: 'It stopped before form.' }).waitFor();
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('heading', { name: 'Which one?' }).waitFor();
    assert.deepEqual(problems, []);
    await close();
  });

  test('a tool that may not be called, an account to connect', async () => {
    const ask = (by) => waiting(by, 'supervisor', { input: { messages: [{ role: 'user', content: 'The writer: use slack_send_message {"channel": "#general", "text": "No"}' }] } });
    const posted = agents.posted().length;
    const refused = await ask(client);
    const { page, problems, close } = await open(addressOf(refused));
    await page.getByRole('heading', { name: 'May it call send_message?' }).waitFor();
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.locator('#run-state', { hasText: 'finished' }).waitFor();
    assert.equal(agents.posted().length, posted);

    const newcomer = await agents.world.newUser();
    const away = await waiting(agents.client(newcomer.key));
    await page.getByRole('button', { name: 'Forget the key' }).click();
    await page.goto(addressOf(away));
    await page.getByLabel('Key of an end user or of a platform').fill(newcomer.key);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByRole('heading', { name: 'get_issue needs an account that is not connected yet.' }).waitFor();
    const link = page.getByRole('link', { name: 'Connect the account' });
    assert.match(await link.getAttribute('href'), new RegExp(`^${agents.url}/connect/[\\w-]+$`));
    assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
    await agents.world.connect(newcomer); // as the link would, in another tab
    await page.getByRole('heading', { name: 'Post this to #general?' }).waitFor(); // it went on by itself
    assert.deepEqual(problems, []);
    await close();
  });

  test('a call that the platform must approve goes on once, by itself', async () => {
    const policy = (tools) => agents.platform.api.must(200, 'PUT', `${agents.platform.path}/mcp/apps/slack/policy`, { mode: 'all', tools: [], deny: [], require_approval: { classes: [], tools } });
    const { key } = await agents.newConnectedUser();
    const by = agents.client(key);
    await policy(['slack_send_message']);
    const run = await waiting(by);
    const posted = agents.posted().length;
    await by.runs.wait(run.thread_id, 'triage', { command: { resume: { ok: true } } });
    const [asking] = await by.runs.list(run.thread_id);
    const { page, problems, close } = await open(addressOf(asking), { key: agents.platform.key });
    await page.getByRole('heading', { name: 'send_message needs an approval.' }).waitFor();
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.locator('#run-state', { hasText: 'finished' }).waitFor();
    assert.equal(agents.posted().length, posted + 1);
    const runs = await by.runs.list(run.thread_id);
    assert.deepEqual(runs.map((one) => one.status), ['success', 'interrupted', 'interrupted']);
    assert.ok(page.url().endsWith(runs[0].run_id));
    assert.equal((await by.threads.get(run.thread_id)).status, 'idle');
    assert.deepEqual(problems, []);
    await close();
    await policy([]);
  });

  test('a call of which no answer came is not repeated before somebody says so', async () => {
    const run = await waiting();
    const { page, close } = await open(addressOf(run));
    agents.slack.control({ fail_api: 'lost' });
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.getByRole('heading', { name: 'Did the call of send_message happen? No answer came.' }).waitFor();
    assert.deepEqual(await page.locator('#questions button').allInnerTexts(), ['It happened', 'Do it again', 'Give up']);
    agents.slack.control({ fail_api: null });
    const posted = agents.posted().length;
    await page.getByRole('button', { name: 'Do it again' }).click();
    await page.locator('#run-state', { hasText: 'finished' }).waitFor();
    assert.equal(agents.posted().length, posted + 1);
    await close();
  });

  test('over a lost connection the words go on where they were, also for who comes in the middle', async () => {
    const road = await startRoad(agents.world.server);
    try {
      const thread = await client.threads.create();
      const model = new SlowModel(upstream);
      const run = await client.runs.create(thread.thread_id, 'chat', { input: { messages: [{ role: 'user', content: 'hi' }] }, streamMode: ['values', 'messages-tuple'] });
      await model.say('Good ');
      await model.say('eve');
      const { page, close } = await open(addressOf(run).replace(agents.url, road.url));
      const live = (text) => page.locator('#steps .live').getByText(text, { exact: true }).waitFor();
      await live('Good eve');
      road.close();
      await page.locator('#lost').waitFor();
      await model.say('ning');
      road.open();
      await live('Good evening');
      await page.locator('#lost').waitFor({ state: 'hidden' });
      await eventually(async () => (await page.locator('#status').innerText()) === '', 'it is no longer said that the server is away', 60_000);
      await model.say('!');
      await live('Good evening!');
      await model.end();
      await page.locator('#run-state', { hasText: 'finished' }).waitFor();
      await close();
    } finally {
      road.stop();
    }
  });

  test('lists runs; strangers see none; the key is in no address and is forgotten', async () => {
    const run = await waiting();
    const { page, context, close } = await open(`${agents.url}/agents/runs`, { key: agents.platform.key });
    const addresses = [];
    page.on('request', (request) => addresses.push(request.url()));
    await page.locator('#runs a').first().waitFor();
    await page.getByLabel('Show').selectOption('interrupted');
    await eventually(async () => (await page.locator('#runs .pill').allInnerTexts()).every((text) => /waits|stopped/.test(text)), 'only those that stopped');
    await shoot(page, 'list');
    await page.locator(`#runs a[href$="${run.run_id}"]`).click();
    await page.getByRole('button', { name: 'Approve' }).waitFor();
    assert.ok(!addresses.some((url) => url.includes(agents.platform.key)) && !page.url().includes(agents.platform.key));
    assert.deepEqual(await context.cookies(), []);
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    await page.getByRole('button', { name: 'Forget the key' }).click();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    assert.equal(await page.locator('#run').isVisible(), false);
    await close();
    const stranger = await agents.world.newUser();
    const other = await open(addressOf(run), { key: stranger.key });
    await other.page.locator('#status.bad').waitFor();
    assert.equal(await other.page.locator('#run').isVisible(), false);
    await other.close();
  });
});
