import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { type Client, createClient } from '../../../client/src/index.ts';

const KEY = 'token';

export interface Session {
  readonly client: Client;
  /** Forgets the token. */
  end(reason?: string): void;
}

export const SessionContext = createContext<Session | null>(null);

/** Only inside of views that are shown to who has signed in. */
export function useClient(): Client {
  const session = useContext(SessionContext);
  if (session === null) throw new Error('nobody has signed in');
  return session.client;
}

/** Calls the service on the origin that the page came from. */
export function clientFor(token: string): Client {
  return createClient({ baseUrl: location.origin, token });
}

/**
 * A token that somebody pasted lives in the tab only (sessionStorage): it goes when the tab is closed, other tabs do not see it, and it is
 * never part of an address. Tokens of an issuer that somebody signs in at are not kept at all.
 */
export const storedToken = {
  read: (): string | null => sessionStorage.getItem(KEY),
  keep: (token: string): void => sessionStorage.setItem(KEY, token),
  forget: (): void => sessionStorage.removeItem(KEY),
};
