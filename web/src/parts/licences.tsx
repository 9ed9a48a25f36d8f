// Licences of everything inside the program. Fetched when somebody wants to see them: they are as
// large as a third of the page.

import { useSignal } from '@preact/signals';
import { t } from '../words';

interface Piece {
  name: string;
  licence: string;
  texts: string[];
}

/** Reads THIRD-PARTY.txt: lists of packages, then the texts by their numbers. */
function read(file: string): Piece[] {
  const parts = file.split(/^== /m).slice(1);
  const texts = new Map<string, string>();
  const lines: string[] = [];
  for (const part of parts) {
    const end = part.indexOf('\n');
    const number = part.slice(0, end).match(/^Text (\d+):/);
    const body = part.slice(end + 1).trimEnd();
    if (number) texts.set(number[1]!, body);
    else lines.push(...body.split('\n'));
  }
  return lines.map((line) => {
    const [name = '', licence = '', numbers = ''] = line.split('; ');
    return { name, licence, texts: numbers.split(' ').map((number) => texts.get(number) ?? '') };
  });
}

/** Its texts are in the page only while they are looked at. */
function Package(props: { piece: Piece }) {
  const open = useSignal(false);
  const { name, licence, texts } = props.piece;
  return (
    <li>
      <details onToggle={(event) => (open.value = event.currentTarget.open)}>
        <summary>
          {name} <span class="licence">{licence}</span>
        </summary>
        {open.value &&
          texts.map((text) => (
            <pre tabIndex={0} lang="en">
              {text}
            </pre>
          ))}
      </details>
    </li>
  );
}

export function Licences() {
  const words = t().about.licences;
  const pieces = useSignal<Piece[] | null>(null);
  const wrong = useSignal(false);
  const fetchOnce = async () => {
    if (pieces.value !== null) return;
    wrong.value = false;
    try {
      const answer = await fetch('/licences.txt');
      if (!answer.ok) throw new Error(answer.statusText);
      pieces.value = read(await answer.text());
    } catch {
      wrong.value = true;
    }
  };
  return (
    <details class="fold" onToggle={(event) => event.currentTarget.open && void fetchOnce()}>
      <summary>{words.all}</summary>
      {wrong.value ? (
        <p class="wrong" role="alert">
          {words.wrong}
        </p>
      ) : pieces.value === null ? (
        <p class="soft">{words.wait}</p>
      ) : (
        <ul class="parts">
          {pieces.value.map((piece) => (
            <Package piece={piece} />
          ))}
        </ul>
      )}
    </details>
  );
}
