import { useEffect } from 'preact/hooks';
import type { DatabaseStatus } from '../../../../client/src/index.ts';
import { announce } from '../announce.tsx';
import { useLoad } from '../load.ts';
import { Pages } from '../pages.tsx';
import { Badge, ErrorNotice, Heading, Loading, Moment, TableRegion } from '../parts.tsx';
import { href, navigate } from '../router.ts';
import { useClient } from '../session.ts';

const STATUSES: readonly DatabaseStatus[] = ['creating', 'ready', 'changing', 'deleting', 'failed', 'deleted'];

/** All databases that the caller may read, filtered, page by page. */
export function DatabasesView({ query }: { query: URLSearchParams }) {
  const client = useClient();
  const environment = query.get('environment') ?? undefined;
  const status = STATUSES.find((value) => value === query.get('status'));
  const prefix = query.get('prefix') ?? undefined;
  const cursor = query.get('cursor') ?? undefined;
  const environments = useLoad('environments', (signal) => client.environments({ signal }));
  const page = useLoad(`databases?${query}`, (signal) =>
    client.databasePage({ environment, status, prefix }, { limit: 25, cursor, signal }),
  );
  const count = page.data?.items.length;
  useEffect(() => {
    if (count !== undefined) announce(`${count} databases on this page`);
  }, [count]);
  const filter = (event: Event): void => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const given = (name: string): string => String(data.get(name) ?? '').trim();
    navigate(['databases'], { environment: given('environment'), status: given('status'), prefix: given('prefix') });
  };
  return (
    <>
      <Heading title="Databases">
        <a class="button primary" href={href(['new'])}>
          New database
        </a>
      </Heading>
      <search aria-label="Databases">
        <form class="filter" onSubmit={filter} key={String(query)}>
          <label>
            Environment
            <select name="environment">
              <option value="">all</option>
              {environments.data?.map(({ name }) => (
                <option key={name} selected={name === environment}>
                  {name}
                </option>
              ))}
            </select>
          </label>
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
            Name begins with
            <input name="prefix" defaultValue={prefix} spellcheck={false} autocomplete="off" />
          </label>
          <button type="submit">Filter</button>
        </form>
      </search>
      <ErrorNotice error={environments.error ?? page.error} />
      {page.data === undefined && page.loading && <Loading what="databases" />}
      {page.data?.items.length === 0 && <p>No database matches.</p>}
      {page.data !== undefined && page.data.items.length > 0 && (
        <TableRegion label="Databases">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Environment</th>
              <th scope="col">Status</th>
              <th scope="col">Drift</th>
              <th scope="col">Changed</th>
            </tr>
          </thead>
          <tbody>
            {page.data.items.map((database) => (
              <tr key={`${database.environment} ${database.name}`}>
                <th scope="row">
                  <a href={href(['databases', database.environment, database.name])}>{database.name}</a>
                </th>
                <td>{database.environment}</td>
                <td>
                  <Badge value={database.status} />
                </td>
                <td>{driftText(database.drift)}</td>
                <td>
                  <Moment at={database.updatedAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </TableRegion>
      )}
      <Pages path={['databases']} query={query} next={page.data?.next ?? null} />
    </>
  );
}

function driftText(drift: { readonly steps: readonly { readonly operation: string }[] } | null): string {
  if (drift === null) return 'not checked';
  const differs = drift.steps.filter(({ operation }) => operation !== 'same').length;
  return differs === 0 ? 'none' : `${differs} differ`;
}
