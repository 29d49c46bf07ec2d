// The page /mcp/inspect in Chromium: tools, schemas, token counts, calls, raw messages, and a key that stays in the page.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { assertGoodPage, DESKTOP, launchBrowser, newVisitor, PHONE } from './support/browser.mjs';
import { World } from './support/world.mjs';

const SHOTS = process.env.INSPECT_SCREENSHOTS; // a folder, to look at the page

describe('/mcp/inspect', () => {
  let world, browser, user;
  before(async () => {
    world = await World.start();
    user = await world.newConnectedUser();
    browser = await launchBrowser();
  });
  after(async () => {
    await browser?.close();
    await world?.stop();
  });

  const shoot = (page, name) => SHOTS && (fs.mkdirSync(SHOTS, { recursive: true }), page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true }));

  async function visit(viewport = DESKTOP) {
    const visitor = await newVisitor(browser, viewport);
    visitor.reply = await visitor.page.goto(`${world.url}/mcp/inspect`);
    return visitor;
  }

  async function list(page, key = user.key) {
    await page.getByLabel('End user\'s key').fill(key);
    await page.getByRole('button', { name: 'List tools' }).click();
  }
  const pick = (page, name) => page.getByRole('button', { name: new RegExp(`^${name}\\b`) }).click();

  for (const [name, viewport] of [['desktop', DESKTOP], ['phone', PHONE]]) {
    test(`lists and calls tools on a ${name}`, async () => {
      const { page, problems, reply, close } = await visit(viewport);
      await assertGoodPage(page, reply);
      assert.match(reply.headers()['content-security-policy'], /script-src 'self'/);
      await shoot(page, `${name}-start`);
      await list(page);
      await page.getByText(/2\d tools, [\d,]+ tokens in all/).waitFor();
      await page.getByLabel('Filter').fill('create_issue');
      assert.ok(await page.locator('.pick img.icon').first().evaluate((image) => image.decode().then(() => image.naturalWidth > 0)), 'the app\'s icon');
      await pick(page, 'github_create_issue');
      await page.getByText('makes changes').waitFor();
      await page.getByLabel('owner (required)').fill('octocat');
      await page.getByLabel('repo (required)').fill('hello-world');
      await page.getByLabel('title (required)').fill('From <b>the page</b>');
      await page.getByLabel('labels', { exact: false }).first().fill('bug\nhelp wanted');
      await page.getByRole('button', { name: 'Call', exact: true }).click();
      await page.getByRole('heading', { name: /^Result/ }).waitFor();
      assert.match(await page.locator('#result').innerText(), /From <b>the page<\/b>/);
      assert.equal(await page.locator('#result b').count(), 0, 'text of a vendor is only text');
      const messages = page.getByRole('heading', { name: 'Messages, newest first' }).locator('..');
      await messages.getByText(/← tools\/call 200/).click();
      assert.match(await messages.locator('pre').first().innerText(), /"structuredContent"/);
      await assertGoodPage(page, reply);
      await shoot(page, `${name}-called`);
      assert.deepEqual(problems, []);
      await close();
    });
  }

  test('arguments as JSON, and a tool that fails', async () => {
    const { page, problems, close } = await visit();
    await list(page);
    await pick(page, 'github_get_issue');
    await page.getByLabel('owner (required)').fill('octocat');
    await page.getByRole('radio', { name: 'JSON' }).check();
    const json = page.getByLabel('Arguments as JSON');
    assert.deepEqual(JSON.parse(await json.inputValue()), { owner: 'octocat' }, 'what was filled in is taken along');
    await json.fill('{"owner": "octocat", "repo": "hello-world", "issue_number": 99999}');
    await page.getByRole('button', { name: 'Call', exact: true }).click();
    await page.getByRole('heading', { name: /The tool failed/ }).waitFor();
    assert.match(await page.locator('#result').innerText(), /not_found/);
    await json.fill('no json');
    await page.getByRole('button', { name: 'Call', exact: true }).click();
    await page.getByText('The arguments must be a JSON object.').first().waitFor();
    assert.deepEqual(problems, []);
    await close();
  });

  test('selections, one app, search mode, and names that are wrong', async () => {
    const { page, problems, close } = await visit();
    await page.getByLabel('App (empty: all)').fill('github');
    await page.getByLabel('Toolsets').fill('issues');
    await page.getByLabel('Only tools that read').check();
    await list(page);
    await page.getByText(/^\d tools, [\d,]+ tokens in all$/).waitFor();
    await page.getByLabel('Search mode').check();
    await list(page);
    await page.getByText(/^3 tools, /).waitFor();
    await page.getByLabel('Toolsets').fill('nonsense');
    await list(page);
    await page.getByRole('status').getByText(/"nonsense"/).waitFor();
    await list(page, 'sk-eu_wrong');
    await page.getByRole('status').getByText(/not accepted/).waitFor();
    assert.equal(problems.length, 2, 'the browser itself notes the 400 and the 401');
    await close();
  });

  test('the key is in no address, cookie or storage, and is forgotten', async () => {
    const { page, context, close } = await visit();
    const addresses = [];
    page.on('request', (request) => addresses.push(request.url()));
    await list(page);
    await pick(page, 'github_get_me');
    await page.getByRole('button', { name: 'Call', exact: true }).click();
    await page.getByRole('heading', { name: /^Result/ }).waitFor();
    assert.ok(addresses.length > 0 && !addresses.some((url) => url.includes(user.key)));
    assert.ok(!page.url().includes(user.key));
    assert.deepEqual(await context.cookies(), []);
    assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length]), [0, 0]);
    assert.ok(!(await page.locator('#messages').innerHTML()).includes(user.key), 'messages are shown without it');
    await page.getByRole('button', { name: 'Forget the key' }).click();
    assert.equal(await page.getByLabel('End user\'s key').inputValue(), '');
    assert.equal(await page.locator('#lists').isVisible(), false);
    await list(page);
    await page.reload();
    assert.equal(await page.getByLabel('End user\'s key').inputValue(), '');
    await close();
  });

  test('by keyboard alone, in the dark', async () => {
    const context = await browser.newContext({ viewport: DESKTOP, colorScheme: 'dark' });
    const page = await context.newPage();
    await page.goto(`${world.url}/mcp/inspect`);
    const tabTo = async (locator) => {
      for (let i = 0; i < 60 && !(await locator.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press('Tab');
      assert.ok(await locator.evaluate((e) => e === document.activeElement));
    };
    await tabTo(page.getByLabel('End user\'s key'));
    await page.keyboard.type(user.key);
    await page.keyboard.press('Enter');
    const tool = page.getByRole('button', { name: /^github_get_me\b/ });
    await tool.waitFor();
    await tabTo(tool);
    await page.keyboard.press('Enter');
    assert.ok(await page.locator('#tool-name').evaluate((e) => e === document.activeElement), 'the chosen tool is read out next');
    await tabTo(page.getByRole('button', { name: 'Call', exact: true }));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^Result/ }).waitFor();
    const [ink, paper] = await page.locator('main').evaluate((e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]);
    const light = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
    assert.ok(light(ink) > 600 && light(paper) < 200, `${ink} on ${paper}`);
    await shoot(page, 'dark');
    await context.close();
  });
});
