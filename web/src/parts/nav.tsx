import { useEffect, useRef } from 'preact/hooks';
import { mayControl, role } from '../store';
import { SCREENS, screen, type Screen } from '../store/route';
import { language, t } from '../words';
import { Bars, Bubble, Info, Lines, Pulse, Sliders, Swap, Tune } from './icons';

/** What has a place in it, and who sees it. The set-up has none: it is passed through. */
const ICONS = {
  talk: Bubble,
  turns: Bars,
  inspect: Swap,
  settings: Sliders,
  sound: Tune,
  health: Pulse,
  logs: Lines,
  about: Info,
};
const FOR_ALL: Screen[] = ['talk', 'health', 'about'];
const FOR_ADMINS: Screen[] = ['settings', 'sound', 'logs'];

function isOpen(name: Screen): boolean {
  if (FOR_ADMINS.includes(name)) return role.value === 'admin';
  return mayControl.value || FOR_ALL.includes(name);
}

/** Notes on which sides there is more than is seen. */
function fade(nav: HTMLElement): void {
  const over = nav.scrollWidth - nav.clientWidth;
  nav.toggleAttribute('data-before', nav.scrollLeft > 2);
  nav.toggleAttribute('data-after', nav.scrollLeft < over - 2);
}

export function Nav() {
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    // On a narrow phone the bar scrolls; where one is stays in its middle, also when the phone is turned.
    const nav = bar.current!;
    const settle = () => {
      const here = nav.querySelector<HTMLElement>('[aria-current]');
      if (here) nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
      fade(nav);
    };
    const observer = new ResizeObserver(settle);
    observer.observe(nav);
    settle();
    return () => observer.disconnect();
  }, [screen.value, language.value, role.value]);
  const open = SCREENS.filter((name) => name !== 'wizard').filter(isOpen);
  return (
    <nav class="nav" ref={bar} aria-label={t().sections} onScroll={(event) => fade(event.currentTarget)}>
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
