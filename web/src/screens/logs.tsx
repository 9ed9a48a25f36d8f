// What the speaker writes about itself, and everything that helps somebody else to help.

import { errand } from '../link/ask';
import { useWatch } from '../link/watch';
import { Bundle } from '../parts/bundle';
import { Lines } from '../parts/icons';
import { save } from '../parts/save';
import {
  asText,
  askAgain,
  entries,
  isChatty,
  least,
  nextLine,
  pause,
  paused,
  putPage,
  search,
  shown,
  type Entry,
  type Least,
  type Page,
} from '../store/logs';
import { clockTime, dayTime, t } from '../words';

/** Between two questions. */
const EVERY_MS = 2000;
/** Rows on the page; a longer list is searched, not scrolled. */
const ROWS = 300;

async function fetchLines(): Promise<void> {
  for (;;) {
    const page = await errand<Page>('logs', { after: nextLine() });
    putPage(page);
    if (!page.more) return;
  }
}

function Row(props: { entry: Entry }) {
  const { at, level, room, text } = props.entry;
  return (
    <li class="entry" data-level={level}>
      <time dateTime={new Date(at).toISOString()} title={dayTime(at)}>
        {clockTime(at)}
      </time>
      <span class="level">{level}</span>
      <bdi class="room">{room}</bdi>
      <bdi class="text">{text}</bdi>
    </li>
  );
}

function Tools() {
  const words = t().logs;
  const levels: Least[] = isChatty.value ? ['trace', 'info', 'warn', 'error'] : ['trace', 'warn', 'error'];
  return (
    <div class="tools">
      <input
        type="search"
        placeholder={t().inspect.search}
        aria-label={t().inspect.search}
        value={search.value}
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
      <div class="language" role="group" aria-label={words.level}>
        {levels.map((level) => (
          <button aria-pressed={least.value === level} onClick={() => (least.value = level)}>
            {words.levels[level]}
          </button>
        ))}
      </div>
      <button aria-pressed={paused.value} onClick={() => pause(!paused.value)}>
        {t().inspect.pause}
      </button>
      <button
        disabled={shown.value.length === 0}
        onClick={() => save('grok-speaker-log.txt', 'text/plain', asText(shown.value))}
      >
        {t().inspect.download}
      </button>
    </div>
  );
}

export function Logs() {
  const words = t().logs;
  const wrong = useWatch(fetchLines, EVERY_MS, askAgain);
  const all = shown.value;
  return (
    <section class="page logs" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      <Bundle />
      <Tools />
      {all.length === 0 ? (
        <div class="empty">
          <Lines />
          <p class="head">{wrong || (entries.value.length ? t().inspect.noMatch : words.none)}</p>
        </div>
      ) : (
        <>
          <p class="soft">{words.count(Math.min(all.length, ROWS), all.length)}</p>
          <ol class="rows" lang="en">
            {all
              .slice(-ROWS)
              .reverse()
              .map((entry) => (
                <Row key={`${entry.at} ${entry.n}`} entry={entry} />
              ))}
          </ol>
        </>
      )}
    </section>
  );
}
