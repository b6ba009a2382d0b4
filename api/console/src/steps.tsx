import type { PropertyChange, Step } from '../../../client/src/index.ts';
import { Badge, TableRegion } from './parts.tsx';

/** `postgresql:index/role:Role` → `Role`. */
export function kindOf(type: string): string {
  return type.slice(type.lastIndexOf(':') + 1);
}

function text(value: unknown): string {
  if (value === undefined) return '–';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What is done, or differs, for each resource: properties before and after, and what PostgreSQL is told. */
export function Steps({ steps, from, to }: { steps: readonly Step[]; from: string; to: string }) {
  const changed = steps.filter(({ operation }) => operation !== 'same' && operation !== 'read');
  const same = steps.length - changed.length;
  return (
    <>
      {changed.length === 0 && <p>No resource differs.</p>}
      <ol class="steps">
        {changed.map((step) => (
          <li key={`${step.urn} ${step.operation}`}>
            <h3>
              <Badge value={step.operation} /> {kindOf(step.type)} <code>{step.name}</code>
            </h3>
            {step.changes.length > 0 && <Changes step={step} from={from} to={to} />}
            {step.sql.length > 0 && (
              <details open>
                <summary>SQL ({step.sql.length})</summary>
                <pre>
                  <code>{step.sql.join('\n')}</code>
                </pre>
              </details>
            )}
          </li>
        ))}
      </ol>
      {changed.length > 0 && same > 0 && <p>{same} more stay as they are.</p>}
    </>
  );
}

function Changes({ step, from, to }: { step: Step; from: string; to: string }) {
  return (
    <TableRegion label={`Properties of ${kindOf(step.type)} ${step.name}`}>
      <thead>
        <tr>
          <th scope="col">Property</th>
          <th scope="col">{from}</th>
          <th scope="col">{to}</th>
        </tr>
      </thead>
      <tbody>
        {step.changes.map((change: PropertyChange) => (
          <tr key={change.path}>
            <th scope="row">
              <code>{change.path}</code>
            </th>
            <td>
              <code class="from">{text(change.from)}</code>
            </td>
            <td>
              <code class="to">{text(change.to)}</code>
            </td>
          </tr>
        ))}
      </tbody>
    </TableRegion>
  );
}
