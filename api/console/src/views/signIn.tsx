import { useState } from 'preact/hooks';
import { useAction, useLoad } from '../load.ts';
import { ErrorNotice, Field, Heading, ProblemText } from '../parts.tsx';
import { clientFor } from '../session.ts';
import { beginSignIn, type SignInOption, signInOptions } from '../signIn.ts';

interface SignInProps {
  /** Why the session before has ended. */
  readonly reason: string | undefined;
  /** Why somebody who came back from an issuer is not signed in. */
  readonly failure: Error | undefined;
  readonly onToken: (token: string) => void;
}

/** Signs in at an issuer, or takes a bearer token. */
export function SignInView({ reason, failure, onToken }: SignInProps) {
  const { data: issuers } = useLoad('sign-in', signInOptions);
  return (
    <>
      <Heading title="Sign in" />
      {reason && (
        <div class="notice failed" role="alert">
          <ProblemText title="The session has ended" detail={reason} />
        </div>
      )}
      <ErrorNotice error={failure} />
      {issuers?.map((option) => (
        <IssuerButton key={option.issuer} option={option} />
      ))}
      <TokenForm onToken={onToken} />
    </>
  );
}

function IssuerButton({ option }: { option: SignInOption }) {
  const { busy, error, run } = useAction();
  return (
    <>
      <ErrorNotice error={error} />
      <p>
        <button type="button" class="primary" aria-disabled={busy} onClick={() => run(() => beginSignIn(option))}>
          Sign in at {new URL(option.issuer).host}
        </button>
      </p>
    </>
  );
}

/** Keeps the token once the service has accepted it. */
function TokenForm({ onToken }: Pick<SignInProps, 'onToken'>) {
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
  );
}
