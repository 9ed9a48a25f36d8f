// Messages between the speaker and the service, as long as somebody looks.

import { computed, signal } from '@preact/signals';
import type { Traffic } from '../link/events';

/** Messages kept on the page: some minutes of lively talk. */
const KEPT = 2000;
/** The list changes so often at most; faster is not read. */
const SHOW_MS = 250;

export type Way = 'all' | 'sent' | 'received';

export const traffic = signal<Traffic[]>([]);
export const paused = signal(false);
export const way = signal<Way>('all');
export const search = signal('');

let fresh: Traffic[] = [];
/** Number of the newest one that came: after a lost connection those behind it are asked for. */
export let last: number | undefined;
let timer = 0;

export function putTraffic(message: Traffic): void {
  last = message.seq;
  fresh.push(message);
  if (fresh.length > KEPT) fresh.shift();
  timer ||= window.setTimeout(show, SHOW_MS);
}

function show(): void {
  timer = 0;
  if (paused.value) return;
  traffic.value = [...traffic.value, ...fresh].slice(-KEPT);
  fresh = [];
}

export function pause(on: boolean): void {
  paused.value = on;
  if (!on) show();
}

export function clear(): void {
  fresh = [];
  traffic.value = [];
}

export const shown = computed(() => {
  const words = search.value.trim().toLowerCase();
  return traffic.value.filter(
    (message) =>
      (way.value === 'all' || message.dir === way.value) &&
      (!words || JSON.stringify(message).toLowerCase().includes(words)),
  );
});

/** One JSON object a line. */
export const asText = (messages: Traffic[]): string =>
  messages.map((message) => JSON.stringify(message)).join('\n') + '\n';
