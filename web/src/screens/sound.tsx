// Setting up the sound: which cards are used, how the speaker sounds, what the microphone hears.

import { signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { errand } from '../link/ask';
import { Mark } from '../parts/field';
import { Loud, Tune } from '../parts/icons';
import { Measure } from '../parts/measure';
import { Recorder } from '../parts/recorder';
import { link } from '../store';
import { change, isBusy, loadSettings, settings } from '../store/device';
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
/** By then a card that can be opened is open. */
const OPENS_MS = 2500;
let later = 0;

/** The choice of a card for one side. What is fixed from outside is only shown. */
function Choice(props: { label: string; name: string; side: Way; used: Used; cards: Card[]; onChosen: () => void }) {
  const words = t().setup;
  const { name, used } = props;
  const before = useSignal<string | null>(null);
  const fixed = settings.value?.[name]?.fixed ?? null;
  const names = props.cards
    .filter((card) => card.sides.some(({ side }) => side === props.side))
    .map((card) => ({ value: card.name, shown: card.description || card.name }));
  const options = [{ value: 'default', shown: words.usual }, ...names];
  if (!options.some(({ value }) => value === used.setting)) {
    options.push({ value: used.setting, shown: used.setting === 'null' ? words.none : used.setting });
  }
  const choose = async (value: string) => {
    before.value = value === before.value ? null : used.setting;
    await change(name, value);
    props.onChosen();
  };
  const shut = used.name !== null && used.open === null;
  return (
    <li class="vital">
      <h3>{props.label}</h3>
      <select
        aria-label={words.choose(props.label)}
        value={used.setting}
        disabled={fixed !== null || isBusy(name) || link.value !== 'live'}
        onChange={(event) => void choose(event.currentTarget.value)}
      >
        {options.map(({ value, shown }) => (
          <option value={value} selected={value === used.setting}>
            {shown}
          </option>
        ))}
      </select>
      <Mark name={name} />
      {used.open && <p class="soft">{used.open}</p>}
      {shut && <p class="wrong">{words.notOpen}</p>}
      {shut && before.value !== null && (
        <button type="button" class="small" onClick={() => void choose(before.value!)}>
          {words.back}
        </button>
      )}
      {fixed !== null && (
        <p class="soft">
          <code>{name}</code>: {words.fixed}
        </p>
      )}
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
    if (!live) return;
    void look();
    void loadSettings().catch(() => {});
  }, [live]);
  useEffect(() => () => window.clearTimeout(later), []);
  // A card that was chosen takes a moment to open.
  const follow = () => {
    void look();
    window.clearTimeout(later);
    later = window.setTimeout(() => void look(), OPENS_MS);
  };
  const cards = found.value;
  return (
    <section class="page setup" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      {cards ? (
        <ul class="vitals">
          <Choice label={t().mic} name="audio.input" side="capture" used={cards.input} cards={cards.cards} onChosen={follow} />
          <Choice label={t().speaker} name="audio.output" side="playout" used={cards.output} cards={cards.cards} onChosen={follow} />
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
