// What an admin sees of the device: settings, key, paired clients, first set-up. Asked for when a
// screen needs it, and again when the speaker says that it changed.

import { signal } from '@preact/signals';
import { Refused, errand } from '../link/ask';
import type { Role } from '../link/events';

export interface Setting {
  value: string | number;
  takes: { words?: string[]; min?: number; max?: number; text?: string };
  chosen: boolean;
  /** Where it is set so that nothing chosen here counts. */
  fixed: string | null;
}
export type Settings = Record<string, Setting>;

export interface Client {
  id: string;
  name: string;
  role: Role;
  used: number;
  live: boolean;
  me: boolean;
}
export interface Clients {
  clients: Client[];
  /** Seconds for which this browser's owner counts as present. */
  stepped_s: number;
  secure: boolean;
}

export interface Key {
  set: boolean;
  place?: 'stored' | 'credential' | 'key_file' | 'variable';
  fixed: boolean;
  ends?: string | null;
  tested?: number | null;
  words?: string;
}

export interface Progress {
  step: string;
  over: boolean;
  /** Names and numbers under which a neighbour finds the speaker. */
  hosts: string[];
}

export interface Invitation {
  code: string;
  seconds: number;
  role: Role;
}

export const settings = signal<Settings | null>(null);
export const clients = signal<Clients | null>(null);
export const key = signal<Key | null>(null);
export const progress = signal<Progress | null>(null);

/** What became of the last touch of a control: under way, done, or why not. */
export type Fate = { state: 'pending' | 'done' } | { state: 'error'; code: string; words: string };
export const fates = signal<Record<string, Fate>>({});

/** A tick is seen, and then it is no news any more. */
const DONE_MS = 2500;

function fate(name: string, what: Fate | null): void {
  const { [name]: _, ...others } = fates.value;
  fates.value = what ? { ...others, [name]: what } : others;
}

/** Whether the control is at work. */
export const isBusy = (name: string): boolean => fates.value[name]?.state === 'pending';

/** Does something for a control, which then shows what became of it. */
export async function touch<T>(name: string, what: () => Promise<T>): Promise<T | null> {
  fate(name, { state: 'pending' });
  try {
    const result = await what();
    const done: Fate = { state: 'done' };
    fate(name, done);
    window.setTimeout(() => fates.value[name] === done && fate(name, null), DONE_MS);
    return result;
  } catch (error) {
    const { code, message } = error instanceof Refused ? error : new Refused('failed', `${error}`);
    // The five minutes are over, or the speaker began anew.
    if (code === 'step_up' && clients.value) clients.value = { ...clients.value, stepped_s: 0 };
    fate(name, { state: 'error', code, words: message });
    return null;
  }
}

export const forget = (name: string): void => fate(name, null);

export async function load(): Promise<void> {
  const [sheet, list, place] = await Promise.all([
    errand<Settings>('settings', { changes: {} }),
    errand<Clients>('clients'),
    errand<Key>('key'),
  ]);
  settings.value = sheet;
  clients.value = list;
  key.value = place;
}

export async function loadSettings(): Promise<void> {
  settings.value = await errand<Settings>('settings', { changes: {} });
}

/** Changes one setting; `null` takes the choice back. */
export function change(name: string, value: string | number | null): Promise<unknown> {
  return touch(name, async () => {
    settings.value = await errand<Settings>('settings', { changes: { [name]: value } });
  });
}

export function changeClient(id: string, deed: object): Promise<unknown> {
  return touch(`client ${id}`, async () => {
    clients.value = await errand<Clients>('client', { id, ...deed });
  });
}

export async function loadClients(): Promise<void> {
  clients.value = await errand<Clients>('clients');
}

export async function stepUp(code: string): Promise<boolean> {
  const done = await touch('step_up', async () => {
    const { stepped_s } = await errand<{ stepped_s: number }>('step_up', { code });
    if (clients.value) clients.value = { ...clients.value, stepped_s };
    return true;
  });
  return done === true;
}

export async function setKey(text: string, accept: boolean): Promise<boolean> {
  const done = await touch('key', async () => {
    key.value = await errand<Key>('key', { key: text, accept });
    return true;
  });
  return done === true;
}

export async function loadProgress(): Promise<Progress> {
  progress.value = await errand<Progress>('setup');
  return progress.value;
}

export function saveProgress(step: string, over: boolean): Promise<unknown> {
  return touch('setup', async () => {
    progress.value = await errand<Progress>('setup', { step, over });
  });
}
