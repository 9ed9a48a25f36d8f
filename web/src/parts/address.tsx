// Where another device finds this page: as a picture for a phone, and to type.

import { useMemo } from 'preact/hooks';
import { encode } from 'uqr';
import { progress } from '../store/device';
import { t } from '../words';

/** Here these mean the device that looks at the page, not the speaker. */
const ONLY_HERE = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** First where this browser is, if that means the same to others; then what the speaker knows of. */
export function addresses(): string[] {
  const { protocol, hostname, port, origin } = location;
  const others = (progress.value?.hosts ?? [])
    .filter((host) => host !== hostname)
    .map((host) => `${protocol}//${host}${port && `:${port}`}/`);
  if (!ONLY_HERE.test(hostname)) return [`${origin}/`, ...others];
  // A picture of a number works where names do not.
  const byNumber = others.filter((url) => !url.includes('.local'));
  const found = [...byNumber, ...others.filter((url) => !byNumber.includes(url))];
  return found.length > 0 ? found : [`${origin}/`];
}

function Code(props: { text: string }) {
  const path = useMemo(() => {
    const { data, size } = encode(props.text, { border: 2 });
    const dots = data.flatMap((row, y) => row.flatMap((on, x) => (on ? [`M${x} ${y}h1v1h-1z`] : [])));
    return { d: dots.join(''), size };
  }, [props.text]);
  return (
    <svg class="qr" viewBox={`0 0 ${path.size} ${path.size}`} role="img" aria-label={props.text}>
      <path d={path.d} />
    </svg>
  );
}

export function Address() {
  const all = addresses();
  return (
    <div class="address">
      <Code text={all[0]!} />
      <div>
        <p>{t().wizard.address}</p>
        <ul>
          {all.map((url) => (
            <li>
              <code>{url}</code>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
