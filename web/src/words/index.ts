// The language of the page: what the person chose, else what the browser speaks.

import { effect, signal } from '@preact/signals';
import { de } from './de';
import { en, type Words } from './en';
import { es } from './es';

export const LANGUAGES: Record<string, Words> = { en, de, es };
const KEY = 'grok-speaker.language';

function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function first(): string {
  const wanted = [chosen() ?? '', ...navigator.languages].map((tag) => tag.slice(0, 2));
  return wanted.find((tag) => tag in LANGUAGES) ?? 'en';
}

export const language = signal(first());
effect(() => {
  document.documentElement.lang = language.value;
});

export function choose(tag: string): void {
  language.value = tag;
  try {
    localStorage.setItem(KEY, tag);
  } catch {
    // It holds until the page is closed.
  }
}

/** The words of the moment; reading them in a component follows the language. */
export const t = (): Words => LANGUAGES[language.value] ?? en;

export function digits(value: number, after: number): string {
  return new Intl.NumberFormat(language.value, {
    minimumFractionDigits: after,
    maximumFractionDigits: after,
  }).format(value);
}

/** Below a second in milliseconds. */
export function duration(ms: number): string {
  return ms < 1000 ? `${digits(ms, 0)} ms` : `${digits(ms / 1000, 2)} s`;
}

/** A turn costs fractions of a cent; below a dollar all amounts have as many digits, to be compared. */
export function dollars(amount: number): string {
  const after = amount < 1 ? 4 : 2;
  return new Intl.NumberFormat(language.value, {
    style: 'currency',
    currency: 'USD',
    minimumFractionDigits: after,
    maximumFractionDigits: after,
  }).format(amount);
}

export function clockTime(ms: number): string {
  return new Intl.DateTimeFormat(language.value, { timeStyle: 'medium' }).format(ms);
}

/** Date and time to the second. */
export function dayTime(ms: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: 'medium', timeStyle: 'medium' }).format(ms);
}

function unit(value: number, name: string, after = 0): string {
  return new Intl.NumberFormat(language.value, {
    style: 'unit',
    unit: name,
    maximumFractionDigits: after,
  }).format(value);
}

export const count = (value: number): string => digits(value, 0);
export const percent = (value: number): string => unit(value, 'percent');
export const celsius = (value: number): string => unit(value, 'celsius');

/** In the unit that makes it short; a gigabyte is what makers of disks call one. */
export function bytes(count: number): string {
  if (count >= 1e9) return unit(count / 1e9, 'gigabyte', 1);
  if (count >= 1e6) return unit(count / 1e6, 'megabyte', count < 1e7 ? 1 : 0);
  return unit(Math.max(1, count / 1e3), 'kilobyte');
}

/** A long time, in its two largest units. */
export function span(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const parts: [number, string][] = [
    [Math.floor(minutes / 1440), 'day'],
    [Math.floor(minutes / 60) % 24, 'hour'],
    [minutes % 60, 'minute'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return unit(Math.floor(seconds), 'second');
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, name]) => unit(count, name))
    .join(' ');
}

export const dbm = (value: number): string => `${digits(value, 0).replace('-', '−')} dBm`;

/** A day, from seconds since 1970. */
export function day(seconds: number): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: 'medium' }).format(seconds * 1000);
}

export function decibels(db: number): string {
  return `${digits(db, 0).replace('-', '−')} dB`;
}
