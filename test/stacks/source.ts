import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type ConfigurationSource, readConfiguration, type Settings } from '../../stacks/config.ts';

/** A folder with the files that a configuration names; `remove` it in the end. */
export function project(files: Readonly<Record<string, string>>): { root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), 'configuration-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return { root, remove: () => rmSync(root, { recursive: true }) };
}

/** The environment variables of the tests' configurations. */
export const ENVIRONMENT = { USERNAME: 'ci', PASSWORD: 'canary-password', ADMIN: 'postgres' };

/** A complete, valid configuration that each test changes. */
export function valid(): Configuration {
  return {
    kubernetes: { context: 'dev', namespace: 'orders-dev' },
    registry: {
      server: 'r.example.com',
      repositoryPrefix: 'team',
      username: env('USERNAME'),
      password: env('PASSWORD'),
    },
    database: { host: 'db.example.com', adminUsername: env('ADMIN'), adminPassword: env('PASSWORD') },
    applications: {
      orders: {
        path: 'orders',
        images: { targets: { main: {}, migrations: {} } },
        database: { schemas: ['orders'] },
        migrations: {},
        secrets: { TOKEN: env('PASSWORD'), KEY: { generate: 32 } },
      },
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the tests write what the types would forbid.
export type Configuration = Record<string, any>;

/** Reads a configuration as the program would get it. */
export function read(configuration: Configuration, root: string, changes: Partial<ConfigurationSource> = {}): Settings {
  return readConfiguration({
    stackName: 'dev',
    values: texts(configuration),
    environment: ENVIRONMENT,
    root,
    isSecretKey: () => false,
    file: () => undefined,
    ...changes,
  });
}

/** The values as Pulumi hands them over: texts, with mappings as JSON. */
export function texts(configuration: Configuration): Record<string, string> {
  const entries = Object.entries(configuration).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

function env(name: string): { env: string } {
  return { env: name };
}
