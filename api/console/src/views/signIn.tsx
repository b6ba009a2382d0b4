import { useState } from 'preact/hooks';
import { useAction } from '../load.ts';
import { ErrorNotice, Field, Heading, ProblemText } from '../parts.tsx';
import { clientFor } from '../session.ts';

/** Takes a bearer token, and keeps it once the service has accepted it. */
export function SignInView({ reason, onToken }: { reason: string | undefined; onToken: (token: string) => void }) {
  const [token, setToken] = useState('');
  const { busy, error, run } = useAction();
  const submit = (event: Event): void => {
    event.preventDefault();
    const given = token.trim().replace(/^Bearer\s+/i, '');
    run(async () => {
      await clientFor(given).environments();
      onToken(given);
    });
  };
  return (
    <>
      <Heading title="Sign in" />
      {reason && (
        <div class="notice failed" role="alert">
          <ProblemText title="The session has ended" detail={reason} />
        </div>
      )}
      <form onSubmit={submit} class="narrow">
        <Field id="token" label="Bearer token" hint="It stays in this tab only, and goes when the tab is closed.">
          <input
            id="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            aria-describedby="token-hint"
            value={token}
            onInput={({ currentTarget }) => setToken(currentTarget.value)}
          />
        </Field>
        <ErrorNotice error={error} />
        <button type="submit" class="primary" aria-disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      </form>
    </>
  );
}
