/** Looks in the cluster and on the database server for what should be gone: not by the engine, which believes its state. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import pg from 'pg';
import { parse } from 'yaml';
import { serverConfig } from '../../plugins/postgresql/config.ts';
import type { Configuration } from '../../stacks/config.ts';
import { PROJECT } from '../../stacks/configuration/findings.ts';
import type { State } from '../engine/deployed.ts';
import { pulumi } from '../engine/run.ts';
import type { Target } from '../engine/target.ts';
import { WorkflowError } from '../failure.ts';
import { namesOf } from './template.ts';

export interface Expected {
  readonly namespaces: readonly string[];
  readonly databases: readonly string[];
  readonly roles: readonly string[];
}

/** What the configuration names, and what the state has: either may be what is left of an older configuration. */
export function expectedNames(configuration: Configuration, state: Pick<State, 'resources'> | undefined): Expected {
  const { namespace, databases, roles } = namesOf(configuration);
  const ids = (type: string) =>
    (state?.resources ?? []).filter((resource) => resource.type === type).flatMap(({ id }) => (id ? [id] : []));
  const all = (...names: string[]) => [...new Set(names.filter((name) => name !== ''))].sort();
  return {
    namespaces: all(namespace, ...ids('kubernetes:core/v1:Namespace')),
    databases: all(...databases, ...ids('postgresql:index/database:Database')),
    roles: all(...roles, ...ids('postgresql:index/role:Role')),
  };
}

/**
 * What is still there, as a person would say it: `namespace "orders-pr-12"`.
 *
 * @throws WorkflowError when the cluster or the server cannot be asked
 */
export async function whatIsLeft(target: Target, configuration: Configuration, expected: Expected): Promise<string[]> {
  const [namespaces, server] = await Promise.all([
    leftInCluster(target, configuration, expected.namespaces),
    leftOnServer(target, configuration, expected),
  ]);
  return [...namespaces, ...server];
}

async function leftInCluster(
  { project }: Target,
  { kubernetes }: Configuration,
  names: readonly string[],
): Promise<string[]> {
  const config = new KubeConfig();
  const { kubeconfig, context } = kubernetes ?? {};
  if (kubeconfig === undefined) config.loadFromDefault();
  else if (kubeconfig.includes('\n')) config.loadFromString(kubeconfig);
  else config.loadFromFile(resolve(project, kubeconfig));
  if (context !== undefined) config.setCurrentContext(context);
  const api = config.makeApiClient(CoreV1Api);
  const left: string[] = [];
  for (const name of names) {
    try {
      const { status } = await api.readNamespace({ name });
      left.push(
        `namespace "${name}"${status?.phase === 'Terminating' ? ', which is being deleted and does not end' : ''}`,
      );
    } catch (error) {
      if ((error as { code?: number }).code === 404) continue;
      throw new WorkflowError(
        `cannot ask the Kubernetes cluster whether the namespace "${name}" is gone: ${(error as Error).message}`,
        'see whether it runs and whether this machine may reach it, and run it again',
      );
    }
  }
  return left;
}

async function leftOnServer(
  target: Target,
  configuration: Configuration,
  { databases, roles }: Expected,
): Promise<string[]> {
  const { database } = configuration;
  if (!database || databases.length + roles.length === 0) return [];
  const { host, port, username, password, ssl } = serverConfig({
    host: database.host,
    port: database.port,
    sslmode: database.sslmode,
    sslrootcert: database.rootCertificateFile ? resolve(target.root, database.rootCertificateFile) : null,
    username: await secretAt(target, 'adminUsername'),
    password: await secretAt(target, 'adminPassword'),
  });
  const client = new pg.Client({
    host,
    port,
    user: username,
    password,
    ssl,
    database: database.adminDatabase,
    connectionTimeoutMillis: 30_000,
    query_timeout: 30_000,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ left: string }>(
      `SELECT 'database "' || datname || '"' AS left FROM pg_catalog.pg_database WHERE datname::text = ANY($1)
       UNION ALL SELECT 'role "' || rolname || '"' FROM pg_catalog.pg_roles WHERE rolname::text = ANY($2) ORDER BY 1`,
      [databases, roles],
    );
    return rows.map(({ left }) => left);
  } catch (error) {
    throw new WorkflowError(
      `cannot ask PostgreSQL at ${host}:${port} whether databases and roles are gone: ${(error as Error).message}`,
      'see whether it runs and whether this machine may reach it, and run it again',
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A secret of the section `database`: from the environment, or decrypted by the CLI. */
async function secretAt(target: Target, key: string): Promise<string> {
  const { config = {} } = parse(await readFile(target.configFile, 'utf8')) as {
    config?: Record<string, Record<string, unknown> | undefined>;
  };
  const found = config[`${PROJECT}:database`]?.[key] as { env?: string } | undefined;
  if (found?.env) return target.env[found.env] ?? '';
  const path = `${PROJECT}:database.${key}`;
  const { exitCode, stdout, stderr } = await pulumi(target, ['config', 'get', '--path', path]);
  if (exitCode === 0) return String(stdout).trim();
  throw new WorkflowError(
    `cannot read ${path} of the configuration: ${String(stderr).trim()}`,
    'encrypt it with the passphrase that is handed over, or refer to a variable: { env: NAME }',
  );
}
