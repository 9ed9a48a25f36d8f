// Who the assistant is: voice, personality, languages; and what the speaker is called.

import { state } from '../store';
import { language, t } from '../words';
import { Choice, Text } from './field';

/** As the service lists them. */
const VOICES = [
  'eve', 'ara', 'rex', 'sal', 'leo', 'altair', 'atlas', 'aurora', 'carina', 'castor', 'celeste',
  'cosmo', 'helios', 'helix', 'iris', 'kepler', 'liora', 'lumen', 'luna', 'lux',
];
/** Spanish and Portuguese only with their region: the service ignores them without. */
const LANGUAGES = [
  'en', 'de', 'es-ES', 'es-MX', 'fr', 'it', 'nl', 'pl', 'pt-BR', 'pt-PT', 'tr', 'ja', 'ko', 'zh',
];

const named = (voice: string): [string, string] => [voice, voice[0]!.toUpperCase() + voice.slice(1)];

function languages(): [string, string][] {
  const names = new Intl.DisplayNames(language.value, { type: 'language' });
  return LANGUAGES.map((tag) => [tag, names.of(tag) ?? tag]);
}

/** What the speaker itself is called. */
export function Name() {
  const words = t().settings;
  return <Text name="panel.name" label={words.name} hint={words.nameHint} otherwise={state.value?.name} atOnce />;
}

export function Voice(props: { short?: boolean }) {
  const words = t().settings;
  const more = props.short ? undefined : words.languageHint;
  return (
    <>
      <Choice name="grok.voice" label={words.voice} options={VOICES.map(named)} />
      <Text
        name="grok.instructions"
        label={words.personality}
        hint={words.personalityHint}
        rows={4}
        presets={words.personalities}
      />
      <Choice
        name="grok.language"
        label={words.spoken}
        hint={more}
        options={[['auto', words.anyLanguage], ...languages()]}
      />
    </>
  );
}
