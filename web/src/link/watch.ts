// Asks again and again while a screen is open, the page is looked at and the speaker is there.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { link } from '../store';

/** What the last question came to, in words; empty when it was answered. */
export function useWatch(ask: () => Promise<void>, everyMs: number, begin?: () => void): string {
  const live = link.value === 'live';
  const wrong = useSignal('');
  useEffect(() => {
    if (!live) return;
    let over = false;
    let timer = 0;
    const next = async () => {
      if (!document.hidden) {
        wrong.value = await ask().then(
          () => '',
          (refused: Error) => refused.message,
        );
      }
      if (!over) timer = window.setTimeout(() => void next(), everyMs);
    };
    begin?.();
    void next();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [live]);
  return live ? wrong.value : '';
}
