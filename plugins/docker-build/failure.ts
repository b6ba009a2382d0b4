/** Makes one readable error of what a failed build printed. */

/** Lines of the failing step that are shown. */
const SHOWN_LINES = 20;

interface Hint {
  readonly when: RegExp;
  readonly text: (host: string) => string;
}

const HINTS: readonly Hint[] = [
  {
    when: /cannot connect to the docker daemon|failed to connect to the docker api|error during connect|dial unix|connection refused.*docker/i,
    text: (host) =>
      host
        ? `The docker daemon at ${host} (DOCKER_HOST) does not answer: start it, or correct the address.`
        : 'The docker daemon does not answer: start it, or set DOCKER_HOST to its address.',
  },
  {
    when: /permission denied.*docker.*sock/i,
    text: () => 'This user may not use the docker daemon: join the group docker, or set DOCKER_HOST to a rootless one.',
  },
  {
    when: /is not a docker command|unknown command: docker buildx|unknown flag: --(?:metadata-file|progress)/i,
    text: () =>
      'The buildx plugin is missing: install docker-buildx-plugin, or set DEVOPS_BUILDX to the path of docker-buildx.',
  },
  {
    when: /\b401\b|unauthorized|authentication required|no basic auth credentials|authorization failed|incorrect username or password/i,
    text: () => 'The registry refuses the credentials: check username and password in "registries", or docker login.',
  },
  {
    when: /\b403\b|denied: |insufficient_scope|requested access to the resource is denied/i,
    text: () => 'The registry denies access: check that the repository exists and that this user may push to it.',
  },
  {
    when: /unsupported frontend capability|Unknown flag: (?:network|security|link|parents|exclude)/,
    text: () =>
      "The daemon's BuildKit is too old for this: use docker 23 or newer, a buildx builder (builder.name), or begin the " +
      'Dockerfile with "# syntax=docker/dockerfile:1".',
  },
  {
    when: /no space left on device/i,
    text: () => 'The disk of the docker daemon is full: docker builder prune frees the build cache.',
  },
];

/** The error of a failed build. `lines` are what it printed, already without secrets. */
export function buildFailure(lines: readonly string[], code: number, host: string): Error {
  const headline = headlineOf(lines).replace(/^ERROR: /, '');
  const step = failingStep(lines);
  const text = [`docker buildx build failed (exit code ${code}): ${headline}`];
  if (step.length > 0) text.push(...step.map((line) => `  ${line}`));
  const whole = lines.join('\n');
  const hint = HINTS.find((candidate) => candidate.when.test(headline)) ?? HINTS.find((one) => one.when.test(whole));
  if (hint) text.push(hint.text(host));
  return new Error(text.join('\n'));
}

/** buildx's own last word; where it never began, the line that explains most; else the last one. */
function headlineOf(lines: readonly string[]): string {
  const last = (wanted: (line: string) => boolean): string | undefined => lines.findLast(wanted);
  return (
    last((line) => line.startsWith('ERROR: ')) ??
    last((line) => HINTS.some((hint) => hint.when.test(line))) ??
    last((line) => line.trim() !== '') ??
    'it printed nothing'
  );
}

/** The last lines of the step whose `#7 ERROR: …` came last: its title, its output. */
function failingStep(lines: readonly string[]): string[] {
  const failed = lines.map((line) => /^(#\d+) ERROR: /.exec(line)?.[1]).findLast((id) => id !== undefined);
  if (failed === undefined) return [];
  const own = lines.filter((line) => line.startsWith(`${failed} `)).map((line) => line.slice(failed.length + 1));
  const title = own[0];
  const output = own.slice(1).filter((line) => !/^(sha256:|DONE|CACHED|\.\.\.|resolve )/.test(line));
  return [...(title === undefined ? [] : [title]), ...output.slice(-SHOWN_LINES)];
}
