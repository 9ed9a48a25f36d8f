// The owner lets everybody on the network watch: that is said as long as it is so.

import { pairing, session } from '../store';
import { t } from '../words';
import { Info } from './icons';

export function OpenView() {
  if (!session.value?.open_view) return null;
  const { guest } = session.value;
  return (
    <div class="notice open-view" data-level={guest ? 'info' : 'warn'} role="note">
      <Info />
      <p class="text">{guest ? t().openView.guest : t().openView.paired}</p>
      {guest && (
        <button class="link" onClick={() => (pairing.value = true)}>
          {t().openView.pair}
        </button>
      )}
    </div>
  );
}
