/** Built-in stand-in for the official "random" plugin, for machines that cannot download it. */

import { createRequire } from 'node:module';
import type { Plugin } from '../framework/provider.ts';
import { RandomProvider } from './provider.ts';

const { version } = createRequire(import.meta.url)('@pulumi/random/package.json') as { version: string };

export const plugin: Plugin = {
  name: 'random',
  version,
  create: () => new RandomProvider({ name: 'random', version }),
};
