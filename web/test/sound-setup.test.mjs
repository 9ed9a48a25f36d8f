// Setting up the sound, against the real program.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LIMIT, axe, each, launch, look, pair, shot, until, visitor } from './browser.mjs';
import { wav } from './sound.mjs';
import { ROOT, Speaker, sleep } from './speaker.mjs';

const RATE = 16_000;
/** Somebody speaks from here on for 2.5 s, in seconds of the microphone's file; and once more. */
const FIRST = 16;
const SECOND = 26;
const MIC = join(tmpdir(), `sound-setup-${process.pid}.wav`);

/** Silence, in which somebody speaks twice. */
function makeMicrophone() {
  const bytes = readFileSync(join(ROOT, 'tests/speech/two_turns.wav'));
  const at = bytes.indexOf('data') + 8;
  const speech = bytes.subarray(at + RATE, at + 6 * RATE);
  const sound = Buffer.alloc(2 * RATE * (SECOND + 6));
  for (const from of [FIRST, SECOND]) speech.copy(sound, 2 * RATE * from);
  const head = Buffer.from(bytes.subarray(0, at));
  head.writeUInt32LE(sound.length, at - 4);
  head.writeUInt32LE(at - 8 + sound.length, 4);
  writeFileSync(MIC, Buffer.concat([head, sound]));
}

let browser;
before(async () => {
  browser = await launch();
  makeMicrophone();
});
after(async () => {
  await browser?.close();
  rmSync(MIC, { force: true });
});

const go = (page) => page.evaluate(() => (location.hash = '#/sound'));
const button = (page, name) => page.locator('.setup').getByRole('button', { name });

async function sentBytes(speaker) {
  const metrics = await (await fetch(`${speaker.url}metrics`)).text();
  return Number(metrics.match(/^grok_speaker_audio_sent_bytes_total (\d+)/m)?.[1] ?? 0);
}

/** A visitor whose speaker has cards. */
async function withCards(context) {
  const side = (name, more = {}) => ({ side: name, channels: 2, rates: [48000], holder: null, ours: false, ...more });
  const data = {
    input: { setting: 'Array', name: 'hw:CARD=Array,DEV=0 (USB Microphone Array)', open: 'hw:CARD=Array,DEV=0: 48000 Hz, 4 channels, S16_LE' },
    output: { setting: 'default', name: 'default among Array, Headphones', open: null },
    cards: [
      { name: 'Array', description: 'USB Microphone Array', sides: [side('capture', { channels: 4, ours: true }), side('playout')] },
      { name: 'Headphones', description: 'bcm2835 Headphones', sides: [side('playout', { holder: 'mpd (pid 412)', channels: null })] },
    ],
  };
  await context.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const ack = typeof message === 'string' && message.match(/^(43\d+)(\[.*"cards":.*)/s);
      if (!ack) return socket.send(message);
      const [answer] = JSON.parse(message.slice(ack[1].length));
      socket.send(ack[1] + JSON.stringify([{ ...answer, data }]));
    });
  });
}

test('the microphone is recorded, heard before and after, and nothing of it leaves the speaker', LIMIT, async () => {
  const speaker = await Speaker.start({ mic: MIC });
  const began = Date.now();
  const moment = (seconds) => sleep(Math.max(0, began + 1000 * seconds - Date.now()));
  try {
    const { open, clean, context } = await visitor(browser, speaker);
    await withCards(context);
    const page = await open();
    await pair(page, speaker);
    await page.getByRole('link', { name: 'Sound', exact: true }).click();
    await page.locator('.sound-card').first().waitFor();
    await moment(FIRST - 1.2);
    await button(page, 'Record 5 seconds').click();
    await page.getByText('Speak now: 4 s').waitFor();
    await page.getByText('That sounds good.').waitFor();
    const told = await page.locator('.loudness').allTextContents();
    await page.getByText('Speech interrupts a reply.').waitFor();
    assert.equal(told.length, 2);
    told.forEach((words) => assert.match(words, /Peak −\d dB/));
    assert.match(told[0], /Peak −6 dB.*Nothing cut off/);
    assert.equal(await sentBytes(speaker), 0);
    assert.equal(await page.locator('.panel[data-state="asleep"]').count(), 1);

    const on = (name) => page.locator('.side[data-on] h4', { hasText: name }).waitFor();
    await button(page, 'Play: Before').click();
    await on('Before');
    await button(page, 'Play: After').click();
    await on('After');
    await shot(page, 'sound-playing');
    await button(page, 'Stop: After').click();
    await until(async () => (await page.locator('.side[data-on]').count()) === 0, 'it does not stop');
    await button(page, 'Play: Before').click();
    await page.locator('.side[data-on]').waitFor({ state: 'detached' });

    // What is said outside of a recording goes to the service as ever.
    await until(async () => (await sentBytes(speaker)) > 0, 'the speaker has gone deaf', 25_000);
    await until(() => page.locator('.panel[data-state="asleep"]').count(), 'it does not end', 25_000);
    await page.locator('.setup').evaluate((box) => (box.scrollTop = 0));
    await each(page, 'sound', (name) => look(page, name));
    await page.setViewportSize({ width: 390, height: 844 });
    for (const part of ['.sides', '.sound-cards']) {
      await page.locator(part).scrollIntoViewIfNeeded();
      await page.locator('.setup').evaluate((box, part) => (box.scrollTop = box.querySelector(part).offsetTop - 220), part);
      await each(page, `sound-${part.slice(1)}`, (name) => shot(page, name));
    }
    for (const width of [320, 390]) {
      await page.setViewportSize({ width, height: 568 });
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(sideways <= 0, `${width} px`);
    }
    await clean();
  } finally {
    await speaker.end();
  }
});

test('the test sound is heard, muted too; a muted microphone is not recorded', LIMIT, async () => {
  const speaker = await Speaker.start();
  try {
    const { open, clean } = await visitor(browser, speaker);
    const page = await open();
    await pair(page, speaker);
    await go(page);
    await page.getByText('set outside of the panel').first().waitFor();
    assert.ok(await page.getByLabel('Card: Microphone').isDisabled());
    let from = 0;
    const loud = () => wav(speaker.heard).subarray(from).reduce((top, s) => Math.max(top, Math.abs(s)), 0);
    const hear = async () => {
      await button(page, 'Play the test sound').click();
      await until(() => loud() > 200, 'nothing is heard');
      await sleep(2500);
      from = wav(speaker.heard).length;
    };
    await hear();
    await page.locator('.dock').getByRole('button', { name: 'Mute' }).click();
    await page.locator('.panel[data-state="muted"]').waitFor();
    await sleep(1000);
    from = wav(speaker.heard).length;
    await hear();
    await page.getByText('Switch it on to record.').waitFor();
    assert.ok(await button(page, 'Record 5 seconds').isDisabled());
    await axe(page, 'muted');
    await clean();

    // Cards and recordings are for admins.
    const other = await visitor(browser, speaker);
    const theirs = await other.open();
    await pair(theirs, speaker, 'controller');
    assert.equal(await theirs.getByRole('link', { name: 'Sound', exact: true }).count(), 0);
    await other.clean();
  } finally {
    await speaker.end();
  }
});

/** A visitor whose speaker measures this. */
async function measures(context, data) {
  await context.routeWebSocket(/socket\.io/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const ack = typeof message === 'string' && message.match(/^(43\d+)\[.*"no_card"/s);
      socket.send(ack ? ack[1] + JSON.stringify([{ ok: true, seq: 1, data }]) : message);
    });
  });
}

test('what the room allows is measured and said; a file is no room', LIMIT, async () => {
  const speaker = await Speaker.start();
  try {
    const { open, clean } = await visitor(browser, speaker);
    const page = await open();
    await pair(page, speaker);
    await go(page);
    await button(page, 'Measure this room').click();
    await page.getByText('Only sound cards are in a room').waitFor();
    await clean();

    const good = { duplex: 'full', delay_ms: 61.2, echo_db: -18.4, noise_dbfs: -58, harmonics_db: -35, clipped: 0, channels: ['alive', 'dead'] };
    const deaf = { ...good, duplex: null, clipped: 40, channels: ['alive', 'weak'] };
    for (const [name, data, words] of [
      ['good', good, ['Measured: you can talk over a reply.', '61 ms', '−18 dB', 'Nothing comes out of microphone 2.']],
      ['deaf', deaf, ['Nothing could be measured.', 'The speaker was not heard.', '40 samples', 'Microphone 2 hears far less']],
    ]) {
      const { open, clean, context } = await visitor(browser, speaker);
      await measures(context, data);
      const page = await open();
      await pair(page, speaker);
      await go(page);
      await button(page, 'Measure this room').click();
      for (const said of words) await page.getByText(said).waitFor();
      await each(page, `measured-${name}`, async (name) => {
        await page.getByText(words[0]).evaluate((line) => line.scrollIntoView());
        await look(page, name);
      });
      await clean();
    }
  } finally {
    await speaker.end();
  }
});

/** A card made of software, and what is done with it. */
async function withCard(what) {
  const folder = mkdtempSync(join(tmpdir(), 'card-'));
  const env = { ...process.env, CARD_ECHO_MS: '60' };
  const card = (word) => execFileSync(join(ROOT, 'tests/card/card.sh'), [word, folder], { env, encoding: 'utf8' });
  const lines = card('start').trim().split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2));
  const config = '[audio]\ninput = "mic"\noutput = "speaker"\n';
  let speaker;
  try {
    speaker = await Speaker.start({ env: Object.fromEntries(lines), config });
    const { open, clean } = await visitor(browser, speaker);
    const page = await open();
    await pair(page, speaker);
    await go(page);
    await what(page, speaker);
    await clean();
  } finally {
    await speaker?.end();
    card('stop');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A machine that is busy with other things loses sound, and is told so as a person is: who tries again. */
async function measured(page) {
  const busy = button(page, 'Measuring');
  const good = page.getByText('Measured: you can talk over a reply.');
  for (let tries = 1; ; tries += 1) {
    await button(page, 'Measure this room').click();
    await busy.waitFor();
    await busy.waitFor({ state: 'detached' });
    if (await good.isVisible()) return;
    assert.ok(tries < 3, await page.locator('.setup').innerText());
  }
}

test('a room is measured while the speaker runs, and what is found is kept and used', LIMIT, () =>
  withCard(async (page, speaker) => {
    const sent = await sentBytes(speaker);
    await measured(page);
    const delay = Number((await page.locator('.part .facts dd').first().innerText()).split(' ')[0]);
    assert.ok(delay > 20 && delay < 250, `${delay} ms`);
    assert.equal(await sentBytes(speaker), sent, 'nothing of it leaves');
    const kept = readdirSync(speaker.folder).filter((name) => /^(sound-.*json|echo-.*path)$/.test(name));
    assert.equal(kept.length, 2, `${kept}`);
  }));

test('another card is chosen while the speaker runs, and after a restart it still is', LIMIT, () =>
  withCard(async (page, speaker) => {
    const side = page.locator('.setup .vital', { hasText: 'Speaker' });
    const choice = page.getByLabel('Card: Speaker');
    await side.getByText(/^speaker: /).waitFor();
    await choice.selectOption('default');
    await side.getByText(/^default: /).waitFor();
    await measured(page);

    await speaker.endDaemon();
    await speaker.run();
    await page.getByText('Live', { exact: true }).waitFor();
    await until(async () => (await choice.inputValue()) === 'default');
    await side.getByText(/^default: /).waitFor();
    // It takes the place of the one before, which nobody holds any more.
    await choice.selectOption('speaker');
    await side.getByText(/^speaker: /).waitFor();
    await axe(page, 'cards to choose');
  }));

test('320 px and 200 % in every language', LIMIT, async () => {
  const speaker = await Speaker.start();
  try {
    for (const [name, viewport, deviceScaleFactor] of [
      ['320', { width: 320, height: 568 }, 1],
      ['zoom', { width: 320, height: 360 }, 2],
    ]) {
      for (const locale of ['en', 'de', 'es']) {
        const { open, clean, context } = await visitor(browser, speaker, { viewport, deviceScaleFactor, locale });
        await withCards(context);
        const page = await open();
        await pair(page, speaker);
        await go(page);
        await page.locator('.sound-card').first().waitFor();
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(sideways <= 0, `${name} ${locale}`);
        await shot(page, `sound-${name}-${locale}`);
        await clean();
      }
    }
  } finally {
    await speaker.end();
  }
});
