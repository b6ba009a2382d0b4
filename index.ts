// The SDK takes a stack for every resource and promise, and mapping them is most of a preview's time: they are off
// unless asked for. Set before anything is loaded, which is why the rest is imported below.
const withStacks = Boolean(process.env.DEVELOPMENT_OPERATIONS_STACKS);
if (!withStacks) Object.assign(Error, { stackTraceLimit: 0, prepareStackTrace: undefined });

const { readConfiguration } = await import('./stacks/config.ts');

/** Configuration -> stack -> outputs. */
async function deploy() {
  const settings = readConfiguration();
  if (settings.configuration.stack === 'images') {
    const { deployImages } = await import('./stacks/images.ts');
    return deployImages(settings);
  }
  const { deployEnvironment } = await import('./stacks/environment.ts');
  return deployEnvironment(settings);
}

/** An error that is a fault of the program says how to see where it was; one that is meant for the user does not. */
function explain(error: unknown): never {
  const unexpected = error instanceof Error && !('__pulumiRunError' in error || '__pulumResourceError' in error);
  if (unexpected && !withStacks) error.message += '\n(set DEVELOPMENT_OPERATIONS_STACKS=1 to see where this happened)';
  throw error;
}

/** The stack's outputs: `namespace` and `applications`, or `applications` alone for the stack `images`. */
export default await deploy().catch(explain);
