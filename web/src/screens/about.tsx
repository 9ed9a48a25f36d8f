import type { ComponentChildren } from 'preact';
import { Address } from '../parts/address';
import { Language } from '../parts/language';
import { Leave } from '../parts/leave';
import { Licences } from '../parts/licences';
import { Trust } from '../parts/trust';
import { build, link, role, session, state, transport } from '../store';
import { t } from '../words';

function Fact(props: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

export function About() {
  const words = t().about;
  const now = state.value;
  const secure = location.protocol === 'https:' ? words.encrypted : words.plain;
  return (
    <section class="page" tabIndex={0} aria-label={words.title}>
      <h2>{words.title}</h2>
      <h3 id="about-language">{t().language}</h3>
      <Language />
      {now && (
        <>
          <h3>{words.device}</h3>
          <dl class="facts">
            <Fact name={words.version}>grok-speaker {build.value}</Fact>
            <Fact name={words.service}>{now.online ? words.connected : words.notConnected}</Fact>
            <Fact name={words.mode}>{words.modes[now.mode] ?? now.mode}</Fact>
            <Fact name={words.voice}>{now.voice}</Fact>
            <Fact name={words.model}>{now.model}</Fact>
          </dl>
        </>
      )}
      <h3>{words.browser}</h3>
      <dl class="facts">
        <Fact name={words.role}>{words.roles[role.value]}</Fact>
        {link.value === 'live' && (
          <Fact name={words.link}>
            {words.links[transport.value] ?? transport.value}, {secure}
          </Fact>
        )}
      </dl>
      {!session.value?.guest && <Leave />}
      <Trust />
      <h3>{words.more}</h3>
      <p class="soft">{words.moreHint}</p>
      <p class="commands">
        <code>grok-speaker pair</code>
      </p>
      <Address />
      <h3>{words.licences.title}</h3>
      <p class="soft">{words.licences.own}</p>
      {!session.value?.guest && <Licences />}
    </section>
  );
}
