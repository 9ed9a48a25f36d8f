// The volume, from a slider that must never bounce: while a hand is on it, or its word is on the
// way, what the speaker says about the volume is older than what the person wants.

import { computed, signal } from '@preact/signals';
import { state } from '../store';
import { ask } from './ask';

/** Changes are sent at most this often. */
const EVERY_MS = 100;
/** The state that follows an answer arrives within this. */
const SETTLE_MS = 400;

const wanted = signal<number | null>(null);
export const volume = computed(() => wanted.value ?? state.value?.volume ?? 0);

let sent = -Infinity;
let timer = 0;
let under = 0;
let settle = 0;

export function setVolume(percent: number): void {
  wanted.value = percent;
  window.clearTimeout(settle);
  // The last value is always sent.
  timer ||= window.setTimeout(send, Math.max(0, sent + EVERY_MS - performance.now()));
}

async function send(): Promise<void> {
  timer = 0;
  sent = performance.now();
  under += 1;
  const done = await ask('volume', { percent: wanted.value ?? 0 });
  under -= 1;
  if (under > 0 || timer) return;
  window.clearTimeout(settle);
  settle = window.setTimeout(() => (wanted.value = null), done === null ? 0 : SETTLE_MS);
}
