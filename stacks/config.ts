import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import * as runtimeConfiguration from '@pulumi/pulumi/runtime/config.js';
import { parse } from 'yaml';
import type * as z from 'zod';
import type { Finding } from '../components/findings.ts';
import { type Encryption, plainTextFindings } from './configuration/encrypted.ts';
import { issueFindings, keyPath, PROJECT } from './configuration/findings.ts';
import type { Environment } from './configuration/leaves.ts';
import { relationFindings } from './configuration/relations.ts';
import { parseWithoutFaults } from './configuration/repair.ts';
import { configurationSchema } from './configuration/schema.ts';
import { type Files, readFiles } from './files.ts';

/** The configuration of a stack: typed, complete with its defaults, and valid. */
export type Configuration = z.output<ReturnType<typeof configurationSchema>>;
export type ApplicationConfiguration = Configuration['applications'][string];
export type ImagesConfiguration = ApplicationConfiguration['images'];
export type GatewayConfiguration = NonNullable<Configuration['gateway']>;
export type LoadBalancerConfiguration = NonNullable<Configuration['loadBalancer']>;
export type OperationsApiConfiguration = NonNullable<Configuration['operationsApi']>;
export type DatabaseConfiguration = NonNullable<ApplicationConfiguration['database']>;

/** Where the configuration comes from: the running program's, or that of a test. */
export interface ConfigurationSource extends Encryption {
  readonly stackName: string;
  /** Texts by key, as Pulumi hands them over: mappings as JSON. */
  readonly values: Readonly<Record<string, string>>;
  readonly environment: Environment;
  /** Folder of the project: relative paths start here. */
  readonly root: string;
  /** Whether no file outside of `root` may be named. @default false */
  readonly confined?: boolean;
}

export interface Settings {
  readonly configuration: Configuration;
  /** Folder that the configuration's paths start from, as the program reaches it: `.`, or relative to it. */
  readonly root: string;
  /** Version of the applications that is deployed: `OPERATIONS_VERSION`; undefined when it names none. */
  readonly version?: string;
  /** Whether a preview takes images that are not there yet: `DEVELOPMENT_OPERATIONS_MISSING_IMAGES=unknown`. */
  readonly missingImages?: boolean;
  /** What the files say that the configuration names, read before anything is touched. */
  readonly files: Files;
}

/**
 * Reads and checks the whole configuration.
 *
 * @throws pulumi.RunError with every finding: the CLI shows its text alone.
 */
export function readConfiguration(source: ConfigurationSource = programSource()): Settings {
  const { input, findings } = decode(source);
  const schema = configurationSchema(source.environment, source.stackName);
  const result = schema.safeParse(input);
  if (!result.success) findings.push(...issueFindings(result.error.issues));
  const usable = result.success ? { value: result.data, removed: [] } : repaired(input, source);
  if (usable) {
    const further = [...plainTextFindings(usable.value, source), ...relationFindings(usable.value)];
    const { files, findings: fileFindings } = readFiles(usable.value, source.root, source.confined);
    further.push(...fileFindings);
    // What was left out or assumed to get this far is reported already, and must not be reported as missing.
    const gone = new Set([...usable.removed.map(keyPath), ...findings.map((finding) => finding.path)]);
    findings.push(...further.filter((finding) => !gone.has(finding.path)));
    if (findings.length === 0) {
      const version = source.environment.OPERATIONS_VERSION || undefined;
      const root = relative(process.cwd(), source.root) || '.';
      const missingImages = source.environment.DEVELOPMENT_OPERATIONS_MISSING_IMAGES === 'unknown';
      return {
        configuration: usable.value,
        root,
        files,
        ...(version !== undefined && { version }),
        ...(missingImages && { missingImages }),
      };
    }
  }
  throw new pulumi.RunError(report(source.stackName, findings));
}

/** The configuration of the running program. */
export function programSource(): ConfigurationSource {
  const prefix = `${PROJECT}:`;
  const all = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(prefix));
  // Not part of the SDK's declared types, but what its own Config class asks.
  const { isConfigSecret } = runtimeConfiguration as unknown as { isConfigSecret(key: string): boolean };
  const stackName = pulumi.getStack();
  const root = configurationRoot(process.env);
  return {
    stackName,
    values: Object.fromEntries(all.map(([key, value]) => [key.slice(prefix.length), value])),
    environment: process.env,
    root,
    confined: process.env.DEVELOPMENT_OPERATIONS_CONFINED === 'true',
    isSecretKey: (key) => isConfigSecret(prefix + key),
    file: () => stackFile(join(root, `Pulumi.${stackName}.yaml`)),
  };
}

/**
 * The folder that paths in the configuration start from: `DEVELOPMENT_OPERATIONS_ROOT`, where an application's repository
 * brings the configuration, else the project's.
 */
export function configurationRoot(environment: Environment): string {
  return resolve(environment.DEVELOPMENT_OPERATIONS_ROOT || '.');
}

function stackFile(path: string): Record<string, unknown> | undefined {
  if (!existsSync(path)) return undefined;
  const config = (parse(readFileSync(path, 'utf8')) as { config?: Record<string, unknown> } | null)?.config ?? {};
  const prefix = `${PROJECT}:`;
  return Object.fromEntries(
    Object.entries(config)
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
}

/** The keys whose values are plain texts, not JSON. */
const TEXT_KEYS = new Set(['environment', 'stack']);

function decode(source: ConfigurationSource): { input: Record<string, unknown>; findings: Finding[] } {
  const findings: Finding[] = [];
  const input: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(source.values)) {
    if (TEXT_KEYS.has(key)) {
      input[key] = value;
      continue;
    }
    try {
      input[key] = JSON.parse(value);
    } catch {
      // A text where a mapping is expected: the schema says so.
      input[key] = value;
    }
  }
  return { input, findings };
}

/** The valid part of an invalid configuration, with every variable of the environment taken as set. */
function repaired(input: Record<string, unknown>, source: ConfigurationSource) {
  const assumed = new Proxy(source.environment, { get: (target, name) => target[String(name)] || 'assumed' });
  return parseWithoutFaults(configurationSchema(assumed, source.stackName), input);
}

function report(stackName: string, findings: readonly Finding[]): string {
  const count = findings.length === 1 ? '1 problem' : `${findings.length} problems`;
  const lines = findings.map((finding) => `  - ${finding.path}: ${finding.problem}`);
  return `the configuration of stack "${stackName}" has ${count}; nothing was changed:\n${lines.join('\n')}`;
}
