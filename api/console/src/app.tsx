import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Announcer } from './announce.tsx';
import { Loading } from './parts.tsx';
import { href, type Route, useRoute } from './router.ts';
import { clientFor, type Session, SessionContext, storedToken } from './session.ts';
import { noteSignOut } from './signIn.ts';
import { ThemeChoice } from './theme.tsx';
import { DatabaseView } from './views/database.tsx';
import { ChangeView, NewView } from './views/databaseForm.tsx';
import { DatabasesView } from './views/databases.tsx';
import { NotFoundView } from './views/notFound.tsx';
import { OperationView } from './views/operation.tsx';
import { OperationsView } from './views/operations.tsx';
import { PlanView } from './views/plan.tsx';
import { RemoveView } from './views/remove.tsx';
import { SignInView } from './views/signIn.tsx';

/**
 * The whole page: who has not signed in sees the form for that, at every address.
 *
 * @param returning the token of somebody who comes back from an issuer
 */
export function App({ returning }: { returning: Promise<string> | undefined }) {
  const [token, setToken] = useState(() => (returning === undefined ? storedToken.read() : null));
  const [waiting, setWaiting] = useState(returning !== undefined);
  const [failure, setFailure] = useState<Error>();
  const [reason, setReason] = useState<string>();
  const route = useRoute();
  useEffect(() => {
    returning
      ?.then(setToken)
      .catch(setFailure)
      .finally(() => setWaiting(false));
  }, [returning]);
  const session = useMemo<Session | null>(() => {
    if (token === null) return null;
    const end = (why?: string): void => {
      storedToken.forget();
      if (why === undefined) noteSignOut();
      setFailure(undefined);
      setReason(why);
      setToken(null);
    };
    return { client: clientFor(token), end };
  }, [token]);
  const signedIn = (given: string): void => {
    storedToken.keep(given);
    setReason(undefined);
    setToken(given);
  };
  return (
    <SessionContext.Provider value={session}>
      <Shell session={session} route={route}>
        {session !== null ? (
          <View route={route} />
        ) : waiting ? (
          <Loading what="the session" />
        ) : (
          <SignInView reason={reason} failure={failure} onToken={signedIn} />
        )}
      </Shell>
    </SessionContext.Provider>
  );
}

function Shell(props: { session: Session | null; route: Route; children: ComponentChildren }) {
  const main = useRef<HTMLElement>(null);
  // The fragment is the address of the view, so the link must not change it.
  const skip = (event: Event): void => {
    event.preventDefault();
    main.current?.focus();
  };
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: a skip link is known as one by its fragment */}
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header>
        <p class="product">Databases</p>
        {props.session && (
          <nav aria-label="Main">
            <NavigationLink path={['databases']} label="Databases" route={props.route} />
            <NavigationLink path={['operations']} label="Operations" route={props.route} />
            <a href="/docs">API</a>
          </nav>
        )}
        <div class="tools">
          <ThemeChoice />
          {props.session && (
            <button type="button" onClick={() => props.session?.end()}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {props.children}
      </main>
      <Announcer />
    </>
  );
}

function NavigationLink({ path, label, route }: { path: readonly string[]; label: string; route: Route }) {
  const current = (route.path[0] ?? 'databases') === path[0];
  return (
    <a href={href(path)} aria-current={current ? 'page' : undefined}>
      {label}
    </a>
  );
}

/** The keys make a view of another thing a new view: nothing of the one before stays in it. */
function View({ route: { path, query } }: { route: Route }) {
  const [room = 'databases', first, second, action] = path;
  const key = path.join('/');
  if (room === 'databases' && first === undefined) return <DatabasesView query={query} />;
  if (room === 'databases' && first !== undefined && second !== undefined) {
    const reference = { environment: first, name: second };
    if (action === undefined) return <DatabaseView key={key} {...reference} />;
    if (action === 'change') return <ChangeView key={key} {...reference} planId={query.get('plan')} />;
    if (action === 'delete') return <RemoveView key={key} {...reference} />;
  }
  if (room === 'new') return <NewView key={key} planId={query.get('plan')} />;
  if (room === 'plans' && first !== undefined) return <PlanView key={key} id={first} />;
  if (room === 'operations' && first === undefined) return <OperationsView query={query} />;
  if (room === 'operations' && first !== undefined) return <OperationView key={key} id={first} />;
  return <NotFoundView />;
}
