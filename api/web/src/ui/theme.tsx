import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { createStore, useStore } from '../store';
import { Half, Moon, Sun } from './icons';

type Theme = 'system' | 'light' | 'dark';

const KEY = 'lockstep.theme';
const NEXT: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' };

function stored(): Theme {
  const { theme } = document.documentElement.dataset;
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}

const chosen = createStore<Theme>(stored());

function apply(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  try {
    if (theme === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be blocked; the choice then lasts as long as the page.
  }
  chosen.set(theme);
}

/** True while dark is shown, whoever chose it. What is painted by script follows it. */
export function useDark(): boolean {
  const theme = useStore(chosen);
  const [systemDark, setSystemDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const read = (): void => setSystemDark(query.matches);
    query.addEventListener('change', read);
    return () => query.removeEventListener('change', read);
  }, []);
  return theme === 'system' ? systemDark : theme === 'dark';
}

export function ThemeButton(): JSX.Element {
  const theme = useStore(chosen);
  const Mark = theme === 'system' ? Half : theme === 'light' ? Sun : Moon;
  return (
    <button
      type="button"
      class="button small bare"
      aria-label={`Theme: ${theme}. Change to ${NEXT[theme]}.`}
      title={`Theme: ${theme}`}
      onClick={() => apply(NEXT[theme])}
    >
      <Mark />
    </button>
  );
}
