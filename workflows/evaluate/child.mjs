/**
 * Evaluates the program with mocks in the place of the engine: what it would register, and with which inputs. A process of
 * its own, whose environment, readable files and answers are those that `evaluation.ts` gives it. Plain JavaScript, as a
 * loader of TypeScript would need further processes.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';

/**
 * @typedef {object} Request
 * @property {string} program URL of the bundled program
 * @property {string} stack
 * @property {Record<string, string>} values of the configuration
 * @property {string[]} secretKeys
 * @property {string} content hash of what images are built from
 * @property {string} root folder of the configuration
 */

/** @type {Request} */
const request = JSON.parse(await text(process.stdin));

if (process.permission?.has('fs.read', '/etc/passwd') !== false || process.permission.has('fs.write', request.root)) {
  throw new Error('the evaluation runs without its limits: start it by evaluation.ts');
}
// Nothing here has a reason to talk to anybody.
Socket.prototype.connect = () => {
  throw new Error('the evaluation has no network');
};

// The copy of the SDK that the program has.
const require = createRequire(request.program);
const pulumi = require('@pulumi/pulumi');
const settings = require('@pulumi/pulumi/runtime/settings.js');

/** The operations API is built from this repository, whatever the application's is. */
const contentOf = (/** @type {string} */ name) => (name.startsWith('operations-api-') ? '' : request.content);
const digest = (/** @type {unknown} */ of) => `sha256:${createHash('sha256').update(JSON.stringify(of)).digest('hex')}`;

/** What only a provider knows. */
function computed(type, name, inputs) {
  if (type === 'docker-build:index:Image') return { digest: digest([contentOf(name), inputs.tags ?? []]) };
  if (type === 'random:index/randomPassword:RandomPassword') return { result: 'p'.repeat(Number(inputs.length)) };
  return {};
}

await pulumi.runtime.setMocks(
  {
    newResource: ({ type, name, inputs }) => ({
      id: `${name}-id`,
      state: { ...inputs, ...computed(type, name, inputs) },
    }),
    // A tag is taken for the image that it names.
    call: ({ inputs }) => ({
      ...inputs,
      sha256Digest: digest(inputs.name),
    }),
  },
  'development-operations',
  request.stack,
  false,
);
pulumi.runtime.setAllConfig(request.values, request.secretKeys);

const resources = [];
const monitor = settings.getMonitor();
const register = monitor.registerResource.bind(monitor);
monitor.registerResource = (registration, callback) =>
  register(registration, (error, response) => {
    if (response) {
      resources.push({
        urn: response.getUrn(),
        type: registration.getType(),
        name: registration.getName(),
        custom: registration.getCustom(),
        parent: registration.getParent(),
        dependencies: registration.getDependenciesList(),
        protect: registration.getProtect() ?? false,
        inputs: registration.getObject()?.toJavaScript() ?? {},
      });
    }
    callback(error, response);
  });

let answered = false;

/**
 * The first answer counts: what comes after a failure is not whole.
 * @param {Record<string, unknown>} found
 */
function answer(found) {
  if (answered) return;
  answered = true;
  const line = JSON.stringify({ ...found, variables: Object.keys(process.env).sort() });
  process.stdout.write(`\n${line}\n`);
}

/** @param {unknown} error */
function fail(error) {
  const { message = String(error), resource = '' } = /** @type {Error & { resource?: string }} */ (error);
  answer({ error: resource === '' ? message : `${message}: ${resource}` });
}

// What a component refuses while its inputs become known.
process.once('unhandledRejection', (error) => {
  fail(error);
  process.exitCode = 1;
});

try {
  await import(request.program);
  await settings.waitForRPCs();
  answer({ resources });
} catch (error) {
  fail(error);
}
