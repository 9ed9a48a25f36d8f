// Levels of both sides. The bars are moved past Preact: sixteen times a second is no matter for it.

import { useSignal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { state, tick } from '../store';
import { decibels, t } from '../words';

/** Left end of a meter. */
const FLOOR_DB = -70;
/** The end of a fade: nobody hears that. */
const SILENT_DB = -90;
/** What is played may not be louder than a sine at full scale: what is, is cut off. */
const CLIP_DB = -3;
/** How long it shows. */
const CLIP_MS = 2000;
/** A bar falls by this much of its length with each tick, and rises at once. */
const FALL = 0.04;
/** The peak mark stays before it falls. */
const HOLD_TICKS = 20;
/** Who wants no motion has bars that move with the numbers only. */
export const calm = matchMedia('(prefers-reduced-motion: reduce)');
/** Numbers change this often, or nobody could read them. */
const READ_TICKS = 5;

/** Part of a meter's length, 0..1. */
export function length(db: number): number {
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

function Meter(props: { label: string; side: 'mic' | 'speaker'; off?: boolean }) {
  const bar = useRef<HTMLElement>(null);
  const peak = useRef<HTMLElement>(null);
  const seen = useRef({ shown: 0, top: 0, held: 0, count: 0, loudest: -99, clipped: -Infinity });
  // Undefined while nothing is heard of the speaker.
  const level = useSignal<number | null | undefined>(undefined);
  const clips = useSignal(false);
  const { side } = props;
  useSignalEffect(() => {
    const now = tick.value;
    const m = seen.current;
    const db = now ? (side === 'mic' ? now.mic_dbfs : now.speaker_dbfs) : -99;
    const part = length(db);
    m.shown = now ? Math.max(part, m.shown - FALL) : 0;
    m.held = part >= m.top ? HOLD_TICKS : m.held - 1;
    m.top = m.held === HOLD_TICKS ? part : m.held > 0 ? m.top : Math.max(m.shown, m.top - FALL);
    if (!now) m.top = m.held = 0;
    const reads = ++m.count % READ_TICKS === 0 || !now;
    if (reads || !calm.matches) {
      if (bar.current) bar.current.style.transform = `scaleX(${m.shown.toFixed(3)})`;
      if (peak.current) peak.current.style.left = `${(m.top * 100).toFixed(1)}%`;
    }
    // The speaker counts what its microphone cut off.
    const cut = side === 'mic' ? (now?.clipped ?? 0) > 0 : db >= CLIP_DB;
    if (cut) m.clipped = performance.now();
    m.loudest = Math.max(m.loudest, db);
    if (reads) {
      const heard = m.loudest <= SILENT_DB ? null : Math.round(m.loudest);
      level.value = now ? heard : undefined;
      clips.value = performance.now() - m.clipped < CLIP_MS;
      m.loudest = -99;
    }
  });
  const value = level.value;
  const read = value === undefined ? '–' : value === null ? t().silent : decibels(value);
  return (
    <div class="meter" data-off={props.off || undefined}>
      <span class="label" id={`level-${side}`}>
        {props.label}
      </span>
      <span class={clips.value ? 'value clips' : 'value'}>{clips.value ? t().clipping : read}</span>
      <span
        class="bar"
        role="meter"
        aria-labelledby={`level-${side}`}
        aria-valuemin={FLOOR_DB}
        aria-valuemax={0}
        aria-valuenow={Math.min(0, Math.max(FLOOR_DB, value ?? FLOOR_DB))}
        aria-valuetext={read}
      >
        <i ref={bar} />
        <b ref={peak} />
      </span>
    </div>
  );
}

/** Below this an echo canceller does nothing that is worth a line. */
const ECHO_DB = 1;

function Echo() {
  const shown = useSignal<number | null>(null);
  useSignalEffect(() => {
    const db = tick.value?.erle_db ?? 0;
    shown.value = db >= ECHO_DB ? Math.round(db) : null;
  });
  return shown.value === null ? null : <p class="echo">{t().echo(decibels(shown.value))}</p>;
}

export function Meters() {
  return (
    <div class="meters">
      <Meter side="mic" label={t().mic} off={state.value?.muted} />
      <Meter side="speaker" label={t().speaker} />
      <Echo />
    </div>
  );
}
