// The last lines of the speaker's log, as long as somebody looks.

import { computed, signal } from '@preact/signals';

export interface Entry {
  n: number;
  /** Milliseconds since 1970. */
  at: number;
  level: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  room: string;
  text: string;
}

export interface Page {
  lines: Entry[];
  next: number;
  more: boolean;
}

/** Lines kept on the page: more than the speaker itself keeps, over some restarts. */
const KEPT = 2000;
const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'];

/** The least serious that is shown. */
export type Least = 'error' | 'warn' | 'info' | 'trace';

export const entries = signal<Entry[]>([]);
export const least = signal<Least>('trace');
export const search = signal('');
/** What was there when the pause began. */
const held = signal<Entry[] | null>(null);
export const paused = computed(() => held.value !== null);

let after = 0;

export const nextLine = (): number => after;

/** The speaker may have begun anew, and with it the numbers. */
export function askAgain(): void {
  after = 0;
}

export function putPage(page: Page): void {
  after = page.next;
  const key = (entry: Entry) => `${entry.at} ${entry.n}`;
  const known = new Set(entries.value.map(key));
  const fresh = page.lines.filter((entry) => !known.has(key(entry)));
  if (fresh.length > 0) entries.value = [...entries.value, ...fresh].slice(-KEPT);
}

export function pause(on: boolean): void {
  held.value = on ? entries.value : null;
}

/** Whether there is anything less serious than `info`. */
export const isChatty = computed(() =>
  entries.value.some((entry) => entry.level === 'debug' || entry.level === 'trace'),
);

export const shown = computed(() => {
  const words = search.value.trim().toLowerCase();
  const limit = LEVELS.indexOf(least.value);
  return (held.value ?? entries.value).filter(
    (entry) =>
      LEVELS.indexOf(entry.level) <= limit &&
      (!words || `${entry.room}: ${entry.text}`.toLowerCase().includes(words)),
  );
});

/** A line each, as the speaker prints them, with the date. */
export const asText = (lines: Entry[]): string =>
  lines
    .map(({ at, level, room, text }) => {
      return `${new Date(at).toISOString()} ${level.toUpperCase().padEnd(5)} ${room}: ${text}\n`;
    })
    .join('');
