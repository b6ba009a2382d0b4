import type { Operation, OperationStatus } from '../../../../client/src/index.ts';
import { useLoad } from '../load.ts';
import { Pages } from '../pages.tsx';
import { Badge, ErrorNotice, Heading, Loading, Moment, TableRegion } from '../parts.tsx';
import { href, navigate } from '../router.ts';
import { useClient } from '../session.ts';

const STATUSES: readonly OperationStatus[] = ['queued', 'running', 'succeeded', 'failed', 'canceled'];

/** What was done and is being done, the newest first. */
export function OperationsView({ query }: { query: URLSearchParams }) {
  const client = useClient();
  const status = STATUSES.find((value) => value === query.get('status'));
  const database = query.get('database') ?? undefined;
  const environment = query.get('environment') ?? undefined;
  const cursor = query.get('cursor') ?? undefined;
  const page = useLoad(`operations?${query}`, (signal) =>
    client.operationPage({ environment, status, database }, { limit: 25, cursor, signal }),
  );
  const filter = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string): string => String(data.get(name) ?? '').trim();
    navigate(['operations'], { environment, status: given('status'), database: given('database') });
  };
  return (
    <>
      <Heading title="Operations">
        <button type="button" onClick={page.reload}>
          Refresh
        </button>
      </Heading>
      <search aria-label="Operations">
        <form class="filter" onSubmit={filter} key={String(query)}>
          <label>
            Status
            <select name="status">
              <option value="">all</option>
              {STATUSES.map((name) => (
                <option key={name} selected={name === status}>
                  {name}
                </option>
              ))}
            </select>
          </label>
          <label>
            Database
            <input name="database" defaultValue={database} spellcheck={false} autocomplete="off" />
          </label>
          <button type="submit">Filter</button>
        </form>
      </search>
      <ErrorNotice error={page.error} />
      {page.data === undefined && page.loading && <Loading what="operations" />}
      {page.data?.items.length === 0 && <p>No operation matches.</p>}
      {page.data !== undefined && page.data.items.length > 0 && <OperationTable operations={page.data.items} />}
      <Pages path={['operations']} query={query} next={page.data?.next ?? null} />
    </>
  );
}

export function OperationTable({ operations }: { operations: readonly Operation[] }) {
  return (
    <TableRegion label="Operations">
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col">Database</th>
          <th scope="col">Status</th>
          <th scope="col">Asked for</th>
          <th scope="col">By</th>
        </tr>
      </thead>
      <tbody>
        {operations.map((operation) => (
          <tr key={operation.id}>
            <th scope="row">
              <a href={href(['operations', operation.id])}>
                {operation.kind} <code>{operation.id.slice(0, 8)}</code>
              </a>
            </th>
            <td>
              {operation.environment}/{operation.database}
            </td>
            <td>
              <Badge value={operation.status} />
            </td>
            <td>
              <Moment at={operation.createdAt} />
            </td>
            <td>{operation.requestedBy}</td>
          </tr>
        ))}
      </tbody>
    </TableRegion>
  );
}
