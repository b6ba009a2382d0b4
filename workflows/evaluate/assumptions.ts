/** What takes the place of what a run without secrets cannot know. The same for every commit, so that it never differs. Pure. */

/** Variables of the environment, and files that they name, by name. */
export interface Assumptions {
  readonly variables: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  /** Keys of the configuration with encrypted values, with their prefix. */
  readonly secretKeys: readonly string[];
  /** The configuration as the CLI hands it over: mappings as JSON. */
  readonly values: Readonly<Record<string, string>>;
}

/**
 * Every variable without a default is assumed to be set, every file that such a variable names to be there, every encrypted
 * value to be some text.
 *
 * @param config the key `config` of `Pulumi.<environment>.yaml`
 */
export function assume(config: Readonly<Record<string, unknown>>): Assumptions {
  const variables: Record<string, string> = {};
  const files: Record<string, string> = {};
  const secretKeys = new Set<string>();
  const replaced = (value: unknown, path: readonly string[]): unknown => {
    if (Array.isArray(value)) return value.map((item) => replaced(item, path));
    if (typeof value !== 'object' || value === null) return value;
    const record = value as Readonly<Record<string, unknown>>;
    if (typeof record.secure === 'string' && Object.keys(record).length === 1) {
      secretKeys.add(path[0] ?? '');
      return 'assumed';
    }
    const { env, default: fallback } = record;
    if (typeof env === 'string' && fallback === undefined && Object.keys(record).every((key) => key === 'env')) {
      variables[env] = nameFor(env);
      if (isFile(path)) files[nameFor(env)] = contentOf(path.at(-1) ?? '');
    }
    return Object.fromEntries(Object.entries(record).map(([key, inner]) => [key, replaced(inner, [...path, key])]));
  };
  const values = Object.entries(config).map(([key, value]) => {
    const known = replaced(value, [key]);
    return [key, typeof known === 'string' ? known : JSON.stringify(known)] as const;
  });
  return { variables, files, secretKeys: [...secretKeys], values: Object.fromEntries(values) };
}

/** Valid as a tag, as a host, as the name of a file. */
function nameFor(variable: string): string {
  return `assumed-${variable.replace(/[^A-Za-z0-9]+/g, '-').replace(/-$/, '')}`;
}

function isFile(path: readonly string[]): boolean {
  return /File$/.test(path.at(-1) ?? '') || path.includes('secretFiles');
}

/** What the components accept; of no use to anybody. */
function contentOf(key: string): string {
  if (key === 'keyFile') return ['-----BEGIN', 'PRIVATE KEY-----\nassumed\n-----END', 'PRIVATE KEY-----\n'].join(' ');
  if (key === 'usersFile') return `assumed:$2y$10$${'a'.repeat(53)}\n`;
  return `${CERTIFICATE}\n`;
}

/** Signed by itself; its key was thrown away. */
const CERTIFICATE = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBezCCASGgAwIBAgIUXvnStqS22I3TWaiWh+uNlclwFNMwCgYIKoZIzj0EAwIw',
  'EjEQMA4GA1UEAwwHYXNzdW1lZDAgFw0yNjExMjcyMDQ4NTVaGA8yMTI2MTEwMzIw',
  'NDg1NVowEjEQMA4GA1UEAwwHYXNzdW1lZDBZMBMGByqGSM49AgEGCCqGSM49AwEH',
  'A0IABMbu4inym0WzTF0ol9bFsKPRnuU5aftRARKCd/4IViCvoe3LPjBbX+1qYMDh',
  'I6ra445BWqlWYFKRcNp7jrdp63yjUzBRMB0GA1UdDgQWBBRzZ4QxF2wu6XBJ30sF',
  'pazz+PHnpDAfBgNVHSMEGDAWgBRzZ4QxF2wu6XBJ30sFpazz+PHnpDAPBgNVHRMB',
  'Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQCKCZB6Lq3gr/CaPOGGbaJK6/Ek',
  'zyo8unuQF83OWMKr8AIgBej4ItvxAgfjOtDFMUb83vAXnTvYiF4oUSgtN9K6Yrc=',
  '-----END CERTIFICATE-----',
].join('\n');
