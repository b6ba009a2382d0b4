/** From `Pulumi.review.yaml` to the configuration of one pull request's environment. Pure. */

import { parse, stringify } from 'yaml';
import { type PhysicalNames, physicalNames } from '../../components/postgres/arguments.ts';
import type { Configuration } from '../../stacks/config.ts';
import { PROJECT } from '../../stacks/configuration/findings.ts';
import type { Environment } from '../../stacks/configuration/leaves.ts';
import { tenantDatabase } from '../../stacks/configuration/relations.ts';
import { configurationSchema } from '../../stacks/configuration/schema.ts';

const NUMBER = /<number>/g;
const PREFIX = `${PROJECT}:`;

/** What the environment is made of, by the names that others see. */
export interface ReviewNames {
  readonly namespace: string;
  readonly databases: readonly string[];
  readonly roles: readonly string[];
  /** Hosts of the gateway. */
  readonly hosts: readonly string[];
  /** Addresses below them, by the application that they lead to. */
  readonly routes: readonly { readonly application: string; readonly host: string; readonly path: string }[];
}

/** The template's text with the number of the pull request in every value that has `<number>`. */
export function renderTemplate(text: string, pullRequest: number): string {
  return stringify(replaced(parse(text), pullRequest));
}

function replaced(value: unknown, pullRequest: number): unknown {
  if (typeof value === 'string') return value.replace(NUMBER, String(pullRequest));
  if (Array.isArray(value)) return value.map((item) => replaced(item, pullRequest));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, pullRequest)]));
}

/** The configuration of a rendered template; undefined when it is not valid, which the program says best. */
export function readRendered(text: string, stack: string, environment: Environment): Configuration | undefined {
  const { config = {} } = (parse(text) ?? {}) as { config?: Record<string, unknown> };
  const values = Object.entries(config)
    .filter(([key]) => key.startsWith(PREFIX))
    .map(([key, value]) => [key.slice(PREFIX.length), withoutEncrypted(value)]);
  const result = configurationSchema(environment, stack).safeParse(Object.fromEntries(values));
  return result.success ? result.data : undefined;
}

/** An encrypted text is a text. */
function withoutEncrypted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEncrypted);
  if (typeof value !== 'object' || value === null) return value;
  if ('secure' in value) return 'encrypted';
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutEncrypted(item)]));
}

export function namesOf(configuration: Configuration): ReviewNames {
  const databases: string[] = [];
  const roles: string[] = [];
  for (const [name, { database }] of Object.entries(configuration.applications)) {
    if (!database) continue;
    const tenant = tenantDatabase(configuration, name, database);
    const physical: PhysicalNames = physicalNames(tenant);
    databases.push(tenant.database);
    roles.push(physical.owner, ...Object.values(physical.roles));
  }
  const routes = Object.values(configuration.gateway?.routes ?? {});
  return {
    namespace: configuration.kubernetes?.namespace ?? '',
    databases: databases.sort(),
    roles: roles.sort(),
    hosts: [...(configuration.gateway ? [configuration.gateway.host] : []), ...routes.map(({ host }) => host)],
    routes: routes.map(({ application, host, path }) => ({ application, host, path })),
  };
}

/**
 * Why environments of this template would share something, or could not be removed again.
 *
 * @param other the same template, rendered for another pull request
 */
export function templateProblems(configuration: Configuration, other: Configuration): string[] {
  const [names, others] = [namesOf(configuration), namesOf(other)];
  const own = (what: string, values: readonly string[], same: readonly string[]) =>
    values
      .filter((value) => same.includes(value))
      .map((value) => `the ${what} "${value}" is the same for every pull request: put <number> into its name`);
  return [
    ...own('namespace', [names.namespace], [others.namespace]),
    ...own('database', names.databases, others.databases),
    ...own('role', names.roles, others.roles),
    ...own('host', [...new Set(names.hosts)], others.hosts),
    ...(configuration.kubernetes?.createNamespace === false
      ? ['kubernetes.createNamespace is false, so the namespace would stay: leave it out']
      : []),
    ...Object.entries(configuration.applications)
      .filter(([, { database }]) => database?.protect)
      .map(([name]) => `the database of "${name}" is protected, so it would stay: set database.protect to false`),
    ...(configuration.operationsApi ? ['operationsApi is one for a cluster: leave it out'] : []),
    ...(configuration.stack === 'environment' ? [] : [`stack is "${configuration.stack}": leave it out`]),
  ];
}
