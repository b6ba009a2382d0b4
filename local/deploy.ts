import { buildApi } from '../scripts/buildApi.mjs';
import { exportStack } from '../scripts/stack.ts';
import { runOnTerminal } from './interactive.ts';
import { applyOuterConfiguration } from './outerNginx.ts';
import { LOCAL_STACK, pulumiEnvironment } from './pulumiEnvironment.ts';
import { type Context, LocalError } from './service.ts';
import { ensureLocalStack, writeLocalConfiguration } from './stackConfiguration.ts';

/**
 * `pulumi up` of the stack `local`; the nginx in front of the cluster then gets the configuration that it generated.
 *
 * @throws LocalError when it fails; the CLI has then said why
 */
export async function deploy(ctx: Context): Promise<void> {
  const env = await pulumiEnvironment(ctx.root, LOCAL_STACK);
  const pulumi = await ctx.tool('pulumi');
  await ensureLocalStack(ctx, pulumi, env);
  await ctx.progress.step('operations API: what its image is made of', async (report) => {
    report((await buildApi(ctx.root, { pulumi })) ? 'built' : 'no change');
  });
  const file = writeLocalConfiguration(ctx);
  const args = ['up', '--stack', LOCAL_STACK, '--config-file', file, '--yes', '--skip-preview', '--non-interactive'];
  const code = await runOnTerminal(pulumi, args, { cwd: ctx.root, env: { ...process.env, ...env } });
  if (code !== 0) {
    throw new LocalError(
      `pulumi up failed (exit code ${code}): the reason is above. Mend it and run npm run up again; ` +
        'npm run pulumi -- preview shows what is left to do, npm run kubectl -- get pods -A what runs',
    );
  }
  const configuration = await outerConfiguration(ctx);
  if (configuration === undefined) return;
  await ctx.progress.step('outer-nginx: configuration', async (report) => {
    report((await applyOuterConfiguration(ctx, configuration)) ? 'new' : 'no change');
  });
}

/** The stack output `gateway.outerConfiguration`; undefined where the stack has no gateway. */
async function outerConfiguration(ctx: Context): Promise<string | undefined> {
  const { resources } = await exportStack(ctx.root, LOCAL_STACK);
  const outputs = resources.find(({ type }) => type === 'pulumi:pulumi:Stack')?.outputs;
  const text = (outputs?.gateway as { outerConfiguration?: unknown } | undefined)?.outerConfiguration;
  return typeof text === 'string' ? text : undefined;
}
