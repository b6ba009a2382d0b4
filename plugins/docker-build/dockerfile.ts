/**
 * A first look at a Dockerfile, so that a preview tells of a typing error without a build
 * (https://docs.docker.com/reference/dockerfile/). What BuildKit would find wrong deeper in an instruction is left to it.
 */

const INSTRUCTIONS = new Set(
  (
    'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER ' +
    'VOLUME WORKDIR'
  ).split(' '),
);
const WITH_HEREDOC = new Set(['ADD', 'COPY', 'RUN']);

export interface DockerfileFacts {
  /** Names of the build stages, in order; '' for one without a name. */
  readonly stages: readonly string[];
  /** True when another frontend reads this file, so that nothing is known of it. */
  readonly foreign: boolean;
}

interface Instruction {
  readonly line: number;
  readonly keyword: string;
  readonly rest: string;
}

/** Reads a Dockerfile. Throws an error with the line number on what no builder would accept. */
export function readDockerfile(text: string): DockerfileFacts {
  const directives = readDirectives(text);
  const syntax = directives.syntax ?? process.env.BUILDKIT_SYNTAX ?? '';
  if (syntax !== '' && !/^(docker\.io\/)?docker\/dockerfile(:|$|@)/.test(syntax)) return { stages: [], foreign: true };

  const stages: string[] = [];
  for (const { line, keyword, rest } of instructions(text, directives.escape ?? '\\')) {
    if (!INSTRUCTIONS.has(keyword)) throw new Error(`line ${line}: "${keyword}" is not a Dockerfile instruction`);
    if (keyword === 'FROM') stages.push(stageName(line, rest));
    else if (stages.length === 0 && keyword !== 'ARG') {
      throw new Error(`line ${line}: ${keyword} before the first FROM: a stage begins with FROM`);
    } else if (rest === '') throw new Error(`line ${line}: ${keyword} needs at least one argument`);
  }
  if (stages.length === 0) throw new Error('there is no FROM instruction: a Dockerfile needs at least one stage');
  return { stages, foreign: false };
}

/** An error text when `target` is not a stage of the Dockerfile; undefined when it is. */
export function targetProblem(facts: DockerfileFacts, target: string): string | undefined {
  if (target === '' || facts.foreign) return undefined;
  if (facts.stages.some((stage) => stage.toLowerCase() === target.toLowerCase())) return undefined;
  if (/^\d+$/.test(target) && Number(target) < facts.stages.length) return undefined;
  const names = facts.stages.filter((stage) => stage !== '');
  return `the Dockerfile has no stage "${target}"; its stages are: ${names.join(', ') || '(none has a name)'}`;
}

function readDirectives(text: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const match = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line);
    if (!match) break;
    found[(match[1] ?? '').toLowerCase()] = match[2] ?? '';
  }
  return found;
}

function stageName(line: number, rest: string): string {
  const words = rest.split(/\s+/).filter((word) => word !== '' && !word.startsWith('--'));
  if (words.length === 1) return '';
  if (words.length === 3 && words[1]?.toUpperCase() === 'AS') return words[2] ?? '';
  throw new Error(`line ${line}: FROM takes an image, or an image, AS and a name`);
}

/** The instructions with continued lines joined, comments and here-documents left out. */
function* instructions(text: string, continuation: string): Generator<Instruction> {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const first = (lines[index] ?? '').trim();
    if (first === '' || first.startsWith('#')) continue;
    const start = index + 1;
    let joined = first;
    while (joined.endsWith(continuation) && index + 1 < lines.length) {
      const next = (lines[++index] ?? '').trim();
      // Comments and empty lines within a continued instruction are skipped by docker too.
      if (next === '' || next.startsWith('#')) continue;
      joined = `${joined.slice(0, -1)} ${next}`;
    }
    const [, word = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(joined) ?? [];
    const keyword = word.toUpperCase();
    if (WITH_HEREDOC.has(keyword)) index = skipHeredocs(lines, index, rest, start);
    yield { line: start, keyword, rest: rest.trim() };
  }
}

function skipHeredocs(lines: readonly string[], from: number, rest: string, start: number): number {
  let index = from;
  for (const match of rest.matchAll(/<<(-?)(["']?)([A-Za-z_][\w.]*)\2/g)) {
    // `<<<` is a here-string of the shell, not a here-document.
    if (rest[(match.index ?? 0) - 1] === '<') continue;
    const [, dash, , word] = match;
    const isEnd = (line: string): boolean => (dash ? line.replace(/^\t+/, '') : line) === word;
    do {
      index++;
      if (index >= lines.length) throw new Error(`line ${start}: the here-document <<${word} has no end`);
    } while (!isEnd(lines[index] ?? ''));
  }
  return index;
}
