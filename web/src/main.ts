// Decides between pairing and the panel: whoever has no session pairs first.

import './style.css';
import { open } from './panel';
import { find } from './words';

interface Session {
  role: string;
  csrf: string;
}

function deviceName(): string {
  const agent = navigator.userAgent;
  const known: [RegExp, string][] = [
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Android/, 'Android phone'],
    [/Windows/, 'Windows computer'],
    [/Mac OS/, 'Mac'],
    [/Linux/, 'Linux computer'],
  ];
  return known.find(([pattern]) => pattern.test(agent))?.[1] ?? 'Browser';
}

async function session(): Promise<Session | null> {
  const response = await fetch('/api/session');
  return response.ok ? ((await response.json()) as Session) : null;
}

function askForCode(): void {
  const form = find<HTMLFormElement>('pair-form');
  const code = find<HTMLInputElement>('code');
  const name = find<HTMLInputElement>('name');
  const error = find('pair-error');
  const go = find<HTMLButtonElement>('pair-go');
  find('panel').hidden = true;
  find('pair').hidden = false;
  name.value ||= deviceName();
  code.value = '';
  code.focus();
  code.oninput = () => {
    code.value = code.value.replace(/\D/g, '');
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    error.textContent = '';
    go.disabled = true;
    try {
      const response = await fetch('/api/pair', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: code.value, name: name.value }),
      });
      const answer = (await response.json()) as Session & { error?: string };
      if (response.ok) {
        show(answer);
      } else {
        const words = answer.error ?? 'that did not work';
        error.textContent = words.charAt(0).toUpperCase() + words.slice(1) + '.';
        code.value = '';
        code.focus();
      }
    } catch {
      error.textContent = 'The speaker does not answer. Is this device on the same network?';
    } finally {
      go.disabled = false;
    }
  };
}

function show(found: Session): void {
  find('pair').hidden = true;
  find('panel').hidden = false;
  open(found.csrf, session, askForCode);
}

async function boot(): Promise<void> {
  try {
    const found = await session();
    if (found) show(found);
    else askForCode();
  } catch {
    window.setTimeout(() => void boot(), 2000);
  }
}

void boot();
