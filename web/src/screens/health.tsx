// How the speaker and its board do. What a board does not tell has no card.

import type { ComponentChildren } from 'preact';
import { errand } from '../link/ask';
import { useWatch } from '../link/watch';
import { Info, Pulse, Warning } from '../parts/icons';
import { Spark } from '../parts/spark';
import { link } from '../store';
import { EVERY_MS, looks, putHealth, radio, taken, troubles, type Health as Facts, type Look } from '../store/health';
import { bytes, celsius, clockTime, count, dbm, duration, percent, span, t } from '../words';

async function look(): Promise<void> {
  putHealth(await errand<Facts>('health'));
}

function Troubles(props: { health: Facts }) {
  const words = t().health;
  const all = troubles(props.health);
  if (all.length === 0) return <p class="well">{words.well}</p>;
  return (
    <ul class="troubles">
      {all.map(([level, code]) => {
        const [what, advice] = words.troubles[code] ?? [code, ''];
        return (
          <li class="notice" data-level={level}>
            {level === 'info' ? <Info /> : <Warning />}
            <div class="text">
              <p>{what}</p>
              {advice && <p class="action">{advice}</p>}
              {code === 'threads' &&
                props.health.threads.map((thread) => (
                  <p class="detail" lang="en">
                    {thread}
                  </p>
                ))}
            </div>
          </li>
        );
      })}
    </ul>
  );
}

function Card(props: {
  label: string;
  value: string;
  detail?: string | false;
  /** Part of the whole, 0..1. */
  part?: number;
  children?: ComponentChildren;
}) {
  return (
    <li class="vital">
      <h3>{props.label}</h3>
      <p class="value">{props.value}</p>
      {props.part !== undefined && (
        <span class="gauge" aria-hidden="true">
          <i style={{ width: `${props.part * 100}%` }} />
        </span>
      )}
      {props.children}
      {props.detail && <p class="soft">{props.detail}</p>}
    </li>
  );
}

/** A figure that moves: its value, and the last two minutes of it. */
function Figure(props: {
  label: string;
  of: (health: Facts) => number | undefined;
  show: (value: number) => string;
  low: number;
  high: number;
  detail?: string | false;
}) {
  const { of, show } = props;
  const value = (one: Look) => of(one.health);
  const all = looks.value;
  const known = all.map(value).filter((v): v is number => v !== undefined);
  const now = value(all[all.length - 1]!);
  if (now === undefined) return null;
  const range = t().health.range(show(Math.min(...known)), show(Math.max(...known)));
  return (
    <Card label={props.label} value={show(now)} detail={props.detail}>
      <Spark looks={all} value={value} low={props.low} high={props.high} label={`${props.label}: ${range}`} />
    </Card>
  );
}

function Cards(props: { health: Facts }) {
  const words = t().health;
  const { device, service, sound } = props.health;
  const { processor, memory, disk } = device;
  const cable = device.network.find((one) => one.up && !one.radio);
  const own = (value: string) => words.own(value);
  const gaps = sound.overruns + sound.underruns;
  const flaws = [
    sound.overruns > 0 && `${words.input}: ${count(sound.overruns)}`,
    sound.underruns > 0 && `${words.output}: ${count(sound.underruns)}`,
    sound.clipped > 0 && words.tooLoud(count(sound.clipped)),
  ];
  return (
    <ul class="vitals">
      <Figure
        label={words.processor}
        of={(health) => health.device.processor.percent}
        show={percent}
        low={0}
        high={100}
        detail={processor.own_percent !== undefined && own(percent(processor.own_percent))}
      />
      <Figure
        label={words.temperature}
        of={(health) => health.device.temperature_c}
        show={celsius}
        low={20}
        high={85}
      />
      {memory.total !== undefined && memory.available !== undefined && (
        <Card
          label={words.memory}
          value={words.free(bytes(memory.available))}
          part={taken(memory.total, memory.available)}
          detail={memory.own !== undefined && own(bytes(memory.own))}
        />
      )}
      {disk && (
        <Card
          label={words.disk}
          value={words.free(bytes(disk.free))}
          part={taken(disk.total, disk.free)}
          detail={words.of(bytes(disk.total))}
        />
      )}
      <Figure
        label={words.service}
        of={(health) => health.service.round_trip_ms}
        show={duration}
        low={0}
        high={400}
        detail={
          service.round_trip_median_ms !== undefined &&
          words.typical(duration(service.round_trip_median_ms))
        }
      />
      {service.round_trip_ms === undefined && (
        <Card
          label={words.service}
          value={service.online ? words.connected : words.asleep}
          detail={!service.online && words.asleepHint}
        />
      )}
      <Figure label={words.wifi} of={radio} show={dbm} low={-90} high={-30} detail={words.wifiHint} />
      {cable && (
        <Card
          label={words.cable}
          value={cable.mbit ? words.mbit(cable.mbit) : words.connected}
          detail={cable.name}
        />
      )}
      <Card
        label={words.sound}
        value={gaps === 0 ? words.noGaps : words.gaps(gaps)}
        detail={flaws.filter(Boolean).join(' · ')}
      />
    </ul>
  );
}

function Fact(props: { name: string; children?: string | number | false }) {
  if (props.children === undefined || props.children === false) return null;
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

function Details(props: { health: Facts }) {
  const words = t().health;
  const { device, service, sound, panels, up_s } = props.health;
  const { place, power, processor } = device;
  const steady = power && Object.values(power).every((when) => when === 'never');
  return (
    <dl class="facts">
      <Fact name={words.input}>{sound.input}</Fact>
      <Fact name={words.output}>{sound.output}</Fact>
      <Fact name={words.reconnects}>{service.reconnects}</Fact>
      <Fact name={words.panels}>{panels}</Fact>
      <Fact name={words.running}>{span(up_s)}</Fact>
      <Fact name={words.on}>{place.up_s !== undefined && span(place.up_s)}</Fact>
      <Fact name={words.load}>
        {processor.load !== undefined && words.loads(processor.load, processor.cores)}
      </Fact>
      <Fact name={words.board}>{place.model}</Fact>
      <Fact name={words.system}>{place.system}</Fact>
      <Fact name={words.kernel}>{place.kernel}</Fact>
      <Fact name={words.supply}>{steady && words.supplyGood}</Fact>
      <Fact name={words.clock}>
        {place.clock_set !== undefined && (place.clock_set ? words.clockSet : words.clockNotSet)}
      </Fact>
    </dl>
  );
}

export function Health() {
  const words = t().health;
  const wrong = useWatch(look, EVERY_MS);
  const last = looks.value[looks.value.length - 1];
  const stale = link.value !== 'live';
  return (
    <section class="page health" tabIndex={0} aria-label={words.title} data-stale={stale || undefined}>
      <h2>{words.title}</h2>
      {!last ? (
        <div class="empty">
          <Pulse />
          <p class="head">{stale ? t().away[0] : wrong || words.asking}</p>
        </div>
      ) : (
        <>
          {stale && <p class="soft">{words.asOf(clockTime(last.at))}</p>}
          <div class="now">
            <Troubles health={last.health} />
            <Cards health={last.health} />
            <h3>{words.details}</h3>
            <Details health={last.health} />
          </div>
        </>
      )}
    </section>
  );
}
