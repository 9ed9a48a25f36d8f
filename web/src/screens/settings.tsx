// What an admin may change while the speaker runs. Each control says itself what became of it.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Clients } from '../parts/clients';
import { Choice, Slider, Text } from '../parts/field';
import { ApiKey } from '../parts/key';
import { Name, Voice } from '../parts/voice';
import { link, state } from '../store';
import { load, loadSettings, settings } from '../store/device';
import { aim } from '../store/route';
import { t } from '../words';
import { begin } from './wizard';

export function Settings() {
  const words = t().settings;
  const failed = useSignal('');
  const live = link.value === 'live';
  const changed = state.value?.settings;
  useEffect(() => {
    if (!live) return;
    failed.value = '';
    load().catch((error: Error) => (failed.value = error.message));
  }, [live]);
  useEffect(() => {
    // Somebody changed something, here or elsewhere.
    if (live && settings.value) void loadSettings().catch(() => {});
  }, [changed]);
  const apiKey = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (aim.value !== 'key' || !apiKey.current) return;
    aim.value = '';
    apiKey.current.scrollIntoView();
    apiKey.current.focus({ preventScroll: true });
  }, [aim.value, settings.value !== null]);
  const pick = (name: string) => Object.entries(words.options[name] ?? {});
  return (
    <section class="page settings" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      {failed.value && !settings.value && <p role="alert">{failed.value}</p>}
      {settings.value && (
        <>
          <h3>{t().about.device}</h3>
          <Name />
          <h3>{words.assistant}</h3>
          <Voice />
          <Choice
            name="grok.reasoning"
            label={words.reasoning}
            hint={words.reasoningHint}
            options={pick('grok.reasoning')}
          />
          <Text name="grok.model" label={words.model} hint={words.modelHint} />
          <h3>{words.conversation}</h3>
          <Choice name="turn.mode" label={words.mode} options={pick('turn.mode')} />
          <Choice
            name="turn.barge_in"
            label={words.bargeIn}
            hint={words.bargeInHint}
            options={pick('turn.barge_in')}
          />
          <Slider
            name="turn.linger_s"
            label={words.linger}
            hint={words.lingerHint}
            max={30}
            step={1}
            show={words.seconds}
          />
          <Slider
            name="grok.hang_up_after_s"
            label={words.hangUp}
            hint={words.hangUpHint}
            max={300}
            step={10}
            show={(s) => (s === 0 ? words.never : words.seconds(s))}
          />
          <h3 ref={apiKey} tabIndex={-1}>
            {t().key.title}
          </h3>
          <ApiKey />
          <h3>{t().clients.title}</h3>
          <Clients />
          <h3>{t().wizard.title}</h3>
          <p class="soft">{t().wizard.again}</p>
          <div class="actions">
            <button type="button" class="small" onClick={() => void begin()}>
              {t().wizard.run}
            </button>
          </div>
        </>
      )}
    </section>
  );
}
