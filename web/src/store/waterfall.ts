// Where the time of a turn went, from its marks.

import type { Turn } from '../link/events';

export interface Span {
  stage: string;
  from: number;
  to: number;
}

export interface Picture {
  /** From the end of the question to the first sound of the answer; null when there was none. */
  wait: number | null;
  /** The turn as a whole: question, wait, reply. */
  whole: Span[];
  /** The wait in detail. */
  detail: Span[];
}

/** The wait falls into these; each begins where the one before it ended. */
const STEPS: [stage: string, until: string][] = [
  ['decide', 'committed'],
  ['accept', 'response_created'],
  ['think', 'first_audio'],
  ['play', 'speaker'],
];

export function picture(turn: Turn): Picture {
  const { marks } = turn;
  const end = marks.end ?? 0;
  const asked = marks.typed ?? marks.speech_end;
  const heard = marks.speaker ?? marks.first_audio;
  const whole: Span[] = [];
  const add = (to: Span[], stage: string, from: number, until: number) => {
    if (until > from) to.push({ stage, from, to: until });
  };
  if (asked === undefined) {
    add(whole, 'you', 0, end);
    return { wait: null, whole, detail: [] };
  }
  const answered = heard !== undefined && heard >= asked;
  add(whole, 'you', 0, asked);
  add(whole, 'wait', asked, answered ? heard : end);
  if (answered) add(whole, 'reply', heard, end);

  const detail: Span[] = [];
  let from = asked;
  for (const [stage, mark] of STEPS) {
    const until = marks[mark];
    if (until === undefined || until < from) continue;
    add(detail, stage, from, until);
    from = until;
  }
  return { wait: answered ? heard - asked : null, whole, detail };
}

/** The middle one. */
export function median(values: number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}
