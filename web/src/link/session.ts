// Who this browser is to the speaker. The cookie itself cannot be read by a page, so a mark beside
// it says whether asking is worth a request.

import type { Session } from './events';

const MARK = 'grok-speaker.paired';
/** The mark on its way to the encrypted page, which cannot read it: that is another origin. */
const MARKED = '?paired';
/** Asks for the plain page even where the encrypted one is trusted. */
const PLAIN = '?plain';
/** Never twice the same, but for a browser that keeps it. */
const PROBE = '/trusted.js';
/** A speaker in the same house answers sooner, or not at all. */
const ANSWER_MS = 4000;

let told = false;

function mark(paired: boolean): void {
  try {
    if (paired) localStorage.setItem(MARK, '1');
    else localStorage.removeItem(MARK);
  } catch {
    // Without storage the speaker is asked every time.
  }
}

function isMarked(): boolean {
  try {
    return localStorage.getItem(MARK) !== null;
  } catch {
    return true;
  }
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const limit = new AbortController();
  const timer = window.setTimeout(() => limit.abort(), ANSWER_MS);
  try {
    return await fetch(path, { ...init, signal: limit.signal });
  } finally {
    window.clearTimeout(timer);
  }
}

/** The session, or null when this browser must pair. Throws when nobody answers. */
export async function whoAmI(): Promise<Session | null> {
  if (!isMarked() && !(await pages()).open_view) return null;
  const response = await request('/api/session', {});
  if (response.ok) {
    const found = (await response.json()) as Session;
    if (found.guest) mark(false);
    return found;
  }
  if (response.status !== 401) throw new Error(`status ${response.status}`);
  mark(false);
  return null;
}

/** How a browser comes to trust this speaker. */
export interface Tls {
  port: number;
  sha256: string;
  groups: string;
}

/** The two pages: port of the plain one, and the encrypted one; null where the speaker does not offer it. */
export interface Pages {
  plain: number | null;
  tls: Tls | null;
  /** Whether this page may be watched without pairing. */
  open_view?: boolean;
}

export async function pages(): Promise<Pages> {
  const response = await request('/api/trust', {});
  return response.ok ? ((await response.json()) as Pages) : { plain: null, tls: null };
}

/** This very screen, encrypted. The speaker knows the browser there by the cookie it has from here. */
export function encrypted(tls: Tls): string {
  const port = tls.port === 443 ? '' : `:${tls.port}`;
  return `https://${location.hostname}${port}/${isMarked() ? MARKED : ''}${location.hash}`;
}

/** This very screen, plain, from which the speaker does not send this browser here any more. */
export function unencrypted(port: number): string {
  return `http://${location.hostname}${port === 80 ? '' : `:${port}`}/${PLAIN}${location.hash}`;
}

/** Takes over the mark of the page this browser comes from. */
export function arrive(): void {
  if (location.search === MARKED) mark(true);
  else if (location.search !== PLAIN) return;
  history.replaceState(null, '', `/${location.hash}`);
}

/** Lets the speaker know that this browser trusts its certificate, once a load. Where the warning was
    clicked away, Chromium keeps nothing; the service worker is then not even tried, because that would
    put an error into its console. In every browser the worker is the proof. */
export async function tellTrust(): Promise<void> {
  if (told || location.protocol !== 'https:' || !('serviceWorker' in navigator)) return;
  told = true;
  try {
    const probe = async () => (await request(`${PROBE}?${performance.timeOrigin}`, {})).text();
    if ((await probe()) !== (await probe())) return;
    const worker = await navigator.serviceWorker.register(PROBE, { scope: PROBE });
    await worker.unregister();
    await request('/api/trusted', { method: 'POST' });
  } catch {
    // It is not trusted, or the speaker is away: there is no mark, and the plain page stays.
  }
}

export interface Denied {
  code: 'closed' | 'wrong' | 'lost' | 'other';
  left?: number;
  error: string;
}

export async function pair(code: string, name: string): Promise<Session | Denied> {
  const response = await request('/api/pair', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code, name }),
  });
  const answer = (await response.json()) as Session & Denied;
  if (!response.ok) return { ...answer, code: answer.code ?? 'other' };
  mark(true);
  return answer;
}

/** Ends the pairing of this browser. False when the speaker did not hear of it. */
export async function leave(): Promise<boolean> {
  try {
    const response = await request('/api/leave', { method: 'POST' });
    // Without a session there was none to end.
    if (!response.ok && response.status !== 401) return false;
  } catch {
    return false;
  }
  mark(false);
  return true;
}

/** A name for this browser that its owner will know again. */
export function deviceName(): string {
  const agent = navigator.userAgent;
  const known: [RegExp, string][] = [
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Android/, 'Android'],
    [/Windows/, 'Windows'],
    [/Mac OS/, 'Mac'],
    [/Linux/, 'Linux'],
  ];
  return known.find(([pattern]) => pattern.test(agent))?.[1] ?? 'Browser';
}
