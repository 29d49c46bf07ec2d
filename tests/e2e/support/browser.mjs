// Chromium, driven by playwright-core, with nothing but the pages under test.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

export async function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

/** A fresh profile whose console must stay free of errors. */
export async function newVisitor(browser, viewport = DESKTOP) {
  const context = await browser.newContext({ viewport, isMobile: viewport === PHONE, hasTouch: viewport === PHONE });
  const page = await context.newPage();
  const problems = [];
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  return { context, page, problems, close: () => context.close() };
}

/** What every page of ours promises: a strict policy, no sideways scrolling, one heading, a language, names on controls. */
export async function assertGoodPage(page, response) {
  const headers = response.headers();
  const policy = headers['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'/, `Content-Security-Policy: ${policy}`);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|\*/);
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.match(headers['cache-control'] ?? '', /no-store/);
  const seen = await page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth - window.innerWidth,
    lang: document.documentElement.lang,
    title: document.title,
    headings: document.querySelectorAll('h1').length,
    viewport: document.querySelector('meta[name=viewport]')?.content ?? '',
    unnamed: [...document.querySelectorAll('button, a, input:not([type=hidden])')].filter((e) =>
      !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.value)).length,
    smallestText: Math.min(...[...document.querySelectorAll('p, li, button, a')].map((e) => parseFloat(getComputedStyle(e).fontSize)), 99),
  }));
  assert.ok(seen.overflow <= 0, `the page is ${seen.overflow} px wider than the window`);
  assert.ok(seen.lang && seen.title);
  assert.equal(seen.headings, 1);
  assert.match(seen.viewport, /width=device-width/);
  assert.equal(seen.unnamed, 0);
  assert.ok(seen.smallestText >= 12, `text of ${seen.smallestText} px`);
}

/** On our consent page: go on to the provider. */
export async function continueToProvider(page) {
  const ours = new URL(page.url()).origin;
  await Promise.all([page.waitForURL((url) => url.origin !== ours), page.locator('form button[type=submit], form button:not([type])').first().click()]);
}

/** On the stand-in's page: say yes or no. Resolves when the browser is back. */
export async function decideAtProvider(page, { login = 'octocat', decision = 'Authorize' } = {}) {
  const provider = new URL(page.url()).origin;
  await page.getByRole('radio', { name: new RegExp(`\\(${login}\\)`) }).check();
  await Promise.all([page.waitForURL((url) => url.origin !== provider), page.getByRole('button', { name: decision, exact: true }).click()]);
}
