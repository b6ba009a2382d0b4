/** What the server and the driver report, in words that name where and the cure. */

import pg from 'pg';
import type { ServerConfig } from './config.ts';

/** An error of the server that a second attempt may not meet. */
const RETRYABLE: ReadonlySet<string> = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55006', // object_in_use: the template is being copied by someone else
  '57P03', // cannot_connect_now: the server is starting
]);

/** Concurrent changes of one catalog row have no code of their own (XX000) but these words. */
const CONCURRENT = /tuple concurrently (?:updated|deleted)/;

/** Two sessions that granted the same membership at once (unique_violation in a catalog). */
const CATALOG_DUPLICATE = /^pg_(?:auth_members|default_acl|shdepend|init_privs)/;

export function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

export function isRetryable(error: unknown): boolean {
  if (RETRYABLE.has(errorCode(error))) return true;
  if (!(error instanceof pg.DatabaseError)) return false;
  if (CONCURRENT.test(error.message)) return true;
  return error.code === '23505' && CATALOG_DUPLICATE.test(error.constraint ?? '');
}

/** The failure to connect, with the place and the cure. Passwords are never part of it. */
export function connectError(error: unknown, config: ServerConfig, database: string): Error {
  const where = `PostgreSQL at ${config.host}:${config.port}`;
  const cause = error instanceof Error ? error.message || errorCode(error) : String(error);
  const make = (message: string) => new Error(message, { cause: error });
  switch (errorCode(error)) {
    case 'ECONNREFUSED':
      return make(`${where} refuses connections: start it, or correct postgresql:host and postgresql:port`);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return make(`${where} is not found (${cause}): correct postgresql:host, or the name server`);
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return make(`${where} is not reachable (${cause}): look at postgresql:host, the network and the firewall`);
    case '28P01':
      return make(`${where} does not accept the password of "${config.username}": correct postgresql:password`);
    case '28000':
      return make(
        `${where} does not let "${config.username}" in to database "${database}" (${cause}): ` +
          'correct postgresql:username and postgresql:sslmode, or the server’s pg_hba.conf',
      );
    case '3D000':
      return make(`${where} has no database "${database}": correct postgresql:database, or create it first`);
    case '53300':
      return make(
        `${where} has no connection left (${cause}): lower postgresql:maxConnections, or raise max_connections`,
      );
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return make(
        `the certificate of ${where} is not signed by a known authority (${cause}): ` +
          'set postgresql:sslrootcert to the authority’s certificate',
      );
    case 'CERT_HAS_EXPIRED':
      return make(`the certificate of ${where} has expired: renew it on the server`);
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return make(
        `the certificate of ${where} is for other names (${cause}): ` +
          'use one of them as postgresql:host, or sslmode verify-ca',
      );
    default:
  }
  if (/does not support SSL/i.test(cause)) {
    return make(`${where} does not offer TLS: switch ssl on there, or set postgresql:sslmode to disable`);
  }
  if (/timeout expired|connection timeout/i.test(cause)) {
    return make(`${where} did not answer within ${config.connectTimeout} s: look at postgresql:host and the network`);
  }
  if (/password must be a string/i.test(cause)) {
    return make(`${where} asks for a password of "${config.username}", and there is none: set postgresql:password`);
  }
  return make(`cannot connect to database "${database}" of ${where} as "${config.username}": ${cause}`);
}

/** A statement's failure: what was attempted, the server's message with its detail and hint, and a cure where one is known. */
export function statementError(error: unknown, doing: string, user: string): Error {
  if (!(error instanceof pg.DatabaseError)) return error instanceof Error ? error : new Error(String(error));
  const parts = [`${doing}: ${error.message}`];
  if (error.detail) parts.push(error.detail);
  if (error.hint) parts.push(error.hint);
  const cure = cureFor(error, user);
  if (cure) parts.push(cure);
  const wrapped = new Error(parts.map((part) => part.replace(/[.\s]+$/, '')).join('. '), { cause: error });
  return Object.assign(wrapped, { code: error.code });
}

/** GRANT or REVOKE went through without an effect. */
export function ineffectiveError(warning: string, doing: string, user: string): Error {
  const cure = `The connected role "${user}" lacks the right: connect as the owner or a superuser, or grant it that role`;
  return new Error(`${doing}: ${warning}. ${cure}`);
}

function cureFor(error: pg.DatabaseError, user: string): string {
  switch (error.code) {
    case '42501':
      return `The connected role "${user}" lacks the right: connect as the owner or a superuser, or grant it that role`;
    case '42710':
    case '42P04':
    case '42P06':
      return 'Import what is there (pulumi import), or choose another name';
    case '42704':
      return 'Create it first, or make this resource depend on the one that creates it (dependsOn)';
    case '55P03':
      return 'Another session holds the lock: end it (pg_stat_activity, pg_locks), or try again';
    default:
      return '';
  }
}
