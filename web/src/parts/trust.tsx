import { useEffect, useState } from 'preact/hooks';
import { type Tls, howToTrust } from '../link/session';
import { t } from '../words';

/** How this browser can have an encrypted connection; nothing where the speaker offers none. */
export function Trust() {
  const [tls, setTls] = useState<Tls | null>(null);
  useEffect(() => {
    howToTrust().then(setTls, () => setTls(null));
  }, []);
  if (!tls) return null;
  const words = t().trust;
  const secure = location.protocol === 'https:';
  const port = tls.port === 443 ? '' : `:${tls.port}`;
  const address = `https://${location.hostname}${port}/`;
  return (
    <>
      <h3>{words.title}</h3>
      <p class="soft">{words.how}</p>
      <dl class="facts">
        <div>
          <dt>{words.fingerprint}</dt>
          <dd>
            <strong>{tls.groups}</strong>
          </dd>
        </div>
        <div>
          <dt>SHA-256</dt>
          <dd>{tls.sha256}</dd>
        </div>
      </dl>
      <p class="commands">
        <a href="/ca.crt" download="grok-speaker.crt">
          {words.download}
        </a>
        {!secure && <a href={address}>{words.open}</a>}
      </p>
    </>
  );
}
