/** Checks an Image's inputs as far as that is possible without a build. */

import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseReference } from '../docker/reference.ts';
import type { CheckFailure } from '../framework/provider.ts';
import {
  containsSecret,
  containsUnknown,
  isMap,
  isUnknown,
  type PropertyMap,
  type PropertyValue,
  unwrap,
  unwrapMap,
} from '../framework/values.ts';
import { isExportedToRegistry, kindOf } from './arguments.ts';
import { type DockerfileFacts, readDockerfile, targetProblem } from './dockerfile.ts';
import { INPUTS, isRemote } from './inputs.ts';
import { toImageInputs, type Union } from './model.ts';

const NETWORKS = ['default', 'host', 'none'];
/** What BuildKit accepts as the id of a secret in a Dockerfile's mount. */
const SECRET_ID = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

/** Everything that is wrong with the inputs; `inputs` are filled in. Unknown values are passed over. */
export async function checkImage(given: PropertyMap, inputs: PropertyMap): Promise<CheckFailure[]> {
  const failures: CheckFailure[] = [];
  const fail = (property: string, reason: string): void => {
    failures.push({ property, reason });
  };
  for (const key of Object.keys(given)) {
    if (!INPUTS.has(key) && !key.startsWith('__')) fail(key, 'an Image has no such input');
  }
  checkVisible(inputs, fail);
  const plain = unwrapMap(inputs);
  if (typeof plain.network === 'string' && !NETWORKS.includes(plain.network)) {
    fail('network', `"${plain.network}" is not a network mode: use one of ${NETWORKS.join(', ')}`);
  }
  each(plain.tags, (tag, index) => {
    if (typeof tag !== 'string') return;
    try {
      parseReference(tag);
    } catch (error) {
      fail(`tags[${index}]`, (error as Error).message);
    }
  });
  checkUnions(plain, fail);
  if (isMap(plain.secrets)) {
    for (const [id, value] of Object.entries(plain.secrets)) {
      // The id is part of a property path, but a value must never be shown.
      if (!SECRET_ID.test(id))
        fail('secrets', `"${id}" cannot be the id of a secret: use letters, digits, ".", "_", "-"`);
      if (!isUnknown(value) && typeof value !== 'string') fail(`secrets.${id}`, 'a text is expected');
    }
  }
  each(plain.registries, (registry, index) => {
    if (isMap(registry) && registry.address === '') fail(`registries[${index}].address`, 'an address is required');
  });
  await checkFiles(plain, fail);
  if (!containsUnknown(plain)) {
    const image = toImageInputs(plain);
    const named = image.exports.some((entry) => JSON.stringify(entry).includes('name'));
    if (isExportedToRegistry(image) && image.tags.length === 0 && !named) {
      fail('tags', 'at least one tag or export name is needed when pushing to a registry');
    }
  }
  return failures;
}

type Fail = (property: string, reason: string) => void;

/** Build arguments are kept in the image's history and stand in the arguments of processes. */
function checkVisible(inputs: PropertyMap, fail: Fail): void {
  const value = inputs.buildArgs;
  if (value === undefined || !containsSecret(value)) return;
  const inner = isMap(value) ? value : undefined;
  const names = inner ? Object.keys(inner).filter((key) => containsSecret(inner[key] ?? null)) : [];
  for (const path of names.length > 0 ? names.map((name) => `buildArgs.${name}`) : ['buildArgs']) {
    fail(
      path,
      'a build argument is readable in the image history and must not be secret: pass it in "secrets" and read it ' +
        'in the Dockerfile with RUN --mount=type=secret,id=…',
    );
  }
}

function checkUnions(plain: PropertyMap, fail: Fail): void {
  for (const property of ['exports', 'cacheFrom', 'cacheTo']) {
    each(plain[property], (entry, index) => {
      if (!isMap(entry) || entry.disabled === true) return;
      const kinds = Object.entries(entry).filter(
        ([key, value]) => key !== 'disabled' && value !== '' && value !== null,
      );
      if (kinds.length > 1) {
        fail(`${property}[${index}]`, `only one kind may be given, not ${kinds.map(([key]) => key).join(' and ')}`);
      }
      const [kind, fields] = kindOf(entry as Union);
      if (kind === 'azblob' && fields.secretAccessKey && !isUnknown(fields.secretAccessKey)) {
        fail(
          `${property}[${index}].azblob.secretAccessKey`,
          'the built-in plugin would show this key in process arguments: leave it out and use an Azure identity, ' +
            'or install the official plugin',
        );
      }
    });
  }
}

async function checkFiles(plain: PropertyMap, fail: Fail): Promise<void> {
  const context = isMap(plain.context) ? plain.context : {};
  const location = context.location;
  const dockerfile = isMap(plain.dockerfile) ? plain.dockerfile : {};
  if (typeof location === 'string' && !isRemote(location) && !(await isDirectory(location))) {
    fail('context.location', `"${location}" is not a directory (looked in ${resolve('.')}) and not a URL`);
    return;
  }
  if (dockerfile.location && dockerfile.inline) {
    fail('dockerfile', 'only "location" or "inline" may be given, not both');
    return;
  }
  const where = dockerfile.inline ? 'dockerfile.inline' : 'dockerfile.location';
  const text = await dockerfileText(dockerfile, fail);
  if (text === undefined) return;
  let facts: DockerfileFacts;
  try {
    facts = readDockerfile(text);
  } catch (error) {
    fail(where, (error as Error).message);
    return;
  }
  const problem = typeof plain.target === 'string' ? targetProblem(facts, plain.target) : undefined;
  if (problem) fail('target', problem);
}

async function dockerfileText(dockerfile: PropertyMap, fail: Fail): Promise<string | undefined> {
  if (typeof dockerfile.inline === 'string' && dockerfile.inline !== '') return dockerfile.inline;
  const location = dockerfile.location;
  if (typeof location !== 'string' || location === '' || isRemote(location)) return undefined;
  try {
    return await readFile(location, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    fail('dockerfile.location', `the Dockerfile "${resolve(location)}" cannot be read (${code})`);
    return undefined;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

function each(value: PropertyValue | undefined, visit: (item: PropertyValue, index: number) => void): void {
  const plain = value === undefined ? undefined : unwrap(value);
  if (Array.isArray(plain)) plain.forEach(visit);
}
