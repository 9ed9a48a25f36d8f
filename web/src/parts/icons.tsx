import type { ComponentChildren } from 'preact';

function Icon(props: { children: ComponentChildren }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {props.children}
    </svg>
  );
}

const capsule = <rect x="9" y="3" width="6" height="11" rx="3" />;

export const Mic = () => (
  <Icon>
    {capsule}
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
  </Icon>
);
export const MicOff = () => (
  <Icon>
    {capsule}
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3M4 4l16 16" />
  </Icon>
);
export const Square = () => (
  <Icon>
    <rect x="6" y="6" width="12" height="12" rx="2.5" fill="currentColor" />
  </Icon>
);
export const Headphones = () => (
  <Icon>
    <path d="M4 14v-2a8 8 0 0 1 16 0v2" />
    <rect x="3" y="13" width="4.5" height="7" rx="2" />
    <rect x="16.5" y="13" width="4.5" height="7" rx="2" />
  </Icon>
);
export const Loud = () => (
  <Icon>
    <path d="M4 10v4h3.5l4.5 4V6L7.5 10zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11" />
  </Icon>
);
export const Arrow = () => (
  <Icon>
    <path d="M12 19V5.5M6 11.5l6-6 6 6" />
  </Icon>
);
export const Down = () => (
  <Icon>
    <path d="M12 5v13.5M6 12.5l6 6 6-6" />
  </Icon>
);
export const Cross = () => (
  <Icon>
    <path d="M6.5 6.5l11 11M17.5 6.5l-11 11" />
  </Icon>
);
export const Bubble = () => (
  <Icon>
    <path d="M5 5h14a1.5 1.5 0 0 1 1.5 1.5v9A1.5 1.5 0 0 1 19 17h-7l-4.5 3.5V17H5a1.5 1.5 0 0 1-1.5-1.5v-9A1.5 1.5 0 0 1 5 5z" />
  </Icon>
);
export const Bars = () => (
  <Icon>
    <path d="M4 6h7M9 12h8M15 18h5" />
  </Icon>
);
export const Info = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.5" />
    <path d="M12 11v5.5M12 7.6v.1" />
  </Icon>
);
export const Sliders = () => (
  <Icon>
    <path d="M4 7h8M18 7h2M4 17h2M12 17h8" />
    <circle cx="15" cy="7" r="2.6" />
    <circle cx="9" cy="17" r="2.6" />
  </Icon>
);
export const Warning = () => (
  <Icon>
    <path d="M12 4l9 15.5H3zM12 10v4.5M12 17v.1" />
  </Icon>
);
export const Swap = () => (
  <Icon>
    <path d="M8 20V5M4 9l4-4 4 4M16 4v15M12 15l4 4 4-4" />
  </Icon>
);
export const Pulse = () => (
  <Icon>
    <path d="M3 12.5h4l2.5-7 4.5 13 2.7-6H21" />
  </Icon>
);
export const Lines = () => (
  <Icon>
    <path d="M5 6h14M5 10h9M5 14h14M5 18h6" />
  </Icon>
);
export const Play = () => (
  <Icon>
    <path d="M8 5.5v13l10.5-6.5z" />
  </Icon>
);
export const Tune = () => (
  <Icon>
    <path d="M4 7h9M19 7h1M4 17h1M11 17h9" />
    <circle cx="16" cy="7" r="2.5" />
    <circle cx="8" cy="17" r="2.5" />
  </Icon>
);
export const Wave = () => (
  <svg class="wave" viewBox="0 0 44 32" aria-hidden="true" focusable="false">
    <path d="M4 12v8M13 7v18M22 3v26M31 8v16M40 13v6" />
  </svg>
);
