import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { ErrorBoundary, LocationProvider, Route, Router, lazy, useLocation } from 'preact-iso';
import { useDeployment } from './chain/deployment';
import { Masters } from './pages/masters';
import { NotFound } from './pages/not-found';
import { Guard } from './ui/guard';
import { Logo } from './ui/icons';
import { Alarms, StatusBar, useStatus } from './ui/status';
import { ThemeButton } from './ui/theme';
import { WalletButton, WalletDialog } from './ui/wallet';

const Strategy = lazy(() => import('./pages/strategy').then((module) => module.Strategy));
const Follow = lazy(() => import('./pages/follow').then((module) => module.Follow));
const Account = lazy(() => import('./pages/account/page').then((module) => module.Account));
const Audit = lazy(() => import('./pages/audit').then((module) => module.Audit));
const Register = lazy(() => import('./pages/register').then((module) => module.Register));

const LINKS: readonly { readonly href: string; readonly label: string; readonly covers: RegExp }[] = [
  { href: '/', label: 'Masters', covers: /^\/($|strategies)/ },
  { href: '/account', label: 'My account', covers: /^\/account/ },
  { href: '/audit', label: 'Audit', covers: /^\/audit/ },
  { href: '/register', label: 'Become a master', covers: /^\/register/ },
];

function Navigation(): JSX.Element {
  const { path } = useLocation();
  return (
    <nav class="nav" aria-label="Main">
      {LINKS.map((link) => (
        <a key={link.href} href={link.href} aria-current={link.covers.test(path) ? 'page' : undefined}>
          {link.label}
        </a>
      ))}
    </nav>
  );
}

function Frame(): JSX.Element {
  const { path } = useLocation();
  const { value: deployment } = useDeployment();
  const status = useStatus();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);

  // After a change of page a screen reader starts at its heading, and everyone at its top.
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    const frame = requestAnimationFrame(() => {
      const heading = main.current?.querySelector('h1');
      if (heading === null || heading === undefined) return;
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    });
    return () => cancelAnimationFrame(frame);
  }, [path]);

  return (
    <div class="frame">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <div class="wide">
          <a class="brand" href="/">
            <Logo /> Lockstep
          </a>
          <Navigation />
          <div class="tools">
            <ThemeButton />
            <WalletButton />
          </div>
        </div>
        <Alarms status={status} />
      </header>
      <div class="body">
        <main id="main" class="wide" ref={main} tabIndex={-1}>
        <ErrorBoundary>
          <Guard path={path}>
          <Router>
            <Route path="/" component={Masters} />
            <Route path="/strategies/:id" component={Strategy} />
            <Route path="/strategies/:id/follow" component={Follow} />
            <Route path="/account" component={Account} />
            <Route path="/audit" component={Audit} />
            <Route path="/register" component={Register} />
            <Route default component={NotFound} />
          </Router>
          </Guard>
        </ErrorBoundary>
        </main>
      </div>
      <StatusBar status={status} />
      <WalletDialog deployment={deployment} />
    </div>
  );
}

export function App(): JSX.Element {
  return (
    <LocationProvider>
      <Frame />
    </LocationProvider>
  );
}
