// The speaker's words, as the contract has them.

export type Role = 'viewer' | 'controller' | 'admin';

export interface State {
  seq: number;
  state: string;
  volume: number;
  muted: boolean;
  online: boolean;
  mode: string;
  voice: string;
  model: string;
  trouble: string;
}

export interface Line {
  seq?: number;
  item: string;
  role: 'user' | 'assistant';
  text: string;
  final: boolean;
  interrupted: boolean;
}

export interface Turn {
  turn: number;
  marks: Record<string, number>;
  cost: number;
  reason: string;
}

export interface Hello {
  build: string;
  role: Role;
  seq: number;
  snapshot: Partial<State> & { transcript?: Line[]; turns?: Turn[] };
}

export interface Slice {
  item: string;
  seq: number;
  rate: number;
  pcm: ArrayBuffer;
}

export interface Tick {
  mic_dbfs: number;
  speaker_dbfs: number;
}

export interface Notice {
  level: 'info' | 'warn' | 'error';
  message: string;
  action: string;
}

export type Answer = { ok: true; seq: number } | { ok: false; code: string; message: string };

/** What a person reads for each state. */
export const STATES: Record<string, [string, string]> = {
  asleep: ['Asleep', 'Nothing is being sent.'],
  listening: ['Listening', 'Speak now.'],
  thinking: ['Thinking', 'Waiting for the answer.'],
  speaking: ['Speaking', 'Talk over it to interrupt.'],
  lingering: ['Listening on', 'Just go on talking.'],
  muted: ['Muted', 'The microphone is off.'],
  offline: ['Offline', 'The service cannot be reached.'],
  error: ['Needs you', 'Something does not work.'],
};

/** An element of the page that must be there. */
export function find<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element ${id}`);
  return element as T;
}
