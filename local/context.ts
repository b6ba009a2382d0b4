import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProgress } from './progress.ts';
import type { Context } from './service.ts';
import { cacheDirectory, createToolchain } from './toolchain.ts';

/** The repository that this file is part of. */
export function repositoryRoot(): string {
  return resolve(fileURLToPath(new URL('..', import.meta.url)));
}

export function createContext(root: string = repositoryRoot()): Context {
  const directory = join(root, '.local');
  mkdirSync(join(directory, 'run'), { recursive: true });
  const progress = createProgress({ durationsFile: join(cacheDirectory(), 'durations.json') });
  const toolchain = createToolchain({ progress });
  return { root, directory, progress, tool: (name) => toolchain.tool(name) };
}
