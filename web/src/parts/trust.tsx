import { useEffect, useState } from 'preact/hooks';
import { type Tls, encrypted, howToTrust } from '../link/session';
import { t } from '../words';

/** What the speaker says of its encrypted connection; null where it offers none. */
function useTls(): Tls | null {
  const [tls, setTls] = useState<Tls | null>(null);
  useEffect(() => {
    howToTrust().then(setTls, () => setTls(null));
  }, []);
  return tls;
}

/** The way to the encrypted page. Whether the browser trusts it shows only when it is opened: to try
    from here would put an error into the console of each browser that does not. */
function ToEncrypted({ tls }: { tls: Tls }) {
  if (location.protocol === 'https:') return null;
  return <a href={encrypted(tls)}>{t().trust.open}</a>;
}

/** A page that is not encrypted says so, and where the other is. */
export function Plain() {
  const tls = useTls();
  if (location.protocol === 'https:') return null;
  return (
    <p class="small">
      {t().pair.insecure} {tls && <ToEncrypted tls={tls} />}
    </p>
  );
}

/** How this browser can have an encrypted connection; nothing where the speaker offers none. */
export function Trust() {
  const tls = useTls();
  if (!tls) return null;
  const words = t().trust;
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
        <ToEncrypted tls={tls} />
      </p>
    </>
  );
}
