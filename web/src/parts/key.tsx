// The API key: it goes in and never comes out.

import { useSignal } from '@preact/signals';
import { link } from '../store';
import { clients, isBusy, key, setKey } from '../store/device';
import { day, t } from '../words';
import { Form, Mark } from './field';
import { StepUp, isPresent } from './step-up';

export function ApiKey(props: { onDone?: () => void }) {
  const typed = useSignal('');
  const accept = useSignal(false);
  const open = useSignal(false);
  const now = key.value;
  if (!now) return null;
  const words = t().key;
  const secure = clients.value?.secure ?? false;
  const ready = typed.value.trim() !== '' && (secure || accept.value) && link.value === 'live';
  const submit = async () => {
    if (!ready || isBusy('key')) return;
    if (!(await setKey(typed.value, accept.value))) return;
    typed.value = '';
    open.value = false;
    props.onDone?.();
  };
  return (
    <div class="field key">
      <p class="now" data-set={now.set || undefined}>
        <b>{now.set ? words.set : words.missing}</b>
        {now.ends && <span> {words.ends(now.ends)}</span>}
        {now.place && <span class="soft"> {words.places[now.place]}</span>}
        {now.tested != null && <span class="soft"> {words.tested(day(now.tested))}</span>}
      </p>
      {!now.set && now.words && <p class="soft" lang="en">{now.words}</p>}
      {now.fixed && <p class="soft">{words.fixed}</p>}
      {!now.fixed && now.set && !open.value && (
        <div class="actions">
          <button type="button" class="small" onClick={() => (open.value = true)}>
            {words.replace}
          </button>
          <Mark name="key" />
        </div>
      )}
      {!now.fixed && (open.value || !now.set) && !isPresent() && <StepUp />}
      {!now.fixed && (open.value || !now.set) && isPresent() && (
        <Form onSubmit={() => void submit()}>
          <div class="head">
            <label for="api-key">{words.label}</label>
            <Mark name="key" />
          </div>
          <input
            id="api-key"
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="xai-…"
            value={typed.value}
            onInput={(event) => (typed.value = event.currentTarget.value)}
          />
          <p class="soft">{words.hint}</p>
          {!secure && (
            <label class="tick">
              <input
                type="checkbox"
                checked={accept.value}
                onChange={(event) => (accept.value = event.currentTarget.checked)}
              />
              <span>{words.accept}</span>
            </label>
          )}
          <div class="actions">
            <button class="primary small" disabled={!ready || isBusy('key')}>
              {isBusy('key') ? words.testing : words.go}
            </button>
            {now.set && (
              <button type="button" class="small" onClick={() => (open.value = false)}>
                {t().settings.undo}
              </button>
            )}
          </div>
        </Form>
      )}
    </div>
  );
}
