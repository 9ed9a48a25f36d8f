// Plays the slices of replies through Web Audio. They come faster than they play, so each is put
// behind the one before; an interrupted reply is taken back.

import type { Slice } from './events';

/** Seconds before the first slice of a reply, against uneven arrival. */
const LEAD = 0.1;

export class Sound {
  private context: AudioContext | null = null;
  private end = 0;
  private playing = new Map<AudioBufferSourceNode, string>();

  get on(): boolean {
    return this.context !== null;
  }

  /** Browsers allow sound only from a click, so this is called by one. */
  start(): void {
    this.context ??= new AudioContext();
    void this.context.resume();
  }

  stop(): void {
    this.flush();
    void this.context?.close();
    this.context = null;
    this.end = 0;
  }

  play(slice: Slice): void {
    const context = this.context;
    if (!context) return;
    const bytes = new DataView(slice.pcm);
    const length = bytes.byteLength >> 1;
    if (length === 0) return;
    const buffer = context.createBuffer(1, length, slice.rate);
    const samples = buffer.getChannelData(0);
    for (let i = 0; i < length; i++) samples[i] = bytes.getInt16(2 * i, true) / 32768;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    const now = context.currentTime;
    if (this.end < now) this.end = now + LEAD;
    source.start(this.end);
    this.end += buffer.duration;
    this.playing.set(source, slice.item);
    source.onended = () => this.playing.delete(source);
  }

  /** Takes back what has not played yet: of one item, or all. */
  flush(item?: string): void {
    for (const [source, of] of this.playing) {
      if (item !== undefined && of !== item) continue;
      source.onended = null;
      source.stop();
      this.playing.delete(source);
    }
    if (this.playing.size === 0) this.end = 0;
  }
}
