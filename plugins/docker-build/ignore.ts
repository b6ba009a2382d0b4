/**
 * `.dockerignore` as BuildKit reads it (https://docs.docker.com/build/concepts/context/#dockerignore-files and the
 * behaviour of moby/patternmatcher): the last rule that matches a path or a directory above it decides, and `!`
 * makes an exception.
 *
 * Our own, since @balena/dockerignore follows the classic builder of docker 19.03, which decides otherwise for
 * exceptions with wildcards below an ignored directory (moby/moby#45608): the hash would differ from what is built.
 */

interface Rule {
  readonly exception: boolean;
  readonly pattern: string;
  readonly test: (path: string) => boolean;
}

export interface IgnoreMatch {
  readonly ignored: boolean;
  /** Which rules matched: to be given for what lies below this directory. */
  readonly matches: readonly boolean[];
}

export class IgnoreRules {
  private readonly exceptions: readonly string[];
  private readonly globExceptions: boolean;

  private constructor(private readonly rules: readonly Rule[]) {
    this.exceptions = rules.filter((rule) => rule.exception).map((rule) => rule.pattern.replace(/\/\*{1,2}$/, ''));
    this.globExceptions = this.exceptions.some((pattern) => /[*[\]?^\\]/.test(pattern));
  }

  /** Reads the text of an ignore file. Throws on a `!` without a pattern and on an unfinished character class. */
  static parse(text: string): IgnoreRules {
    const rules: Rule[] = [];
    for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
      if (line.startsWith('#')) continue;
      const trimmed = line.trim();
      if (trimmed === '') continue;
      const exception = trimmed.startsWith('!');
      const pattern = clean(exception ? trimmed.slice(1).trim() : trimmed);
      if (pattern === '') throw new Error('.dockerignore: "!" needs a pattern after it');
      rules.push({ exception, pattern, test: compile(pattern) });
    }
    return new IgnoreRules(rules);
  }

  /**
   * Whether a path is ignored.
   * @param path relative to the context, with `/`
   * @param parent `matches` of the directory that it lies in; empty at the top
   */
  match(path: string, parent: readonly boolean[]): IgnoreMatch {
    let ignored = false;
    const matches = this.rules.map((rule, index) => {
      let match = parent[index] ?? false;
      // A rule that cannot change the outcome is not tried: that also decides what directories below inherit.
      if (!match && rule.exception === ignored) match = rule.test(path);
      if (match) ignored = !rule.exception;
      return match;
    });
    return { ignored, matches };
  }

  /** False when no exception can lie below an ignored directory, so that it need not be walked. */
  mayHoldExceptions(directory: string): boolean {
    if (this.globExceptions) return true;
    return this.exceptions.some((pattern) => `${pattern}/`.startsWith(`${directory}/`));
  }
}

/** Go's filepath.Clean, then no leading slash: `/a//b/../c/` is `a/c`. */
function clean(pattern: string): string {
  if (pattern === '') return '';
  const rooted = pattern.startsWith('/');
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || !rooted) parts.push(part);
  }
  const joined = parts.join('/');
  return joined === '' ? (rooted ? '/' : '.') : joined;
}

function compile(pattern: string): (path: string) => boolean {
  // `**` at the start and nothing special after it compares the end of the path: `**foo` matches `a/barfoo`.
  if (pattern.startsWith('**') && !/[*?[\]\\]/.test(pattern.slice(2))) {
    const end = pattern.slice(2);
    return (path) => path.endsWith(end) || (end.startsWith('/') && path === end.slice(1));
  }
  let expression = '';
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern.charAt(index);
    if (character === '*' && pattern[index + 1] === '*') {
      index++;
      const slash = pattern[index + 1] === '/';
      if (slash) index++;
      expression += index + 1 === pattern.length ? '.*' : '(?:.*/)?';
    } else if (character === '*') expression += '[^/]*';
    else if (character === '?') expression += '[^/]';
    else if (character === '\\' && index + 1 < pattern.length) expression += literal(pattern.charAt(++index));
    else if (character === '[' || character === ']') expression += character;
    else if (character === '^' || character === '-') expression += character;
    else expression += literal(character);
  }
  let regexp: RegExp;
  try {
    regexp = new RegExp(`^${expression}$`, 's');
  } catch {
    throw new Error(`.dockerignore: the pattern "${pattern}" has an unfinished character class: close it with "]"`);
  }
  return (path) => regexp.test(path);
}

function literal(character: string): string {
  return /[.*+?^${}()|[\]\\/]/.test(character) ? `\\${character}` : character;
}
