// The support bundle: one file for whoever helps. Nothing is saved that was not shown before.

import { useSignal } from '@preact/signals';
import { errand } from '../link/ask';
import { link } from '../store';
import type { Page } from '../store/logs';
import { bytes, t } from '../words';
import { save } from './save';

type Parts = Record<string, unknown>;

/** The parts, each small enough for one answer, and the whole log behind them. */
async function gather(): Promise<Parts> {
  const parts = await errand<Parts>('bundle');
  const log = [];
  for (let after = 0; ; ) {
    const page = await errand<Page>('logs', { after });
    log.push(...page.lines);
    after = page.next;
    if (!page.more) return { ...parts, log };
  }
}

const json = (value: unknown): string => JSON.stringify(value, null, 2);

export function Bundle() {
  const words = t().bundle;
  const parts = useSignal<Parts | null>(null);
  const busy = useSignal(false);
  const wrong = useSignal('');
  const prepare = async () => {
    busy.value = true;
    wrong.value = '';
    try {
      parts.value = await gather();
    } catch (refused) {
      wrong.value = (refused as Error).message;
    }
    busy.value = false;
  };
  return (
    <details class="fold">
      <summary>{words.title}</summary>
      <p>{words.what}</p>
      <p class="soft">{words.without}</p>
      {wrong.value && (
        <p class="wrong" role="alert">
          {wrong.value}
        </p>
      )}
      {parts.value === null ? (
        <button
          class="action"
          disabled={link.value !== 'live' || busy.value}
          aria-busy={busy.value}
          onClick={() => void prepare()}
        >
          {words.show}
        </button>
      ) : (
        <>
          <ul class="parts">
            {Object.entries(parts.value).map(([name, value]) => (
              <li>
                <details>
                  <summary>
                    <span>{words.parts[name] ?? name}</span>
                    <span class="size">{bytes(new Blob([json(value)]).size)}</span>
                  </summary>
                  <pre tabIndex={0} lang="en">
                    {typeof value === 'string' ? value : json(value)}
                  </pre>
                </details>
              </li>
            ))}
          </ul>
          <button
            class="action"
            onClick={() => save('grok-speaker-bundle.json', 'application/json', json(parts.value))}
          >
            {words.download}
          </button>
        </>
      )}
    </details>
  );
}
