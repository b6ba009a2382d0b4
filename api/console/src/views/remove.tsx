import { useState } from 'preact/hooks';
import { useAction } from '../load.ts';
import { ErrorNotice, Field, Heading } from '../parts.tsx';
import { href, navigate } from '../router.ts';
import { useClient } from '../session.ts';

/** Asks for a plan that deletes. Data is given up only when the name was typed. */
export function RemoveView({ environment, name }: { environment: string; name: string }) {
  const client = useClient();
  const [typed, setTyped] = useState('');
  const { busy, error, run } = useAction();
  const submit = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      if (typed.trim() !== '' && typed.trim() !== name) {
        throw new Error(`"${typed.trim()}" is not the database's name: type ${name}, or leave the field empty.`);
      }
      const drop = typed.trim() === name ? { database: name } : undefined;
      const plan = await client.requestDeletionPlan({ environment, name }, drop);
      navigate(['plans', plan.id]);
    });
  };
  return (
    <>
      <Heading title={`Delete ${name}`} />
      <p>
        The database {name} in {environment}, its roles and their credentials. A database that holds tables is deleted
        only when you give up what it holds.
      </p>
      <form onSubmit={submit} class="narrow" aria-label="Delete">
        <Field
          id="drop"
          label={`To give up what the database holds, type ${name}`}
          hint="Left empty, the plan fails when it holds data."
        >
          <input
            id="drop"
            spellcheck={false}
            autocomplete="off"
            aria-describedby="drop-hint"
            value={typed}
            onInput={({ currentTarget }) => setTyped(currentTarget.value)}
          />
        </Field>
        <ErrorNotice error={error} />
        <p class="buttons">
          <button type="submit" class="danger" aria-disabled={busy}>
            {busy ? 'Asking for the plan…' : 'Plan the deletion'}
          </button>
          <a href={href(['databases', environment, name])}>Leave it</a>
        </p>
        <p class="hint">Nothing is deleted yet: the plan shows what would be.</p>
      </form>
    </>
  );
}
