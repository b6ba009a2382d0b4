import type { Finding } from '../../components/findings.ts';
import { keyPath } from './findings.ts';
import { SecretText } from './leaves.ts';

export interface Encryption {
  /** Whether Pulumi says that the key holds a secret anywhere below it. */
  isSecretKey(key: string): boolean;
  /**
   * The values of the stack's file as they stand there, encrypted ones as `{secure: …}`; undefined when there is no
   * such file, as under the Automation API with a remote one. Only asked for a key that holds a secret.
   */
  file(): Readonly<Record<string, unknown>> | undefined;
}

/**
 * The secrets that stand in the configuration in plain text.
 *
 * Pulumi hands over a key with one secret anywhere below it as wholly secret, decrypted; which leaf was encrypted is
 * only to be seen in the stack's file.
 */
export function plainTextFindings(configuration: unknown, encryption: Encryption): Finding[] {
  const found: Finding[] = [];
  visit(configuration, [], (path, value) => {
    if (isEncrypted(path, value, encryption)) return;
    const at = keyPath(path);
    found.push({
      path: at,
      problem: `is a secret in plain text: write {env: NAME}, or encrypt it with "pulumi config set --secret --path '${at}'" and change it wherever it was used`,
    });
  });
  return found;
}

function visit(
  value: unknown,
  path: readonly PropertyKey[],
  literal: (path: readonly PropertyKey[], value: SecretText) => void,
): void {
  if (value instanceof SecretText) {
    if (value.source === 'literal') literal(path, value);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value))
    visit(item, [...path, Array.isArray(value) ? Number(key) : key], literal);
}

/** A file that holds anything else at the path is not the one in use (`--config-file`), and proves nothing. */
function isEncrypted(path: readonly PropertyKey[], value: SecretText, encryption: Encryption): boolean {
  const [key, ...below] = path;
  if (!encryption.isSecretKey(String(key))) return false;
  const top = encryption.file()?.[String(key)];
  const leaf = below.reduce<unknown>((inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part], top);
  return !value.is(leaf);
}
