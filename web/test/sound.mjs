// What was heard against what was sent.

import { readFileSync } from 'node:fs';

/** Samples of a 16-bit mono WAV file, also while it is being written. */
export function wav(path) {
  const bytes = readFileSync(path);
  const at = bytes.indexOf('data') + 8;
  const length = (bytes.length - at) >> 1;
  return Int16Array.from({ length }, (_, i) => bytes.readInt16LE(at + 2 * i));
}

/** Samples of the sound events among the frames of a socket. */
export function pcm(frames) {
  const samples = [];
  let wanted = false;
  for (const frame of frames) {
    if (typeof frame === 'string') wanted = frame.includes('grok-voice:audio');
    else if (wanted) for (let i = 0; i + 1 < frame.length; i += 2) samples.push(frame.readInt16LE(i));
  }
  return Int16Array.from(samples);
}

/** Samples compared at a time: 100 ms. */
const PIECE = 2400;
/** A busy machine leaves gaps; what follows is looked for so far behind its place. */
const GAP = 24_000;

function likeness(whole, offset, part, step) {
  let both = 0;
  let a = 1;
  let b = 1;
  for (let i = 0; i < part.length; i += step) {
    const [x, y] = [whole[offset + i] ?? 0, part[i]];
    both += x * y;
    a += x * x;
    b += y * y;
  }
  return both / Math.sqrt(a * b);
}

/** Which share of the pieces of `sent` is found in `heard`, in order and unchanged. */
export function found(heard, sent) {
  let pieces = 0;
  let alike = 0;
  let from = 0;
  for (let at = sent.findIndex((x) => Math.abs(x) > 500); at + PIECE <= sent.length; at += PIECE) {
    const piece = sent.subarray(at, at + PIECE);
    if (!piece.some((x) => Math.abs(x) > 500)) continue;
    const until = alike ? Math.min(heard.length, from + GAP) : heard.length;
    let best = [from, -1];
    for (let offset = from; offset < until && best[1] < 0.999; offset++) {
      const like = likeness(heard, offset, piece, 16);
      if (like > best[1]) best = [offset, like];
    }
    pieces += 1;
    if (likeness(heard, best[0], piece, 1) < 0.99) continue;
    alike += 1;
    from = best[0] + PIECE - 8;
  }
  return alike / pieces;
}
