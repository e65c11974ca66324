import type { ComponentChildren, JSX } from 'preact';

function Icon({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.7"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const Check = (): JSX.Element => (
  <Icon>
    <path d="m3 8.5 3.2 3.2L13 4.8" />
  </Icon>
);
export const Cross = (): JSX.Element => (
  <Icon>
    <path d="m4 4 8 8M12 4l-8 8" />
  </Icon>
);
export const Alert = (): JSX.Element => (
  <Icon>
    <path d="M8 2 1.5 13.5h13zM8 6.5v3.2M8 11.6v.1" />
  </Icon>
);
export const Info = (): JSX.Element => (
  <Icon>
    <circle cx="8" cy="8" r="6.4" />
    <path d="M8 7.3v3.6M8 5v.1" />
  </Icon>
);
export const Copy = (): JSX.Element => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5v-2a1 1 0 0 0-1-1h-6a1 1 0 0 0-1 1v6a1 1 0 0 0 1 1h2" />
  </Icon>
);
export const Down = (): JSX.Element => (
  <Icon>
    <path d="M8 3v10M4 9l4 4 4-4" />
  </Icon>
);
export const Spinner = (): JSX.Element => (
  <svg class="icon spin" viewBox="0 0 16 16" fill="none" aria-hidden="true">
    <circle cx="8" cy="8" r="6.2" stroke="currentColor" stroke-opacity=".25" stroke-width="1.8" />
    <path d="M8 1.8A6.2 6.2 0 0 1 14.2 8" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" />
  </svg>
);
export const Sun = (): JSX.Element => (
  <Icon>
    <circle cx="8" cy="8" r="3" />
    <path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1" />
  </Icon>
);
export const Moon = (): JSX.Element => (
  <Icon>
    <path d="M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1z" />
  </Icon>
);
export const Half = (): JSX.Element => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 2v12a6 6 0 0 0 0-12z" fill="currentColor" />
  </Icon>
);
export const External = (): JSX.Element => (
  <Icon>
    <path d="M9 3h4v4M13 3 7.5 8.5M11 9.5V13H3V5h3.5" />
  </Icon>
);
export const Key = (): JSX.Element => (
  <Icon>
    <circle cx="5.2" cy="10.8" r="3" />
    <path d="m7.4 8.6 6-6M11 5l2 2" />
  </Icon>
);

/** Two lines that rise and fall together. */
export const Logo = (): JSX.Element => (
  <svg viewBox="0 0 32 32" fill="none" aria-hidden="true" stroke-width="3" stroke-linejoin="round" stroke-linecap="round">
    <path d="M4 19h7v-6h7V7h10" stroke="#9db9ff" />
    <path d="M4 27h13v-6h7v-6h4" stroke="currentColor" />
  </svg>
);

export const Steps = (): JSX.Element => (
  <svg class="art" viewBox="0 0 120 60" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
    <path d="M4 40h24V26h28v-8h28V8h32" />
    <path d="M4 54h36V40h28v-8h28V22h20" stroke-dasharray="3 4" />
  </svg>
);
