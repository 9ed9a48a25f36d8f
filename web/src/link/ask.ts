// What a person asks of the speaker. Every wish is answered, or the page says that it was not.

import * as store from '../store';
import { t } from '../words';
import type { Answer } from './events';
import { socket, sound } from './socket';

/** A command is answered within this, or the page says so. */
const ANSWER_MS = 3000;
/** An errand may call the service, and the speaker gives it 13 s. */
const ERRAND_MS = 15_000;
/** The speaker refuses a page more errands at a time than this. */
const UNDER_WAY = 4;

let underWay = 0;
const queue: (() => void)[] = [];

/** How long a control shows that it was heard, or was not. */
const SHOWN_MS = { done: 800, failed: 2500 };

function mark(event: string, fate: store.Fate): void {
  store.touched.value = { ...store.touched.value, [event]: fate };
  if (fate === 'pending') return;
  window.setTimeout(() => {
    const { [event]: now, ...others } = store.touched.value;
    if (now === fate) store.touched.value = others;
  }, SHOWN_MS[fate]);
}

function refuse(event: string, code: string, message: string): null {
  mark(event, 'failed');
  store.putMessage({ level: 'error', code, message, action: code === 'unreachable' ? t().again : '' });
  return null;
}

/** The number of the answer, or null when it was not done. */
export async function ask(event: string, payload: object): Promise<number | null> {
  if (!socket.connected) return refuse(event, 'unreachable', t().refusals.unreachable!);
  mark(event, 'pending');
  let answer: Answer;
  try {
    answer = await socket.timeout(ANSWER_MS).emitWithAck(`grok-voice:${event}`, payload);
  } catch {
    return refuse(event, 'unreachable', t().refusals.unreachable!);
  }
  if (!answer.ok) return refuse(event, answer.code, t().refusals[answer.code] ?? answer.message);
  mark(event, 'done');
  return answer.seq;
}

/** Why something was not done: a code for programs, words for a person. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** An errand: its data, or `Refused`. Whoever asks shows what became of it where it was asked. One
    too many waits its turn, so that a tap while a screen loads is not lost. */
export async function errand<T>(event: string, payload: object = {}): Promise<T> {
  const away = new Refused('unreachable', t().refusals.unreachable!);
  if (underWay === UNDER_WAY) await new Promise<void>((go) => queue.push(go));
  else underWay += 1;
  let answer: Answer;
  try {
    if (!socket.connected) throw away;
    answer = await socket.timeout(ERRAND_MS).emitWithAck(`grok-voice:${event}`, payload);
  } catch {
    throw away;
  } finally {
    // Who waits takes the place over.
    const next = queue.shift();
    if (next) next();
    else underWay -= 1;
  }
  if (!answer.ok) throw new Refused(answer.code, t().refusals[answer.code] ?? answer.message);
  return answer.data as T;
}

export function stop(): void {
  sound.flush();
  void ask('stop', {});
}

export function mute(): void {
  void ask('mute', { on: !store.state.value?.muted });
}

export async function talk(on: boolean): Promise<void> {
  if (store.talking.value === on) return;
  store.talking.value = on;
  const done = await ask('talk', { on });
  if (on && done === null) store.talking.value = false;
}

/** Hears every reply here, as far as the role allows; the reply to a typed turn comes anyway. */
export function hear(on: boolean): void {
  if (on) sound.start();
  else sound.stop();
  store.audible.value = on;
  if (store.role.value === 'admin') void ask('listen', { on });
}
