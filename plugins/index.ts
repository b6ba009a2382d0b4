/** The provider plugins of this repository by package name, each loaded only when it is asked for. */

import type { Plugin } from './framework/provider.ts';

export const PLUGINS = {
  random: async (): Promise<Plugin> => (await import('./random/plugin.ts')).plugin,
  kubernetes: async (): Promise<Plugin> => (await import('./kubernetes/plugin.ts')).plugin,
  postgresql: async (): Promise<Plugin> => (await import('./postgresql/plugin.ts')).plugin,
  docker: async (): Promise<Plugin> => (await import('./docker/plugin.ts')).plugin,
  'docker-build': async (): Promise<Plugin> => (await import('./docker-build/plugin.ts')).plugin,
};

export type PluginName = keyof typeof PLUGINS;

export const PLUGIN_NAMES = Object.keys(PLUGINS) as PluginName[];

export function isPluginName(name: string): name is PluginName {
  return Object.hasOwn(PLUGINS, name);
}
