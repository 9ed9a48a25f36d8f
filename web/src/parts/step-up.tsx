// Some things need somebody at the device: a fresh code says so, for five minutes.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { clients, forget, isBusy, stepUp } from '../store/device';
import { t } from '../words';
import { Form, Mark } from './field';

const DIGITS = 6;

export const isPresent = (): boolean => (clients.value?.stepped_s ?? 0) > 0;

/** Asks for the code, then goes on. */
export function StepUp(props: { onDone?: () => void }) {
  const code = useSignal('');
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => () => forget('step_up'), []);
  const words = t().stepUp;
  const submit = async () => {
    if (code.value.length < DIGITS || isBusy('step_up')) return;
    const typed = code.value;
    code.value = '';
    if (await stepUp(typed)) props.onDone?.();
    else box.current?.focus();
  };
  return (
    <Form onSubmit={() => void submit()}>
      <p>{words.why}</p>
      <p class="commands">
        <code>grok-speaker pair</code>
      </p>
      <div class="head">
        <label for="step-up">{words.code}</label>
        <Mark name="step_up" />
      </div>
      <div class="actions">
        <input
          id="step-up"
          ref={box}
          class="code"
          inputMode="numeric"
          autocomplete="one-time-code"
          maxLength={DIGITS + 1}
          value={code.value}
          onInput={(event) => {
            const typed = event.currentTarget.value.replace(/\D/g, '').slice(0, DIGITS);
            code.value = typed;
            event.currentTarget.value = typed;
          }}
        />
        <button class="primary small" disabled={code.value.length < DIGITS || isBusy('step_up')}>
          {words.go}
        </button>
      </div>
    </Form>
  );
}
