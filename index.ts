import { readConfiguration } from './stacks/config.ts';
import { deployEnvironment } from './stacks/environment.ts';
import { deployImages } from './stacks/images.ts';

/** Configuration -> stack -> outputs. */
async function deploy() {
  const settings = readConfiguration();
  return settings.configuration.stack === 'images' ? deployImages(settings) : deployEnvironment(settings);
}

/** An error that is a fault of the program says how to see where it was; one that is meant for the user does not. */
function explain(error: unknown): never {
  const unexpected = error instanceof Error && !('__pulumiRunError' in error || '__pulumResourceError' in error);
  if (unexpected && Error.stackTraceLimit === 0)
    error.message += '\n(set DEVELOPMENT_OPERATIONS_STACKS=1 to see where this happened)';
  throw error;
}

/** The stack's outputs: `namespace` and `applications`, or `applications` alone for the stack `images`. */
export default await deploy().catch(explain);
