// The text box. What was typed is never lost: a turn that was refused comes back into it.

import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { ask } from '../link/ask';
import { link, touched } from '../store';
import { t } from '../words';
import { Arrow } from './icons';

/** Outlives the screen. */
const draft = signal('');
/** About five lines; more scrolls. */
const TALLEST_PX = 140;
/** As the speaker takes it. */
const LONGEST = 4000;

async function send(): Promise<void> {
  const typed = draft.value.trim();
  if (!typed || link.value !== 'live') return;
  draft.value = '';
  if ((await ask('text', { text: typed })) === null && !draft.value) draft.value = typed;
}

export function Composer() {
  const box = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const text = box.current!;
    text.style.height = 'auto';
    text.style.height = `${Math.min(text.scrollHeight + 2, TALLEST_PX)}px`;
  }, [draft.value]);
  return (
    <form
      class="composer"
      data-fate={touched.value.text}
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <textarea
        ref={box}
        rows={1}
        maxLength={LONGEST}
        placeholder={t().type}
        aria-label={t().type}
        enterkeyhint="send"
        value={draft.value}
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void send();
        }}
      />
      <button class="send" aria-label={t().send} title={t().send} disabled={link.value !== 'live' || !draft.value.trim()}>
        <Arrow />
      </button>
    </form>
  );
}
