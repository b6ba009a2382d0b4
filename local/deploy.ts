import { LOCAL_STACK, pulumiEnvironment } from '../scripts/environment.ts';
import { runOnTerminal } from './interactive.ts';
import { type Context, LocalError } from './service.ts';
import { ensureLocalStack, writeLocalConfiguration } from './stackConfiguration.ts';

/**
 * `pulumi up` of the stack `local`.
 *
 * @throws LocalError when it fails; the CLI has then said why
 */
export async function deploy(ctx: Context): Promise<void> {
  const env = await pulumiEnvironment(ctx.root, LOCAL_STACK);
  const pulumi = await ctx.tool('pulumi');
  await ensureLocalStack(ctx, pulumi, env);
  const file = writeLocalConfiguration(ctx);
  const args = ['up', '--stack', LOCAL_STACK, '--config-file', file, '--yes', '--skip-preview', '--non-interactive'];
  const code = await runOnTerminal(pulumi, args, { cwd: ctx.root, env: { ...process.env, ...env } });
  if (code !== 0) {
    throw new LocalError(
      `pulumi up failed (exit code ${code}): the reason is above. Mend it and run npm run up again; ` +
        'npm run pulumi -- preview shows what is left to do, npm run kubectl -- get pods -A what runs',
    );
  }
}
