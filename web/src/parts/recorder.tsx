// Records the speaker's microphone and plays it here, before and after the front end.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { link, state } from '../store';
import {
  SECONDS,
  SIDES,
  play,
  playing,
  record,
  recording,
  stopPlaying,
  verdict,
  type Name,
  type Recording,
} from '../store/recording';
import { count, decibels, t } from '../words';
import { Mic, Play, Square } from './icons';
import { Waveform } from './waveform';

function Side(props: { name: Name; of: Recording }) {
  const words = t().setup;
  const { name, of } = props;
  const { level_dbfs, peak_dbfs, clipped } = of.loudness[name];
  const on = playing.value === name;
  const title = words.sides[name]!;
  return (
    <li class="side" data-on={on || undefined}>
      <button
        class="round"
        aria-label={on ? words.stop(title) : words.play(title)}
        onClick={() => (on ? stopPlaying() : play(name))}
      >
        {on ? <Square /> : <Play />}
      </button>
      <div>
        <h4>{title}</h4>
        <p class="soft">{words.explain[name]}</p>
      </div>
      <Waveform samples={of.sound[name]} playing={on} label={words.wave(title, decibels(peak_dbfs))} />
      <p class="soft loudness">
        <span>{words.level(decibels(level_dbfs))}</span>
        <span>{words.peak(decibels(peak_dbfs))}</span>
        <span data-bad={clipped > 0 || undefined}>{words.clipped(count(clipped))}</span>
      </p>
    </li>
  );
}

export function Recorder() {
  const words = t().setup;
  const left = useSignal(0);
  const busy = useSignal(false);
  const wrong = useSignal('');
  useEffect(() => stopPlaying, []);
  const start = async () => {
    stopPlaying();
    recording.value = null;
    wrong.value = '';
    busy.value = true;
    left.value = SECONDS;
    const timer = window.setInterval(() => (left.value = Math.max(0, left.value - 1)), 1000);
    try {
      await record();
    } catch (refused) {
      wrong.value = (refused as Error).message;
    }
    window.clearInterval(timer);
    busy.value = false;
  };
  const muted = state.value?.muted === true;
  const now = recording.value;
  const how = now && verdict(now.loudness);
  return (
    <section class="part" aria-label={words.record}>
      <h3>{words.record}</h3>
      <p>{words.recordHow}</p>
      <p class="soft">{words.private}</p>
      <button
        class="action record"
        data-on={busy.value || undefined}
        disabled={link.value !== 'live' || busy.value || muted}
        aria-busy={busy.value}
        onClick={() => void start()}
      >
        <Mic />
        {!busy.value ? words.start(SECONDS) : left.value > 0 ? words.speak(left.value) : words.fetching}
      </button>
      {muted && <p class="soft">{words.mutedHint}</p>}
      {wrong.value && (
        <p class="wrong" role="alert">
          {wrong.value}
        </p>
      )}
      {now && how && (
        <>
          <p class="verdict" role="status" data-how={how}>
            {words.verdicts[how]}
          </p>
          <ul class="sides">
            {SIDES.map((name) => (
              <Side name={name} of={now} />
            ))}
          </ul>
          <p class="soft">{words.compare}</p>
        </>
      )}
    </section>
  );
}
