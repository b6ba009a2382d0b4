import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Context, Health } from './service.ts';

/** The stack output `applications`, as far as it is shown. */
const Applications = z.record(
  z.string(),
  z.looseObject({ url: z.string().optional(), healthPath: z.string().optional() }),
);

/** Where the file backend keeps the state of the local stack (`file://` backend, project layout). */
function stateFile(ctx: Pick<Context, 'directory'>): string {
  return join(ctx.directory, 'state', '.pulumi', 'stacks', 'development-operations', 'local.json');
}

/** Name and address of what the local stack deployed; empty before the first `up`. */
export function deployedApplications(
  ctx: Pick<Context, 'directory'>,
): { name: string; url: string; healthPath?: string }[] {
  const path = stateFile(ctx);
  if (!existsSync(path)) return [];
  // Read from the state rather than through the CLI: it costs nothing, and works while an update holds the lock.
  const state = JSON.parse(readFileSync(path, 'utf8')) as {
    checkpoint?: { latest?: { resources?: { type: string; outputs?: Record<string, unknown> }[] } };
  };
  const stack = state.checkpoint?.latest?.resources?.find((resource) => resource.type === 'pulumi:pulumi:Stack');
  const parsed = Applications.safeParse(stack?.outputs?.applications ?? {});
  if (!parsed.success) return [];
  return Object.entries(parsed.data)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ name, url: value.url ?? '', healthPath: value.healthPath }));
}

/** Each deployed application with its address and whether it answers. */
export async function applications(
  ctx: Pick<Context, 'directory'>,
): Promise<({ name: string; url: string } & Health)[]> {
  return await Promise.all(
    deployedApplications(ctx).map(async ({ name, url, healthPath }) => ({
      name,
      url,
      ...(await answers(url, healthPath)),
    })),
  );
}

async function answers(url: string, healthPath: string | undefined): Promise<Health> {
  if (url === '') return { healthy: false, detail: 'has no address yet' };
  try {
    const target = new URL(healthPath ?? '/', url);
    const response = await fetch(target, { signal: AbortSignal.timeout(3000) });
    await response.body?.cancel();
    // Without a path of its own any answer but a server error says that it runs.
    const healthy = healthPath === undefined ? response.status < 500 : response.ok;
    return { healthy, detail: `${target.pathname} answers ${response.status}` };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return { healthy: false, detail: `does not answer: ${cause}` };
  }
}
