/** What a run needs of this machine to use the Pulumi engine, where vendors cannot be reached. */

import { createContext } from '../../../local/context.ts';
import { pulumiHome } from '../../../local/plugins.ts';
import { toolchainEnvironment } from '../../../local/toolchainEnvironment.ts';

/**
 * Variables for `ActOptions.environment`: the pinned tools on PATH, and the PULUMI_HOME of the local environment with its
 * plugins. No state, no passphrase, no credentials: those a test hands over as secrets.
 */
export async function engineEnvironment(): Promise<Record<string, string>> {
  const context = createContext();
  return {
    ...(await toolchainEnvironment(context)),
    PULUMI_HOME: pulumiHome(context),
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
  };
}
