/** Commands of the Pulumi CLI that read the stack's configuration from `--config-file` (their `--help`). */
const WITH_CONFIGURATION = new Set([
  'up',
  'update',
  'preview',
  'pre',
  'refresh',
  'destroy',
  'down',
  'dn',
  'import',
  'config',
  'watch',
  'logs',
]);

export function takesConfigurationFile(args: readonly string[]): boolean {
  const given = args.some((arg) => arg === '--config-file' || arg.startsWith('--config-file='));
  return !given && WITH_CONFIGURATION.has(args.find((arg) => !arg.startsWith('-')) ?? '');
}

/** The stack that `--stack`, `-s` or (for `stack select`, `init`, `rm`) an argument names. */
export function namedStack(args: readonly string[]): string | undefined {
  for (const [index, arg] of args.entries()) {
    if (arg === '--') break;
    if (arg === '--stack' || arg === '-s') return args[index + 1];
    const value = /^(?:--stack=|-s=?)(.+)$/.exec(arg)?.[1];
    if (value !== undefined) return value;
  }
  const words = args.filter((arg) => !arg.startsWith('-'));
  return words[0] === 'stack' && ['select', 'init', 'rm'].includes(words[1] ?? '') ? words[2] : undefined;
}
