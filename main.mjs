// What the engine starts: the program (index.ts and the rooms below it) as one plain JavaScript file.
// A stack is taken by the SDK for every resource and promise, and mapping them is most of a preview's time: they are
// off, as the first thing, unless asked for.
const withStacks = Boolean(process.env.DEVELOPMENT_OPERATIONS_STACKS);
if (!withStacks) Object.assign(Error, { stackTraceLimit: 0, prepareStackTrace: undefined });
process.setSourceMapsEnabled(withStacks);

const { bundledProgram } = await import('./scripts/bundle.mjs');
const { default: outputs } = await import(await bundledProgram(import.meta.dirname));

export default outputs;
