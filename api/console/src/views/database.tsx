import type { DatabaseRecord, WantedDatabase } from '../../../../client/src/index.ts';
import { announce } from '../announce.tsx';
import { GraphView } from '../graph.tsx';
import { useAction, useLoad } from '../load.ts';
import { Badge, ErrorNotice, Heading, Loading, Moment, TableRegion } from '../parts.tsx';
import { href, navigate } from '../router.ts';
import { useClient } from '../session.ts';
import { Steps } from '../steps.tsx';
import { OperationTable } from './operations.tsx';

interface Props {
  readonly environment: string;
  readonly name: string;
}

/** One database: what it shall be, what it consists of, whether the server still agrees, what was done. */
export function DatabaseView({ environment, name }: Props) {
  const client = useClient();
  const record = useLoad('record', (signal) => client.database({ environment, name }, { signal }));
  const address = ['databases', environment, name];
  const rotation = useAction();
  const rotate = (): void =>
    rotation.run(async () => {
      const { id } = await client.rotate({ environment, name });
      navigate(['operations', id]);
    });
  return (
    <>
      <Heading title={`Database ${name}`}>{record.data && <Badge value={record.data.status} />}</Heading>
      <ErrorNotice error={record.error} />
      {record.data === undefined && record.loading && <Loading what="the database" />}
      {record.data && (
        <>
          <p>
            Environment {environment}, made <Moment at={record.data.createdAt} />, changed{' '}
            <Moment at={record.data.updatedAt} />.{' '}
            <a href={href(['operations', record.data.lastOperationId])}>The last operation</a>
          </p>
          <ul class="actions" aria-label="Actions">
            <li>
              <a class="button" href={href([...address, 'change'])}>
                Change
              </a>
            </li>
            <li>
              <button type="button" onClick={rotate} aria-disabled={rotation.busy}>
                Rotate passwords
              </button>
            </li>
            <li>
              <a class="button danger" href={href([...address, 'delete'])}>
                Delete
              </a>
            </li>
          </ul>
          <ErrorNotice error={rotation.error} />
          <Wanted wanted={record.data.applied} />
          <GraphSection environment={environment} name={name} />
          <DriftSection environment={environment} name={name} drift={record.data.drift} reload={record.reload} />
          <History environment={environment} name={name} />
        </>
      )}
    </>
  );
}

function Wanted({ wanted }: { wanted: WantedDatabase | null }) {
  return (
    <section aria-labelledby="wanted">
      <h2 id="wanted">Wanted state</h2>
      {wanted === null ? (
        <p>Nothing was applied yet.</p>
      ) : (
        <>
          <dl>
            <dt>Schemas</dt>
            <dd>{wanted.schemas.length > 0 ? wanted.schemas.join(', ') : 'none'}</dd>
            <dt>Connection limit</dt>
            <dd>{limitText(wanted.connectionLimit)}</dd>
            <dt>Credentials</dt>
            <dd>
              {wanted.credentials.type === 'secret'
                ? `Secrets in the namespace ${wanted.credentials.namespace}`
                : 'returned once'}
            </dd>
          </dl>
          <TableRegion label="Roles">
            <thead>
              <tr>
                <th scope="col">Role</th>
                <th scope="col">In PostgreSQL</th>
                <th scope="col">Access</th>
                <th scope="col">Connection limit</th>
              </tr>
            </thead>
            <tbody>
              {Object.entries(wanted.roles).map(([role, { access, connectionLimit }]) => (
                <tr key={role}>
                  <th scope="row">{role}</th>
                  <td>
                    <code>
                      {wanted.name}_{role}
                    </code>
                  </td>
                  <td>{access}</td>
                  <td>{limitText(connectionLimit)}</td>
                </tr>
              ))}
            </tbody>
          </TableRegion>
        </>
      )}
    </section>
  );
}

function limitText(limit: number | undefined): string {
  return limit === undefined || limit === -1 ? 'no limit' : String(limit);
}

function GraphSection(reference: Props) {
  const client = useClient();
  const graph = useLoad('graph', (signal) => client.graph(reference, { signal }));
  return (
    <section aria-labelledby="graph">
      <h2 id="graph">Dependency graph</h2>
      <ErrorNotice error={graph.error} />
      {graph.data === undefined && graph.loading && <Loading what="the graph" />}
      {graph.data && <GraphView graph={graph.data} />}
    </section>
  );
}

function DriftSection(props: Props & { readonly drift: DatabaseRecord['drift']; readonly reload: () => void }) {
  const { environment, name, drift, reload } = props;
  const client = useClient();
  const check = useAction();
  const begin = (): void =>
    check.run(async () => {
      announce('Comparing with the server');
      const { id } = await client.drift({ environment, name });
      const operation = await client.waitForOperation(id);
      const differs = operation.steps.filter(({ operation: kind }) => kind !== 'same').length;
      announce(differs === 0 ? 'No resource differs' : `${differs} resources differ`);
      reload();
    });
  return (
    <section aria-labelledby="drift">
      <h2 id="drift">Drift</h2>
      <p>
        {drift === null ? (
          'Not compared with the server yet.'
        ) : (
          <>
            Compared with the server <Moment at={drift.at} />.
          </>
        )}{' '}
        <button type="button" onClick={begin} aria-disabled={check.busy}>
          {check.busy ? 'Checking…' : 'Check now'}
        </button>
      </p>
      <ErrorNotice error={check.error} />
      {drift && <Steps steps={drift.steps} from="Applied" to="On the server" />}
    </section>
  );
}

function History({ environment, name }: Props) {
  const client = useClient();
  const page = useLoad('history', (signal) =>
    client.operationPage({ environment, database: name }, { limit: 10, signal }),
  );
  return (
    <section aria-labelledby="history">
      <h2 id="history">History</h2>
      <ErrorNotice error={page.error} />
      {page.data && page.data.items.length > 0 && <OperationTable operations={page.data.items} />}
      <p>
        <a href={href(['operations'], { environment, database: name })}>All operations of this database</a>
      </p>
    </section>
  );
}
