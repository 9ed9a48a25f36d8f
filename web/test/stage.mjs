// What the tests of a file share: one browser, one speaker.

import { after, before } from 'node:test';
import { launch } from './browser.mjs';
import { Speaker } from './speaker.mjs';

export const QUESTION = 'Good evening, what can you do?';
export let browser;
export let speaker;

before(async () => {
  browser = await launch();
  speaker = await Speaker.start();
});
after(async () => {
  await browser?.close();
  await speaker?.end();
});
