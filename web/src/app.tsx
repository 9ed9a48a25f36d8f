import { useEffect, useRef } from 'preact/hooks';
import { Dock } from './parts/dock';
import { Meters } from './parts/meters';
import { Nav } from './parts/nav';
import { Notices } from './parts/notices';
import { OpenView } from './parts/open-view';
import { Status } from './parts/status';
import { About } from './screens/about';
import { Health } from './screens/health';
import { Inspect } from './screens/inspect';
import { Logs } from './screens/logs';
import { Pair } from './screens/pair';
import { Settings } from './screens/settings';
import { Sound } from './screens/sound';
import { Talk } from './screens/talk';
import { Turns } from './screens/turns';
import { Wizard, offer } from './screens/wizard';
import { link, mayControl, pairing, role, session, spoken, state } from './store';
import { screen } from './store/route';
import { t } from './words';

const SCREENS = {
  talk: Talk,
  turns: Turns,
  inspect: Inspect,
  settings: Settings,
  sound: Sound,
  health: Health,
  logs: Logs,
  about: About,
  wizard: Wizard,
};
const ADMINS = ['settings', 'sound', 'logs', 'wizard'];

/** What the whole page is coloured by. */
function mood(): string {
  return link.value === 'live' ? (state.value?.state ?? 'asleep') : 'away';
}

function Panel() {
  const main = useRef<HTMLElement>(null);
  const name = ADMINS.includes(screen.value) && role.value !== 'admin' ? 'talk' : screen.value;
  const before = useRef(name);
  useEffect(() => {
    // A screen reader and the Tab key go on from where the eye is.
    if (before.current !== name) main.current?.focus({ preventScroll: true });
    before.current = name;
  }, [name]);
  const greeted = link.value === 'live' && role.value === 'admin';
  useEffect(() => {
    if (greeted) void offer();
  }, [greeted]);
  const Shown = SCREENS[name];
  return (
    <div class="panel" data-state={mood()} data-link={link.value}>
      {mayControl.value && (
        <a
          class="skip"
          href="#dock"
          onClick={(event) => {
            event.preventDefault();
            document.querySelector<HTMLElement>('.dock button')?.focus();
          }}
        >
          {t().skip}
        </a>
      )}
      <header class="top">
        <Status />
        <Meters />
      </header>
      <Nav />
      <main class="main" tabIndex={-1} ref={main}>
        <OpenView />
        <Notices />
        <Shown />
      </main>
      {mayControl.value && <Dock />}
      <p class="unseen" role="status">
        {spoken.value}
      </p>
    </div>
  );
}

export function App() {
  if (session.value === null || pairing.value) return <Pair />;
  return <Panel />;
}
