// Push-to-talk with the speaker's own microphone: held like a radio, or tapped once to begin and
// once to end, for those who cannot hold.

import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { talk } from '../link/ask';
import { link, talking, touched } from '../store';
import { t } from '../words';
import { Mic } from './icons';

/** A shorter press is a tap. */
const TAP_MS = 350;

export function TalkButton() {
  const latched = useSignal(false);
  const since = useRef(0);
  const held = useRef(false);

  const down = () => {
    held.current = true;
    since.current = performance.now();
    if (talking.value) {
      // The second tap ends it.
      latched.value = false;
      void talk(false);
    } else {
      void talk(true);
    }
  };
  const up = () => {
    if (!held.current) return;
    held.current = false;
    if (!talking.value) return;
    if (performance.now() - since.current < TAP_MS) latched.value = true;
    else void talk(false);
  };
  const leave = () => {
    held.current = false;
    latched.value = false;
    if (talking.value) void talk(false);
  };

  useSignalEffect(() => {
    if (!talking.value) latched.value = false;
  });
  useEffect(() => {
    // Nobody talks to a page that is not looked at.
    const hidden = () => document.hidden && leave();
    document.addEventListener('visibilitychange', hidden);
    window.addEventListener('pagehide', leave);
    return () => {
      document.removeEventListener('visibilitychange', hidden);
      window.removeEventListener('pagehide', leave);
    };
  }, []);

  const isKey = (event: KeyboardEvent) => event.key === ' ' || event.key === 'Enter';
  const words = latched.value ? t().latched : talking.value ? t().release : t().hold;
  return (
    <button
      class="talk"
      data-fate={touched.value.talk}
      aria-pressed={talking.value}
      disabled={link.value !== 'live'}
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        down();
      }}
      onPointerUp={up}
      onPointerCancel={leave}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => {
        if (!isKey(event)) return;
        event.preventDefault();
        if (!event.repeat) down();
      }}
      onKeyUp={(event) => isKey(event) && up()}
      onClick={(event) => {
        // Assistive technology clicks without a pointer or a key.
        if (event.detail === 0 && !held.current) {
          down();
          up();
        }
      }}
      onBlur={() => held.current && leave()}
    >
      <Mic />
      <span>{words}</span>
    </button>
  );
}
