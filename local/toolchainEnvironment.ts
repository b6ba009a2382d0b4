import { symlinkSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import type { Context } from './service.ts';
import { cacheDirectory } from './toolchain.ts';

/** The variables that put the pinned tools where the Pulumi engine and the plugins look for them. */
export async function toolchainEnvironment(ctx: Pick<Context, 'root' | 'tool'>): Promise<Record<string, string>> {
  const buildx = await ctx.tool('docker-buildx');
  const pulumi = await ctx.tool('pulumi');
  const languageHost = await ctx.tool('pulumi-language-nodejs');
  putBeside(pulumi, languageHost);
  const tools = [pulumi, languageHost, buildx];
  const directories = [
    ...tools.map((path) => dirname(path)),
    // pulumi-resource-pulumi-nodejs: dynamic providers.
    join(ctx.root, 'node_modules', '@pulumi', 'pulumi'),
    ...(process.env.PATH ?? '').split(delimiter),
  ];
  return {
    PATH: [...new Set(directories)].join(delimiter),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    DEVOPS_BUILDX: buildx,
  };
}

/** The engine warns at every command of a language host that is not in the folder of the CLI. Ours are in the cache. */
function putBeside(pulumi: string, languageHost: string): void {
  const link = join(dirname(pulumi), basename(languageHost));
  if (link === languageHost || !pulumi.startsWith(join(cacheDirectory(), 'toolchain'))) return;
  try {
    symlinkSync(languageHost, link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
