/** `npm run kubectl -- <arguments>`: kubectl on the local cluster. */

import { createContext, repositoryRoot } from '../local/context.ts';
import { runOnTerminal } from '../local/interactive.ts';
import { kubeconfigPath } from '../local/pulumiEnvironment.ts';

const ctx = createContext(repositoryRoot());
process.exitCode = await runOnTerminal(await ctx.tool('kubectl'), process.argv.slice(2), {
  cwd: ctx.root,
  env: { ...process.env, KUBECONFIG: kubeconfigPath(ctx) },
});
