import { LANGUAGES, choose, language, t } from '../words';

export function Language() {
  return (
    <div class="language" role="group" aria-label={t().language}>
      {Object.entries(LANGUAGES).map(([tag, words]) => (
        <button
          type="button"
          lang={tag}
          aria-pressed={language.value === tag}
          onClick={() => choose(tag)}
        >
          {words.name}
        </button>
      ))}
    </div>
  );
}
