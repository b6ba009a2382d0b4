/** nginx's configuration as data, and the one place where it becomes text. */

export interface Directive {
  readonly name: string;
  readonly parameters: readonly string[];
  /** Present for a block such as `server { … }`. */
  readonly block?: readonly Directive[];
}

/** `name parameter …;` */
export function directive(name: string, ...parameters: readonly (string | number)[]): Directive {
  return { name, parameters: parameters.map(String) };
}

/** `name parameter … { … }` */
export function block(name: string, parameters: readonly string[], content: readonly Directive[]): Directive {
  return { name, parameters, block: content };
}

/** The text of the directives, two spaces a level. */
export function render(directives: readonly Directive[], indent = ''): string {
  return directives
    .map(({ name, parameters, block: content }) => {
      // The keys of a map are texts like parameters.
      const head = indent + [name, ...parameters].map(parameter).join(' ');
      return content === undefined ? `${head};\n` : `${head} {\n${render(content, `${indent}  `)}${indent}}\n`;
    })
    .join('');
}

/**
 * One parameter as nginx reads it back (ngx_conf_read_token): bare when every character is harmless, else in double
 * quotes with `"` and `\` escaped. A `$` still starts a variable, as nginx has no escape for it: texts of callers are
 * refused with one, see ../validation.ts.
 *
 * @throws Error for control characters, which no parameter needs
 */
export function parameter(text: string): string {
  if (hasControlCharacter(text)) throw new Error('a parameter of the nginx configuration has a control character');
  if (/^[A-Za-z0-9_.:/$@=~^*+,()-]+$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** ASCII control characters, line ends of Unicode too, and halves of characters that UTF-8 cannot carry. */
export function hasControlCharacter(text: string): boolean {
  return /[\p{Cc}\p{Cs}\u2028\u2029]/u.test(text);
}
