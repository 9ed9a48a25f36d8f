// Settings, key, paired clients and the first set-up in a real browser.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMIT, PHONE, axe, each, look, pair, shot, sideways, until, visitor } from './browser.mjs';
import { Speaker } from './speaker.mjs';
import { browser, speaker } from './stage.mjs';

const STEPS = ['Welcome', 'Is it loud enough?', 'Does it hear you?', 'Connect the voice service', 'Voice and personality',
  'What happens to what you say', 'What is it called?', 'Ready'];
const RIGHT = 'xai-THEKEYTHATOPENS-4711';
const WRONG = 'xai-THEKEYTHATDOESNOT-0815';

const field = (page, name) => page.locator('.field', { has: page.locator(`[id="${name}"]`) });
const control = (page, name) => page.locator(`[id="${name}"]`);
const title = (page) => page.locator('.wizard h2');

async function enter(page, own, screen = 'settings', role = 'admin') {
  await pair(page, own, role);
  await page.goto(`${own.url}#/${screen}`);
}

async function stepUp(page, own) {
  await page.locator('#step-up').first().fill(await own.code());
  await page.locator('.stepup .primary').first().click();
}

test('a setting changed here is seen there, kept, and refused with words', LIMIT, async (t) => {
  const own = await Speaker.start({ key: 'xai-a-key-for-this-page' });
  t.after(() => own.end());
  const one = await visitor(browser, own);
  const two = await visitor(browser, own, { viewport: PHONE, locale: 'de-DE' });
  const [here, there] = [await one.open(), await two.open()];
  await enter(here, own);
  await enter(there, own);
  await control(there, 'grok.voice').waitFor();
  await control(here, 'grok.voice').selectOption('rex');
  await field(here, 'grok.voice').getByText('Saved').waitFor();
  await until(async () => (await control(there, 'grok.voice').inputValue()) === 'rex', 'not seen there');
  // The last word counts, everywhere.
  await control(there, 'grok.voice').selectOption('ara');
  await until(async () => (await control(here, 'grok.voice').inputValue()) === 'ara', 'not seen here');
  await here.getByRole('button', { name: 'Witty' }).click();
  await until(async () => /quick-witted/.test(await control(there, 'grok.instructions').inputValue()), 'no text');
  const linger = control(here, 'turn.linger_s');
  await linger.fill('12');
  await linger.dispatchEvent('change');
  await field(here, 'turn.linger_s').getByText('Saved').waitFor();
  // The speaker's own name, for everybody, as words.
  const name = control(here, 'panel.name');
  await name.fill(' Küche <b>1</b> ');
  await name.press('Enter');
  const told = there.locator('.status .name');
  await until(async () => (await told.textContent()) === 'Küche <b>1</b>', 'it has no name there');
  assert.match(await there.title(), /– Küche <b>1<\/b>$/);
  assert.equal(await told.locator('b').count(), 0);
  await name.fill('\u202enehctiK');
  await name.press('Enter');
  await field(here, 'panel.name').getByText(/panel\.name.*is not allowed/).waitFor();
  // Refused: the reason stands beside it, and nothing changed.
  const model = control(here, 'grok.model');
  await model.fill('two words');
  await field(here, 'grok.model').getByRole('button', { name: 'Save' }).click();
  await field(here, 'grok.model').getByText(/grok\.model.*is not allowed/).waitFor();
  assert.equal(await model.getAttribute('aria-invalid'), 'true');
  await shot(here, 'settings-refused');
  await axe(here, 'a refused setting');
  await field(here, 'grok.model').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await model.inputValue(), 'grok-voice-latest');
  // What the command line says stands, and says so.
  assert.ok(await control(here, 'turn.mode').isDisabled());
  await field(here, 'turn.mode').getByText('--set turn.mode').waitFor();
  await own.endDaemon();
  await own.run();
  await here.locator('.badge.live').waitFor();
  await here.reload();
  await control(here, 'grok.voice').waitFor();
  assert.equal(await control(here, 'grok.voice').inputValue(), 'ara');
  assert.equal(await control(here, 'panel.name').inputValue(), 'Küche <b>1</b>');
  assert.equal(await control(here, 'turn.linger_s').inputValue(), '12');
  await one.clean({ away: true });
  await two.clean({ away: true });
});

test('the first set-up goes on where it was, ends, and can be run again', LIMIT, async (t) => {
  const own = await Speaker.start({ key: null, wants: RIGHT });
  t.after(() => own.end());
  const { open, clean } = await visitor(browser, own, { viewport: PHONE });
  const page = await open();
  await pair(page, own);
  for (const [at, name] of STEPS.entries()) {
    await until(async () => (await title(page).textContent()) === name, `not at ${name}`);
    // F22: a reload, and a power cut in the middle.
    await page.reload();
    await page.locator('.badge.live').waitFor();
    await until(async () => (await title(page).textContent()) === name, `${name} is lost by a reload`);
    if (at === 2) {
      own.daemon.kill('SIGKILL');
      await until(() => own.daemon.signalCode !== null, 'still there');
      await own.run();
      await page.locator('.badge.live').waitFor();
      await until(async () => (await title(page).textContent()) === name, `${name} is lost by a power cut`);
    }
    const other = await visitor(browser, own);
    if (at === 3) {
      const theirs = await other.open();
      await pair(theirs, own);
      await until(async () => (await title(theirs).textContent()) === name, 'another browser begins anew');
    }
    await other.clean();
    if (at === 1) {
      // What was heard is seen in the meter, because a fate that is good is not shown.
      await page.getByRole('button', { name: 'Play a sound' }).click();
      await until(async () => Number(await page.locator('[aria-labelledby="level-speaker"]').getAttribute('aria-valuenow')) > -60, 'no sound');
      assert.equal(await page.locator('.wizard .fate').count(), 0);
    }
    if (at === STEPS.length - 2) await control(page, 'panel.name').fill('Kitchen');
    if (at === STEPS.length - 1) break;
    await page.locator('.walk .primary').click();
  }
  await page.locator('.qr').waitFor();
  await page.locator('.status .name', { hasText: 'Kitchen' }).waitFor();
  await page.locator('.walk .primary').click();
  await page.locator('.composer').waitFor();
  await page.reload();
  await page.locator('.badge.live').waitFor();
  await page.locator('.composer').waitFor();
  await page.goto(`${own.url}#/settings`);
  await page.getByRole('button', { name: 'Run the set-up again' }).click();
  await until(async () => (await title(page).textContent()) === STEPS[0], 'not begun again');
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.locator('.composer').waitFor();
  await clean({ away: true });
});

test('another device is shown an address that is not its own', LIMIT, async (t) => {
  const own = await Speaker.start({ ip: '0.0.0.0' });
  t.after(() => own.end());
  const { open, clean } = await visitor(browser, own);
  const page = await open();
  await enter(page, own, 'about');
  const code = page.locator('.qr');
  await until(async () => !/127\.0\.0\.1/.test(await code.getAttribute('aria-label')), 'its own address');
  const shown = await page.locator('.address code').allTextContents();
  assert.equal(shown[0], await code.getAttribute('aria-label'));
  assert.ok(shown.some((url) => url.endsWith(`.local:${own.port}/`)), `${shown}`);
  assert.ok(shown.every((url) => url.startsWith('http://')), `${shown}`);
  await clean();
});

test('beside the key the set-up says that the clock is not set; at its end it offers the certificate', LIMIT, async (t) => {
  const own = await Speaker.start({ key: null, sets: ['panel.listen_tls=127.0.0.1:0'] });
  t.after(() => own.end());
  const { context, open, clean } = await visitor(browser, own, { viewport: PHONE });
  await context.routeWebSocket(/socket\.io/, (page) => {
    const server = page.connectToServer();
    server.onMessage((message) => {
      const ack = typeof message === 'string' && message.match(/^(43\d+)(\[.*"processor".*)/s);
      if (!ack) return page.send(message);
      const [answer] = JSON.parse(message.slice(ack[1].length));
      answer.data.device.place.clock_set = false;
      page.send(ack[1] + JSON.stringify([answer]));
    });
  });
  const page = await open();
  await pair(page, own);
  const next = page.locator('.walk .primary');
  for (const name of STEPS.slice(0, -1)) {
    await until(async () => (await title(page).textContent()) === name, `not at ${name}`);
    if (name === STEPS[3]) {
      await page.getByText('The clock has not been set by the network yet.').waitFor();
      await look(page, 'wizard-clock');
    }
    // Its buttons are in reach without scrolling.
    const [button, dock] = [await next.boundingBox(), await page.locator('.dock').boundingBox()];
    assert.ok(button.y + button.height <= dock.y, `${name}: ${JSON.stringify(button)}`);
    await next.click();
  }
  await page.getByText('Trust this speaker').waitFor();
  await page.getByRole('link', { name: 'Download the certificate' }).waitFor();
  await look(page, 'wizard-trust');
  await clean();
});

test('who leaves the set-up while it still loads is not led back', LIMIT, async (t) => {
  const own = await Speaker.start({ key: null });
  t.after(() => own.end());
  const { context, open, clean } = await visitor(browser, own);
  // What the page sends arrives half a second late, and at once.
  await context.routeWebSocket(/socket\.io/, (page) => {
    const server = page.connectToServer();
    let held = [];
    page.onMessage((message) => {
      if (held.push(message) > 1) return;
      setTimeout(() => held.splice(0).forEach((each) => server.send(each)), 500);
    });
  });
  const page = await open();
  await pair(page, own);
  await page.getByRole('button', { name: 'Not now' }).click();
  await page.locator('.composer').waitFor();
  const file = join(own.folder, 'setup.json');
  await until(() => existsSync(file) && /"over": *true/.test(readFileSync(file, 'utf8')), 'it is not remembered');
  await page.reload();
  await page.locator('.notice', { hasText: 'API key' }).waitFor();
  await clean();
});

test('a key: code first, tried before it is taken, never seen again (A27)', LIMIT, async (t) => {
  const own = await Speaker.start({ key: null, wants: RIGHT, sets: ['log.level=trace'] });
  t.after(() => own.end());
  const { open, clean, frames } = await visitor(browser, own);
  const page = await open();
  await enter(page, own);
  await page.locator('.key').getByText('No key is set.').waitFor();
  // Whoever has just paired at the device is there; after a restart that must be shown anew.
  await page.locator('#api-key').waitFor();
  await own.endDaemon();
  await own.run();
  await page.locator('.badge.live').waitFor();
  await page.locator('#step-up').fill('000000');
  await page.locator('.stepup .primary').click();
  await page.locator('.stepup .fate').getByText(/No code is open/).waitFor();
  await stepUp(page, own);
  const box = page.locator('#api-key');
  await box.fill(WRONG);
  await page.getByRole('button', { name: 'Test and save' }).click();
  await page.locator('.key .fate[data-state=error]').waitFor();
  await shot(page, 'key-refused');
  await page.locator('.key').getByText('No key is set.').waitFor();
  await box.fill(RIGHT);
  await page.getByRole('button', { name: 'Test and save' }).click();
  await page.locator('.key').getByText(/ends in …4711/).waitFor();
  await page.locator('.key').getByText(/Tested/).waitFor();
  await page.locator('.panel:not([data-state=error])').waitFor();
  const stored = join(own.folder, 'api_key');
  assert.equal(statSync(stored).mode & 0o777, 0o600);
  assert.equal(readFileSync(stored, 'utf8').trim(), RIGHT);
  const shown = frames.map((frame) => frame.toString()).join('\n') + (await page.content());
  const written = readdirSync(own.folder).filter((name) => name.endsWith('.json'));
  const files = written.map((name) => readFileSync(join(own.folder, name), 'utf8')).join('\n');
  for (const key of [RIGHT, WRONG]) {
    assert.ok(!shown.includes(key) && !own.daemon.said.includes(key) && !files.includes(key), key);
  }
  await clean({ away: true });
});

test('paired clients: one more, another name, another role, out', LIMIT, async (t) => {
  const own = await Speaker.start({ key: 'xai-a-key-for-this-page' });
  t.after(() => own.end());
  const owner = await visitor(browser, own);
  const page = await owner.open();
  await enter(page, own);
  await own.endDaemon();
  await own.run();
  await page.locator('.badge.live').waitFor();
  await page.getByRole('button', { name: 'Show a code' }).click();
  const digits = page.locator('.digits');
  await digits.waitFor();
  await shot(page, 'invitation');
  const guest = await visitor(browser, own, { viewport: PHONE });
  const theirs = await guest.open();
  await theirs.locator('#code').fill(await digits.textContent());
  await theirs.locator('#name').fill('Guest <b>phone</b>');
  await theirs.locator('.primary').click();
  await theirs.locator('.badge.live').waitFor();
  await theirs.locator('.nav a[href="#/turns"]').waitFor();
  for (const screen of ['settings', 'sound', 'logs']) {
    assert.equal(await theirs.locator(`.nav a[href="#/${screen}"]`).count(), 0, `a controller has no ${screen}`);
  }
  const row = page.locator('.client', { hasText: 'Guest <b>phone</b>' });
  await row.getByText('connected').waitFor();
  await digits.waitFor({ state: 'detached' });
  await row.getByRole('button', { name: 'Rename' }).click();
  await page.locator('.client input').fill('Kitchen');
  await page.keyboard.press('Enter');
  const kitchen = page.locator('.client', { hasText: 'Kitchen' });
  await kitchen.locator('select').selectOption('admin');
  await stepUp(page, own);
  await theirs.locator('.nav a[href$=settings]').waitFor();
  // The only admin cannot go; of two, one can.
  await kitchen.getByRole('button', { name: 'Remove' }).click();
  await kitchen.getByText('Remove Kitchen?').waitFor();
  await axe(page, 'about to remove a client');
  await shot(page, 'revoke');
  await kitchen.locator('.danger').click();
  await theirs.locator('#code').waitFor();
  const mine = page.locator('.client', { hasText: 'this browser' });
  await mine.getByRole('button', { name: 'Log out' }).click();
  await mine.locator('.danger').click();
  await mine.getByText(/only admin/).waitFor();
  await guest.clean({ refused: 1 });
  await owner.clean({ away: true });
});

test('a viewer who knows the address of the settings sees none', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await enter(page, speaker, 'settings', 'viewer');
  await page.getByText('may watch only').waitFor();
  assert.equal(await page.locator('.settings').count(), 0);
  await clean();
});

test('whoever pairs can log out, and is asked before', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await enter(page, speaker, 'about', 'viewer');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByText('has to pair again').waitFor();
  await axe(page, 'about to log out');
  await page.locator('.ask .danger').click();
  await page.locator('#code').waitFor();
  await page.reload();
  await page.locator('#code').waitFor();
  await clean({ away: true });
});

test('settings and set-up: no fault of accessibility, nothing sideways, and a picture', { timeout: 180_000 }, async (t) => {
  const own = await Speaker.start({ key: null });
  t.after(() => own.end());
  const { open, clean } = await visitor(browser, own, { reducedMotion: 'reduce' });
  const page = await open();
  const both = (name) => look(page, name);
  const narrow = async (name) => {
    for (const locale of ['Deutsch', 'Español', 'English']) {
      await page.setViewportSize({ width: 320, height: 568 });
      await page.evaluate((name) => localStorage.setItem('grok-speaker.language', name.slice(0, 2).toLowerCase()), locale);
      await page.reload();
      await page.locator('.badge.live').waitFor();
      await page.locator('.settings h2').waitFor();
      assert.ok((await sideways(page)) <= 0, `${name} ${locale}`);
      await shot(page, `${name}-320-${locale.slice(0, 2).toLowerCase()}`);
    }
  };
  await pair(page, own);
  for (const [at, name] of STEPS.entries()) {
    await until(async () => (await title(page).textContent()) === name, `not at ${name}`);
    await each(page, `wizard-${at + 1}`, both);
    if (at === 2 || at === 3) await narrow(`wizard-${at + 1}`);
    await page.locator('.walk .primary').click();
  }
  await page.locator('.composer').waitFor();
  await page.goto(`${own.url}#/settings`);
  await page.locator('.clients').waitFor();
  await each(page, 'settings', both);
  await each(page, 'settings-lower', async (name) => {
    await page.locator('.clients').evaluate((list) => list.scrollIntoView());
    await shot(page, name);
  });
  await narrow('settings');
  await clean();
});
