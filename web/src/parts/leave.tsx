import { useSignal } from '@preact/signals';
import { leave } from '../link/session';
import { socket } from '../link/socket';
import { link, session } from '../store';
import { t } from '../words';
import { Question } from './question';

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
        <Question
          text={words.leaveAsk}
          yes={words.leave}
          onYes={() => void go()}
          onNo={() => (asks.value = false)}
        />
      )}
      {failed.value && (
        <p class="wrong" role="alert">
          {t().pair.away}
        </p>
      )}
    </>
  );
}
