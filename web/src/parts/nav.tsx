import { useEffect, useRef } from 'preact/hooks';
import { mayControl, role } from '../store';
import { SCREENS, screen } from '../store/route';
import { t } from '../words';
import { Bars, Bubble, Info, Lines, Pulse, Swap } from './icons';

const ICONS = { talk: Bubble, turns: Bars, inspect: Swap, health: Pulse, logs: Lines, about: Info };

export function Nav() {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a narrow phone the bar scrolls; where one is stays in its middle.
    const nav = bar.current!;
    const here = nav.querySelector<HTMLElement>('[aria-current]');
    if (here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
  }, [screen.value]);
  const open = SCREENS.filter((name) => {
    if (name === 'logs') return role.value === 'admin';
    return mayControl.value || name === 'talk' || name === 'health' || name === 'about';
  });
  return (
    <nav class="nav" ref={bar} aria-label={t().sections}>
      {open.map((name) => {
        const Icon = ICONS[name];
        return (
          <a href={`#/${name}`} aria-current={screen.value === name ? 'page' : undefined}>
            <Icon />
            <span>{t().screens[name]}</span>
          </a>
        );
      })}
    </nav>
  );
}
