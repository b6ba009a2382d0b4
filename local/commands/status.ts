import Table from 'cli-table3';
import pc from 'picocolors';
import { applications } from '../applications.ts';
import type { Context } from '../service.ts';
import { services } from '../services.ts';

/** One line of `status`; the format of `--json`. */
export interface StatusEntry {
  readonly name: string;
  readonly url: string;
  readonly healthy: boolean;
  readonly detail: string;
}

/** Asks every service and every application at the same time. */
export async function collectStatus(ctx: Context): Promise<StatusEntry[]> {
  const [parts, apps] = await Promise.all([
    Promise.all(
      services().map(async (service) => ({ name: service.name, url: service.url, ...(await service.health(ctx)) })),
    ),
    applications(ctx),
  ]);
  return [...parts, ...apps];
}

export function statusTable(entries: readonly StatusEntry[]): string {
  const table = new Table({ head: ['name', 'address', '', 'detail'], style: { head: [], border: [] } });
  for (const { name, url, healthy, detail } of entries) {
    table.push([name, url, healthy ? pc.green('healthy') : pc.red('down'), detail]);
  }
  return table.toString();
}

/** Prints the table, or with `json` an array of entries; the exit code is 0 when all is healthy, else 3. */
export async function status(ctx: Context, json: boolean): Promise<number> {
  const entries = await collectStatus(ctx);
  process.stdout.write(`${json ? JSON.stringify(entries, undefined, 2) : statusTable(entries)}\n`);
  return entries.every((entry) => entry.healthy) ? 0 : 3;
}
