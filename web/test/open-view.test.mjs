// Where the owner lets everybody on the network watch.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LIMIT, PHONE, each, launch, look, pair, say, sideways, until, visitor } from './browser.mjs';
import { Speaker } from './speaker.mjs';

const QUESTION = 'Good evening, what can you do?';

let browser;
let speaker;
before(async () => {
  browser = await launch();
  speaker = await Speaker.start({ sets: ['panel.open_view=true'] });
});
after(async () => {
  await browser?.close();
  await speaker?.end();
});

const banner = (page) => page.locator('.open-view');

test('a stranger watches, is told so as long as it is so, and no more', LIMIT, async () => {
  const owner = await visitor(browser, speaker);
  const theirs = await owner.open();
  await banner(theirs).getByRole('button').click();
  await pair(theirs, speaker);
  assert.match(await banner(theirs).textContent(), /Everybody .* may watch: panel.open_view is on/);

  const { open, clean, frames } = await visitor(browser, speaker, { viewport: PHONE });
  const page = await open();
  await page.locator('.badge.live').waitFor();
  await say(theirs, QUESTION);
  await page.locator('.panel[data-state=speaking]').waitFor();
  await theirs.locator('.line.assistant', { hasText: 'You wrote' }).waitFor();
  assert.equal(await page.locator('.dock, .composer, .line').count(), 0);
  assert.ok(!frames.some((frame) => String(frame).includes(QUESTION)), 'what is said was sent');
  assert.equal(await banner(page).getByRole('button', { name: /lose|ismiss/ }).count(), 0);
  for (const screen of ['talk', 'health', 'about', 'settings']) {
    await page.goto(`${speaker.url}#/${screen}`);
    assert.match(await banner(page).textContent(), /Everybody on this network may watch, without pairing/);
  }
  await page.goto(`${speaker.url}#/about`);
  assert.equal(await page.getByText('Log out').count(), 0);
  for (const [language, words] of [['Deutsch', /Zusehen darf jeder/], ['Español', /Cualquiera de esta red/], ['English', /Everybody/]]) {
    await page.getByRole('button', { name: language }).click();
    assert.match(await banner(page).textContent(), words);
  }
  await page.setViewportSize({ width: 320, height: 568 });
  assert.ok((await sideways(page)) <= 0);
  await page.goto(`${speaker.url}#/talk`);
  await each(page, 'open-view', (name) => look(page, name));
  await each(theirs, 'open-view-owner', (name) => look(theirs, name));
  await clean();
  await owner.clean();
});

test('who watches can pair, or go back to watching, and comes back as what it is', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker, { viewport: PHONE });
  const page = await open();
  await page.locator('.badge.live').waitFor();
  await banner(page).getByRole('button').click();
  await page.locator('#code').waitFor();
  await each(page, 'open-view-pair', (name) => look(page, name));
  await page.getByRole('button', { name: 'Only watch' }).click();
  await page.locator('.badge.live').waitFor();
  await banner(page).getByRole('button').click();
  await pair(page, speaker, 'controller');
  await page.locator('.dock').waitFor();
  await page.reload();
  await page.locator('.dock').waitFor();
  await page.goto(`${speaker.url}#/about`);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log out' }).last().click();
  await until(async () => (await banner(page).getByRole('button').count()) === 1, 'it does not watch');
  assert.equal(await page.locator('.dock').count(), 0);
  await clean();
});
