import { createRequire } from 'node:module';
import type { Plugin } from '../framework/provider.ts';
import { DockerBuildProvider } from './provider.ts';

const { version } = createRequire(import.meta.url)('@pulumi/docker-build/package.json') as { version: string };
const identity = { name: 'docker-build', version };

/** The `docker-build` package's plugin: `Image`. */
export const plugin: Plugin = { ...identity, create: (log) => new DockerBuildProvider(identity, log) };
