// First run, and every browser after it: the code proves that somebody is at the speaker.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { deviceName, pair } from '../link/session';
import { connect, socket } from '../link/socket';
import { Wave } from '../parts/icons';
import { Language } from '../parts/language';
import { Plain } from '../parts/trust';
import { pairing, session } from '../store';
import { t } from '../words';

const DIGITS = 6;

export function Pair() {
  const code = useSignal('');
  const name = useSignal(deviceName());
  const busy = useSignal(false);
  const error = useSignal<(() => string) | null>(null);
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => box.current?.focus(), []);

  const fail = (words: () => string) => {
    error.value = words;
    code.value = '';
    box.current?.focus();
  };
  const submit = async () => {
    if (busy.value) return;
    if (code.value.length < DIGITS) {
      error.value = () => t().pair.short;
      box.current?.focus();
      return;
    }
    busy.value = true;
    error.value = null;
    try {
      const answer = await pair(code.value, name.value);
      if ('role' in answer) {
        session.value = answer;
        pairing.value = false;
        // Whoever has watched so far comes back as another.
        socket.disconnect();
        void connect();
        return;
      }
      const { code: why, left = 0, error: words } = answer;
      fail(() =>
        why === 'wrong' ? t().pair.wrong(left) : why === 'other' ? words : t().pair[why],
      );
    } catch {
      error.value = () => t().pair.away;
    } finally {
      busy.value = false;
    }
  };

  return (
    <main class="pair">
      <form
        class="card"
        autocomplete="off"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <span class="mark">
          <Wave />
        </span>
        <h1>{t().pair.title}</h1>
        <p>{t().pair.how}</p>
        <pre tabIndex={0}>
          <code>grok-speaker pair</code>
        </pre>
        <label for="code">{t().pair.code}</label>
        <input
          id="code"
          class="code"
          ref={box}
          inputMode="numeric"
          autocomplete="one-time-code"
          maxLength={DIGITS + 1}
          required
          placeholder="······"
          aria-invalid={error.value !== null}
          aria-describedby="pair-error"
          value={code.value}
          onInput={(event) => {
            const typed = event.currentTarget.value.replace(/\D/g, '').slice(0, DIGITS);
            code.value = typed;
            event.currentTarget.value = typed;
          }}
        />
        <p id="pair-error" class="error" role="alert">
          {error.value?.()}
        </p>
        <label for="name">{t().pair.device}</label>
        <input
          id="name"
          maxLength={64}
          value={name.value}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
        <button class="primary" disabled={busy.value}>
          {busy.value ? t().pair.busy : t().pair.go}
        </button>
        {session.value?.guest && (
          <button type="button" class="link" onClick={() => (pairing.value = false)}>
            {t().openView.watch}
          </button>
        )}
        <Plain />
      </form>
      <Language />
    </main>
  );
}
