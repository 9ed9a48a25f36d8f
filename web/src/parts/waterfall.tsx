// One turn: a band for the whole of it, and a waterfall of the wait.

import type { Turn } from '../link/events';
import { picture, type Span } from '../store/waterfall';
import { dollars, duration, t } from '../words';

function Band(props: { spans: Span[]; end: number }) {
  return (
    <div class="band" aria-hidden="true">
      {props.spans.map(({ stage, from, to }) => (
        <i data-stage={stage} style={{ width: `${((to - from) / props.end) * 100}%` }} />
      ))}
    </div>
  );
}

function Steps(props: { spans: Span[] }) {
  const start = props.spans[0]!.from;
  const length = props.spans[props.spans.length - 1]!.to - start;
  return (
    <dl class="steps">
      {props.spans.map(({ stage, from, to }) => (
        <div>
          <dt>{t().turns.stages[stage]}</dt>
          <dd class="track" aria-hidden="true">
            <i
              data-stage={stage}
              style={{
                left: `${((from - start) / length) * 100}%`,
                width: `${((to - from) / length) * 100}%`,
              }}
            />
          </dd>
          <dd class="ms">{duration(to - from)}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Waterfall(props: { turn: Turn }) {
  const { turn } = props;
  const { wait, whole, detail } = picture(turn);
  const words = t().turns;
  return (
    <li class="turn">
      <div class="line-one">
        <h3>{words.turn(turn.turn)}</h3>
        <span class="chip" data-reason={turn.reason}>
          {words.reasons[turn.reason] ?? turn.reason}
        </span>
        <span class="cost">{dollars(turn.cost)}</span>
      </div>
      <p class="wait">
        {wait === null ? (
          words.noAnswer
        ) : (
          <>
            <strong>{duration(wait)}</strong> {words.wait}
          </>
        )}
      </p>
      {whole.length > 0 && (
        <>
          <Band spans={whole} end={turn.marks.end ?? 1} />
          <ul class="legend" aria-label={words.whole}>
            {whole.map(({ stage, from, to }) => (
              <li data-stage={stage}>
                {words.stages[stage]} {duration(to - from)}
              </li>
            ))}
          </ul>
        </>
      )}
      {detail.length > 0 && <Steps spans={detail} />}
    </li>
  );
}
