// The way from the plain page to the encrypted one, in a browser that trusts it and in one that does not.

import assert from 'node:assert/strict';
import { before, after, test } from 'node:test';
import { LIMIT, each, launch, look, pair, visitor } from './browser.mjs';
import { Speaker, freePort, sleep } from './speaker.mjs';

let browser;
let speaker;
let encrypted;

before(async () => {
  browser = await launch();
  const port = await freePort();
  encrypted = `https://127.0.0.1:${port}/`;
  speaker = await Speaker.start({ sets: [`panel.listen_tls=127.0.0.1:${port}`] });
});
after(async () => {
  await browser?.close();
  await speaker?.end();
});

const way = (page) => page.getByRole('link', { name: 'Open the encrypted page' });

test('nothing is tried behind the back of a browser that does not trust the speaker', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await way(page).waitFor();
  assert.equal(await way(page).getAttribute('href'), encrypted);
  await each(page, 'pair-plain', (name) => look(page, name));
  await pair(page, speaker);
  await page.goto(`${speaker.url}#/about`);
  await way(page).waitFor();
  await sleep(500);
  // No error and no request to elsewhere.
  await clean();
});

test('a paired browser is paired on the encrypted page, on the same screen', LIMIT, async () => {
  const { open, clean, context } = await visitor(browser, speaker, { ignoreHTTPSErrors: true, ours: [encrypted] });
  const page = await open();
  await pair(page, speaker);
  await page.goto(`${speaker.url}#/about`);
  await way(page).click();
  await page.locator('.badge.live').waitFor();
  assert.equal(page.url(), `${encrypted}#/about`);
  await page.getByText('Role').first().waitFor();
  assert.equal(await way(page).count(), 0, 'it is encrypted already');
  const cookies = await context.cookies(encrypted);
  const own = cookies.filter((cookie) => cookie.name.startsWith('__Host-spk_'));
  assert.equal(own.length, 1);
  assert.ok(own[0].secure && own[0].httpOnly && own[0].sameSite === 'Strict');
  await page.reload();
  await page.locator('.badge.live').waitFor();
  await clean();
});

test('one that is not paired pairs there, without being asked in vain', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker, { ignoreHTTPSErrors: true, ours: [encrypted] });
  const page = await open('#/turns');
  await way(page).click();
  await page.locator('#code').waitFor();
  assert.equal(page.url(), `${encrypted}#/turns`);
  await pair(page, speaker);
  await clean();
});
