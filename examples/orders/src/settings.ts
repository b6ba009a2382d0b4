import type { LogLevel } from './log.ts';
import { LOG_LEVELS } from './log.ts';

/** What the service reads from its environment; the database's settings are libpq's own (see database.ts). */
export interface Settings {
  /** `PORT`. @default 8080 */
  readonly port: number;
  /** `HOST`: the address to listen on. @default '0.0.0.0' */
  readonly host: string;
  /** `LOG_LEVEL`. @default 'info' */
  readonly logLevel: LogLevel;
  /** `ORDERS_PAGE_SIZE`: orders on a page when the caller names no limit, 1 to 100. @default 20 */
  readonly pageSize: number;
  /** `ORDERS_SIGNING_KEY`: at least 32 characters, the same for all replicas; signs where pages start. Secret. */
  readonly signingKey: string;
  /**
   * `ORDERS_DRAIN_SECONDS`: how long requests are still taken after SIGTERM, because load balancers learn of it
   * later than the process: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
   * @default 3
   */
  readonly drainSeconds: number;
}

/** Settings that cannot be used; the message names every one of them and never a value that is secret. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** @throws SettingsError with all that is wrong. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = [];
  const integer = (name: string, fallback: number, least: number, most: number): number => {
    const text = environment[name];
    if (text === undefined || text === '') return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    problems.push(`${name} is "${text}": expected a whole number from ${least} to ${most}`);
    return fallback;
  };
  const logLevel = environment.LOG_LEVEL || 'info';
  if (!isLogLevel(logLevel)) problems.push(`LOG_LEVEL is "${logLevel}": expected one of ${LOG_LEVELS.join(', ')}`);
  const signingKey = environment.ORDERS_SIGNING_KEY ?? '';
  if (signingKey.length < 32) {
    const what = signingKey === '' ? 'is missing' : `has ${signingKey.length} characters`;
    problems.push(`ORDERS_SIGNING_KEY ${what}: expected at least 32 random characters, the same for all replicas`);
  }
  const settings = {
    port: integer('PORT', 8080, 0, 65_535),
    host: environment.HOST || '0.0.0.0',
    logLevel: logLevel as LogLevel,
    pageSize: integer('ORDERS_PAGE_SIZE', 20, 1, 100),
    signingKey,
    drainSeconds: integer('ORDERS_DRAIN_SECONDS', 3, 0, 60),
  };
  if (problems.length > 0) throw new SettingsError(problems.join('; '));
  return settings;
}

function isLogLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}
