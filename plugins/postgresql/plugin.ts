/** The plugin `postgresql`: roles, databases, schemas, extensions and privileges. */

import manifest from '@pulumi/postgresql/package.json' with { type: 'json' };
import type { Plugin } from '../framework/provider.ts';
import { PostgresProvider } from './provider.ts';

const identity = { name: 'postgresql', version: manifest.version };

export const plugin: Plugin = { ...identity, create: (log) => new PostgresProvider(identity, log) };
