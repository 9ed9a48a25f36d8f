// What a person should know: what happened, what to do, one button.

import { useEffect } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { dropMessage, known, messages, outdated, state, type Message } from '../store';
import { screen } from '../store/route';
import { language, t } from '../words';
import { Cross, Info, Warning } from './icons';

/** Good news goes by itself; trouble stays until somebody has seen it. */
const INFO_MS = 8000;

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

export function Notices() {
  const trouble = state.value?.trouble ?? '';
  // A key that is not there yet is what the set-up is for.
  const shown = trouble !== '' && screen.value !== 'wizard';
  const why = known.value.find((notice) => notice.message === trouble);
  const passing = messages.value.filter((message) => message.message !== trouble);
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
      {shown && (
        <Notice level={state.value?.state === 'error' ? 'error' : 'warn'}>
          <Words code={why?.code ?? ''} message={trouble} action={why?.action ?? ''} />
        </Notice>
      )}
      {passing.map((message) => (
        <Passing key={message.id} message={message} />
      ))}
    </div>
  );
}
