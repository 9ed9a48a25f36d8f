// How the speaker and its board do: asked for while somebody looks, and remembered for two minutes.

import { signal } from '@preact/signals';

/** What the board says: never, at least once since power-on, now. */
export type When = 'never' | 'before' | 'now';

export interface Health {
  /** `ok`, or one word for what is wrong. */
  word: string;
  build: string;
  up_s: number;
  panels: number;
  /** What runs with less than it should, in the speaker's own words. */
  threads: string[];
  sound: { input?: string; output?: string; overruns: number; underruns: number; clipped: number };
  service: {
    online: boolean;
    round_trip_ms?: number;
    round_trip_median_ms?: number;
    reconnects: number;
  };
  device: {
    processor: { percent?: number; own_percent?: number; cores?: number; load?: number[] };
    memory: { total?: number; available?: number; own?: number };
    temperature_c?: number;
    power?: { low_voltage: When; capped?: When; throttled?: When; hot?: When };
    network: { name: string; up: boolean; mbit?: number; radio?: { dbm?: number } }[];
    disk?: { total: number; free: number };
    place: { model?: string; system?: string; kernel?: string; up_s?: number; clock_set?: boolean };
  };
}

/** Between two questions. */
export const EVERY_MS = 2000;
/** Looks remembered: two minutes. */
export const KEPT = 60;

export interface Look {
  /** Wall-clock milliseconds of this browser. */
  at: number;
  health: Health;
}

export const looks = signal<Look[]>([]);

export function putHealth(health: Health): void {
  const at = Date.now();
  const last = looks.value[looks.value.length - 1];
  // What was before a pause is no curve with what comes after it.
  const before = last && at - last.at < 3 * EVERY_MS ? looks.value : [];
  looks.value = [...before, { at, health }].slice(-KEPT);
}

export const radio = (health: Health): number | undefined =>
  health.device.network.find((one) => one.up && one.radio)?.radio?.dbm;

/** Part that is taken, 0..1. */
export const taken = (total?: number, free?: number): number | undefined =>
  total && free !== undefined ? 1 - free / total : undefined;

export type Trouble = [level: 'error' | 'warn' | 'info', code: string];

/** Degrees Celsius from which boards slow down. */
const HOT_C = 80;
/** Less than this part of memory or disk left is little. */
const LITTLE = 0.1;
/** In dBm: below this, sound over the air has gaps. */
const WEAK_DBM = -75;

/** What a person should know, the worst first; the codes have words in each language. */
export function troubles(health: Health): Trouble[] {
  const { device } = health;
  const found: Trouble[] = [];
  if (health.word !== 'ok') found.push(['error', `word_${health.word}`]);
  const power: Record<string, When | undefined> = { ...device.power };
  for (const name of ['low_voltage', 'throttled', 'capped', 'hot']) {
    if (power[name] === 'now') found.push(['error', `${name}_now`]);
    if (power[name] === 'before') found.push(['warn', `${name}_before`]);
  }
  const firmware = power.hot === 'now' || power.throttled === 'now';
  if (!firmware && (device.temperature_c ?? 0) >= HOT_C) found.push(['warn', 'hot']);
  const little = (total?: number, free?: number) => (taken(total, free) ?? 0) > 1 - LITTLE;
  if (little(device.memory.total, device.memory.available)) found.push(['warn', 'memory']);
  if (little(device.disk?.total, device.disk?.free)) found.push(['warn', 'disk']);
  if ((radio(health) ?? 0) < WEAK_DBM) found.push(['warn', 'weak']);
  if (device.place.clock_set === false) found.push(['warn', 'clock']);
  if (health.threads.length > 0) found.push(['info', 'threads']);
  return found.sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
}
const ORDER = ['error', 'warn', 'info'];
