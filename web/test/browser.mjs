// Chromium with a page that tells what went wrong in it.

import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { ROOT, sleep } from './speaker.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
export const SHOTS = join(ROOT, 'target/panel');
export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 800 };
/** Whatever is waited for comes within this, also on a busy machine. */
const SOON = 15_000;
/** A test that hangs fails, and what it started is ended. */
export const LIMIT = { timeout: 90_000 };

export function launch(more = []) {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--autoplay-policy=no-user-gesture-required', ...more],
  });
}

/** A browser of its own; `open` gives a page that notes errors and requests to elsewhere. */
export async function visitor(browser, speaker, { ours = [], ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-US', viewport: DESKTOP, ...options });
  context.setDefaultTimeout(SOON);
  const troubles = [];
  const frames = [];
  const open = async (path = '') => {
    const page = await context.newPage();
    page.on('pageerror', (error) => troubles.push(`${error}`));
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(message.text());
    });
    page.on('request', (request) => {
      const known = [speaker.url, 'data:', ...ours].some((start) => request.url().startsWith(start));
      if (!known) troubles.push(`request to ${request.url()}`);
    });
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => frames.push(payload)));
    await page.goto(speaker.url + path);
    return page;
  };
  /** While the speaker or the network is away the browser itself complains of it; so it does of each refused code and page. */
  const clean = ({ away = false, refused = 0 } = {}) => {
    const wrong = troubles.filter((text) => {
      if (refused > 0 && /40[13]/.test(text)) return --refused < 0;
      return !(away && /net::ERR_|WebSocket connection/.test(text));
    });
    assert.deepEqual(wrong, []);
    return context.close();
  };
  return { context, open, clean, frames };
}

export async function pair(page, speaker, role = 'admin') {
  await page.locator('#code').fill(await speaker.code(role));
  await page.locator('.primary').click();
  await page.locator('.badge.live').waitFor();
}

/** Waits until `what` holds. */
export async function until(what, words, limit = SOON) {
  for (const end = Date.now() + limit; !(await what()); await sleep(50)) {
    assert.ok(Date.now() < end, words);
  }
}

export async function say(page, text) {
  await page.locator('.composer textarea').fill(text);
  await page.keyboard.press('Enter');
}

export async function axe(page, what) {
  const session = await page.context().newCDPSession(page);
  // The page's own policy forbids script of others; the browser's tools stand above it.
  await session.send('Runtime.evaluate', { expression: readFileSync(AXE, 'utf8') });
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.flatMap(({ id, nodes }) => nodes.map((n) => `${id}: ${n.html} ${n.failureSummary}`));
  });
  assert.deepEqual(violations, [], what);
}

/** A picture, and no fault of accessibility. */
export async function look(page, name) {
  await shot(page, name);
  await axe(page, name);
}

/** In each size and scheme of colours. */
export async function each(page, screen, what) {
  for (const size of [DESKTOP, PHONE]) {
    for (const colorScheme of ['dark', 'light']) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await what(`${screen}-${size === PHONE ? 'phone' : 'desktop'}-${colorScheme}`);
    }
  }
}

/** Pixels by which the page is wider than the window. */
export const sideways = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

export async function shot(page, name) {
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}
