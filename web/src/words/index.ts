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

function digits(value: number, after: number): string {
  return new Intl.NumberFormat(language.value, {
    minimumFractionDigits: after,
    maximumFractionDigits: after,
  }).format(value);
}

/** Below a second in milliseconds. */
export function duration(ms: number): string {
  return ms < 1000 ? `${digits(ms, 0)} ms` : `${digits(ms / 1000, 2)} s`;
}

export function dollars(amount: number): string {
  return new Intl.NumberFormat(language.value, {
    style: 'currency',
    currency: 'USD',
    minimumFractionDigits: 2,
    maximumFractionDigits: 4,
  }).format(amount);
}

export function clockTime(ms: number): string {
  return new Intl.DateTimeFormat(language.value, { timeStyle: 'medium' }).format(ms);
}

export function decibels(db: number): string {
  return `${digits(db, 0).replace('-', '−')} dB`;
}
