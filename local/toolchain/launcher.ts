import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolSet } from './sets.ts';

type Launcher = NonNullable<ToolSet['launcher']>;

function text({ script }: Launcher): string {
  return readFileSync(new URL(script, import.meta.url), 'utf8');
}

/** Whether the launcher in a folder of built tools is the present one; those of earlier versions outlive their clone. */
export function launcherIsCurrent(launcher: Launcher, directory: string): boolean {
  return readFileSync(join(directory, launcher.tool), 'utf8') === text(launcher);
}

/** Puts the launcher under the tool's name; whole at any moment, as the tool may be in use. */
export function writeLauncher(launcher: Launcher, directory: string): void {
  const path = join(directory, launcher.tool);
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text(launcher), { mode: 0o755 });
  renameSync(temporary, path);
}
