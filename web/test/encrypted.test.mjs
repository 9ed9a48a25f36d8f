// The way from the plain page to the encrypted one, in a browser that trusts it and in ones that do not.

import assert from 'node:assert/strict';
import { before, after, test } from 'node:test';
import { LIMIT, each, launch, look, pair, until, visitor } from './browser.mjs';
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

const mark = async (context) =>
  (await context.cookies(speaker.url)).find((cookie) => /^spk_\w+_tls$/.test(cookie.name));

test('a browser that trusts the speaker goes to the encrypted page by itself, until it is told to stay', LIMIT, async () => {
  const trusting = await launch([`--ignore-certificate-errors-spki-list=${await speaker.pin(encrypted)}`]);
  try {
    const { open, clean, context } = await visitor(trusting, speaker, { ours: [encrypted] });
    const page = await open();
    await pair(page, speaker);
    assert.equal(await mark(context), undefined, 'the plain page knows nothing of it');
    await page.goto(`${speaker.url}#/about`);
    await way(page).click();
    await until(() => mark(context), 'it is not marked');
    const { httpOnly, secure, sameSite } = await mark(context);
    assert.deepEqual({ httpOnly, secure, sameSite }, { httpOnly: true, secure: false, sameSite: 'Strict' });
    const workers = () => page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length);
    assert.equal(await workers(), 0, 'no service worker stays');

    const next = await open('#/about');
    await next.locator('.badge.live').waitFor();
    assert.equal(next.url(), `${encrypted}#/about`);
    await look(next, 'about-encrypted');
    await next.getByRole('link', { name: 'Stay on the plain page' }).click();
    await way(next).waitFor();
    assert.equal(next.url(), `${speaker.url}#/about`);
    assert.equal(await mark(context), undefined);
    await next.reload();
    await next.locator('.badge.live').waitFor();
    assert.equal(next.url(), `${speaker.url}#/about`);
    await clean();
  } finally {
    await trusting.close();
  }
});

test('one in which the warning was clicked away is not marked, and complains of nothing', LIMIT, async () => {
  const { open, clean, context } = await visitor(browser, speaker, { ours: [encrypted, 'chrome-error:'] });
  const page = await open();
  await pair(page, speaker);
  await page.goto(`${speaker.url}#/about`);
  const asked = [];
  page.on('requestfinished', (request) => asked.push(new URL(request.url()).pathname));
  await way(page).click();
  await page.locator('#details-button').waitFor();
  // What Chromium takes for "proceed to the unsafe page" on its warning.
  await page.keyboard.type('thisisunsafe', { delay: 20 });
  await page.locator('.badge.live').waitFor();
  assert.equal(page.url(), `${encrypted}#/about`);
  await until(() => asked.filter((path) => path === '/trusted.js').length === 2, 'it was not tried');
  await sleep(500);
  assert.equal(await mark(context), undefined);
  const next = await open();
  await next.locator('.badge.live').waitFor();
  assert.equal(next.url().startsWith(speaker.url), true);
  await clean();
});
