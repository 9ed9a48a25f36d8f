import { Waterfall } from '../parts/waterfall';
import { Bars } from '../parts/icons';
import { turns } from '../store';
import { median, picture } from '../store/waterfall';
import { dollars, duration, t } from '../words';

export function Turns() {
  const all = turns.value;
  const words = t().turns;
  const typical = median(all.flatMap((turn) => picture(turn).wait ?? []));
  const cost = all.reduce((sum, turn) => sum + turn.cost, 0);
  return (
    <section class="page" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      {all.length === 0 ? (
        <div class="empty">
          <Bars />
          <p class="head">{words.none}</p>
          <p>{words.noneHint}</p>
        </div>
      ) : (
        <>
          <dl class="figures">
            <div>
              <dt>{words.count}</dt>
              <dd>{all.length}</dd>
            </div>
            <div>
              <dt>{words.typical}</dt>
              <dd>{typical === null ? '–' : duration(typical)}</dd>
            </div>
            <div>
              <dt>{words.cost}</dt>
              <dd>{dollars(cost)}</dd>
            </div>
          </dl>
          <ol class="turns" reversed>
            {[...all].reverse().map((turn) => (
              <Waterfall key={`${turn.turn}-${turn.marks.end}`} turn={turn} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}
