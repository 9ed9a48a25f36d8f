// The speaker's events, as the contract has them.

export type Role = 'viewer' | 'controller' | 'admin';

export interface Session {
  role: Role;
  csrf: string;
  /** Everybody on the network may watch. */
  open_view?: boolean;
  /** This browser does, without being paired. */
  guest?: boolean;
}

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
  /** Moves when somebody changes a setting. */
  settings: number;
  /** What interrupts a reply beside a button. */
  barge_in?: string;
  /** What its owner calls it, or the host name. */
  name?: string;
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
  snapshot: Partial<State> & { transcript?: Line[]; turns?: Turn[]; notices?: Notice[] };
}

export interface Slice {
  item: string;
  seq: number;
  rate: number;
  pcm: ArrayBuffer;
}

export interface Tick {
  t: number;
  mic_dbfs: number;
  speaker_dbfs: number;
  speech: number;
  erle_db: number;
  /** Samples of the microphone at full scale since the last one. */
  clipped: number;
}

export interface Notice {
  seq?: number;
  level: 'info' | 'warn' | 'error';
  code: string;
  message: string;
  action: string;
}

/** A message between the speaker and the service. */
export interface Traffic {
  seq: number;
  t: number;
  dir: 'sent' | 'received';
  type: string;
  event: unknown;
}

export type Answer = { ok: true; seq: number; data?: unknown } | { ok: false; code: string; message: string };
