// The browser's tab says what the speaker does, and shows when a microphone is open.

import { effect } from '@preact/signals';
import { link, session, state } from '../store';
import { t } from '../words';

const COLOURS: Record<string, string> = {
  listening: '#2f9e44',
  lingering: '#2f9e44',
  speaking: '#4c6ef5',
  thinking: '#e67700',
  muted: '#c2255c',
  offline: '#e03131',
  error: '#e03131',
};

effect(() => {
  const now = session.value && link.value === 'live' ? (state.value?.state ?? '') : '';
  const word = session.value && link.value !== 'live' ? t().away[0] : t().states[now]?.[0];
  const name = (session.value && state.value?.name) || 'grok-speaker';
  document.title = word ? `${word} – ${name}` : name;
  const svg =
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>" +
    `<circle cx='8' cy='8' r='7' fill='${COLOURS[now] ?? '#868e96'}'/>` +
    "<path d='M4 7v2M6.7 5v6M9.3 3.8v8.4M12 6.3v3.4' stroke='white' stroke-width='1.3' stroke-linecap='round'/></svg>";
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')!;
  icon.href = `data:image/svg+xml,${encodeURIComponent(svg)}`;
});
