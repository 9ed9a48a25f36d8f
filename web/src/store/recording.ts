// What the microphone heard for a few seconds, before and after the front end.

import { signal } from '@preact/signals';
import { errand } from '../link/ask';

export const SIDES = ['before', 'after'] as const;
export type Name = (typeof SIDES)[number];

export interface Loudness {
  level_dbfs: number;
  peak_dbfs: number;
  clipped: number;
}

export interface Recording {
  rate: number;
  loudness: Record<Name, Loudness>;
  sound: Record<Name, Float32Array>;
}

interface Told extends Record<Name, Loudness> {
  id: number;
  rate: number;
  samples: number;
  parts: number;
}

/** Long enough for a sentence, and a pause in which the room is heard. */
export const SECONDS = 5;

export const recording = signal<Recording | null>(null);

/** Peaks below this are too quiet for speech from where one talks. */
const QUIET_DBFS = -36;

export type Verdict = 'tooLoud' | 'tooQuiet' | 'good';

/** What the microphone's own side says about its place and its gain. */
export function verdict({ before }: Record<Name, Loudness>): Verdict {
  if (before.clipped > 0) return 'tooLoud';
  return before.peak_dbfs < QUIET_DBFS ? 'tooQuiet' : 'good';
}

export async function record(): Promise<void> {
  const { id, rate, samples, parts, before, after } = await errand<Told>('record', { seconds: SECONDS });
  const pieces: string[] = [];
  for (let part = 0; part < parts; part++) {
    pieces.push(atob((await errand<{ pcm: string }>('recording', { id, part })).pcm));
  }
  const bytes = pieces.join('');
  // Little-endian 16-bit, one side behind the other.
  const side = (from: number) =>
    Float32Array.from({ length: samples }, (_, i) => {
      const at = 2 * (from + i);
      const word = bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8);
      return ((word << 16) >> 16) / 32768;
    });
  recording.value = {
    rate,
    loudness: { before, after },
    sound: { before: side(0), after: side(samples) },
  };
}

/** The smallest and the largest sample of each of so many columns. */
export function envelope(samples: Float32Array, columns: number): [number, number][] {
  return Array.from({ length: columns }, (_, column) => {
    const part = samples.subarray(
      Math.floor((column * samples.length) / columns),
      Math.floor(((column + 1) * samples.length) / columns),
    );
    return part.reduce<[number, number]>(([low, high], s) => [Math.min(low, s), Math.max(high, s)], [0, 0]);
  });
}

/** What plays: which side, since when by the clock of the sound, and whether there is an end. */
export const playing = signal<Name | null>(null);

let context: AudioContext | null = null;
let sources: AudioBufferSourceNode[] = [];
let gains: Record<Name, GainNode> | null = null;
let began = 0;

/** Part that has been played, 0..1. */
export function progress(): number {
  const now = recording.value;
  if (!context || !now || playing.value === null) return 0;
  return Math.min(1, ((context.currentTime - began) * now.rate) / now.sound.before.length);
}

export function stopPlaying(): void {
  for (const source of sources) {
    source.onended = null;
    source.stop();
  }
  sources = [];
  playing.value = null;
}

/** From the start; while the other side plays, from the same spot, so that both can be compared. */
export function play(name: Name): void {
  const now = recording.value;
  if (!now) return;
  context ??= new AudioContext();
  void context.resume();
  if (playing.value === null) {
    const made = { before: context.createGain(), after: context.createGain() };
    for (const side of SIDES) {
      const buffer = context.createBuffer(1, now.sound[side].length, now.rate);
      buffer.getChannelData(0).set(now.sound[side]);
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(made[side]).connect(context.destination);
      source.start();
      source.onended = stopPlaying;
      sources.push(source);
    }
    gains = made;
    began = context.currentTime;
  }
  for (const side of SIDES) gains![side].gain.value = side === name ? 1 : 0;
  playing.value = name;
}
