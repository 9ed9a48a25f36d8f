import { useSignal } from '@preact/signals';
import { leave } from '../link/session';
import { socket } from '../link/socket';
import { link, session } from '../store';
import { t } from '../words';

/** Ends the pairing of this browser, once asked twice. */
export function Leave() {
  const words = t().clients;
  const asks = useSignal(false);
  const failed = useSignal(false);
  const go = async () => {
    asks.value = false;
    failed.value = !(await leave());
    if (failed.value) return;
    session.value = null;
    socket.disconnect();
  };
  return (
    <>
      <button
        type="button"
        class="small"
        disabled={link.value !== 'live'}
        onClick={() => {
          failed.value = false;
          asks.value = true;
        }}
      >
        {words.leave}
      </button>
      {asks.value && (
        <div class="ask" role="group" aria-label={words.leave}>
          <p>{words.leaveAsk}</p>
          <div class="actions">
            <button type="button" class="danger small" onClick={() => void go()}>
              {words.leave}
            </button>
            <button type="button" class="small" onClick={() => (asks.value = false)}>
              {t().settings.undo}
            </button>
          </div>
        </div>
      )}
      {failed.value && (
        <p class="wrong" role="alert">
          {t().pair.away}
        </p>
      )}
    </>
  );
}
