// What may interrupt the speaker, and the sweep that finds it out.

import { useSignal } from '@preact/signals';
import { errand } from '../link/ask';
import { link, state } from '../store';
import { count, decibels, digits, t } from '../words';
import { Tune } from './icons';

/** So many clipped samples are more than a click in the room. */
const CLIPS = 10;

interface Measured {
  duplex: 'full' | 'wake' | 'half' | null;
  delay_ms: number;
  echo_db: number;
  noise_dbfs: number;
  harmonics_db: number;
  clipped: number;
  channels: ('alive' | 'weak' | 'dead')[];
}

/** What a person should mend. */
function faults(of: Measured): string[] {
  const words = t().setup;
  if (of.channels.every((channel) => channel === 'dead')) return [words.dead];
  return [
    of.duplex === null ? words.unheard : '',
    of.clipped >= CLIPS ? words.clips(count(of.clipped)) : '',
    ...of.channels.map((channel, n) => (channel === 'weak' ? words.weak(n + 1) : '')),
  ].filter(Boolean);
}

/** Microphones of several that are silent: no fault where a slot is empty by design. */
function silent(of: Measured): string[] {
  const words = t().setup;
  return of.channels.flatMap((channel, n) => (channel === 'dead' ? [words.silent(n + 1)] : []));
}

function Figures(props: { of: Measured }) {
  const words = t().setup;
  const { of } = props;
  const figures = [
    [words.figures.delay, `${digits(of.delay_ms, 0)} ms`],
    [words.figures.echo, decibels(of.echo_db)],
    [words.figures.noise, decibels(of.noise_dbfs)],
    [words.figures.harmonics, decibels(of.harmonics_db)],
  ];
  return (
    <dl class="facts">
      {figures.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Measure() {
  const words = t().setup;
  const busy = useSignal(false);
  const wrong = useSignal('');
  const found = useSignal<Measured | null>(null);
  const start = async () => {
    found.value = null;
    wrong.value = '';
    busy.value = true;
    try {
      found.value = await errand<Measured>('measure');
    } catch (refused) {
      wrong.value = (refused as Error).message;
    }
    busy.value = false;
  };
  const muted = state.value?.muted === true;
  const now = found.value;
  const bad = now ? faults(now) : [];
  return (
    <section class="part" aria-label={words.over}>
      <h3>{words.over}</h3>
      <p>{words.overs[state.value?.barge_in ?? '']}</p>
      <p class="soft">{words.measureHow}</p>
      <button
        type="button"
        class="action"
        disabled={link.value !== 'live' || busy.value || muted}
        aria-busy={busy.value}
        onClick={() => void start()}
      >
        <Tune />
        {busy.value ? words.measuring : words.measure}
      </button>
      {muted && <p class="soft">{words.mutedMeasure}</p>}
      {wrong.value && (
        <p class="wrong" role="alert">
          {wrong.value}
        </p>
      )}
      {now && (
        <>
          <p class="verdict" role="status" data-how={bad.length === 0 && now.duplex === 'full' ? 'good' : 'bad'}>
            {now.duplex ? words.measured[now.duplex] : words.notMeasured}
          </p>
          {bad.map((fault) => (
            <p class="wrong">{fault}</p>
          ))}
          {now.duplex && (
            <>
              <Figures of={now} />
              {silent(now).map((fact) => (
                <p class="soft">{fact}</p>
              ))}
            </>
          )}
        </>
      )}
    </section>
  );
}
