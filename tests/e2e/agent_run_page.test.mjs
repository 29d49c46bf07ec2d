// The page of a run in Chromium: the path taken, the calls and their cost, questions answered by a click, live.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { AgentWorld, REPOSITORY } from './support/agent_world.mjs';
import { assertGoodPage, DESKTOP, launchBrowser, newVisitor, PHONE } from './support/browser.mjs';
import { eventually } from './support/server.mjs';

const SHOTS = process.env.RUN_PAGE_SCREENSHOTS; // a folder, to look at the pages
const HOSTILE = 'A bug: <img src=x onerror=alert(1)> & <b>bold</b>';

describe('The page of a run', () => {
  let agents, browser, client, issue_number;
  before(async () => {
    agents = await AgentWorld.start(['triage', 'supervisor']);
    client = agents.client();
    issue_number = await agents.newIssue(HOSTILE);
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await agents?.stop();
  });

  const shoot = (page, name) => SHOTS && (fs.mkdirSync(SHOTS, { recursive: true }), page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true }));
  const addressOf = (run) => `${agents.url}/agents/runs/${run.thread_id}/${run.run_id}`;

  /** A run of triage that waits for its approval. */
  async function waiting() {
    const thread = await client.threads.create();
    const run = await client.runs.create(thread.thread_id, 'triage', { input: { ...REPOSITORY, issue_number, channel: '#general' } });
    await client.runs.join(thread.thread_id, run.run_id);
    return run;
  }

  async function open(address, { viewport = DESKTOP, key = agents.user.key } = {}) {
    const visitor = await newVisitor(browser, viewport);
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
