/** What act says of a run, as JSON lines. Pure. */

export type Conclusion = 'success' | 'failure' | 'cancelled' | 'skipped';

/** An output that a step has set. */
export interface StepOutput {
  /** Ids of the jobs from the caller's to the called workflow's, as `publish/npm-package`. */
  readonly job: string;
  readonly step: string;
  readonly name: string;
  readonly value: string;
}

export interface ActLog {
  /** Everything that was printed, a line each, with the job in front: `[caller/job] text`. */
  readonly output: string;
  /** What was written to GITHUB_STEP_SUMMARY, one entry for each step. */
  readonly summaries: readonly string[];
  readonly outputs: readonly StepOutput[];
  /** By name, as act shows it: `CALLER/job`. */
  readonly jobs: Readonly<Record<string, Conclusion>>;
}

interface Entry {
  readonly msg?: string;
  readonly job?: string;
  readonly jobID?: string;
  readonly stepID?: readonly string[] | string;
  readonly command?: string;
  readonly name?: string;
  readonly arg?: string;
  readonly content?: string;
  readonly jobResult?: string;
}

/**
 * Reads act's `--json` lines. Lines that are no JSON (a fault before the run begins) are kept in `output` as they are.
 */
export function parseActLog(text: string): ActLog {
  const lines: string[] = [];
  const summaries: string[] = [];
  const outputs: StepOutput[] = [];
  const jobs: Record<string, Conclusion> = {};
  for (const line of text.split('\n')) {
    const entry = decode(line);
    if (entry === undefined) {
      if (line.trim() !== '') lines.push(line);
      continue;
    }
    const job = (entry.job ?? '').trim();
    const message = (entry.msg ?? '').replace(/\n$/, '');
    if (message !== '') lines.push(job === '' ? message : `[${job}] ${message}`);
    if (entry.command === 'summary' && entry.content) summaries.push(entry.content);
    if (entry.command === 'set-output') {
      const step = Array.isArray(entry.stepID) ? entry.stepID.join('/') : String(entry.stepID ?? '');
      outputs.push({ job, step, name: nameOf(message), value: entry.arg ?? '' });
    }
    if (entry.jobResult !== undefined) jobs[job] = entry.jobResult as Conclusion;
  }
  return { output: lines.join('\n'), summaries, outputs, jobs };
}

function decode(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}

/** `  ⚙  ::set-output:: name=value` */
function nameOf(message: string): string {
  return /::set-output::\s*([^=]+)=/.exec(message)?.[1] ?? '';
}
