// Setting up the sound: which cards are used, how the speaker sounds, what the microphone hears.

import { signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { errand } from '../link/ask';
import { Loud, Tune } from '../parts/icons';
import { Measure } from '../parts/measure';
import { Recorder } from '../parts/recorder';
import { link } from '../store';
import { t } from '../words';

type Way = 'capture' | 'playout';

interface Used {
  /** As configured. */
  setting: string;
  name: string | null;
  /** What was opened, in the words of who opened it. */
  open: string | null;
}

interface Card {
  name: string;
  description: string;
  sides: { side: Way; channels: number | null; rates: number[]; holder: string | null; ours: boolean }[];
}

interface Cards {
  input: Used;
  output: Used;
  cards: Card[];
}

const found = signal<Cards | null>(null);

function InUse(props: { label: string; setting: string; used: Used }) {
  const words = t().setup;
  const { used } = props;
  // A card's own name stands behind the one for programs.
  const name = /\((.+)\)$/.exec(used.name ?? '')?.[1] ?? used.setting;
  return (
    <li class="vital">
      <h3>{props.label}</h3>
      <p class="value">{used.setting === 'null' ? words.none : name}</p>
      {used.open && <p class="soft">{used.open}</p>}
      {used.name && used.open === null && <p class="wrong">{words.notOpen}</p>}
      <p class="soft">
        <code>
          {props.setting} = "{used.setting}"
        </code>
      </p>
    </li>
  );
}

function CardRow(props: { card: Card; cards: Cards }) {
  const words = t().setup;
  const { card, cards } = props;
  const chosen = (side: Way) => (side === 'capture' ? cards.input : cards.output).setting === card.name;
  return (
    <li class="sound-card">
      <p class="name">{card.description || card.name}</p>
      <code>{card.name}</code>
      <ul>
        {card.sides.map((side) => (
          <li data-used={side.ours || chosen(side.side) || undefined}>
            {side.side === 'capture' ? t().mic : t().speaker}
            {side.channels ? `, ${words.channels(side.channels)}` : ''}
            {side.ours || chosen(side.side)
              ? ` – ${words.inUse}`
              : side.holder
                ? ` – ${words.heldBy(side.holder)}`
                : ''}
          </li>
        ))}
      </ul>
    </li>
  );
}

function Tone() {
  const words = t().setup;
  const busy = useSignal(false);
  const wrong = useSignal('');
  const sound = async () => {
    busy.value = true;
    wrong.value = '';
    try {
      await errand('tone');
    } catch (refused) {
      wrong.value = (refused as Error).message;
    }
    busy.value = false;
  };
  return (
    <section class="part" aria-label={words.tone}>
      <h3>{words.tone}</h3>
      <p>{words.toneHow}</p>
      <button class="action" disabled={link.value !== 'live' || busy.value} onClick={() => void sound()}>
        <Loud />
        {words.toneStart}
      </button>
      {wrong.value && (
        <p class="wrong" role="alert">
          {wrong.value}
        </p>
      )}
    </section>
  );
}

export function Sound() {
  const words = t().setup;
  const wrong = useSignal('');
  const busy = useSignal(false);
  const live = link.value === 'live';
  const look = async () => {
    busy.value = true;
    wrong.value = '';
    try {
      found.value = await errand<Cards>('cards');
    } catch (refused) {
      wrong.value = (refused as Error).message;
    }
    busy.value = false;
  };
  useEffect(() => {
    if (live) void look();
  }, [live]);
  const cards = found.value;
  return (
    <section class="page setup" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      {cards ? (
        <ul class="vitals">
          <InUse label={t().mic} setting="audio.input" used={cards.input} />
          <InUse label={t().speaker} setting="audio.output" used={cards.output} />
        </ul>
      ) : (
        <div class="empty">
          <Tune />
          <p class="head">{wrong.value || words.looking}</p>
        </div>
      )}
      <Tone />
      <Recorder />
      <Measure />
      {cards && (
        <section class="part" aria-label={words.cards}>
          <h3>{words.cards}</h3>
          {cards.cards.length === 0 ? (
            <p class="soft">{words.noCards}</p>
          ) : (
            <ul class="sound-cards">
              {cards.cards.map((card) => (
                <CardRow card={card} cards={cards} />
              ))}
            </ul>
          )}
          <p class="soft">{words.change}</p>
          {wrong.value && (
            <p class="wrong" role="alert">
              {wrong.value}
            </p>
          )}
          <button class="action" disabled={!live || busy.value} aria-busy={busy.value} onClick={() => void look()}>
            {words.again}
          </button>
        </section>
      )}
    </section>
  );
}
