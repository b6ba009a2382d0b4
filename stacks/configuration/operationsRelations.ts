import { physicalNames } from '../../components/postgres/arguments.ts';
import { databaseName, identifierProblem } from '../../components/postgres/identifiers.ts';
import type { Configuration } from '../config.ts';
import { type Add, type Claims, claim } from './claims.ts';

/** Names in Kubernetes, and of the components. */
export const OPERATIONS_API = 'operations-api';
export const GATEWAY = 'gateway';
export const LOAD_BALANCER = 'load-balancer';

/** The operations API's own database: its records, its queue, and the state of all stacks. */
export function operationsDatabase({ environment }: Pick<Configuration, 'environment'>) {
  return {
    database: databaseName('operations', environment),
    // The service makes its schemas itself, so its role acts as the owner.
    schemas: ['development_operations'],
    roles: { service: { access: 'owner' } },
  } as const;
}

/** The role with which the operations API makes databases. */
export function administratorRole(configuration: Pick<Configuration, 'environment'>): string {
  return `${databaseName('operations', configuration.environment)}_admin`;
}

/** Which sections need which, and what they name. */
export function operationsFindings(configuration: Configuration, add: Add): void {
  const { gateway, loadBalancer, operationsApi, database } = configuration;
  if (configuration.stack === 'images') return;
  if (loadBalancer && !gateway) add(['gateway'], 'is missing, and the load balancer leads to it: expected a mapping');
  if (operationsApi && !gateway) add(['gateway'], 'is missing: only through it is the operations API reached');
  if (operationsApi && !database) {
    add(['database'], "is missing, and the operations API needs it: expected the server's address and administrator");
  }
  if (loadBalancer?.profile === 'nodePort' && !loadBalancer.nodeAddress) {
    add(['loadBalancer', 'nodeAddress'], 'is missing: the profile nodePort needs the address of a node');
  }
  routeFindings(configuration, add);
}

function routeFindings({ gateway, operationsApi, applications }: Configuration, add: Add): void {
  for (const [name, route] of Object.entries(gateway?.routes ?? {})) {
    const path = ['gateway', 'routes', name];
    if (!applications[route.application]) {
      const known = Object.keys(applications).sort().join(', ') || 'there is none';
      add([...path, 'application'], `names no application "${route.application}": expected one of ${known}`);
    }
    if (route.authentication.type === 'oidc' && !operationsApi) {
      add([...path, 'authentication'], 'needs "operationsApi": its image has the authenticator, and it the issuers');
    }
    if (operationsApi && route.host === gateway?.host) {
      add([...path, 'host'], `"${route.host}" is the host of the operations API: use another`);
    }
  }
}

/** The names that are taken where these sections are there. */
export function claimOperations(configuration: Configuration, claims: Claims, add: Add): void {
  const { gateway, loadBalancer, operationsApi } = configuration;
  if (gateway) claim(claims, 'application', GATEWAY, ['gateway'], add);
  if (loadBalancer) claim(claims, 'application', LOAD_BALANCER, ['loadBalancer'], add);
  if (!operationsApi) return;
  const path = ['operationsApi'];
  claim(claims, 'application', OPERATIONS_API, path, add);
  const own = operationsDatabase(configuration);
  claim(claims, 'database', own.database, path, add);
  const names = physicalNames(own);
  const roles = [names.owner, ...Object.values(names.roles), administratorRole(configuration)];
  for (const role of roles) {
    add(path, withName(role, identifierProblem('role', role)));
    claim(claims, 'role', role, path, add);
  }
  for (const suffix of ['keys', 'database-service']) {
    claim(claims, 'Kubernetes Secret', `${OPERATIONS_API}-${suffix}`, path, add);
  }
}

function withName(name: string, problem: string | undefined): string | undefined {
  return problem && `makes the role "${name}", which ${problem}`;
}
