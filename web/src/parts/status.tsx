// What the speaker does, in words and colour, and whether this page still hears it.

import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { connect } from '../link/socket';
import { lastHeard, link, retryAt, state, tick } from '../store';
import { clockTime, t } from '../words';
import { Wave } from './icons';
import { calm, length } from './meters';

/** Shorter gaps are not worth alarming anybody. */
const ALARM_MS = 5000;

function Badge() {
  const now = useSignal(Date.now());
  const waiting = link.value === 'waiting';
  useEffect(() => {
    if (!waiting) return;
    now.value = Date.now();
    const timer = window.setInterval(() => (now.value = Date.now()), 250);
    return () => window.clearInterval(timer);
  }, [waiting]);
  if (link.value === 'live') return <span class="badge live">{t().live}</span>;
  if (!waiting) return <span class="badge">{t().connecting}</span>;
  const seconds = Math.max(1, Math.ceil((retryAt.value - now.value) / 1000));
  return (
    <button class="badge lost" onClick={() => void connect()} title={t().retryNow}>
      {t().retry(seconds)}
    </button>
  );
}

function words(): [string, string] {
  if (link.value !== 'live') {
    if (!navigator.onLine) return [t().away[0], t().browserOffline];
    const [word, detail] = t().away;
    const long = lastHeard.value && Date.now() - lastHeard.value > ALARM_MS;
    return [word, long ? t().lastSeen(clockTime(lastHeard.value)) : detail];
  }
  const known = state.value;
  return known ? (t().states[known.state] ?? [known.state, '']) : ['…', ''];
}

/** Grows with the voice that counts at the moment. */
function Orb() {
  const orb = useRef<HTMLSpanElement>(null);
  useSignalEffect(() => {
    const now = tick.value;
    const name = state.value?.state;
    const mine = name === 'listening' || name === 'lingering' ? now?.mic_dbfs : undefined;
    const level = name === 'speaking' ? now?.speaker_dbfs : mine;
    const still = level === undefined || calm.matches;
    orb.current?.style.setProperty('--level', still ? '0' : length(level).toFixed(2));
  });
  return (
    <span class="orb" ref={orb}>
      <Wave />
    </span>
  );
}

export function Status() {
  const first = link.value === 'connecting' && !lastHeard.value;
  const [word, detail] = first ? [t().connecting, ''] : words();
  const name = state.value?.name;
  return (
    <div class="status">
      <Orb />
      <div>
        {name && (
          <p class="name" dir="auto">
            {name}
          </p>
        )}
        <div class="state" role="status">
          <h1>{word}</h1>
          <p>{detail}</p>
        </div>
      </div>
      <Badge />
    </div>
  );
}
