/** The plugin `kubernetes`: any kind of object that the cluster serves. */

import manifest from '@pulumi/kubernetes/package.json' with { type: 'json' };
import type { Plugin } from '../framework/provider.ts';
import { KubernetesProvider } from './provider.ts';

const identity = { name: 'kubernetes', version: manifest.version };

export const plugin: Plugin = { ...identity, create: (log) => new KubernetesProvider(identity, log) };
