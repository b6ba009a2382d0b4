import { withLock } from '../owner.ts';
import type { Context } from '../service.ts';
import { services, stopAll } from '../services.ts';

/** Stops everything; data stays. */
export async function down(ctx: Context): Promise<void> {
  await withLock(ctx, 'down', () => stopAll(ctx, services()));
}
