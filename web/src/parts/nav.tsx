import { mayControl } from '../store';
import { SCREENS, screen } from '../store/route';
import { t } from '../words';
import { Bars, Bubble, Info, Swap } from './icons';

const ICONS = { talk: Bubble, turns: Bars, inspect: Swap, about: Info };

export function Nav() {
  const open = SCREENS.filter((name) => mayControl.value || name === 'talk' || name === 'about');
  return (
    <nav class="nav" aria-label={t().sections}>
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
