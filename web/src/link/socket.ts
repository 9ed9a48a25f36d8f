// The one socket: what the speaker says goes into the store, and a lost link comes back.

import { io, type Socket } from 'socket.io-client';
import * as store from '../store';
import { putTraffic } from '../store/traffic';
import { t } from '../words';
import type { Hello, Line, Notice, Slice, State, Tick, Turn } from './events';
import { tellTrust, whoAmI } from './session';
import { Sound } from './sound';

/** Pauses between attempts; a speaker that restarts is back within seconds. */
const PAUSES_MS = [500, 1000, 2000, 4000];
/** Sent away by the speaker: others need the place more than a page nobody looks at. */
const SENT_AWAY_MS = 4000;
/** A page that is never closed comes anew as often, or its cookie would end after a month: at a quiet
    moment, which is looked for as often. */
const ANEW_MS = 12 * 3600_000;
const LOOK_MS = 60_000;
/** Notices remembered, as many as a snapshot has. */
const KNOWN = 10;

export const sound = new Sound();

let failures = 0;
let timer = 0;
let attempting = false;
/** When the speaker was last asked who we are. */
let asked = 0;
/** Last number seen, for the replay; null before the first hello. */
let seq: number | null = null;
/** What a snapshot has already told. */
let told = 0;

export const socket: Socket = io({
  autoConnect: false,
  reconnection: false,
  auth: (give) => give({ csrf: store.session.value?.csrf ?? '', seq }),
  transports: ['websocket', 'polling'],
  tryAllTransports: true,
});

/** Asks who we are, then connects. */
export async function connect(): Promise<void> {
  window.clearTimeout(timer);
  if (attempting || socket.connected) return;
  attempting = true;
  asked = Date.now();
  store.link.value = 'connecting';
  try {
    const found = await whoAmI();
    store.session.value = found;
    if (found) socket.connect();
    else attempting = false;
  } catch {
    wait();
  }
}

function wait(least = 0): void {
  attempting = false;
  const pause = Math.max(least, PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)]!);
  failures += 1;
  store.link.value = 'waiting';
  store.retryAt.value = Date.now() + pause;
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void connect(), pause);
}

socket.on('connect', () => {
  attempting = false;
  failures = 0;
  store.transport.value = socket.io.engine.transport.name;
  store.lastHeard.value = Date.now();
  store.link.value = 'live';
});
socket.on('connect_error', () => wait());
socket.on('disconnect', (why) => {
  store.tick.value = null;
  store.talking.value = false;
  wait(why === 'io server disconnect' ? SENT_AWAY_MS : 0);
  if (document.hidden) window.clearTimeout(timer);
});

function comeBack(): void {
  const away = store.session.value !== null && store.link.value !== 'live';
  if (!document.hidden && away) void connect();
}
window.setInterval(() => {
  const busy = store.talking.value || ['thinking', 'speaking'].includes(store.state.value?.state ?? '');
  if (!socket.connected || busy || Date.now() - asked < ANEW_MS) return;
  socket.disconnect();
  void connect();
}, LOOK_MS);
document.addEventListener('visibilitychange', comeBack);
window.addEventListener('online', comeBack);

socket.on('grok-voice:hello', (hello: Hello) => {
  const before = store.build.value;
  if (before && before !== hello.build) store.outdated.value = true;
  store.build.value = hello.build;
  if (store.session.value) store.session.value = { ...store.session.value, role: hello.role };
  const { transcript, turns, notices, ...rest } = hello.snapshot;
  store.state.value = rest.state === undefined ? null : ({ ...rest, seq: hello.seq } as State);
  store.putLines(transcript ?? []);
  store.putTurns(turns ?? []);
  store.known.value = notices ?? [];
  // What stays so; a page that was opened later has not seen it pass.
  if (seq === null) store.known.value.filter(({ code }) => code === 'name_taken').forEach(store.putMessage);
  // Numbers of another run mean nothing; of ours, only notices are not in a snapshot.
  if (seq === null || seq > hello.seq) seq = hello.seq;
  told = hello.seq;
  void tellTrust();
  if (store.audible.value && hello.role === 'admin') socket.emit('grok-voice:listen', { on: true });
});

/** Each number once, in order. */
function numbered<T extends { seq: number }>(event: string, show: (body: T) => void): void {
  socket.on(event, (body: T) => {
    if (seq !== null && body.seq <= seq) return;
    seq = body.seq;
    if (body.seq > told || event === 'grok-voice:notice') show(body);
  });
}

numbered<State>('grok-voice:state', (next) => {
  store.state.value = next;
});
numbered<Line & { seq: number }>('grok-voice:transcript', (line) => {
  if (line.interrupted) sound.flush(line.item);
  store.putLine(line);
  if (line.final) store.spoken.value = `${t().who[line.role]}: ${line.text}`;
});
numbered<Turn & { seq: number }>('grok-voice:turn', store.putTurn);
numbered<Notice & { seq: number }>('grok-voice:notice', (notice) => {
  store.known.value = [...store.known.value, notice].slice(-KNOWN);
  store.putMessage(notice);
});
socket.on('grok-voice:audio', (slice: Slice) => sound.play(slice));
socket.on('grok-voice:event', putTraffic);
socket.on('grok-voice:tick', (tick: Tick) => {
  store.tick.value = tick;
  store.lastHeard.value = Date.now();
});
