import type { Finding } from '../../components/findings.ts';
import { physicalNames } from '../../components/postgres/arguments.ts';
import { databaseName, identifierProblem } from '../../components/postgres/identifiers.ts';
import type { ApplicationConfiguration, Configuration, DatabaseConfiguration, ImagesConfiguration } from '../config.ts';
import { type Add, type Claims, claim } from './claims.ts';
import { keyPath } from './findings.ts';
import { claimOperations, operationsFindings } from './operationsRelations.ts';

export { OPERATIONS_API } from './operationsRelations.ts';

/** What no single value shows: references between keys, and names that must differ. */
export function relationFindings(configuration: Configuration): Finding[] {
  const found: Finding[] = [];
  const add: Add = (path, problem) => problem && found.push({ path: keyPath(path), problem });
  sectionFindings(configuration, add);
  operationsFindings(configuration, add);
  const claims: Claims = new Map();
  claimOperations(configuration, claims, add);
  for (const name of Object.keys(configuration.applications).sort()) {
    const application = configuration.applications[name];
    if (!application) continue;
    const path = ['applications', name];
    claim(claims, 'application', name, path, add);
    referenceFindings(application, path, add);
    if (application.database) databaseFindings(configuration, name, application.database, path, claims, add);
    objectFindings(name, application, path, claims, add);
    if (!configuration.registry) continue;
    for (const target of Object.keys(application.images.targets).sort()) {
      const at = [...path, 'images', 'targets', target];
      claim(
        claims,
        'repository',
        imageRepository(configuration, { name, images: application.images }, target),
        at,
        add,
      );
    }
  }
  pullFindings(configuration, add);
  return found;
}

/** The repository of one image, with its registry. */
export function imageRepository(
  configuration: Configuration,
  { name, images }: { readonly name: string; readonly images: ImagesConfiguration },
  target: string,
): string {
  const { server, repositoryPrefix } = configuration.registry;
  const last = target === 'main' ? name : `${name}-${target}`;
  return [server, images.targets[target]?.repository ?? [repositoryPrefix, last].filter(Boolean).join('/')].join('/');
}

/** What the database of an application is made of, with the defaults that depend on other keys. */
export function tenantDatabase(configuration: Configuration, application: string, database: DatabaseConfiguration) {
  return {
    database: database.name ?? databaseName(application, configuration.environment),
    schemas: database.schemas ?? [application.replaceAll('-', '_')],
    roles: database.roles,
  };
}

function sectionFindings(configuration: Configuration, add: Add): void {
  if (configuration.stack === 'images') return;
  if (!configuration.kubernetes) add(['kubernetes'], 'is missing: expected a mapping with at least "namespace"');
  const user = Object.keys(configuration.applications).find((name) => configuration.applications[name]?.database);
  if (user && !configuration.database) {
    add(
      ['database'],
      `is missing, and ${keyPath(['applications', user, 'database'])} needs it: expected the server's address and administrator`,
    );
  }
}

function referenceFindings(application: ApplicationConfiguration, path: readonly PropertyKey[], add: Add): void {
  const targets = Object.keys(application.images.targets);
  if (!targets.includes('main'))
    add([...path, 'images', 'targets'], 'has no "main": expected the image of the application itself');
  const { migrations, database } = application;
  if (migrations && !targets.includes(migrations.image)) {
    add(
      [...path, 'migrations', 'image'],
      `names no image target "${migrations.image}": expected one of ${targets.join(', ')}`,
    );
  }
  const roles = Object.keys(database?.roles ?? {});
  if (database && migrations && !roles.includes(migrations.role)) {
    add(
      [...path, 'migrations', 'role'],
      `names no login role "${migrations.role}": expected one of ${roles.join(', ')}`,
    );
  }
  if (database && !roles.includes(database.role)) {
    add([...path, 'database', 'role'], `names no login role "${database.role}": expected one of ${roles.join(', ')}`);
  }
  if (application.environment.PORT !== undefined) {
    add([...path, 'environment', 'PORT'], 'is set from service.targetPort: take it out');
  }
  for (const name of Object.keys(application.secrets)) {
    if (name in application.environment)
      add([...path, 'secrets', name], 'is also in "environment": keep it in one place');
  }
}

function databaseFindings(
  configuration: Configuration,
  name: string,
  database: DatabaseConfiguration,
  path: readonly PropertyKey[],
  claims: Claims,
  add: Add,
): void {
  const at = [...path, 'database'];
  const tenant = tenantDatabase(configuration, name, database);
  add([...at, 'name'], identifierProblem('database', tenant.database));
  claim(claims, 'database', tenant.database, [...at, 'name'], add);
  for (const [index, schema] of tenant.schemas.entries()) {
    if (tenant.schemas.indexOf(schema) !== index)
      add([...at, 'schemas', index], `"${schema}" is named twice: keep one`);
    if (schema === 'public') add([...at, 'schemas', index], '"public" is closed to all: use a schema of your own');
  }
  const names = physicalNames(tenant);
  add([...at, 'name'], withName(names.owner, identifierProblem('role', names.owner)));
  claim(claims, 'role', names.owner, at, add);
  for (const role of Object.keys(names.roles).sort()) {
    const physical = names.roles[role] ?? '';
    add([...at, 'roles', role], withName(physical, identifierProblem('role', physical)));
    claim(claims, 'role', physical, [...at, 'roles', role], add);
  }
}

/** The Secrets whose names are made of the application's: `a` with a role `b-secrets` meets `a-database-b`. */
function objectFindings(
  name: string,
  application: ApplicationConfiguration,
  path: readonly PropertyKey[],
  claims: Claims,
  add: Add,
): void {
  if (Object.keys(application.secrets).length > 0) {
    claim(claims, 'Kubernetes Secret', `${name}-secrets`, [...path, 'secrets'], add);
  }
  for (const role of Object.keys(application.database?.roles ?? {})) {
    claim(claims, 'Kubernetes Secret', `${name}-database-${role}`, [...path, 'database', 'roles', role], add);
  }
}

function pullFindings(configuration: Configuration, add: Add): void {
  const seen = new Set([configuration.registry?.server]);
  for (const [index, { server }] of (configuration.registry?.pullFrom ?? []).entries()) {
    if (seen.has(server))
      add(['registry', 'pullFrom', index, 'server'], `"${server}" is named twice: keep one entry for each registry`);
    seen.add(server);
  }
}

function withName(name: string, problem: string | undefined): string | undefined {
  return problem && `makes the role "${name}", which ${problem}`;
}
