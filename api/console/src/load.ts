import { useCallback, useContext, useEffect, useState } from 'preact/hooks';
import { ProblemError } from '../../../client/src/index.ts';
import { SessionContext } from './session.ts';

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: Error | undefined;
  readonly loading: boolean;
  readonly reload: () => void;
}

/** An error to show; a token that is not accepted any more ends the session instead. */
export function useFailure(): (error: unknown) => Error | undefined {
  const session = useContext(SessionContext);
  return useCallback(
    (error: unknown) => {
      if (session !== null && error instanceof ProblemError && error.status === 401) {
        session.end(error.problem.detail);
        return undefined;
      }
      return error instanceof Error ? error : new Error(String(error));
    },
    [session],
  );
}

/** Loads when `key` changes and on `reload`; what was loaded stays until the new is there, unless the key changed. */
export function useLoad<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const failure = useFailure();
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ key: string; data?: T; error?: Error }>({ key });
  const [loading, setLoading] = useState(true);
  // `key` stands for what `load` closes over.
  useEffect(() => {
    const controller = new AbortController();
    setLoading(true);
    load(controller.signal)
      .then((data) => setState({ key, data }))
      .catch((error: unknown) => {
        if (!controller.signal.aborted) setState({ key, error: failure(error) });
      })
      .finally(() => {
        if (!controller.signal.aborted) setLoading(false);
      });
    return () => controller.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((n) => n + 1), []);
  const current = state.key === key;
  return { data: current ? state.data : undefined, error: current ? state.error : undefined, loading, reload };
}

/** What a button starts: one at a time, its failure kept to be shown. */
export function useAction(): {
  readonly busy: boolean;
  readonly error: Error | undefined;
  readonly run: (work: () => Promise<void>) => void;
} {
  const failure = useFailure();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const run = (work: () => Promise<void>): void => {
    if (busy) return;
    setBusy(true);
    setError(undefined);
    work()
      .catch((reason: unknown) => setError(failure(reason)))
      .finally(() => setBusy(false));
  };
  return { busy, error, run };
}
