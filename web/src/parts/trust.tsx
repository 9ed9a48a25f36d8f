import { useEffect, useState } from 'preact/hooks';
import { type Pages, type Tls, encrypted, pages, unencrypted } from '../link/session';
import { t } from '../words';

/** What the speaker says of its two pages. */
function usePages(): Pages | null {
  const [found, setFound] = useState<Pages | null>(null);
  useEffect(() => {
    pages().then(setFound, () => setFound(null));
  }, []);
  return found;
}

/** The way to the encrypted page, until the speaker knows that this browser trusts it. To try from here
    would put an error into the console of each browser that does not. */
function ToEncrypted({ tls }: { tls: Tls }) {
  if (location.protocol === 'https:') return null;
  return <a href={encrypted(tls)}>{t().trust.open}</a>;
}

/** A page that is not encrypted says so, and where the other is. */
export function Plain() {
  const tls = usePages()?.tls;
  if (location.protocol === 'https:') return null;
  return (
    <p class="small">
      {t().pair.insecure} {tls && <ToEncrypted tls={tls} />}
    </p>
  );
}

/** How this browser can have an encrypted connection; nothing where the speaker offers none. */
export function Trust() {
  const { plain = null, tls = null } = usePages() ?? {};
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
        {location.protocol === 'https:' && plain !== null && (
          <a href={unencrypted(plain)}>{words.plain}</a>
        )}
      </p>
    </>
  );
}
