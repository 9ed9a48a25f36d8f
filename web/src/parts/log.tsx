// The conversation as it goes. A screen reader is not read every word as it arrives: whole lines
// are announced elsewhere, and the log can be walked through.

import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { Line } from '../link/events';
import { lines } from '../store';
import { t } from '../words';
import { Bubble, Down } from './icons';

/** So near to the end counts as there. */
const NEAR_PX = 60;

function Said(props: { line: Line }) {
  const { line } = props;
  const partial = !line.final && !line.interrupted;
  return (
    <p class={`line ${line.role}`} data-item={line.item} data-partial={partial || undefined}>
      <span class="unseen">{t().who[line.role]}: </span>
      <span dir="auto">{line.text}</span>
      {partial && <i class="caret" aria-hidden="true" />}
      {line.interrupted && <em>{t().interrupted}</em>}
    </p>
  );
}

export function Log() {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const behind = useSignal(false);
  const toEnd = () => {
    const log = box.current;
    if (log) log.scrollTop = log.scrollHeight;
  };
  useLayoutEffect(() => {
    if (follows.current) toEnd();
    else behind.value = true;
  }, [lines.value]);
  useEffect(() => {
    const observer = new ResizeObserver(() => follows.current && toEnd());
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  const scrolled = () => {
    const log = box.current!;
    follows.current = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
    if (follows.current) behind.value = false;
  };
  return (
    <div class="frame">
      <div
        class="log"
        ref={box}
        role="log"
        aria-live="off"
        aria-label={t().conversation}
        tabIndex={0}
        onScroll={scrolled}
      >
        {lines.value.length === 0 ? (
          <div class="empty">
            <Bubble />
            <p class="head">{t().empty}</p>
            <p>{t().emptyHint}</p>
          </div>
        ) : (
          lines.value.map((line) => <Said key={line.item} line={line} />)
        )}
      </div>
      {behind.value && (
        <button class="newest" onClick={toEnd}>
          <Down />
          {t().newest}
        </button>
      )}
    </div>
  );
}
