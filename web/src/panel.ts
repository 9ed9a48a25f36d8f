// The panel itself: one socket, what it says on the page, and what a person does back.

import { io, type Socket } from 'socket.io-client';
import { Sound } from './sound';
import { STATES, find } from './words';
import type { Answer, Hello, Line, Notice, Role, Slice, State, Tick, Turn } from './words';

/** A command is answered within this, or the page says so. */
const ANSWER_MS = 3000;
/** Volume changes are sent at most this often. */
const VOLUME_MS = 100;
/** The speaker's own word on the volume counts again so long after the last change made here. */
const ECHO_MS = 1000;
/** Lines kept on the page. */
const LINES = 200;

const sound = new Sound();
let socket: Socket;
let seq: number | null = null;
let build: string | null = null;
let role: Role = 'viewer';
let state: State | null = null;

export function open(
  csrf: string,
  session: () => Promise<{ csrf: string } | null>,
  lost: () => void,
): void {
  socket = io({
    auth: (give) => give({ csrf, seq }),
    transports: ['websocket', 'polling'],
    tryAllTransports: true,
    reconnectionDelayMax: 4000,
  });
  socket.on('connect', () => badge('live', 'live'));
  socket.on('disconnect', (why) => {
    badge('lost', 'reconnecting');
    release();
    // Sent away: too many panels, or silent for too long. Only a page that is looked at comes back.
    if (why === 'io server disconnect') window.setTimeout(comeBack, 3000);
  });
  socket.on('connect_error', async () => {
    badge('lost', 'no connection');
    const found = await session().catch(() => undefined);
    if (found === null) {
      socket.close();
      sound.stop();
      lost();
    } else if (found) {
      csrf = found.csrf;
    }
    // A refusal inside Socket.IO ends the attempts of the library; ours go on.
    if (found && !socket.active) window.setTimeout(() => socket.connect(), 2000);
  });
  hear();
  act();
}

function comeBack(): void {
  if (!document.hidden && !socket.active) socket.connect();
}

function badge(link: string, words: string): void {
  const element = find('badge');
  element.dataset.link = link;
  element.textContent = words;
  find('panel').dataset.link = link;
}

/** What the speaker says. */
function hear(): void {
  const numbered = <T extends { seq: number }>(event: string, show: (body: T) => void) =>
    socket.on(event, (body: T) => {
      if (seq !== null && body.seq <= seq) return;
      seq = body.seq;
      show(body);
    });
  socket.on('grok-voice:hello', (hello: Hello) => {
    if (build !== null && build !== hello.build) return location.reload();
    build = hello.build;
    role = hello.role;
    seq = hello.seq;
    find('panel').dataset.role = role;
    const { transcript, turns, ...rest } = hello.snapshot;
    if (rest.state !== undefined) showState({ ...rest, seq } as State);
    find('log')
      .querySelectorAll('.line')
      .forEach((line) => line.remove());
    find('empty').hidden = false;
    transcript?.forEach((line) => showLine(line, false));
    const last = turns?.[turns.length - 1];
    if (last) showTurn(last);
    if (sound.on && role === 'admin') void ask('listen', { on: true });
    dress();
  });
  numbered<State>('grok-voice:state', showState);
  numbered<Line & { seq: number }>('grok-voice:transcript', (line) => {
    if (line.interrupted) sound.flush(line.item);
    showLine(line, true);
  });
  numbered<Turn & { seq: number }>('grok-voice:turn', showTurn);
  numbered<Notice & { seq: number }>('grok-voice:notice', (notice) =>
    say([notice.message, notice.action].filter(Boolean).join(' '), notice.level),
  );
  socket.on('grok-voice:audio', (slice: Slice) => sound.play(slice));
  socket.on('grok-voice:tick', (tick: Tick) => {
    level('mic', tick.mic_dbfs);
    level('far', tick.speaker_dbfs);
  });
}

function showState(next: State): void {
  state = next;
  const [word, detail] = STATES[next.state] ?? [next.state, ''];
  find('panel').dataset.state = next.state;
  find('state').textContent = word;
  find('detail').textContent = next.trouble || detail;
  document.title = `${word} – grok-speaker`;
  const mute = find('mute');
  mute.setAttribute('aria-pressed', String(next.muted));
  mute.querySelector('span')!.textContent = next.muted ? 'Mic is off' : 'Mute mic';
  if (performance.now() - volumeTouched > ECHO_MS) showVolume(next.volume);
}

function showVolume(percent: number): void {
  const slider = find<HTMLInputElement>('volume');
  slider.value = String(percent);
  slider.style.setProperty('--filled', `${percent}%`);
  find('percent').textContent = `${percent}`;
}

function showLine(line: Line, live: boolean): void {
  const log = find('log');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  let element = [...log.querySelectorAll<HTMLElement>('.line')].find(
    (known) => known.dataset.item === line.item,
  );
  if (!element) {
    element = document.createElement('p');
    element.dataset.item = line.item;
    log.append(element);
    log.querySelectorAll('.line').forEach((old, index, all) => {
      if (index < all.length - LINES) old.remove();
    });
  }
  element.className = `line ${line.role === 'user' ? 'user' : 'assistant'}`;
  element.classList.toggle('partial', !line.final && !line.interrupted);
  element.classList.toggle('cut', line.interrupted);
  element.textContent = line.text;
  find('empty').hidden = true;
  if (atEnd || !live) log.scrollTop = log.scrollHeight;
  // A screen reader hears whole lines only.
  if (live && line.final) {
    find('said').textContent = `${line.role === 'user' ? 'You' : 'Speaker'}: ${line.text}`;
  }
}

function showTurn(turn: Turn): void {
  const marks = Object.entries(turn.marks)
    .sort(([, a], [, b]) => a - b)
    .map(([name, ms]) => `${name.replace(/_/g, ' ')} ${(ms / 1000).toFixed(2)} s`);
  find('turn').textContent = [`Turn ${turn.turn} ${turn.reason}`, ...marks].join(' · ');
}

const LOUDEST = new Map<string, number>();

function level(id: 'mic' | 'far', db: number): void {
  const part = Math.min(1, Math.max(0, (db + 70) / 70));
  // Falls slower than it rises, like a meter.
  const shown = Math.max(part, (LOUDEST.get(id) ?? 0) - 0.04);
  LOUDEST.set(id, shown);
  find(id).style.clipPath = `inset(0 ${((1 - shown) * 100).toFixed(1)}% 0 0)`;
  find(`${id}-db`).textContent = db <= -99 ? 'silent' : `${Math.round(db)} dB`;
}

let bannerTimer = 0;

function say(words: string, level: string): void {
  const banner = find('banner');
  banner.textContent = words;
  banner.dataset.level = level;
  banner.hidden = false;
  window.clearTimeout(bannerTimer);
  bannerTimer = window.setTimeout(() => (banner.hidden = true), 8000);
}

/** Asks the speaker; says it on the page when it does not want to. */
async function ask(event: string, payload: object): Promise<boolean> {
  try {
    const answer: Answer = await socket
      .timeout(ANSWER_MS)
      .emitWithAck(`grok-voice:${event}`, payload);
    if (!answer.ok) say(answer.message, 'error');
    return answer.ok;
  } catch {
    say('The speaker did not answer.', 'error');
    return false;
  }
}

/** What is of no use to a role is not shown. */
function dress(): void {
  const viewer = role === 'viewer';
  document.querySelectorAll<HTMLElement>('.controls, .log').forEach((e) => (e.hidden = viewer));
}

let talking = false;

function release(): void {
  if (!talking) return;
  talking = false;
  const talk = find('talk');
  talk.setAttribute('aria-pressed', 'false');
  talk.querySelector('span')!.textContent = 'Hold to talk';
  if (socket.connected) void ask('talk', { on: false });
}

function press(): void {
  if (talking || !socket.connected) return;
  talking = true;
  const talk = find('talk');
  talk.setAttribute('aria-pressed', 'true');
  talk.querySelector('span')!.textContent = 'Release to send';
  void ask('talk', { on: true }).then((ok) => {
    if (!ok) release();
  });
}

let volumeTouched = -Infinity;

/** What a person does. */
function act(): void {
  typing();
  const talk = find('talk');
  talk.onpointerdown = (event) => {
    if (event.button !== 0) return;
    talk.setPointerCapture(event.pointerId);
    press();
  };
  talk.onpointerup = talk.onpointercancel = talk.onlostpointercapture = talk.onblur = release;
  talk.oncontextmenu = (event) => event.preventDefault();
  talk.onkeydown = (event) => {
    if (event.key !== ' ' && event.key !== 'Enter') return;
    event.preventDefault();
    if (!event.repeat) press();
  };
  talk.onkeyup = (event) => {
    if (event.key === ' ' || event.key === 'Enter') release();
  };
  document.onvisibilitychange = () => {
    if (document.hidden) release();
    else comeBack();
  };
  find('stop').onclick = () => {
    sound.flush();
    void ask('stop', {});
  };
  find('mute').onclick = () => void ask('mute', { on: !state?.muted });
  const hearIt = find('hear');
  hearIt.onclick = () => {
    if (sound.on) sound.stop();
    else sound.start();
    hearIt.setAttribute('aria-pressed', String(sound.on));
    if (role === 'admin') void ask('listen', { on: sound.on });
  };
  volume();
}

function typing(): void {
  const text = find<HTMLTextAreaElement>('text');
  const fit = () => {
    text.style.height = 'auto';
    text.style.height = `${Math.min(text.scrollHeight, 140)}px`;
  };
  const send = async () => {
    const typed = text.value.trim();
    if (!typed) return;
    text.value = '';
    fit();
    if (!(await ask('text', { text: typed })) && !text.value) {
      text.value = typed;
      fit();
    }
  };
  text.oninput = fit;
  text.onkeydown = (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void send();
  };
  find('ask').onsubmit = (event) => {
    event.preventDefault();
    void send();
  };
}

function volume(): void {
  const slider = find<HTMLInputElement>('volume');
  let sent = -Infinity;
  let timer = 0;
  const send = () => {
    timer = 0;
    sent = performance.now();
    void ask('volume', { percent: Number(slider.value) });
  };
  slider.oninput = () => {
    volumeTouched = performance.now();
    showVolume(Number(slider.value));
    // The last value is always sent.
    if (!timer) timer = window.setTimeout(send, Math.max(0, sent + VOLUME_MS - performance.now()));
  };
}
