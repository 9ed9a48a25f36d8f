// Talk, stop, mute, listen and volume: on every screen, in every state.

import { hear, mute, stop } from '../link/ask';
import { setVolume, volume } from '../link/volume';
import { audible, link, pending, state } from '../store';
import { percent as inWords, t } from '../words';
import { Headphones, Loud, Mic, MicOff, Square } from './icons';
import { TalkButton } from './talk-button';

function Volume() {
  const percent = volume.value;
  return (
    <label class="volume">
      <Loud />
      <input
        type="range"
        min={0}
        max={100}
        step={1}
        aria-label={t().volume}
        aria-valuetext={inWords(percent)}
        value={percent}
        disabled={link.value !== 'live'}
        style={{ '--filled': `${percent}%` }}
        onInput={(event) => setVolume(Number(event.currentTarget.value))}
      />
      <output>{percent}</output>
    </label>
  );
}

export function Dock() {
  const muted = state.value?.muted ?? false;
  const off = link.value !== 'live';
  return (
    <section class="dock" id="dock" aria-label={t().controls}>
      <div class="buttons">
        <TalkButton />
        <button class="tile" disabled={off} onClick={stop}>
          <Square />
          <span>{t().stop}</span>
        </button>
        <button
          class="tile mute"
          title={muted ? t().unmute : t().mute}
          aria-pressed={muted}
          aria-busy={pending.value.has('mute')}
          disabled={off}
          onClick={mute}
        >
          {muted ? <MicOff /> : <Mic />}
          <span>{t().muteShort}</span>
        </button>
        <button
          class="tile"
          title={t().hear}
          aria-pressed={audible.value}
          onClick={() => hear(!audible.value)}
        >
          <Headphones />
          <span>{t().hearShort}</span>
        </button>
      </div>
      <Volume />
    </section>
  );
}
