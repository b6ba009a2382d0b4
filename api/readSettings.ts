import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ApiSettings } from './settings.ts';

const text = z.string().min(1);
const port = z.number().int().min(1).max(65_535);
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'is no name: letters, digits, ".", "_" and "-"');
const scope = z.string().regex(/^.+:(read|plan|apply|admin)$/, 'is no scope: <environment>:<read|plan|apply|admin>');
const namespace = z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, 'is no name of a namespace (RFC 1123 label)');

/** Tokens are believed because of what comes from there: only loopback may be without TLS. */
const issuerAddress = z.string().refine(isSafe, 'is no https:// address');

function isSafe(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(hostname));
}

const environment = z.strictObject({
  host: text,
  port,
  sslmode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']),
  rootCertificateFile: text.optional(),
  adminDatabase: text,
  superuser: z.boolean(),
  usernameVariable: text,
  passwordVariable: text,
});

const issuer = z
  .strictObject({
    issuer: issuerAddress,
    audience: text,
    jwksUri: issuerAddress.optional(),
    caFile: text.optional(),
    tokenFile: text.optional(),
    consoleClientId: text.optional(),
    scopeClaim: text.optional(),
    namespaces: z.array(z.union([z.literal('*'), namespace])).optional(),
    rules: z
      .array(
        z.strictObject({
          claims: z
            .record(z.string(), text)
            .refine((claims) => Object.keys(claims).length > 0, 'is empty: it would match every token'),
          scopes: z.array(scope),
          namespaces: z.array(z.union([z.literal('*'), namespace])),
        }),
      )
      .optional(),
  })
  .refine(
    ({ scopeClaim, rules }) => scopeClaim !== undefined || (rules?.length ?? 0) > 0,
    'gives no scopes to anybody: name a scopeClaim, or rules',
  );

const settings = z.strictObject({
  port: port.optional(),
  metricsPort: port.optional(),
  publicUrl: z.url(),
  environments: z
    .record(name, environment)
    .refine((environments) => Object.keys(environments).length > 0, 'is empty: name a database server'),
  issuers: z.array(issuer).min(1),
  namespaces: z.array(namespace),
  concurrency: z.number().int().min(1).max(64).optional(),
});

/** @throws with every finding, each with its path, when the settings are not as settings.ts says. */
export function parseSettings(given: unknown, from: string): ApiSettings {
  const parsed = settings.safeParse(given);
  if (parsed.success) return parsed.data satisfies ApiSettings;
  const findings = parsed.error.issues.map(({ path, message }) => `  ${path.join('.') || '(all)'}: ${message}`);
  throw new Error(`${from} cannot be used:\n${findings.join('\n')}`);
}

/** Reads the file that API_SETTINGS_FILE names. @throws when it is not there, is no JSON, or has findings. */
export function readSettings(environmentVariables: NodeJS.ProcessEnv = process.env): ApiSettings {
  const file = environmentVariables.API_SETTINGS_FILE;
  if (!file) throw new Error('API_SETTINGS_FILE is not set: it names the file with the settings');
  let given: unknown;
  try {
    given = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`);
  }
  return parseSettings(given, file);
}

/** The key in API_ENCRYPTION_KEY. @throws when it has not 32 bytes in base64. */
export function readEncryptionKey({ API_ENCRYPTION_KEY: given }: NodeJS.ProcessEnv = process.env): Buffer {
  const key = Buffer.from(given ?? '', 'base64');
  if (key.length !== 32)
    throw new Error('API_ENCRYPTION_KEY is not 32 bytes in base64: make it with openssl rand -base64 32');
  return key;
}
