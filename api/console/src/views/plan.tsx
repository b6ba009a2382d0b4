import { useEffect } from 'preact/hooks';
import type { Plan } from '../../../../client/src/index.ts';
import { announce } from '../announce.tsx';
import { useAction, useLoad } from '../load.ts';
import { Badge, ErrorNotice, Heading, Loading, Moment, ProblemText } from '../parts.tsx';
import { Progress } from '../progress.tsx';
import { href, navigate } from '../router.ts';
import { useClient } from '../session.ts';
import { Steps } from '../steps.tsx';

const TITLES = { put: 'Plan for', delete: 'Plan to delete', rotate: 'Plan to rotate' } as const;

/** What would be done, to be looked at before it is applied. */
export function PlanView({ id }: { id: string }) {
  const client = useClient();
  const plan = useLoad('plan', (signal) => client.plan(id, { signal }));
  const status = plan.data?.status;
  useEffect(() => {
    if (status === 'ready') announce('The plan is ready');
  }, [status]);
  return (
    <>
      <Heading title={plan.data ? `${TITLES[plan.data.action]} ${plan.data.database}` : 'Plan'}>
        {status && <Badge value={status} />}
      </Heading>
      <ErrorNotice error={plan.error} />
      {plan.data === undefined && plan.loading && <Loading what="the plan" />}
      {plan.data && (
        <p>
          Environment {plan.data.environment}, asked for <Moment at={plan.data.createdAt} /> by {plan.data.createdBy}.
        </p>
      )}
      {plan.data?.status === 'planning' && <Progress operationId={plan.data.operationId} onEnd={plan.reload} />}
      {plan.data && plan.data.status !== 'planning' && <Result plan={plan.data} />}
    </>
  );
}

function Result({ plan }: { plan: Plan }) {
  const counts = Object.entries(plan.counts).filter(([, count]) => (count ?? 0) > 0);
  return (
    <>
      {plan.error && (
        <div class="notice failed" role="alert">
          <ProblemText {...plan.error} />
          <Cure plan={plan} />
        </div>
      )}
      {plan.status !== 'failed' && (
        <section aria-labelledby="changes">
          <h2 id="changes">What would be done</h2>
          <p>{counts.map(([operation, count]) => `${count} ${operation}`).join(', ') || 'nothing'}</p>
          <Steps steps={plan.steps} from="Now" to="Then" />
        </section>
      )}
      {plan.status === 'applied' && <p class="notice">This plan was applied.</p>}
      {plan.status === 'stale' && <Again plan={plan} />}
      {plan.status === 'ready' && <Apply plan={plan} />}
    </>
  );
}

/** Where a refusal for the sake of data is answered. */
function Cure({ plan }: { plan: Plan }) {
  const address = ['databases', plan.environment, plan.database];
  if (plan.action === 'delete') return <a href={href([...address, 'delete'])}>Back to the deletion</a>;
  if (plan.action === 'put') return <a href={href([...address, 'change'], { plan: plan.id })}>Back to the form</a>;
  return null;
}

function Apply({ plan }: { plan: Plan }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  const apply = (): void =>
    run(async () => {
      const operation = await client.applyPlan(plan.id, plan.hash ?? undefined);
      navigate(['operations', operation.id]);
    });
  return (
    <section aria-labelledby="apply">
      <h2 id="apply">Apply</h2>
      <p class="hint">
        Exactly this, or nothing: if the server has changed since, the plan is refused. SHA-256 <code>{plan.hash}</code>
      </p>
      <ErrorNotice error={error} />
      {error && <Again plan={plan} />}
      <button
        type="button"
        class={plan.action === 'delete' ? 'danger' : 'primary'}
        onClick={apply}
        aria-disabled={busy}
      >
        {busy ? 'Applying…' : 'Apply this plan'}
      </button>
    </section>
  );
}

/** The same wish, compared with the world as it is now. */
function Again({ plan }: { plan: Plan }) {
  const client = useClient();
  const { busy, error, run } = useAction();
  if (plan.wanted === null || plan.action !== 'put') return <Cure plan={plan} />;
  const wanted = plan.wanted;
  const again = (): void =>
    run(async () => {
      const next = await client.requestPlan(wanted);
      navigate(['plans', next.id]);
    });
  return (
    <>
      <p>The server has changed since this plan was made.</p>
      <ErrorNotice error={error} />
      <button type="button" onClick={again} aria-disabled={busy}>
        Plan again
      </button>
    </>
  );
}
