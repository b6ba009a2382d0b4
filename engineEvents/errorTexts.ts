/** Texts of the engine that tell a caller nothing. */
const NOISE = [
  /^(update|preview|destroy|refresh) failed$/,
  /^error: (update|preview|destroy) failed$/,
  /^Running program .* failed with an unhandled exception/,
];

/** Removes terminal colours and the values that must never be told; the texts of all errors, each once. */
export function scrub(texts: readonly string[], secrets: readonly string[]): string[] {
  const clean = texts
    .map((text) => withoutSecrets(text.replace(COLOURS, ''), secrets).trim())
    .filter((text) => text !== '' && !NOISE.some((noise) => noise.test(text)));
  return [...new Set(clean)];
}

/** The engine marks colours with `<{%reset%}>`, a terminal's are escape sequences. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals' colours begin with the escape character
const COLOURS = /<\{%.*?%\}>|\u001b\[[0-9;]*m/g;

/** Leaves out each of `secrets` that has at least four characters: shorter ones would hide what is none. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= 4)
    .reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text);
}
