/**
 * `npm run pulumi -- <arguments>`: the Pulumi CLI on a stack, by default `local`. Arguments go through as they are; for
 * the stack `local` the configuration file of this clone is added where a command takes one.
 */

import { createContext, repositoryRoot } from '../local/context.ts';
import { runOnTerminal } from '../local/interactive.ts';
import { LOCAL_STACK, pulumiEnvironment } from '../local/pulumiEnvironment.ts';
import { ensureLocalStack, writeLocalConfiguration } from '../local/stackConfiguration.ts';
import { buildApi } from './buildApi.mjs';
import { namedStack, takesConfigurationFile } from './pulumiArguments.ts';

async function main(args: readonly string[]): Promise<number> {
  const ctx = createContext(repositoryRoot());
  const stack = namedStack(args) ?? LOCAL_STACK;
  const env = await pulumiEnvironment(ctx.root, stack);
  const pulumi = await ctx.tool('pulumi');
  let all = [...args];
  if (stack === LOCAL_STACK) {
    await ensureLocalStack(ctx, pulumi, env);
    await buildApi(ctx.root, { pulumi });
    const file = writeLocalConfiguration(ctx);
    if (takesConfigurationFile(args)) all = [...args, '--config-file', file];
  }
  return await runOnTerminal(pulumi, all, { cwd: ctx.root, env: { ...process.env, ...env } });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  if (process.env.DEBUG) console.error(error);
  process.exitCode = 1;
}
