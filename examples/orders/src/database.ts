import { readFileSync } from 'node:fs';
import pg from 'pg';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The connection's settings from libpq's environment variables
 * (https://www.postgresql.org/docs/current/libpq-envars.html). `pg` reads PGHOST, PGPORT, PGUSER, PGPASSWORD and
 * PGDATABASE itself; it does not read PGSSLROOTCERT, so TLS is set up here, with libpq's meaning of PGSSLMODE.
 * Unlike libpq, an unset PGSSLMODE never falls back to plain text on the network.
 *
 * @throws Error when PGSSLMODE is not supported or PGSSLROOTCERT cannot be read.
 */
export function connectionConfig(environment: Environment, applicationName: string): pg.ClientConfig {
  return {
    application_name: applicationName,
    connectionTimeoutMillis: 3_000,
    keepAlive: true,
    ssl: tlsOptions(environment),
  };
}

/**
 * The service's connections. No statement may hold one for long: a request that waits for a lock fails instead of
 * taking all others with it.
 *
 * @throws Error as {@link connectionConfig}.
 */
export function createPool(environment: Environment): pg.Pool {
  return new pg.Pool({
    ...connectionConfig(environment, 'orders'),
    max: 10,
    idleTimeoutMillis: 30_000,
    statement_timeout: 5_000,
    lock_timeout: 2_000,
    idle_in_transaction_session_timeout: 10_000,
    // The server's own limits do not help when the network swallows the answer.
    query_timeout: 7_000,
  });
}

/** TLS as libpq understands it: https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION */
export function tlsOptions(environment: Environment): pg.ClientConfig['ssl'] {
  const mode = environment.PGSSLMODE || (isLocal(environment.PGHOST) ? 'disable' : 'verify-full');
  if (mode === 'disable') return false;
  if (mode !== 'require' && mode !== 'verify-ca' && mode !== 'verify-full') {
    throw new Error(`PGSSLMODE is "${mode}": expected disable, require, verify-ca or verify-full`);
  }
  const ca = rootCertificate(environment.PGSSLROOTCERT);
  if (mode === 'verify-full') return { ca, rejectUnauthorized: true };
  // With a root certificate, libpq's "require" checks the chain like "verify-ca".
  const checksChain = mode === 'verify-ca' || ca !== undefined;
  return { ca, rejectUnauthorized: checksChain, checkServerIdentity: () => undefined };
}

/** Undefined means the authorities that Node.js trusts. */
function rootCertificate(path: string | undefined): string | undefined {
  if (path === undefined || path === '' || path === 'system') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`PGSSLROOTCERT cannot be read: ${why}; name the file with the server's authority in PEM`);
  }
}

/** A socket's folder, or this machine. */
function isLocal(host: string | undefined): boolean {
  return host === undefined || host === '' || host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host);
}

/**
 * SQLSTATE classes of what may work later: connection, authorisation, no database, serialisation and deadlock,
 * resources, object in use (a lock that was not had in time), operator intervention.
 */
const UNAVAILABLE_CLASSES = ['08', '28', '3D', '40', '53', '55', '57'];
const NETWORK_CODES = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
];

/** Whether a failed query says that the database is away or overloaded, rather than that the query is wrong. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') {
    return error instanceof pg.DatabaseError ? UNAVAILABLE_CLASSES.includes(code.slice(0, 2)) : isNetworkCode(code);
  }
  // `pg` gives its own time-outs and lost connections no code.
  return /timeout|connection terminated|not queryable/i.test(error.message);
}

function isNetworkCode(code: string): boolean {
  return NETWORK_CODES.includes(code) || code.startsWith('ERR_TLS') || /CERT/.test(code);
}
