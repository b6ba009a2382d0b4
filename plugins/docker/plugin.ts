import { createRequire } from 'node:module';
import type { Plugin } from '../framework/provider.ts';
import { DockerProvider } from './provider.ts';

const { version } = createRequire(import.meta.url)('@pulumi/docker/package.json') as { version: string };
const identity = { name: 'docker', version };

/** The `docker` package's plugin: `getRegistryImage`. */
export const plugin: Plugin = { ...identity, create: () => new DockerProvider(identity) };
