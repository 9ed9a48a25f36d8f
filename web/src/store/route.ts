// Which screen is open. The hash, because the speaker serves one page at one path.

import { signal } from '@preact/signals';

export const SCREENS = [
  'talk',
  'turns',
  'inspect',
  'settings',
  'sound',
  'health',
  'logs',
  'about',
  'wizard',
] as const;
export type Screen = (typeof SCREENS)[number];

function current(): Screen {
  const name = location.hash.replace(/^#\/?/, '');
  return SCREENS.find((screen) => screen === name) ?? 'talk';
}

export const screen = signal<Screen>(current());
window.addEventListener('hashchange', () => {
  screen.value = current();
});
