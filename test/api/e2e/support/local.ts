/** The local environment as the proofs see it: its cluster, its PostgreSQL, its processes. */

import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import pg from 'pg';
import { createContext } from '../../../../local/context.ts';
import { NODE_ADDRESS, POSTGRES_ADMIN, POSTGRES_PORT } from '../../../../local/facts.ts';
import { caFilePath } from '../../../../local/pki.ts';
import { kubeconfigPath, pulumiEnvironment } from '../../../../local/pulumiEnvironment.ts';
import { secret } from '../../../../local/secrets.ts';

export const context = createContext();
/** The namespace that the stack `local` is deployed to. */
export const NAMESPACE = 'local';
/** Into which the service may write Secrets. */
export const TENANTS = 'tenants';

let environment: Promise<NodeJS.ProcessEnv> | undefined;

/** @throws with kubectl's message */
export async function kubectl(args: readonly string[]): Promise<string> {
  environment ??= pulumiEnvironment(context.root, 'local').then((env) => ({
    ...env,
    KUBECONFIG: kubeconfigPath(context),
  }));
  const { stdout } = await execa('kubectl', ['--namespace', NAMESPACE, ...args], { env: await environment });
  return stdout;
}

export interface ConnectionOptions {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** @default the node's address, which the credentials name too */
  readonly host?: string;
  readonly port?: number;
}

/** Runs `work` with one connection, which is closed afterwards. */
export async function connected<T>(options: ConnectionOptions, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    host: NODE_ADDRESS,
    port: POSTGRES_PORT,
    ssl: { ca: readFileSync(caFilePath(context), 'utf8') },
    connectionTimeoutMillis: 10_000,
    ...options,
  });
  // A connection that the server resets must not end this process: the query says so.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A query as the server's administrator. */
export async function query<Row extends pg.QueryResultRow>(
  text: string,
  values: readonly unknown[] = [],
  database = 'postgres',
): Promise<Row[]> {
  const password = secret(context, 'postgres-password');
  return await connected({ user: POSTGRES_ADMIN, password, database }, async (client) => {
    return (await client.query<Row>(text, [...values])).rows;
  });
}
