import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Access, Environment, WantedDatabase } from '../../../../client/src/index.ts';
import { useAction, useLoad } from '../load.ts';
import { ErrorNotice, Field, Heading, Loading } from '../parts.tsx';
import { href, navigate } from '../router.ts';
import { useClient } from '../session.ts';
import { ACCESSES, type Draft, draftOf, dropOf, EMPTY, schemasOf, wantedOf } from '../wanted.ts';

/** @param planId a plan whose wanted state is to be changed once more */
export function NewView({ planId }: { planId: string | null }) {
  const client = useClient();
  const start = useLoad(`start ${planId}`, async (signal) => ({
    environments: (await client.environments({ signal })).filter(({ actions }) => actions.includes('plan')),
    plan: planId === null ? undefined : await client.plan(planId, { signal }),
  }));
  return (
    <>
      <Heading title="New database" />
      <ErrorNotice error={start.error} />
      {start.data === undefined && start.loading && <Loading what="the environments" />}
      {start.data?.environments.length === 0 && <p>Your token does not allow to plan in any environment.</p>}
      {start.data && start.data.environments.length > 0 && (
        <DatabaseForm
          environments={start.data.environments}
          start={
            start.data.plan?.wanted
              ? draftOf(start.data.plan.wanted)
              : { ...EMPTY, environment: start.data.environments[0]?.name ?? '' }
          }
          applied={null}
        />
      )}
    </>
  );
}

export function ChangeView(props: { environment: string; name: string; planId: string | null }) {
  const { environment, name, planId } = props;
  const client = useClient();
  const start = useLoad(`start ${planId}`, async (signal) => ({
    record: await client.database({ environment, name }, { signal }),
    environments: await client.environments({ signal }),
    plan: planId === null ? undefined : await client.plan(planId, { signal }),
  }));
  const applied = start.data?.record.applied ?? null;
  const wanted = start.data?.plan?.wanted ?? applied;
  return (
    <>
      <Heading title={`Change ${name}`} />
      <ErrorNotice error={start.error} />
      {start.data === undefined && start.loading && <Loading what="the database" />}
      {start.data && (
        <DatabaseForm
          environments={start.data.environments.filter((one) => one.name === environment)}
          start={wanted ? draftOf(wanted) : { ...EMPTY, environment, name }}
          applied={applied}
          fixed
        />
      )}
    </>
  );
}

interface FormProps {
  readonly environments: readonly Environment[];
  readonly start: Draft;
  readonly applied: WantedDatabase | null;
  /** Name and environment are what identifies it, and stay. */
  readonly fixed?: boolean;
}

function DatabaseForm({ environments, start, applied, fixed = false }: FormProps) {
  const client = useClient();
  const [draft, setDraft] = useState(start);
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const { busy, error, run } = useAction();
  const set = (part: Partial<Draft>): void => setDraft((old) => ({ ...old, ...part }));
  const kept = schemasOf(draft);
  const removed = (applied?.schemas ?? []).filter((schema) => !kept.includes(schema));
  const submit = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      const plan = await client.requestPlan(wantedOf(draft), dropOf(removed, typed));
      navigate(['plans', plan.id]);
    });
  };
  return (
    <form onSubmit={submit} class="narrow" aria-label="Wanted state">
      <Field id="environment" label="Environment">
        <select
          id="environment"
          disabled={fixed}
          value={draft.environment}
          onChange={({ currentTarget }) => set({ environment: currentTarget.value })}
        >
          {environments.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <Field id="name" label="Name" hint="As in PostgreSQL: lower case letters, digits, underscores.">
        <input
          id="name"
          required
          disabled={fixed}
          spellcheck={false}
          autocomplete="off"
          aria-describedby="name-hint"
          value={draft.name}
          onInput={({ currentTarget }) => set({ name: currentTarget.value })}
        />
      </Field>
      <Field id="schemas" label="Schemas" hint="One a line.">
        <textarea
          id="schemas"
          rows={3}
          spellcheck={false}
          aria-describedby="schemas-hint"
          value={draft.schemas}
          onInput={({ currentTarget }) => set({ schemas: currentTarget.value })}
        />
      </Field>
      {removed.map((schema) => (
        <Field
          key={schema}
          id={`drop-${schema}`}
          label={`To give up what the schema ${schema} holds, type its name`}
          hint="Left empty, the plan fails when the schema is not empty."
        >
          <input
            id={`drop-${schema}`}
            spellcheck={false}
            autocomplete="off"
            aria-describedby={`drop-${schema}-hint`}
            value={typed[schema] ?? ''}
            onInput={({ currentTarget }) => setTyped({ ...typed, [schema]: currentTarget.value })}
          />
        </Field>
      ))}
      <LimitField id="limit" value={draft.connectionLimit} onValue={(connectionLimit) => set({ connectionLimit })} />
      <Roles roles={draft.roles} onRoles={(roles) => set({ roles })} />
      <DeliveryFields
        draft={draft}
        set={set}
        namespaces={environments.find(({ name }) => name === draft.environment)?.namespaces ?? []}
      />
      <ErrorNotice error={error} />
      <p class="buttons">
        <button type="submit" class="primary" aria-disabled={busy}>
          {busy ? 'Asking for the plan…' : 'Plan'}
        </button>
        <a href={fixed ? href(['databases', draft.environment, draft.name]) : href(['databases'])}>Leave it</a>
      </p>
      <p class="hint">Nothing is changed yet: the plan shows what would be.</p>
    </form>
  );
}

function LimitField(props: { id: string; value: string; onValue: (value: string) => void }) {
  return (
    <Field id={props.id} label="Connection limit" hint="Empty: no limit.">
      <input
        id={props.id}
        type="number"
        min={-1}
        step={1}
        aria-describedby={`${props.id}-hint`}
        value={props.value}
        onInput={({ currentTarget }) => props.onValue(currentTarget.value)}
      />
    </Field>
  );
}

function Roles({ roles, onRoles }: { roles: Draft['roles']; onRoles: (roles: Draft['roles']) => void }) {
  const list = useRef<HTMLFieldSetElement>(null);
  const [focusOn, setFocusOn] = useState<string>();
  // A row that was added gets the focus; when one was removed, the button that adds does.
  useLayoutEffect(() => {
    if (focusOn !== undefined) list.current?.querySelector<HTMLElement>(focusOn)?.focus();
    setFocusOn(undefined);
  }, [focusOn]);
  const set = (key: number, part: Partial<Draft['roles'][number]>): void =>
    onRoles(roles.map((role) => (role.key === key ? { ...role, ...part } : role)));
  const add = (): void => {
    const key = Math.max(-1, ...roles.map((role) => role.key)) + 1;
    onRoles([...roles, { key, name: '', access: 'read', connectionLimit: '' }]);
    setFocusOn(`#role-${key}-name`);
  };
  const remove = (key: number): void => {
    onRoles(roles.filter((role) => role.key !== key));
    setFocusOn('#add-role');
  };
  return (
    <fieldset ref={list}>
      <legend>Login roles</legend>
      {roles.map(({ key, name, access, connectionLimit }) => (
        <fieldset key={key} class="role" aria-label={`Role ${name || 'without a name'}`}>
          <Field id={`role-${key}-name`} label="Role">
            <input
              id={`role-${key}-name`}
              required
              spellcheck={false}
              autocomplete="off"
              value={name}
              onInput={({ currentTarget }) => set(key, { name: currentTarget.value })}
            />
          </Field>
          <Field id={`role-${key}-access`} label="Access">
            <select
              id={`role-${key}-access`}
              value={access}
              onChange={({ currentTarget }) => set(key, { access: currentTarget.value as Access })}
            >
              {ACCESSES.map((value) => (
                <option key={value}>{value}</option>
              ))}
            </select>
          </Field>
          <LimitField
            id={`role-${key}-limit`}
            value={connectionLimit}
            onValue={(value) => set(key, { connectionLimit: value })}
          />
          <button type="button" onClick={() => remove(key)}>
            Remove <span class="visually-hidden">the role {name}</span>
          </button>
        </fieldset>
      ))}
      <button type="button" id="add-role" onClick={add}>
        Add a role
      </button>
    </fieldset>
  );
}

function DeliveryFields(props: {
  readonly draft: Draft;
  readonly set: (part: Partial<Draft>) => void;
  /** Suggested; `*` stands for any. */
  readonly namespaces: readonly string[];
}) {
  const { draft, set, namespaces } = props;
  return (
    <fieldset>
      <legend>Credentials</legend>
      <label class="choice">
        <input
          type="radio"
          name="delivery"
          checked={draft.delivery === 'return'}
          onChange={() => set({ delivery: 'return' })}
        />
        Shown once, here
      </label>
      <label class="choice">
        <input
          type="radio"
          name="delivery"
          checked={draft.delivery === 'secret'}
          onChange={() => set({ delivery: 'secret' })}
        />
        A Kubernetes Secret for each role
      </label>
      {draft.delivery === 'secret' && (
        <Field id="namespace" label="Namespace of the Secrets">
          <input
            id="namespace"
            required
            list="namespaces"
            spellcheck={false}
            autocomplete="off"
            value={draft.namespace}
            onInput={({ currentTarget }) => set({ namespace: currentTarget.value })}
          />
          <datalist id="namespaces">
            {namespaces
              .filter((name) => name !== '*')
              .map((name) => (
                <option key={name} value={name} />
              ))}
          </datalist>
        </Field>
      )}
    </fieldset>
  );
}
