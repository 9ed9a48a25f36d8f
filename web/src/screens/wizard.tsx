// The first set-up, step by step. How far it has come is kept by the speaker, so that another
// browser, a reload or a power cut goes on where it was. Every step can be left out and done again.

import type { ComponentChildren } from 'preact';
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { errand } from '../link/ask';
import { setVolume, volume } from '../link/volume';
import { Address } from '../parts/address';
import { Mark } from '../parts/field';
import { ApiKey } from '../parts/key';
import { Language } from '../parts/language';
import { Measure } from '../parts/measure';
import { Recorder } from '../parts/recorder';
import { Trust } from '../parts/trust';
import { Name, Voice } from '../parts/voice';
import { link } from '../store';
import { fates, isBusy, key, load, loadProgress, progress, saveProgress, touch } from '../store/device';
import type { Health as Facts } from '../store/health';
import { t } from '../words';

/** In this order; a step is named here and shown below. */
const STEPS = ['language', 'speaker', 'microphone', 'key', 'voice', 'privacy', 'name', 'done'] as const;
type Step = (typeof STEPS)[number];

const open = (): Step => STEPS.find((step) => step === progress.value?.step) ?? 'language';

/** From the beginning, whatever was before. */
export async function begin(): Promise<void> {
  await saveProgress('language', false);
  location.hash = '#/wizard';
}

let offered = false;

/** After pairing: an admin who has not been here yet is led here, once. */
export async function offer(): Promise<void> {
  if (offered) return;
  try {
    if (!(await loadProgress()).over && /^(#\/?(talk)?)?$/.test(location.hash)) {
      location.hash = '#/wizard';
    }
    offered = true;
  } catch {
    // The speaker went away; it is asked again when it is back.
  }
}

function Speaker() {
  const words = t().wizard;
  const percent = volume.value;
  return (
    <>
      <p>{words.speakerText}</p>
      <div class="slide">
        <input
          type="range"
          min={0}
          max={100}
          aria-label={t().volume}
          aria-valuetext={`${percent} %`}
          value={percent}
          style={{ '--filled': `${percent}%` }}
          onInput={(event) => setVolume(Number(event.currentTarget.value))}
        />
        <output>{percent} %</output>
      </div>
      <div class="actions">
        <button
          type="button"
          class="small"
          disabled={isBusy('tone') || link.value !== 'live'}
          onClick={() => void touch('tone', () => errand('tone'))}
        >
          {words.chime}
        </button>
        {fates.value.tone?.state === 'error' && <Mark name="tone" />}
      </div>
    </>
  );
}

/** A clock that is wrong is why a good key is refused; a board without a battery starts with one. */
function Clock() {
  const wrong = useSignal(false);
  useEffect(() => {
    const look = async () => {
      const { device } = await errand<Facts>('health');
      wrong.value = device.place.clock_set === false;
    };
    look().catch(() => {});
  }, []);
  const [what, so] = t().health.troubles.clock!;
  return wrong.value ? (
    <p class="wrong" role="status">
      {what} {so}
    </p>
  ) : null;
}

function Content(props: { step: Step }) {
  const words = t().wizard;
  const bodies: Record<Step, () => ComponentChildren> = {
    language: () => (
      <>
        <p>{words.languageText}</p>
        <Language />
      </>
    ),
    speaker: () => <Speaker />,
    microphone: () => (
      <div class="setup tests">
        <Recorder />
        <Measure />
      </div>
    ),
    key: () => (
      <>
        <p>{words.keyText}</p>
        <Clock />
        <ApiKey />
      </>
    ),
    voice: () => <Voice short />,
    privacy: () => (
      <ul class="points">
        {words.privacy.map((point) => (
          <li>{point}</li>
        ))}
      </ul>
    ),
    name: () => (
      <>
        <p>{words.nameText}</p>
        <Name />
      </>
    ),
    done: () => (
      <>
        <p>{key.value?.set ? words.doneText : words.doneKeyless}</p>
        <Address />
        <Trust />
      </>
    ),
  };
  return <>{bodies[props.step]()}</>;
}

export function Wizard() {
  const words = t().wizard;
  const live = link.value === 'live';
  const step = open();
  const at = STEPS.indexOf(step);
  const head = useRef<HTMLHeadingElement>(null);
  const before = useRef<Step | null>(null);
  useEffect(() => {
    if (!live) return;
    void Promise.all([load(), loadProgress()]).catch(() => {});
  }, [live]);
  useEffect(() => {
    // Where it goes on after a reload is no step that somebody took.
    if (!progress.value) return;
    if (before.current && before.current !== step) head.current?.focus();
    before.current = step;
  }, [step, progress.value !== null]);
  if (!progress.value) return <section class="page" />;
  const go = (to: number) => void saveProgress(STEPS[to] ?? 'done', false);
  const leave = async () => {
    await saveProgress(step, true);
    location.hash = '#/talk';
  };
  const last = step === 'done';
  return (
    <section class="page settings wizard" tabIndex={0} aria-label={words.title}>
      <div class="progress">
        <span class="soft">{words.step(at + 1, STEPS.length)}</span>
        <i aria-hidden="true" style={{ '--part': `${((at + 1) / STEPS.length) * 100}%` }} />
      </div>
      <h2 ref={head} tabIndex={-1}>
        {words.steps[step]}
      </h2>
      <Content step={step} />
      <div class="walk">
        {at > 0 && (
          <button type="button" class="small" disabled={!live} onClick={() => go(at - 1)}>
            {words.back}
          </button>
        )}
        {fates.value.setup?.state === 'error' && <Mark name="setup" />}
        {!last && (
          <button type="button" class="link" disabled={!live} onClick={() => void leave()}>
            {words.later}
          </button>
        )}
        <button
          type="button"
          class="primary small"
          disabled={!live}
          onClick={() => (last ? void leave() : go(at + 1))}
        >
          {last ? words.finish : step === 'key' && !key.value?.set ? words.skip : words.next}
        </button>
      </div>
    </section>
  );
}
