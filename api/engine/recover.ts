import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { callCli, callFolder } from './call.ts';
import type { CliResult } from './cli.ts';
import type { RunMessage } from './messages.ts';

/**
 * Takes the dead run's lock away. What it had begun to make is written into the state by the id that its name gives it:
 * the next run compares with the server first, and drops what is not there. What has no name on a server (a password, a
 * grant) is made again.
 */
export async function recoverStack(
  { stack, pending }: Pick<RunMessage, 'stack' | 'pending'>,
  encryptedKey: string,
  signal: AbortSignal,
): Promise<CliResult | undefined> {
  const folder = await callFolder(encryptedKey);
  try {
    // It fails where there is no lock.
    await callCli(folder, ['cancel', '--yes'], stack, signal);
    const ids = new Map(pending.map(({ urn, id }) => [urn, id]));
    if (ids.size === 0) return undefined;
    const file = join(folder, 'state.json');
    const exported = await callCli(folder, ['stack', 'export', '--file', file], stack, signal);
    if (exported.code !== 0) return exported;
    const state = JSON.parse(await readFile(file, 'utf8')) as ExportedState;
    const { deployment } = state;
    const begun = (deployment.pending_operations ?? []).flatMap(({ type, resource }) => {
      const id = type === 'creating' ? ids.get(resource.urn) : undefined;
      return typeof id === 'string' ? [{ ...resource, id, outputs: resource.inputs }] : [];
    });
    deployment.resources = [...(deployment.resources ?? []), ...begun];
    delete deployment.pending_operations;
    await writeFile(file, JSON.stringify(state), { mode: 0o600 });
    return await callCli(folder, ['stack', 'import', '--file', file], stack, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The parts that are changed here of what `pulumi stack export` writes. */
interface ExportedState {
  readonly deployment: {
    resources?: { readonly urn: string }[];
    pending_operations?: {
      readonly type: string;
      readonly resource: { readonly urn: string; readonly inputs?: unknown };
    }[];
  };
}
