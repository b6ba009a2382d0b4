import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';

export type SslMode = 'disable' | 'require' | 'verify-ca' | 'verify-full';

/**
 * What `pg` needs for a mode of libpq, which it does not know itself.
 *
 * `require` with a certificate authority verifies it, as libpq does:
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-SSLMODE-STATEMENTS
 *
 * @param rootCertificateFile path of the certificate authority in PEM; @default the system's
 * @throws when the file cannot be read.
 */
export function sslOptions(mode: SslMode, rootCertificateFile?: string): ConnectionOptions | false {
  if (mode === 'disable') return false;
  const ca = rootCertificateFile ? { ca: readFileSync(rootCertificateFile, 'utf8') } : {};
  if (mode === 'verify-full') return { ...ca, rejectUnauthorized: true };
  const verified = mode === 'verify-ca' || rootCertificateFile !== undefined;
  return { ...ca, rejectUnauthorized: verified, checkServerIdentity: () => undefined };
}

/**
 * Connection settings from libpq's environment variables PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE
 * (@default disable) and PGSSLROOTCERT.
 *
 * @throws on an unknown mode.
 */
export function connectionSettings(environment: NodeJS.ProcessEnv): pg.ClientConfig {
  const mode = environment.PGSSLMODE ?? 'disable';
  if (mode !== 'disable' && mode !== 'require' && mode !== 'verify-ca' && mode !== 'verify-full') {
    throw new Error(`PGSSLMODE is "${mode}": use disable, require, verify-ca or verify-full`);
  }
  return {
    host: environment.PGHOST ?? '127.0.0.1',
    port: Number(environment.PGPORT ?? 5432),
    database: environment.PGDATABASE ?? 'postgres',
    user: environment.PGUSER ?? 'postgres',
    password: environment.PGPASSWORD ?? '',
    ssl: sslOptions(mode, environment.PGSSLROOTCERT),
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    application_name: 'development-operations',
  };
}

/** Longest time for an answer, in milliseconds: a connection that went dead without a word is given up. */
const ANSWER = 30_000;

/** A pool that survives the loss of its connections: a client that breaks is replaced by the next query. */
export function createPool(settings: pg.ClientConfig, max: number, onError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({ query_timeout: ANSWER, ...settings, max, idleTimeoutMillis: 60_000 });
  pool.on('error', onError);
  // A client that is out of the pool reports its loss with its next query, too; without a listener it ends the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Errors of the operating system, and classes 08 and 57P of PostgreSQL (appendix A): the connection, not the query. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some(isConnectionError);
  const code = 'code' in error ? String(error.code) : '';
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN)/.test(code)) return true;
  if (/^(08|57P|53300)/.test(code)) return true;
  return /Connection terminated|connection error and is not queryable|timeout exceeded when trying|Client was closed/i.test(
    error.message,
  );
}
