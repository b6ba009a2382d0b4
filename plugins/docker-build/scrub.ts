/** Takes secret values out of text that people will see. */

const MASK = '[secret]';
/** Shorter values would blot out ordinary text, and a secret of this length protects nothing. */
const SHORTEST = 3;

/** A function that replaces every given value, also base64- and URL-encoded, and each line of those with several. */
export function scrubber(values: readonly string[]): (text: string) => string {
  const forms = new Set<string>();
  for (const value of values) {
    for (const part of [value, value.trim(), ...value.split(/\r?\n/).map((line) => line.trim())]) {
      if (part.length < SHORTEST) continue;
      forms.add(part);
      forms.add(encodeURIComponent(part));
      forms.add(Buffer.from(part).toString('base64'));
      forms.add(JSON.stringify(part).slice(1, -1));
    }
  }
  // Longest first, so that a value within another leaves nothing of the longer one behind.
  const ordered = [...forms].sort((a, b) => b.length - a.length);
  return (text) => ordered.reduce((result, form) => result.replaceAll(form, MASK), text);
}
