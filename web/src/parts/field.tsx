// Controls that say themselves what became of the last touch.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { link } from '../store';
import { change, fates, settings, type Setting } from '../store/device';
import { t } from '../words';

/** Under way, done, or why not: beside the control it belongs to. */
export function Mark(props: { name: string }) {
  const fate = fates.value[props.name];
  const words = t().settings;
  return (
    <span class="fate" data-state={fate?.state} role="status">
      {fate?.state === 'pending' && words.pending}
      {fate?.state === 'done' && words.done}
      {fate?.state === 'error' && (
        // What is wrong with a value is said by the speaker itself.
        <span lang={fate.code === 'bad_request' ? 'en' : undefined}>{fate.words}</span>
      )}
    </span>
  );
}

/** A form of its own inside a screen; what it does is ours, not the browser's. */
export function Form(props: { onSubmit: () => void; children: ComponentChildren }) {
  return (
    <form
      class="stepup"
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSubmit();
      }}
    >
      {props.children}
    </form>
  );
}

/** A labelled row; `id` ties label and control. */
export function Field(props: {
  id: string;
  label: string;
  hint?: string;
  name: string;
  children: ComponentChildren;
}) {
  const row = settings.value?.[props.name];
  return (
    <div class="field">
      <div class="head">
        <label for={props.id}>{props.label}</label>
        <Mark name={props.name} />
      </div>
      {props.children}
      {row?.fixed ? (
        <p class="soft">{t().settings.fixed(row.fixed)}</p>
      ) : (
        props.hint && <p class="soft">{props.hint}</p>
      )}
    </div>
  );
}

const off = (row: Setting): boolean => link.value !== 'live' || row.fixed !== null;

/** One of some words. */
export function Choice(props: {
  name: string;
  label: string;
  hint?: string;
  options: [value: string, words: string][];
}) {
  const { name } = props;
  const row = settings.value?.[name];
  if (!row) return null;
  const value = String(row.value);
  const known = props.options.some(([option]) => option === value);
  const options = known ? props.options : [...props.options, [value, value] as [string, string]];
  return (
    <Field id={name} name={name} label={props.label} hint={props.hint}>
      <select
        id={name}
        value={value}
        disabled={off(row)}
        onChange={(event) => void change(name, event.currentTarget.value)}
      >
        {options.map(([option, words]) => (
          <option value={option} selected={option === value}>
            {words}
          </option>
        ))}
      </select>
    </Field>
  );
}

/** A number from a slider; sent when the hand lets go. */
export function Slider(props: {
  name: string;
  label: string;
  hint?: string;
  max: number;
  step: number;
  show: (value: number) => string;
}) {
  const { name } = props;
  const row = settings.value?.[name];
  const wanted = useSignal<number | null>(null);
  if (!row) return null;
  const value = wanted.value ?? Number(row.value);
  const max = Math.max(props.max, value);
  return (
    <Field id={name} name={name} label={props.label} hint={props.hint}>
      <div class="slide">
        <input
          id={name}
          type="range"
          min={0}
          max={max}
          step={props.step}
          value={value}
          disabled={off(row)}
          aria-valuetext={props.show(value)}
          style={{ '--filled': `${(value / max) * 100}%` }}
          onInput={(event) => (wanted.value = Number(event.currentTarget.value))}
          onChange={async (event) => {
            await change(name, Number(event.currentTarget.value));
            wanted.value = null;
          }}
        />
        <output for={name}>{props.show(value)}</output>
      </div>
    </Field>
  );
}

/** Text that is sent by a button, because half of it makes no sense; or `atOnce`, when the hand has left it. */
export function Text(props: {
  name: string;
  label: string;
  hint?: string;
  rows?: number;
  atOnce?: boolean;
  /** What counts while nothing is written. */
  otherwise?: string;
  presets?: [words: string, text: string][];
}) {
  const { name } = props;
  const row = settings.value?.[name];
  const draft = useSignal<string | null>(null);
  const value = String(row?.value ?? '');
  // What somebody else has set is shown, unless it is just being written here.
  useEffect(() => {
    if (draft.value === value) draft.value = null;
  }, [value]);
  if (!row) return null;
  const shown = draft.value ?? value;
  const common = {
    id: name,
    value: shown,
    disabled: off(row),
    'aria-invalid': fates.value[name]?.state === 'error',
    spellcheck: Boolean(props.rows),
  };
  return (
    <Field id={name} name={name} label={props.label} hint={props.hint}>
      {props.presets && (
        <div class="presets" role="group" aria-label={t().settings.presets}>
          {props.presets.map(([words, text]) => (
            <button
              type="button"
              class="small"
              aria-pressed={shown === text}
              disabled={off(row)}
              onClick={() => {
                draft.value = null;
                void change(name, text);
              }}
            >
              {words}
            </button>
          ))}
        </div>
      )}
      {props.rows ? (
        <textarea
          {...common}
          rows={props.rows}
          maxLength={16000}
          onInput={(event) => (draft.value = event.currentTarget.value)}
        />
      ) : (
        <input
          {...common}
          placeholder={props.otherwise}
          onInput={(event) => (draft.value = event.currentTarget.value)}
          onChange={(event) => {
            if (props.atOnce) void change(name, event.currentTarget.value.trim());
          }}
        />
      )}
      {(shown !== value || row.chosen) && !row.fixed && (
        <div class="actions">
          {shown !== value && !props.atOnce && (
            <>
              <button type="button" class="primary small" onClick={() => void change(name, shown)}>
                {t().settings.save}
              </button>
              <button type="button" class="small" onClick={() => (draft.value = null)}>
                {t().settings.undo}
              </button>
            </>
          )}
          {shown === value && row.chosen && (
            <button type="button" class="link" onClick={() => void change(name, null)}>
              {t().settings.reset}
            </button>
          )}
        </div>
      )}
    </Field>
  );
}
