// What the page knows. Written by the link, read by everything that is shown.

import { computed, signal } from '@preact/signals';
import type { Line, Notice, Session, State, Tick, Turn } from '../link/events';

/** `waiting` counts down to the next attempt. */
export type Link = 'connecting' | 'live' | 'waiting';

/** Undefined until the speaker was asked, null when this browser must pair. */
export const session = signal<Session | null | undefined>(undefined);
export const role = computed(() => session.value?.role ?? 'viewer');
/** A browser that may watch is about to be paired. */
export const pairing = signal(false);
export const mayControl = computed(() => role.value !== 'viewer');

export const link = signal<Link>('connecting');
export const retryAt = signal(0);
/** When the speaker was last heard, in wall-clock milliseconds; 0 for never. */
export const lastHeard = signal(0);
export const transport = signal('');
/** Version of the speaker's program, and whether it changed while this page was open. */
export const build = signal('');
export const outdated = signal(false);

export const state = signal<State | null>(null);
export const lines = signal<Line[]>([]);
export const turns = signal<Turn[]>([]);
export const tick = signal<Tick | null>(null);

/** The last notices: what the state complains of is among them, with what can be done. */
export const known = signal<Notice[]>([]);

export interface Message extends Notice {
  id: number;
}
export const messages = signal<Message[]>([]);
/** What a screen reader is told: whole lines and errors, nothing in between. */
export const spoken = signal('');

/** Replies sound in this browser. */
export const audible = signal(false);
/** The talk button is down here. */
export const talking = signal(false);
/** What became of the last command of each name; forgotten soon after its end. */
export type Fate = 'pending' | 'done' | 'failed';
export const touched = signal<Record<string, Fate>>({});

/** Lines kept on the page. */
const LINES = 200;
/** Turns kept on the page: a chart of more is not read. */
const TURNS = 50;
/** Messages shown together; older ones give way. */
const MESSAGES = 3;

export function putLine(line: Line): void {
  const at = lines.value.findIndex((known) => known.item === line.item);
  lines.value =
    at < 0
      ? [...lines.value, line].slice(-LINES)
      : lines.value.map((known, index) => (index === at ? line : known));
}

/** The snapshot's lines, behind the older ones this page still has of the same conversation. */
export function putLines(fresh: Line[]): void {
  const at = lines.value.findIndex((known) => known.item === fresh[0]?.item);
  lines.value = [...lines.value.slice(0, Math.max(0, at)), ...fresh].slice(-LINES);
}

export function putTurn(turn: Turn): void {
  turns.value = [...turns.value, turn].slice(-TURNS);
}

/** The snapshot's turns, behind the older ones of the same run. */
export function putTurns(fresh: Turn[]): void {
  const first = fresh[0];
  const at = first
    ? turns.value.findIndex((t) => t.turn === first.turn && t.marks.end === first.marks.end)
    : -1;
  turns.value = [...turns.value.slice(0, Math.max(0, at)), ...fresh].slice(-TURNS);
}

let nextMessage = 1;

export function putMessage(notice: Notice): void {
  const same = (m: Message) => m.code === notice.code && m.message === notice.message;
  const others = messages.value.filter((m) => !same(m));
  messages.value = [...others, { ...notice, id: nextMessage++ }].slice(-MESSAGES);
}

export function dropMessage(id: number): void {
  messages.value = messages.value.filter((m) => m.id !== id);
}
