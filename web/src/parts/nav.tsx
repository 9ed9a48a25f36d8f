import { mayControl } from '../store';
import { SCREENS, screen } from '../store/route';
import { t } from '../words';
import { Bars, Bubble, Info } from './icons';

const ICONS = { talk: Bubble, turns: Bars, about: Info };

export function Nav() {
  const open = SCREENS.filter((name) => name !== 'turns' || mayControl.value);
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
