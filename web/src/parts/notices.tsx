// What a person should know: what happened, what the speaker does about it, one button.

import { useEffect } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type { Notice as Told } from '../link/events';
import { dropMessage, known, messages, outdated, role, state, type Message } from '../store';
import { go, screen, type Place } from '../store/route';
import { language, t } from '../words';
import { Cross, Info, Warning } from './icons';

/** Good news goes by itself; trouble stays until somebody has seen it. */
const INFO_MS = 8000;

/** Where it is put right, or where more is said, by code. */
const PLACES: Record<string, Place> = {
  no_key: 'settings/key',
  refused: 'settings/key',
  card_lost: 'sound',
  wrong_clock: 'health',
  no_name: 'health',
  no_network: 'health',
  budget: 'turns',
  busy: 'health',
  dropped: 'health',
  slow_reply: 'health',
  no_reply: 'health',
  unanswered: 'health',
  speech_dropped: 'health',
  name_taken: 'about',
  not_trusted: 'logs',
  protocol: 'logs',
  state_set_aside: 'logs',
};
const OPEN_TO_ALL: Place[] = ['health', 'about'];

function Way(props: { code: string }) {
  const place = PLACES[props.code];
  if (!place || !(role.value === 'admin' || OPEN_TO_ALL.includes(place))) return null;
  if (place === screen.value) return null;
  const name = place === 'settings/key' ? t().key.title : t().screens[place]!;
  return (
    <button class="link" onClick={() => go(place)}>
      {t().goTo(name)}
    </button>
  );
}

function Notice(props: {
  level: string;
  children: ComponentChildren;
  onClose?: () => void;
}) {
  return (
    <div class="notice" data-level={props.level} role={props.level === 'error' ? 'alert' : 'status'}>
      {props.level === 'info' ? <Info /> : <Warning />}
      <div class="text">{props.children}</div>
      {props.onClose && (
        <button class="close" aria-label={t().dismiss} title={t().dismiss} onClick={props.onClose}>
          <Cross />
        </button>
      )}
    </div>
  );
}

/** In the person's language where the code is known, and then the speaker's own words below. */
function Words(props: { code: string; message: string; action: string }) {
  const own = t().notices[props.code];
  if (!own) {
    return (
      <>
        <p lang={language.value === 'en' ? undefined : 'en'}>{props.message}</p>
        {props.action && <p class="action">{props.action}</p>}
        <Way code={props.code} />
      </>
    );
  }
  return (
    <>
      <p>{own[0]}</p>
      {own[1] && <p class="action">{own[1]}</p>}
      <p class="detail" lang="en">
        {props.message}
      </p>
      <Way code={props.code} />
    </>
  );
}

function Passing(props: { message: Message }) {
  const { id, level } = props.message;
  useEffect(() => {
    if (level !== 'info') return;
    const timer = window.setTimeout(() => dropMessage(id), INFO_MS);
    return () => window.clearTimeout(timer);
  }, [id]);
  return (
    <Notice level={level} onClose={() => dropMessage(id)}>
      <Words {...props.message} />
    </Notice>
  );
}

/** What the state complains of, with what can be done; nothing when all is well. */
function complaint(): Told | undefined {
  const trouble = state.value?.trouble;
  if (trouble) {
    const told = known.value.find((notice) => notice.message === trouble);
    return told ?? { level: 'error', code: '', message: trouble, action: '' };
  }
  if (state.value?.state !== 'error') return undefined;
  // Otherwise it is a card; a page that was opened later has not seen the notice pass.
  return [...known.value].reverse().find(({ code }) => code === 'card_lost');
}

export function Notices() {
  const why = complaint();
  // A key that is not there yet is what the set-up is for.
  const shown = screen.value !== 'wizard';
  const passing = messages.value.filter((message) => message.message !== why?.message);
  return (
    <div class="notices">
      {outdated.value && (
        <Notice level="info">
          <p>{t().updated}</p>
          <button class="link" onClick={() => location.reload()}>
            {t().reload}
          </button>
        </Notice>
      )}
      {why && shown && (
        <Notice level={state.value?.state === 'error' ? 'error' : 'warn'}>
          <Words {...why} />
        </Notice>
      )}
      {passing.map((message) => (
        <Passing key={message.id} message={message} />
      ))}
    </div>
  );
}
