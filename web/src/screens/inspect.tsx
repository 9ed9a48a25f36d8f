// The messages between the speaker and the service: for those who want to know why.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ask } from '../link/ask';
import type { Traffic } from '../link/events';
import { Arrow, Down, Swap } from '../parts/icons';
import { save } from '../parts/save';
import { link } from '../store';
import { asText, clear, last, pause, paused, search, shown, traffic, way, type Way } from '../store/traffic';
import { digits, t } from '../words';

/** Rows on the page; a longer list is searched, not scrolled. */
const ROWS = 300;

/** Browsers lend the clipboard to secure pages only; a plain one marks the text and has the browser copy
    what is marked. Then it is marked all the same, for whoever has to do it by hand. */
async function take(shown: HTMLElement, text: string): Promise<boolean> {
  if (window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return true;
  }
  getSelection()?.selectAllChildren(shown);
  return document.execCommand('copy');
}

function Row(props: { message: Traffic }) {
  const { dir, type, event } = props.message;
  const open = useSignal(false);
  const copied = useSignal(false);
  const json = () => JSON.stringify(event, null, 2);
  const text = useRef<HTMLPreElement>(null);
  const copy = async () => {
    copied.value = await take(text.current!, json());
  };
  return (
    <li>
      <button class="row" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
        <span class="way" data-dir={dir}>
          {dir === 'sent' ? <Arrow /> : <Down />}
          <span class="unseen">{t().inspect.ways[dir]}</span>
        </span>
        <span class="type">{type}</span>
        <span class="at">{digits(props.message.t, 3)} s</span>
      </button>
      {open.value && (
        <div class="json">
          <pre tabIndex={0} ref={text}>
            {json()}
          </pre>
          <button onClick={() => void copy()}>
            {copied.value ? t().inspect.copied : t().inspect.copy}
          </button>
        </div>
      )}
    </li>
  );
}

const download = (): void =>
  save('grok-speaker-events.jsonl', 'application/x-ndjson', asText(shown.value));

function Tools() {
  const words = t().inspect;
  return (
    <div class="tools">
      <input
        type="search"
        placeholder={words.search}
        aria-label={words.search}
        value={search.value}
        onInput={(event) => (search.value = event.currentTarget.value)}
      />
      <div class="language" role="group" aria-label={words.direction}>
        {(['all', 'sent', 'received'] as Way[]).map((name) => (
          <button aria-pressed={way.value === name} onClick={() => (way.value = name)}>
            {words.ways[name]}
          </button>
        ))}
      </div>
      <button aria-pressed={paused.value} onClick={() => pause(!paused.value)}>
        {words.pause}
      </button>
      <button disabled={shown.value.length === 0} onClick={download}>
        {words.download}
      </button>
      <button disabled={traffic.value.length === 0} onClick={clear}>
        {words.clear}
      </button>
    </div>
  );
}

export function Inspect() {
  const words = t().inspect;
  const live = link.value === 'live';
  useEffect(() => {
    if (!live) return;
    void ask('inspect', { on: true, after: last });
    return () => {
      if (link.value === 'live') void ask('inspect', { on: false });
    };
  }, [live]);
  const all = shown.value;
  return (
    <section class="page inspect" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      <Tools />
      {all.length === 0 ? (
        <div class="empty">
          <Swap />
          <p class="head">{traffic.value.length ? words.noMatch : words.none}</p>
          {traffic.value.length === 0 && <p>{words.noneHint}</p>}
        </div>
      ) : (
        <>
          <p class="soft">{words.count(Math.min(all.length, ROWS), all.length)}</p>
          <ol class="rows">
            {all
              .slice(-ROWS)
              .reverse()
              .map((message) => (
                <Row key={message.seq} message={message} />
              ))}
          </ol>
        </>
      )}
    </section>
  );
}
