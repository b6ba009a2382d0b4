import type { Context } from './service.ts';

export async function deploy(_ctx: Context): Promise<void> {}
