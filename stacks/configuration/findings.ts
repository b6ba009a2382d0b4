import type * as z from 'zod';
import type { Finding } from '../../components/findings.ts';
import { suggest } from './suggest.ts';

/** The namespace of the project's keys. */
export const PROJECT = 'development-operations';

/** A key path as `pulumi config set --path` takes it. */
export function keyPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part, position) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const name = String(part);
    if (position === 0) return `${text}${name}`;
    return /^[\w-]+$/.test(name) ? `${text}.${name}` : `${text}["${name}"]`;
  }, `${PROJECT}:`);
}

/** The findings of a failed parse: one for each unknown key, and for a union those of the branch that came nearest. */
export function issueFindings(issues: readonly z.core.$ZodIssue[], before: readonly PropertyKey[] = []): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = [...before, ...issue.path];
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], issue.message));
    if (issue.code === 'invalid_union') {
      const deeper = nearestBranch(issue.errors);
      if (deeper) return issueFindings(deeper, path);
    }
    return [{ path: keyPath(path), problem: issue.message }];
  });
}

/** A branch whose issues all lie below the value itself: its type was right, its contents were not. */
function nearestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  return branches.find((issues) => issues.length > 0 && issues.every((issue) => issue.path.length > 0));
}

/** @param known the known keys, parted by a space: see `section` in leaves.ts. */
function unknownKey(path: readonly PropertyKey[], known: string): Finding {
  const keys = known.split(' ');
  const near = suggest(String(path.at(-1)), keys);
  const hint = near ? `did you mean "${near}"?` : `the known keys are ${keys.join(', ')}`;
  return { path: keyPath(path), problem: `is not a known key: ${hint}` };
}
