import { Composer } from '../parts/composer';
import { Info } from '../parts/icons';
import { Log } from '../parts/log';
import { mayControl } from '../store';
import { t } from '../words';

export function Talk() {
  if (!mayControl.value) {
    return (
      <div class="page">
        <div class="empty">
          <Info />
          <p>{t().viewer}</p>
        </div>
      </div>
    );
  }
  return (
    <section class="talk-screen">
      <Log />
      <Composer />
    </section>
  );
}
