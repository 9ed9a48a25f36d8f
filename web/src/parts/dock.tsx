// Talk, stop, mute, listen and volume: on every screen, in every state.

import { hear, mute, stop } from '../link/ask';
import { setVolume, volume } from '../link/volume';
import { audible, link, state, touched } from '../store';
import { percent as inWords, t } from '../words';
import { Headphones, Loud, Mic, MicOff, Square } from './icons';
import { TalkButton } from './talk-button';

function Volume() {
  const percent = volume.value;
  return (
    <label class="volume" data-fate={touched.value.volume}>
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
        <button
          class="tile"
          data-fate={touched.value.stop}
          aria-busy={touched.value.stop === 'pending'}
          disabled={off}
          onClick={stop}
        >
          <Square />
          <span>{t().stop}</span>
        </button>
        <button
          class="tile mute"
          title={muted ? t().unmute : t().mute}
          aria-pressed={muted}
          data-fate={touched.value.mute}
          aria-busy={touched.value.mute === 'pending'}
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
