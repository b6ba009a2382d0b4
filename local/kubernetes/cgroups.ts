import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { OWN_NAME } from './facts.ts';

/**
 * The cgroup that all pods are in: its processes are ours for certain, whatever became of the processes that started
 * them. One folder in each hierarchy of version 1, or one in the only hierarchy of version 2.
 */
const ROOT = '/sys/fs/cgroup';

function ownGroups(): string[] {
  // cgroup.procs in the root itself: version 2.
  if (existsSync(join(ROOT, 'cgroup.procs'))) return [join(ROOT, OWN_NAME)];
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(ROOT, entry.name, 'cgroup.procs')))
    .map((entry) => join(ROOT, entry.name, OWN_NAME));
}

/** The kubelet wants it to be there. */
export function makeCgroups(): void {
  for (const path of ownGroups()) mkdirSync(path, { recursive: true });
}

/** Processes of pods. */
export function podProcesses(): number[] {
  const pids = new Set<number>();
  for (const group of ownGroups()) {
    for (const directory of descendants(group)) {
      try {
        for (const line of readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n')) {
          // 0: a process of another pid namespace.
          if (Number(line) > 0) pids.add(Number(line));
        }
      } catch {
        // Removed meanwhile.
      }
    }
  }
  return [...pids];
}

/** Removes the cgroups; those that still have a process stay. */
export function removeCgroups(): void {
  for (const group of ownGroups()) {
    for (const directory of descendants(group)) {
      try {
        rmdirSync(directory);
      } catch {
        // Not empty, or gone.
      }
    }
  }
}

/** The deepest first. */
function descendants(directory: string): string[] {
  try {
    const inner = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [...inner.flatMap((entry) => descendants(join(directory, entry.name))), directory];
  } catch {
    return [];
  }
}
