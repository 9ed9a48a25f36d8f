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

/** A screen, or a part of one that is far down. */
export type Place = Screen | 'settings/key';

/** The part that is looked for; whoever shows it takes it. */
export const aim = signal('');

export function go(place: Place): void {
  const [name, part = ''] = place.split('/');
  aim.value = part;
  location.hash = `#/${name}`;
}

export const screen = signal<Screen>(current());
window.addEventListener('hashchange', () => {
  screen.value = current();
});
