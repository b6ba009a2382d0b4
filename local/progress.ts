import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import pc from 'picocolors';
import type { Progress } from './service.ts';

export interface ProgressOptions {
  /** @default standard error: standard output belongs to the command's result */
  readonly stream?: NodeJS.WriteStream;
  /** A JSON file of how long each step took last time (title to milliseconds). */
  readonly durationsFile?: string;
  /** Time between lines where the stream is no terminal. @default 30000 */
  readonly intervalMs?: number;
  /** Steps shorter than this leave no line, in milliseconds. @default 300 */
  readonly quietMs?: number;
}

interface Active {
  readonly title: string;
  readonly started: number;
  readonly last: number | undefined;
  detail: string;
}

/** `4.2 s`, `3 min 07 s`. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/**
 * Progress on a terminal: one line in place for what is running, one line for what has ended. Elsewhere (CI logs): a
 * line when a step ends, and one every 30 s while it runs.
 */
export function createProgress(options: ProgressOptions = {}): Progress {
  const stream = options.stream ?? process.stderr;
  const interactive = stream.isTTY === true;
  const durations = readDurations(options.durationsFile);
  const active = new Set<Active>();
  let timer: NodeJS.Timeout | undefined;

  const clear = () => {
    if (interactive) stream.write('\r\x1b[K');
  };
  const describe = (step: Active) => {
    const last = step.last === undefined ? '' : `, ${formatDuration(step.last)} last time`;
    const detail = step.detail === '' ? '' : `: ${step.detail}`;
    return `${step.title}${detail} (${formatDuration(Date.now() - step.started)}${last})`;
  };
  const draw = () => {
    if (!interactive) {
      for (const step of active) stream.write(`  … ${describe(step)}\n`);
      return;
    }
    const text = [...active].map(describe).join(' · ');
    stream.write(`\r\x1b[K${pc.dim(text.slice(0, Math.max(20, (stream.columns ?? 100) - 1)))}`);
  };
  const line = (text: string) => {
    clear();
    stream.write(`${text}\n`);
  };

  return {
    note: line,
    async step(title, work) {
      const step: Active = { title, started: Date.now(), last: durations[title], detail: '' };
      active.add(step);
      timer ??= setInterval(draw, interactive ? 200 : (options.intervalMs ?? 30_000)).unref();
      try {
        const result = await work((detail) => {
          step.detail = detail.replace(/\s+/g, ' ').trim();
        });
        const took = Date.now() - step.started;
        if (took >= (options.quietMs ?? 300)) {
          const last = step.last === undefined ? '' : `, ${formatDuration(step.last)} last time`;
          line(`${pc.green('✓')} ${title} (${formatDuration(took)}${last})`);
          durations[title] = took;
          writeDurations(options.durationsFile, durations);
        }
        return result;
      } catch (error) {
        line(`${pc.red('✗')} ${title} (${formatDuration(Date.now() - step.started)})`);
        throw error;
      } finally {
        active.delete(step);
        if (active.size === 0) {
          clearInterval(timer);
          timer = undefined;
          clear();
        }
      }
    },
  };
}

function readDurations(path: string | undefined): Record<string, number> {
  try {
    return path === undefined ? {} : (JSON.parse(readFileSync(path, 'utf8')) as Record<string, number>);
  } catch {
    return {};
  }
}

/** Best effort: a cache folder that cannot be written must not stop the work. */
function writeDurations(path: string | undefined, durations: Record<string, number>): void {
  if (path === undefined) return;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify(durations, undefined, 2));
    renameSync(temporary, path);
  } catch {
    // Shown without "last time" next time.
  }
}
