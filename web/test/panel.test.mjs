// What the page does in a real browser, against the real program and the stand-in.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LIMIT, PHONE, axe, launch, pair, say, shot, until, visitor } from './browser.mjs';
import { found, pcm, wav } from './sound.mjs';
import { Speaker, sleep } from './speaker.mjs';
import { QUESTION, browser, speaker } from './stage.mjs';

const state = (page) => page.locator('.state h1');
const lines = (page) => page.locator('.line');
const volume = (page) => page.locator('.volume input');

test('pairing: short, closed, wrong, right; a reload is not asked again', LIMIT, async () => {
  const { open, clean, context } = await visitor(browser, speaker, { viewport: PHONE });
  // A refused code is an answer with status 403, and the browser says so.
  const page = await open();
  const code = page.locator('#code');
  assert.ok(await code.evaluate((box) => box === document.activeElement), 'the code has the focus');
  const error = page.locator('#pair-error');
  await code.fill('12a');
  assert.equal(await code.inputValue(), '12');
  await page.locator('.primary').click();
  assert.match(await error.textContent(), /six digits/);
  const right = await speaker.code('admin');
  await code.fill(right === '111111' ? '222222' : '111111');
  await page.keyboard.press('Enter');
  await until(async () => /4 tries left/.test(await error.textContent()), 'no word of the tries');
  await page.getByRole('button', { name: 'Deutsch' }).click();
  assert.match(await error.textContent(), /Noch 4 Versuche/);
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  await axe(page, 'pairing with an error');
  await shot(page, 'pair-error');
  // Interrupted before the code was typed whole: the code is still good.
  await code.fill(right.slice(0, 3));
  await page.reload();
  await code.fill(right);
  await page.keyboard.press('Enter');
  await page.locator('.badge.live').waitFor();
  await page.reload();
  await page.locator('.badge.live').waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'de');
  const cookies = await context.cookies();
  assert.ok(cookies.every((cookie) => cookie.httpOnly && cookie.sameSite === 'Strict'));
  await clean({ refused: 1 });
});

test('a typed turn: its words, its sound, its bars', LIMIT, async () => {
  const { open, clean, frames } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker, 'controller');
  await volume(page).fill('100');
  await until(async () => (await page.locator('.volume output').textContent()) === '100', 'no volume');
  await sleep(600);
  await say(page, QUESTION);
  await page.locator('.line.user', { hasText: QUESTION }).waitFor();
  await page.locator('.line.assistant:not([data-partial])', { hasText: 'You wrote' }).waitFor();
  assert.equal(await page.locator('.composer textarea').inputValue(), '');
  await page.locator('.panel[data-state=lingering]').waitFor();
  assert.match(await page.locator('.panel > .unseen[role=status]').textContent(), /Speaker: You wrote/);
  // A controller hears the reply to its own turn: the very samples that went to the card.
  const sent = pcm(frames);
  assert.ok(sent.length > 24_000, `${sent.length} samples`);
  await until(() => wav(speaker.heard).length > sent.length, 'nothing was played');
  await sleep(300);
  const share = found(wav(speaker.heard), sent);
  console.log(`sound: ${(sent.length / 24).toFixed(0)} ms, ${(share * 100).toFixed(0)} % of it found in what was played`);
  assert.ok(share > 0.8, `${share}`);
  await page.getByRole('link', { name: 'Turns' }).click();
  await page.locator('.turn').first().waitFor();
  assert.match(await page.locator('.turn .wait').first().textContent(), /^\d+ ms until the answer|^\d\.\d\d s/);
  assert.ok((await page.locator('.steps .track i').count()) >= 2);
  assert.match(await page.locator('.figures').textContent(), /\$0\.0/);
  await clean();
});

test('stop is heard in mid-reply, on every screen', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker);
  await say(page, 'tell me a long story');
  await page.locator('.panel[data-state=speaking]').waitFor();
  await page.getByRole('link', { name: 'About' }).click();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.panel:not([data-state=speaking])').waitFor();
  await page.getByRole('link', { name: 'Talk' }).click();
  await page.locator('.line.assistant em', { hasText: 'interrupted' }).first().waitFor();
  await clean();
});

test('a control shows that it waits, was heard, or was not', LIMIT, async () => {
  const { context, open, clean } = await visitor(browser, speaker);
  let answers = true;
  let away = () => {};
  await context.routeWebSocket(/socket\.io/, (page) => {
    const server = page.connectToServer();
    // What is asked reaches the speaker late, or not at all.
    page.onMessage((message) => {
      if (!/"grok-voice:stop"/.test(String(message))) return server.send(message);
      if (answers) away = () => server.send(message);
    });
  });
  const page = await open();
  await pair(page, speaker);
  const stop = page.getByRole('button', { name: 'Stop' });
  const fate = (wanted) =>
    until(async () => (await stop.getAttribute('data-fate')) === wanted, `${wanted} is not shown`);
  await stop.click();
  await fate('pending');
  assert.equal(await stop.getAttribute('aria-busy'), 'true');
  away();
  await fate('done');
  await fate(null);
  answers = false;
  await stop.click();
  await fate('failed');
  await page.locator('.notice', { hasText: 'The speaker did not answer' }).waitFor();
  await shot(page, 'not-heard');
  await axe(page, 'not heard');
  await fate(null);
  await clean();
});

test('mute and listening show what they are', LIMIT, async () => {
  const { open, clean, frames } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker);
  const mute = page.getByRole('button', { name: 'Mute' });
  await mute.click();
  await page.locator('.panel[data-state=muted]').waitFor();
  assert.equal(await mute.getAttribute('aria-pressed'), 'true');
  assert.match(await page.title(), /^Muted/);
  await shot(page, 'muted');
  await axe(page, 'muted');
  await mute.click();
  await page.locator('.panel:not([data-state=muted])').waitFor();
  // An admin that listens hears the turn of somebody else.
  await page.getByRole('button', { name: 'Listen' }).click();
  const other = await visitor(browser, speaker);
  const theirs = await other.open();
  await pair(theirs, speaker);
  await say(theirs, QUESTION);
  await until(() => pcm(frames).length > 24_000, 'the listener heard nothing');
  await other.clean();
  await clean();
});

test('hold to talk: held, tapped, and by the keyboard', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker);
  const talk = page.locator('.talk');
  const listening = () => page.locator('.panel[data-state=listening]').waitFor();
  await talk.hover();
  await page.mouse.down();
  await listening();
  assert.equal(await talk.textContent(), 'Release to send');
  await sleep(400);
  await page.mouse.up();
  await until(async () => (await talk.getAttribute('aria-pressed')) === 'false', 'still held');
  await talk.click();
  assert.equal(await talk.textContent(), 'Tap to send');
  await talk.click();
  assert.equal(await talk.textContent(), 'Hold to talk');
  await talk.focus();
  await page.keyboard.down('Space');
  await until(async () => (await talk.getAttribute('aria-pressed')) === 'true', 'not held');
  await sleep(400);
  await page.keyboard.up('Space');
  await until(async () => (await talk.getAttribute('aria-pressed')) === 'false', 'still held');
  await clean();
});

test('the volume from two browsers: never bounces, both agree', LIMIT, async () => {
  const [one, two] = [await visitor(browser, speaker), await visitor(browser, speaker, { viewport: PHONE })];
  const [a, b] = [await one.open(), await two.open()];
  await pair(a, speaker);
  await pair(b, speaker, 'controller');
  await a.evaluate(() => {
    window.seen = [];
    const output = document.querySelector('.volume output');
    new MutationObserver(() => window.seen.push(Number(output.textContent))).observe(output, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await volume(b).fill('10');
  await until(async () => (await volume(a).inputValue()) === '10', 'the other browser did not follow');
  await a.evaluate(() => (window.seen = []));
  const box = await volume(a).boundingBox();
  const y = box.y + box.height / 2;
  const x = (part) => box.x + 13 + (box.width - 26) * part;
  await a.mouse.move(x(0.1), y);
  await a.mouse.down();
  for (let part = 0.1; part <= 0.9; part += 0.02) {
    await a.mouse.move(x(part), y);
    await sleep(15);
  }
  await a.mouse.up();
  await sleep(1200);
  const seen = await a.evaluate(() => window.seen);
  assert.deepEqual(seen, [...seen].sort((p, q) => p - q), 'the slider went back');
  const last = await volume(a).inputValue();
  assert.ok(Number(last) >= 85, last);
  await until(async () => (await volume(b).inputValue()) === last, 'the other browser did not follow');
  await volume(b).focus();
  await b.keyboard.press('ArrowLeft');
  await until(async () => Number(await volume(a).inputValue()) === Number(last) - 1, 'no step back');
  await one.clean();
  await two.clean();
});

test('a viewer sees the state and no more', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker, { viewport: PHONE });
  const page = await open();
  await pair(page, speaker, 'viewer');
  await page.getByText('may watch only').waitFor();
  assert.equal(await page.locator('.dock, .composer, .log').count(), 0);
  assert.equal(await page.getByRole('link', { name: 'Turns' }).count(), 0);
  await axe(page, 'viewer');
  await shot(page, 'viewer');
  await clean();
});

test('A23: what is said is text, never a page', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker);
  const evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script> javascript:alert(1) \u202e';
  await say(page, evil);
  await page.locator('.line.user', { hasText: '<img src=x' }).waitFor();
  await page.locator('.line.assistant', { hasText: '<script>' }).waitFor();
  assert.equal(await page.locator('.log img, .log script').count(), 0);
  assert.equal(await page.evaluate(() => window.hit), undefined);
  await clean();
});

test('reload, a daemon that starts anew, no network: it says so and comes back', LIMIT, async (t) => {
  const own = await Speaker.start();
  t.after(() => own.end());
  const { open, clean, context } = await visitor(browser, own, { viewport: PHONE });
  const page = await open();
  await pair(page, own);
  await say(page, QUESTION);
  await page.locator('.line.assistant', { hasText: 'You wrote' }).waitFor();
  await page.reload();
  await page.locator('.line.user', { hasText: QUESTION }).waitFor();
  const before = await lines(page).count();

  await page.locator('.composer textarea').fill('a draft');
  await own.endDaemon();
  await page.locator('.badge.lost').waitFor();
  assert.match(await page.locator('.badge').textContent(), /Retry in \d+ s/);
  assert.match(await state(page).textContent(), /Not connected/);
  assert.ok(await page.locator('.talk').isDisabled());
  // Nobody knows whether it is silent.
  assert.deepEqual(await page.locator('.meter .value').allTextContents(), ['–', '–']);
  await shot(page, 'away');
  await axe(page, 'away');
  await own.run();
  await page.locator('.badge.live').waitFor();
  assert.equal(await page.locator('.composer textarea').inputValue(), 'a draft');
  assert.ok(await page.locator('.talk').isEnabled());
  await say(page, 'and once more');
  await page.locator('.line.assistant', { hasText: 'and once more' }).waitFor();
  assert.ok(before >= 2);

  await context.setOffline(true);
  await page.locator('.badge.lost').waitFor({ timeout: 30_000 });
  await page.getByText('This device has no network').waitFor();
  await context.setOffline(false);
  await page.locator('.badge.live').waitFor();
  await clean({ away: true });
});

test('a page that is never closed is given its cookie anew, and is back at once', LIMIT, async () => {
  const { context, open, clean } = await visitor(browser, speaker);
  // Its clock can be put ahead, and what it does every minute it does at once.
  await context.addInitScript(() => {
    const [repeat, now] = [window.setInterval, Date.now];
    window.setInterval = (what, ms) => repeat(what, ms === 60_000 ? 50 : ms);
    Date.now = () => now() + (window.ahead ?? 0);
  });
  const page = await open();
  await pair(page, speaker);
  const ends = async () => (await context.cookies(speaker.url)).find(({ name }) => name.startsWith('spk_')).expires;
  const before = await ends();
  await page.evaluate(() => (window.ahead = 11 * 3600_000));
  await sleep(500);
  assert.equal(await ends(), before);
  await page.evaluate(() => (window.ahead = 12 * 3600_000));
  await until(async () => (await ends()) > before, 'the cookie ends as before');
  await page.locator('.badge.live').waitFor();
  await clean();
});

test('a frozen tab is let go within 20 s and comes back by itself', LIMIT, async (t) => {
  const own = await Speaker.start();
  t.after(() => own.end());
  const { open, clean, context } = await visitor(browser, own, { viewport: PHONE });
  const page = await open();
  await pair(page, own);
  const live = async () => {
    const metrics = await (await fetch(`${own.url}metrics`)).text();
    return Number(metrics.match(/^grok_speaker_panel_clients (\d+)/m)[1]);
  };
  await until(async () => (await live()) === 1, 'one panel is live');
  const tools = await context.newCDPSession(page);
  // The next line of script stops, as in a tab that the browser has put to sleep.
  await tools.send('Debugger.enable');
  await tools.send('Debugger.pause');
  const start = Date.now();
  await until(async () => (await live()) === 0, 'the frozen panel is still held', 20_000);
  console.log(`a frozen tab was let go after ${((Date.now() - start) / 1000).toFixed(1)} s`);
  await tools.send('Debugger.resume');
  await until(async () => (await live()) === 1, 'it did not come back');
  await page.locator('.badge.live').waitFor();
  await say(page, QUESTION);
  await page.locator('.line.assistant', { hasText: 'You wrote' }).waitFor();
  await clean({ away: true });
});

test('the inspector: both ways, without sound or key; filter, search, pause, download', LIMIT, async () => {
  const { open, clean, frames } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker, 'controller');
  await page.getByRole('link', { name: 'Events' }).click();
  await page.locator('.empty', { hasText: 'Nothing yet' }).waitFor();
  const types = () => page.locator('.row .type').allTextContents();
  const other = await visitor(browser, speaker);
  const theirs = await other.open();
  await pair(theirs, speaker);
  // Words nobody has said before: a new session is told the old ones once more.
  await say(theirs, 'Do you see me?');
  await until(async () => (await types()).includes('response.output_audio.delta'), 'no sound received');
  await until(async () => (await types()).includes('response.done'), 'no end of the reply');
  const events = frames.filter((frame) => typeof frame === 'string' && frame.includes('grok-voice:event'));
  assert.ok(events.length > 10 && events.every((frame) => frame.length < 20_000));
  assert.ok(events.some((frame) => frame.includes('characters of sound')), 'sound is not elided');
  assert.ok(other.frames.every((frame) => !String(frame).includes('grok-voice:event')), 'not asked for');

  await page.getByRole('button', { name: 'Sent', exact: true }).click();
  await until(async () => (await types()).every((type) => !type.startsWith('response.output')), 'not filtered');
  await page.getByLabel('Search').fill('DO YOU SEE ME');
  await until(async () => (await types()).length === 1, 'one message has the words');
  await page.locator('.row').click();
  assert.match(await page.locator('.json pre').textContent(), /Do you see me/);
  await page.getByLabel('Search').fill('no such thing');
  await page.getByText('Nothing matches').waitFor();
  await page.getByLabel('Search').fill('');
  await page.getByRole('button', { name: 'All', exact: true }).click();
  await page.getByRole('button', { name: 'Pause' }).click();
  const before = (await types()).length;
  await say(theirs, 'and again');
  await theirs.locator('.line.assistant:not([data-partial])', { hasText: 'and again' }).waitFor();
  assert.equal((await types()).length, before);
  await page.getByRole('button', { name: 'Pause' }).click();
  await until(async () => (await types()).length > before, 'nothing after the pause');
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download' }).click(),
  ]);
  const rows = readFileSync(await file.path(), 'utf8').trim().split('\n').map((row) => JSON.parse(row));
  assert.ok(rows.length >= before && rows.every((row) => row.dir && row.type && row.event));

  // What was said stays for a page that is loaded anew.
  await page.reload();
  await until(async () => (await types()).length >= before, 'it begins with nothing');

  // Nobody looks, nothing is sent.
  await page.getByRole('link', { name: 'Talk' }).click();
  await sleep(500);
  const count = frames.length;
  await say(theirs, 'a last one');
  await theirs.locator('.line.assistant:not([data-partial])', { hasText: 'a last one' }).waitFor();
  assert.ok(frames.slice(count).every((frame) => !String(frame).includes('grok-voice:event')));
  await other.clean();
  await clean();
});

test('a message is copied on a page that is not encrypted, too', LIMIT, async (t) => {
  const named = await launch(['--host-resolver-rules=MAP kitchen.test 127.0.0.1']);
  t.after(() => named.close());
  const own = await Speaker.start({ sets: ['panel.hosts=["kitchen.test"]'] });
  t.after(() => own.end());
  own.url = `http://kitchen.test:${own.port}/`;
  const { open, clean } = await visitor(named, own);
  const page = await open();
  await pair(page, own);
  assert.equal(await page.evaluate(() => isSecureContext), false);
  await page.goto(`${own.url}#/inspect`);
  await page.locator('.empty').waitFor();
  const other = await visitor(named, own);
  const theirs = await other.open();
  await pair(theirs, own);
  await say(theirs, QUESTION);
  const row = page.locator('.row', { hasText: 'response.done' }).first();
  await row.click();
  const text = await page.locator('.json pre').textContent();
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  await page.getByLabel('Search').focus();
  await page.keyboard.press('Control+V');
  const flat = (json) => json.replace(/\s+/g, '');
  assert.equal(flat(await page.getByLabel('Search').inputValue()), flat(text));
  await other.clean();
  await clean();
});

test('by keyboard alone', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker, { viewport: PHONE });
  const page = await open();
  await pair(page, speaker);
  const focus = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.ariaLabel);
  await page.evaluate(() => document.activeElement.blur());
  const reached = [];
  for (let i = 0; i < 16; i++) {
    await page.keyboard.press('Tab');
    reached.push(await focus());
  }
  for (const name of ['Skip to the controls', 'Talk', 'Turns', 'Events', 'Settings', 'About', 'Hold to talk', 'Stop', 'Mute', 'Listen', 'Volume']) {
    assert.ok(reached.includes(name), `${name} is not reached: ${reached}`);
  }
  await page.locator('.skip').focus();
  await page.keyboard.press('Enter');
  assert.equal(await focus(), 'Hold to talk');
  await page.getByRole('link', { name: 'About' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('h2', { hasText: 'About' }).waitFor();
  assert.ok(await page.evaluate(() => document.activeElement.matches('main')), 'focus is on the screen');
  await clean();
});
