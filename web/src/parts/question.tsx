// Asked before something that cannot be taken back.

import { t } from '../words';

export function Question(props: { text: string; yes: string; onYes: () => void; onNo: () => void }) {
  return (
    <div class="ask" role="group" aria-label={props.yes}>
      <p>{props.text}</p>
      <div class="actions">
        <button type="button" class="danger small" onClick={props.onYes}>
          {props.yes}
        </button>
        <button type="button" class="small" onClick={props.onNo}>
          {t().settings.undo}
        </button>
      </div>
    </div>
  );
}
