import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Credentials, Operation } from '../../../../client/src/index.ts';
import { announce } from '../announce.tsx';
import { useAction, useLoad } from '../load.ts';
import { Badge, ErrorNotice, Heading, Loading, Moment, ProblemText, TableRegion } from '../parts.tsx';
import { Progress } from '../progress.tsx';
import { href } from '../router.ts';
import { useClient } from '../session.ts';
import { Steps } from '../steps.tsx';

const ended = ({ status }: Operation): boolean => status !== 'queued' && status !== 'running';

/** One operation: live while it runs, then what it did; credentials that wait are taken here. */
export function OperationView({ id }: { id: string }) {
  const client = useClient();
  const loaded = useLoad('operation', (signal) => client.operation(id, { signal }));
  const operation = loaded.data;
  const status = operation?.status;
  useLayoutEffect(() => {
    if (status === undefined) return;
    announce(`The operation is ${status}`);
    // The button that was pressed may be gone.
    if (document.activeElement === document.body) document.querySelector('h1')?.focus();
  }, [status]);
  return (
    <>
      <Heading title={operation ? `Operation ${operation.kind} of ${operation.database}` : 'Operation'}>
        {status && <Badge value={status} />}
      </Heading>
      <ErrorNotice error={loaded.error} />
      {operation === undefined && loaded.loading && <Loading what="the operation" />}
      {operation && (
        <>
          <Facts operation={operation} />
          {ended(operation) ? (
            <Outcome operation={operation} reload={loaded.reload} />
          ) : (
            <Running operation={operation} reload={loaded.reload} />
          )}
        </>
      )}
    </>
  );
}

function Facts({ operation }: { operation: Operation }) {
  const { environment, database, requestedBy, createdAt, startedAt, finishedAt, attempt, planId } = operation;
  return (
    <dl>
      <dt>Database</dt>
      <dd>
        <a href={href(['databases', environment, database])}>{database}</a> in {environment}
      </dd>
      <dt>Asked for</dt>
      <dd>
        <Moment at={createdAt} /> by {requestedBy}
      </dd>
      <dt>Begun</dt>
      <dd>
        <Moment at={startedAt} />
        {attempt > 1 && `, for the ${attempt}. time`}
      </dd>
      <dt>Ended</dt>
      <dd>
        <Moment at={finishedAt} />
      </dd>
      {planId && (
        <>
          <dt>Plan</dt>
          <dd>
            <a href={href(['plans', planId])}>What was planned</a>
          </dd>
        </>
      )}
    </dl>
  );
}

function Running({ operation, reload }: { operation: Operation; reload: () => void }) {
  const client = useClient();
  const { planId } = operation;
  const plan = useLoad(`plan ${planId}`, async (signal) => (planId ? client.plan(planId, { signal }) : undefined));
  const total = plan.data?.steps.filter((step) => step.operation !== 'same' && step.operation !== 'read').length;
  const { busy, error, run } = useAction();
  const cancel = (): void =>
    run(async () => {
      await client.cancel(operation.id);
      announce('Asked to cancel');
    });
  return (
    <>
      <Progress operationId={operation.id} total={total} onEnd={reload} />
      <ErrorNotice error={error} />
      <button type="button" onClick={cancel} aria-disabled={busy}>
        Cancel
      </button>
    </>
  );
}

function Outcome({ operation, reload }: { operation: Operation; reload: () => void }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const retry = (): void =>
    run(async () => {
      await client.retry(operation.id);
      reload();
    });
  return (
    <>
      {operation.error && (
        <div class="notice failed" role="alert">
          <ProblemText {...operation.error} />
        </div>
      )}
      {operation.status !== 'succeeded' && (
        <>
          <ErrorNotice error={error} />
          <button type="button" onClick={retry} aria-disabled={busy}>
            Retry
          </button>
        </>
      )}
      {operation.credentials && <TakeCredentials id={operation.id} />}
      <section aria-labelledby="done">
        <h2 id="done">{operation.kind === 'drift' ? 'What differs' : 'What was done'}</h2>
        <Steps
          steps={operation.steps}
          from={operation.kind === 'drift' ? 'Applied' : 'Before'}
          to={operation.kind === 'drift' ? 'On the server' : 'After'}
        />
      </section>
    </>
  );
}

/** The service hands them out once. They live in this view only, and go when it is left. */
function TakeCredentials({ id }: { id: string }) {
  const client = useClient();
  const [credentials, setCredentials] = useState<Credentials>();
  const { busy, error, run } = useAction();
  const heading = useRef<HTMLHeadingElement>(null);
  const take = (): void =>
    run(async () => {
      setCredentials(await client.takeCredentials(id));
      announce('The credentials are shown');
      // The button that was pressed is gone.
      heading.current?.focus();
    });
  return (
    <section aria-labelledby="credentials">
      <h2 id="credentials" ref={heading} tabIndex={-1}>
        Credentials
      </h2>
      <ErrorNotice error={error} />
      {credentials === undefined ? (
        <p>
          They can be taken once.{' '}
          <button type="button" class="primary" onClick={take} aria-disabled={busy}>
            Show them
          </button>
        </p>
      ) : (
        <>
          <p class="notice">Keep them now: the service has forgotten them.</p>
          {Object.entries(credentials).map(([role, variables]) => (
            <RoleCredentials key={role} role={role} variables={variables} />
          ))}
        </>
      )}
    </section>
  );
}

function RoleCredentials({ role, variables }: { role: string; variables: Readonly<Record<string, string>> }) {
  const copy = async (): Promise<void> => {
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}`);
    await navigator.clipboard.writeText(`${lines.join('\n')}\n`);
    announce(`The credentials of ${role} are in the clipboard`);
  };
  return (
    <>
      <h3>Role {role}</h3>
      <TableRegion label={`Credentials of the role ${role}`}>
        <tbody>
          {Object.entries(variables).map(([name, value]) => (
            <tr key={name}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>
                <code>{value}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </TableRegion>
      <button type="button" onClick={() => void copy()}>
        Copy <span class="visually-hidden">the credentials of {role}</span>
      </button>
    </>
  );
}

/** For a shell: single quotes, as passwords hold anything. */
function quote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}
