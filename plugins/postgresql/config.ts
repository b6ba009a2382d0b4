/** The provider's configuration: what `new postgresql.Provider` and `postgresql:*` configuration hold. */

import { readFileSync } from 'node:fs';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { CheckFailure } from '../framework/provider.ts';
import { isMap, isUnknown, type PropertyMap, type PropertyValue, unwrap } from '../framework/values.ts';

export interface ServerConfig {
  /** @default $PGHOST, else localhost */
  readonly host: string;
  /** @default $PGPORT, else 5432 */
  readonly port: number;
  /** @default $PGUSER, else postgres */
  readonly username: string;
  /** @default $PGPASSWORD */
  readonly password: string | undefined;
  /** The database for what belongs to no database, such as roles. @default $PGDATABASE, else postgres */
  readonly database: string;
  /** The role that the connection has on the server where user name maps give it another. @default username */
  readonly databaseUsername: string;
  /** One of SSL_MODES. */
  readonly sslmode: string;
  readonly ssl: ConnectionOptions | false;
  /** Seconds; 0 waits without limit. @default $PGCONNECT_TIMEOUT, else 180 */
  readonly connectTimeout: number;
  /** For each database. @default 20 */
  readonly maxConnections: number;
}

/** As the official plugin's driver has them; there `require` does not look at the certificate, unless there is a root. */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'];

/** Ways to log in that need a cloud's own client. */
const CLOUD_PROPERTIES = [
  'awsRdsIamAuth',
  'awsRdsIamProfile',
  'awsRdsIamRegion',
  'awsRdsIamProviderRoleArn',
  'azureIdentityAuth',
  'azureTenantId',
  'gcpIamImpersonateServiceAccount',
];

type Plugin = { readonly name: string; readonly version: string };

/** Typed values: the engine sends numbers, booleans and objects of a provider's inputs as JSON text. */
function value(inputs: PropertyMap, name: string): PropertyValue | undefined {
  const found = unwrap(inputs[name] ?? null);
  return found === null || found === '' ? undefined : found;
}

function text(inputs: PropertyMap, name: string, fallback?: string): string | undefined {
  const found = value(inputs, name);
  return found === undefined || isUnknown(found) ? fallback || undefined : String(found);
}

function number(inputs: PropertyMap, name: string, fallback: number): number {
  return Number(text(inputs, name) ?? fallback);
}

/** Everything that is wrong with the configuration; what is not known yet is not judged. */
export function configFailures(plugin: Plugin, inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = [];
  const official = `install the official plugin, which has it: pulumi plugin install resource ${plugin.name} v${plugin.version}`;
  for (const property of CLOUD_PROPERTIES) {
    const found = text(inputs, property);
    if (found === undefined || found === 'false') continue;
    failures.push({
      property,
      reason: `the built-in "${plugin.name}" plugin logs in with a password only; ${official}`,
    });
  }
  const scheme = text(inputs, 'scheme');
  if (scheme !== undefined && scheme !== 'postgres') {
    failures.push({ property: 'scheme', reason: `"${scheme}" is not provided by the built-in plugin; ${official}` });
  }
  const mode = text(inputs, 'sslmode') ?? text(inputs, 'sslMode');
  if (mode !== undefined && !SSL_MODES.includes(mode)) {
    failures.push({ property: 'sslmode', reason: `"${mode}" is none of ${SSL_MODES.join(', ')}` });
  }
  for (const [property, low, high] of [
    ['port', 1, 65535],
    ['connectTimeout', -1, Number.MAX_SAFE_INTEGER],
    ['maxConnections', -1, Number.MAX_SAFE_INTEGER],
  ] as const) {
    const found = text(inputs, property);
    if (found !== undefined && !(Number.isInteger(Number(found)) && Number(found) >= low && Number(found) <= high)) {
      failures.push({ property, reason: `${JSON.stringify(found)} is not an integer from ${low} to ${high}` });
    }
  }
  return failures;
}

/** Throws an Error that names the property when a certificate cannot be read. */
export function serverConfig(inputs: PropertyMap, env: NodeJS.ProcessEnv = process.env): ServerConfig {
  const host = text(inputs, 'host', env.PGHOST) ?? 'localhost';
  const username = text(inputs, 'username', env.PGUSER) ?? 'postgres';
  const maxConnections = number(inputs, 'maxConnections', 20);
  const sslmode = text(inputs, 'sslmode', env.PGSSLMODE) ?? text(inputs, 'sslMode') ?? 'require';
  return {
    host,
    port: number(inputs, 'port', Number(env.PGPORT || 5432)),
    username,
    password: text(inputs, 'password', env.PGPASSWORD),
    database: text(inputs, 'database', env.PGDATABASE) ?? 'postgres',
    databaseUsername: text(inputs, 'databaseUsername') ?? username,
    sslmode,
    ssl: tls(inputs, host, sslmode),
    connectTimeout: Math.max(0, number(inputs, 'connectTimeout', Number(env.PGCONNECT_TIMEOUT || 180))),
    maxConnections: maxConnections > 0 ? maxConnections : 20,
  };
}

function tls(inputs: PropertyMap, host: string, mode: string): ConnectionOptions | false {
  if (mode === 'disable') return false;
  const rootFile = text(inputs, 'sslrootcert');
  const ca = rootFile === undefined ? undefined : readPem('sslrootcert', rootFile);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...clientCertificate(inputs),
    rejectUnauthorized: mode !== 'require' || ca !== undefined,
    // The name is looked at with verify-full only. The driver gives no server name for an address: it is set here.
    checkServerIdentity: (_name, certificate) =>
      mode === 'verify-full' ? checkServerIdentity(host, certificate) : undefined,
  };
}

function clientCertificate(inputs: PropertyMap): { cert?: string; key?: string } {
  let found = value(inputs, 'clientcert');
  if (typeof found === 'string') found = JSON.parse(found) as PropertyValue;
  if (Array.isArray(found)) found = found[0];
  if (!isMap(found)) return {};
  const { cert, key } = found;
  const inline = found.sslinline === true;
  return {
    cert: inline ? String(cert) : readPem('clientcert.cert', String(cert)),
    key: inline ? String(key) : readPem('clientcert.key', String(key)),
  };
}

function readPem(property: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`postgresql:${property} names a file that cannot be read: ${(error as Error).message}`);
  }
}
