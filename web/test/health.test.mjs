// Health, log and support bundle, against the real program.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LIMIT, PHONE, axe, each, launch, look, pair, say, shot, until, visitor } from './browser.mjs';
import { ROOT, Speaker, sleep } from './speaker.mjs';

const KEY = 'xai-TESTSECRET-0123456789abcdef';
const PERSONAL = 'You live with Ada and Max in Graz.';

let browser;
let speaker;
before(async () => {
  browser = await launch();
  speaker = await Speaker.start({
    key: KEY,
    sets: ['log.level=trace', `grok.instructions=${PERSONAL}`],
    mic: join(ROOT, 'tests/speech/two_turns.wav'),
  });
});
after(async () => {
  await browser?.close();
  await speaker?.end();
});

const go = (page, screen) => page.evaluate((name) => (location.hash = `#/${name}`), screen);
const card = (page, name) => page.locator('.vital', { has: page.getByRole('heading', { name, exact: true }) });

/** A visitor whose speaker is on a board with everything, and everything the matter. */
async function onBoard(page) {
  const device = {
    processor: { percent: 37.4, own_percent: 9.2, cores: 4, load: [0.42, 0.51, 0.38] },
    memory: { total: 3.98e9, available: 2.61e9, own: 1.12e7 },
    temperature_c: 71.6,
    power: { low_voltage: 'before', capped: 'never', throttled: 'now', hot: 'never' },
    network: [
      { name: 'eth0', up: false },
      { name: 'wlan0', up: true, radio: { dbm: -78 } },
    ],
    disk: { total: 31.2e9, free: 24.7e9 },
    place: { model: 'Some Board 4 Model B Rev 1.5', system: 'Debian GNU/Linux 12 (bookworm)', kernel: '6.6.31-v8', up_s: 812345, clock_set: false },
  };
  let n = 0;
  await page.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const ack = typeof message === 'string' && message.match(/^(43\d+)(\[.*"round_trip|\[.*"processor".*)/s);
      if (!ack) return socket.send(message);
      const [answer] = JSON.parse(message.slice(ack[1].length));
      const swing = Math.sin(n++ / 2);
      answer.data.device = {
        ...device,
        processor: { ...device.processor, percent: 37.4 + 20 * swing },
        temperature_c: 71.6 + swing,
      };
      answer.data.threads = ['capture: no real-time priority (Operation not permitted), running with nice -11: under systemd set LimitRTPRIO=10'];
      answer.data.sound = { ...answer.data.sound, input: 'USB Audio, 48000 Hz, 1 channel', output: 'USB Audio, 48000 Hz, 2 channels', underruns: 3 };
      socket.send(ack[1] + JSON.stringify([answer]));
    });
  });
}

test('health: figures of this machine, a round trip, and nothing that is not known', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await pair(page, speaker, 'viewer');
  assert.ok(asked.every((url) => !url.includes('chart.js')), 'curves are no part of the first load');
  await page.getByRole('link', { name: 'Health' }).click();
  assert.match(await card(page, 'Memory').locator('.value').textContent(), /^[\d.]+ GB free$/);
  assert.match(await card(page, 'Memory').locator('.soft').textContent(), /^[\d.]+ MB by the speaker$/);
  assert.match(await card(page, 'Storage').locator('.value').textContent(), /free$/);
  await until(async () => /^\d+%$/.test(await card(page, 'Processor').locator('.value').textContent()), 'no share of the processor');
  await until(async () => /^[\d.]+ ms$/.test(await card(page, 'Voice service').locator('.value').textContent()), 'no round trip');
  await card(page, 'Processor').locator('canvas').waitFor();
  assert.match(await card(page, 'Processor').getByRole('img').getAttribute('aria-label'), /^Processor: \d+% to \d+% in the last/);
  const facts = await page.locator('.facts').textContent();
  assert.match(facts, /Panels open1/);
  assert.match(facts, /Running for/);
  // A board without a radio has no card for one.
  const page_ = await page.locator('.page').textContent();
  assert.ok(!/undefined|NaN|null/.test(page_), page_);
  assert.equal(await page.getByRole('link', { name: 'Log', exact: true }).count(), 0, 'a viewer has no log');
  await clean();
});

test('nobody looks, nothing is asked', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  let asks = 0;
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => {
      if (/grok-voice:(health|logs)/.test(String(payload))) asks += 1;
    });
  });
  await page.reload();
  await pair(page, speaker);
  await sleep(2500);
  assert.equal(asks, 0);
  await go(page, 'health');
  await until(() => asks >= 2, 'health is not asked for');
  await go(page, 'talk');
  await sleep(300);
  const before = asks;
  await sleep(4500);
  assert.equal(asks, before);
  await clean();
});

test('what is the matter is said in words, the worst first, in each language', LIMIT, async () => {
  const expected = {
    en: [/processor is being slowed down/, /dropped below 4.65 V at least once since power-on/, /Wi-Fi signal is weak/, /clock has not been set/, /less priority/],
    de: [/Prozessor wird gerade gebremst/, /seit dem Einschalten mindestens einmal unter 4,65 V/, /WLAN ist schwach/, /Uhr ist noch nicht/, /weniger Vorrang/],
    es: [/procesador va frenado/, /4,65 V al menos una vez desde el encendido/, /señal wifi es débil/, /puesto en hora/, /menos prioridad/],
  };
  for (const [locale, words] of Object.entries(expected)) {
    const { open, clean, context } = await visitor(browser, speaker, { locale, reducedMotion: 'reduce' });
    await onBoard(context);
    const page = await open();
    await pair(page, speaker);
    await go(page, 'health');
    await page.locator('.troubles li').first().waitFor();
    const said = await page.locator('.troubles li').allTextContents();
    words.forEach((pattern, at) => assert.match(said[at], pattern));
    assert.equal(said.length, words.length, `${said}`);
    await clean();
  }
});

test('away: the figures are old, and say so', LIMIT, async (t) => {
  const own = await Speaker.start();
  t.after(() => own.end());
  const { open, clean } = await visitor(browser, own, { viewport: PHONE });
  const page = await open();
  await pair(page, own);
  await go(page, 'health');
  await card(page, 'Memory').waitFor();
  await own.endDaemon();
  await page.locator('.health[data-stale]').waitFor();
  assert.match(await page.locator('.health > .soft').textContent(), /^As of \d/);
  await axe(page, 'old figures');
  await shot(page, 'health-away');
  await own.run();
  await page.locator('.health:not([data-stale])').waitFor();
  await clean({ away: true });
});

/** A neighbour asks for a page under a name that is not ours, which is written into the log. */
function neighbour(host) {
  return new Promise((done, failed) => {
    const { port } = new URL(speaker.url);
    request({ host: '127.0.0.1', port, headers: { host } }, (answer) => done(answer.resume().statusCode))
      .on('error', failed)
      .end();
  });
}

test('the log: live, by level, searched, paused, saved; a line is text (A23, A24)', LIMIT, async () => {
  const { open, clean } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker);
  await page.getByRole('link', { name: 'Log', exact: true }).click();
  const texts = () => page.locator('.entry .text').allTextContents();
  const level = (name) => page.getByRole('group', { name: 'Level' }).getByRole('button', { name, exact: true });
  await until(async () => (await texts()).some((text) => text.includes('the panel is up')), 'the start is not there');
  const evil = '<img src=x onerror=window.hit=1>.evil';
  assert.equal(await neighbour(evil), 421);
  await until(async () => (await texts()).some((text) => text.includes('<img src=x')), 'not written');
  assert.equal(await page.evaluate(() => window.hit ?? document.querySelectorAll('.entry img').length), 0);

  await level('Warnings').click();
  const levels = () => page.locator('.entry').evaluateAll((rows) => [...new Set(rows.map((row) => row.dataset.level))]);
  assert.ok((await levels()).every((name) => ['warn', 'error'].includes(name)));
  await level('All').click();
  await page.getByLabel('Search').fill('PANEL IS UP');
  await until(async () => (await texts()).length === 1, 'one line has the words');
  await page.getByLabel('Search').fill('no such thing');
  await page.getByText('Nothing matches').waitFor();
  await page.getByLabel('Search').fill('');

  await page.getByRole('button', { name: 'Pause' }).click();
  const [newest] = await texts();
  await neighbour('while-paused.evil');
  await sleep(3000);
  assert.equal((await texts())[0], newest);
  await page.getByRole('button', { name: 'Pause' }).click();
  await until(async () => (await texts()).some((text) => text.includes('while-paused')), 'lost in the pause');

  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download', exact: true }).click(),
  ]);
  const rows = readFileSync(await file.path(), 'utf8').trim().split('\n');
  assert.ok(rows.length > 10 && rows.every((row) => /^\d{4}-\d\d-\d\dT[\d:.]+Z (ERROR|WARN |INFO |DEBUG|TRACE) \S+: /.test(row)), rows[0]);
  assert.ok(rows.some((row) => row.includes('<img src=x')));
  await clean();
});

test('A27: the key is in no answer, no line, no file; the bundle is shown before it is saved', LIMIT, async () => {
  const { open, clean, frames } = await visitor(browser, speaker);
  const page = await open();
  await pair(page, speaker);
  await go(page, 'inspect');
  const other = await visitor(browser, speaker);
  const theirs = await other.open();
  await pair(theirs, speaker);
  await say(theirs, `My key is ${KEY}, keep it.`);
  await theirs.locator('.line.assistant:not([data-partial])').last().waitFor();
  await other.clean();
  await go(page, 'health');
  await card(page, 'Memory').waitFor();
  await go(page, 'logs');
  await page.locator('.entry').first().waitFor();
  await page.getByText('Support bundle').click();
  await page.getByRole('button', { name: 'Show what is in it' }).click();
  const parts = page.locator('.parts > li');
  await parts.first().waitFor();
  for (const name of ['Version and time', 'Health', 'Figures', 'Configuration', 'Board profile', 'Last turns, as times', 'Log']) {
    assert.equal(await parts.locator('summary', { hasText: name }).count(), 1, name);
  }
  await parts.locator('summary', { hasText: 'Configuration' }).click();
  const config = await parts.locator('pre', { hasText: 'grok.instructions' }).textContent();
  assert.match(config, new RegExp(`\\(${PERSONAL.length} characters\\)`));
  const shown = await parts.locator('pre').allTextContents();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Download the bundle' }).click(),
  ]);
  const saved = readFileSync(await file.path(), 'utf8');
  const bundle = JSON.parse(saved);
  const whole = Object.values(bundle).map((part) => (typeof part === 'string' ? part : JSON.stringify(part, null, 2)));
  assert.deepEqual(shown, whole, 'what was shown is what was saved');
  assert.ok(bundle.log.length > 10 && bundle.metrics.includes('grok_speaker_turns_total'));
  assert.ok(!saved.includes(PERSONAL) && !saved.includes('keep it'), 'something personal');
  const metrics = await (await fetch(`${speaker.url}metrics`)).text();
  // What somebody said is theirs to see in the conversation; nobody else has the key.
  const own = (frame) => /grok-voice:(transcript|hello)/.test(String(frame));
  const seen = [saved, metrics, speaker.daemon.said, ...frames.filter((frame) => !own(frame)).map(String)];
  seen.forEach((text) => assert.ok(!text.includes('TESTSECRET'), text.slice(0, 300)));
  await clean();
});

test('320 px and 200 %, and pictures without a fault of accessibility', LIMIT, async () => {
  for (const [name, viewport, deviceScaleFactor] of [
    ['320', { width: 320, height: 568 }, 1],
    ['zoom', { width: 320, height: 360 }, 2],
  ]) {
    for (const locale of ['en', 'de', 'es']) {
      const { open, clean, context } = await visitor(browser, speaker, { viewport, deviceScaleFactor, locale });
      await onBoard(context);
      const page = await open();
      await pair(page, speaker);
      for (const screen of ['health', 'logs']) {
        await go(page, screen);
        await page.locator(screen === 'health' ? '.vital' : '.entry').first().waitFor();
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(sideways <= 0, `${screen} ${name} ${locale}`);
        await shot(page, `${screen}-${name}-${locale}`);
      }
      await clean();
    }
  }
});

test('pictures of health, log and bundle', LIMIT, async () => {
  const { open, clean, context } = await visitor(browser, speaker, { reducedMotion: 'reduce' });
  await onBoard(context);
  const page = await open();
  await pair(page, speaker);
  const both = (name) => look(page, name);
  await go(page, 'health');
  await page.locator('.spark canvas').first().waitFor();
  await sleep(13_000);
  await each(page, 'health', both);
  await page.locator('.health').evaluate((box) => (box.scrollTop = 520));
  await page.mouse.move(700, 600);
  await each(page, 'health-below', (name) => shot(page, name));
  await go(page, 'logs');
  await page.locator('.entry').first().waitFor();
  await each(page, 'logs', both);
  await page.getByText('Support bundle').click();
  await page.getByRole('button', { name: 'Show what is in it' }).click();
  await page.locator('.parts summary', { hasText: 'Configuration' }).click();
  await each(page, 'bundle', both);
  await clean();
});
