// Who is paired: names, roles, out; and a code for one more.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { errand } from '../link/ask';
import type { Role } from '../link/events';
import { link } from '../store';
import {
  changeClient,
  clients,
  fates,
  forget,
  isBusy,
  loadClients,
  touch,
  type Client,
  type Invitation,
} from '../store/device';
import { day, t } from '../words';
import { addresses } from './address';
import { Mark } from './field';
import { Question } from './question';
import { StepUp } from './step-up';

const ROLES: Role[] = ['viewer', 'controller', 'admin'];
/** Who is live changes without being told. */
const AGAIN_MS = 5000;

/** Something was refused because nobody is known to be at the device. */
const wantsPresence = (name: string): boolean => {
  const fate = fates.value[name];
  return fate?.state === 'error' && fate.code === 'step_up';
};

function Row(props: { client: Client }) {
  const { client } = props;
  const { id } = client;
  const name = `client ${id}`;
  const draft = useSignal<string | null>(null);
  const asks = useSignal(false);
  const role = useSignal<Role | null>(null);
  const words = t().clients;
  const shown = client.name || words.nameless;
  const rename = () => {
    const wanted = draft.value?.trim();
    draft.value = null;
    if (wanted && wanted !== client.name) void changeClient(id, { name: wanted });
  };
  const away = link.value !== 'live';
  return (
    <li class="client" aria-label={shown}>
      {draft.value === null ? (
        <div class="who">
          <b dir="auto">{shown}</b>
          <span class="soft">
            {client.me ? words.me : client.live ? words.live : words.used(day(client.used))}
          </span>
        </div>
      ) : (
        <form
          class="actions"
          onSubmit={(event) => {
            event.preventDefault();
            rename();
          }}
        >
          <input
            aria-label={words.name}
            maxLength={64}
            value={draft.value}
            onInput={(event) => (draft.value = event.currentTarget.value)}
          />
          <button class="primary small">{t().settings.save}</button>
          <button type="button" class="small" onClick={() => (draft.value = null)}>
            {t().settings.undo}
          </button>
        </form>
      )}
      <div class="actions">
        <select
          aria-label={words.role}
          value={role.value ?? client.role}
          disabled={away || isBusy(name)}
          onChange={async (event) => {
            role.value = event.currentTarget.value as Role;
            await changeClient(id, { role: role.value });
            if (!wantsPresence(name)) role.value = null;
          }}
        >
          {ROLES.map((option) => (
            <option value={option} selected={option === (role.value ?? client.role)}>
              {words.roles[option]}
            </option>
          ))}
        </select>
        {draft.value === null && (
          <button type="button" class="small" disabled={away} onClick={() => (draft.value = client.name)}>
            {words.rename}
          </button>
        )}
        <button type="button" class="small" disabled={away} onClick={() => (asks.value = true)}>
          {client.me ? words.leave : words.revoke}
        </button>
        {!wantsPresence(name) && <Mark name={name} />}
      </div>
      {asks.value && (
        <Question
          text={client.me ? words.leaveAsk : words.revokeAsk(shown)}
          yes={client.me ? words.leave : words.revoke}
          onYes={() => {
            asks.value = false;
            void changeClient(id, { revoke: true });
          }}
          onNo={() => (asks.value = false)}
        />
      )}
      {wantsPresence(name) && (
        <StepUp
          onDone={async () => {
            if (role.value) await changeClient(id, { role: role.value });
            role.value = null;
          }}
        />
      )}
    </li>
  );
}

function Invite() {
  const role = useSignal<Role>('controller');
  const open = useSignal<(Invitation & { until: number }) | null>(null);
  const left = useSignal(0);
  const before = useSignal(0);
  const words = t().clients;
  useEffect(() => () => forget('invite'), []);
  const invite = () =>
    void touch('invite', async () => {
      before.value = clients.value?.clients.length ?? 0;
      const found = await errand<Invitation>('invite', { role: role.value });
      open.value = { ...found, until: Date.now() + found.seconds * 1000 };
      left.value = found.seconds;
    });
  useEffect(() => {
    if (!open.value) return;
    const timer = window.setInterval(() => {
      left.value = Math.max(0, Math.ceil(((open.value?.until ?? 0) - Date.now()) / 1000));
      if (left.value === 0) open.value = null;
    }, 250);
    return () => window.clearInterval(timer);
  }, [open.value]);
  useEffect(() => {
    // Somebody has used it: it is worth nothing any more.
    if (open.value && (clients.value?.clients.length ?? 0) > before.value) open.value = null;
  }, [clients.value]);
  return (
    <div class="field">
      <p class="soft">{words.inviteHint}</p>
      <div class="actions">
        <select
          aria-label={words.newRole}
          value={role.value}
          onChange={(event) => (role.value = event.currentTarget.value as Role)}
        >
          {ROLES.map((option) => (
            <option value={option} selected={option === role.value}>
              {words.roles[option]}
            </option>
          ))}
        </select>
        <button
          type="button"
          class="primary small"
          disabled={link.value !== 'live' || isBusy('invite')}
          onClick={invite}
        >
          {words.invite}
        </button>
        {!wantsPresence('invite') && !open.value && <Mark name="invite" />}
      </div>
      {wantsPresence('invite') && <StepUp onDone={invite} />}
      {open.value && (
        <div class="invitation" role="status">
          <output class="digits">{open.value.code}</output>
          <p>{words.typeIt(addresses()[0]!)}</p>
          <p class="soft" aria-live="off">{words.left(left.value)}</p>
        </div>
      )}
    </div>
  );
}

export function Clients() {
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (link.value === 'live' && !document.hidden) void loadClients().catch(() => {});
    }, AGAIN_MS);
    return () => window.clearInterval(timer);
  }, []);
  const list = clients.value?.clients ?? [];
  return (
    <>
      <ul class="clients">
        {list.map((client) => (
          <Row key={client.id} client={client} />
        ))}
      </ul>
      <h3>{t().clients.more}</h3>
      <Invite />
    </>
  );
}
