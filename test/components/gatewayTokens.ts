/** nginx's reading of its configuration, written after ngx_conf_read_token: names of directives, with their blocks. */

export interface Statement {
  readonly words: readonly string[];
  readonly block?: readonly Statement[];
}

/** The end of a word that is not quoted; `${` belongs to it. */
function ends(character: string, word: string): boolean {
  return /[\s;]/.test(character) || (character === '{' && !word.endsWith('$'));
}

/** @throws Error where nginx would refuse the text */
export function readConfiguration(text: string): Statement[] {
  let at = 0;
  const word = (): string => {
    const quote = text[at] === '"' || text[at] === "'" ? text[at] : undefined;
    let result = '';
    if (quote !== undefined) at++;
    for (; at < text.length; at++) {
      const character = text[at] ?? '';
      if (character === '\\') {
        const next = text[++at] ?? '';
        result += /["'\\]/.test(next) ? next : ({ t: '\t', r: '\r', n: '\n' }[next] ?? `\\${next}`);
      } else if (quote === undefined ? ends(character, result) : character === quote) {
        if (quote !== undefined) {
          at++;
          if (!/[\s;{)]/.test(text[at] ?? '')) throw new Error(`unexpected "${text[at]}" after a quote`);
        }
        return result;
      } else result += character;
    }
    throw new Error('unexpected end in a word');
  };
  const statements = (nested: boolean): Statement[] => {
    const found: Statement[] = [];
    let words: string[] = [];
    for (;;) {
      while (/\s/.test(text[at] ?? '')) at++;
      const character = text[at];
      if (character === undefined) {
        if (nested || words.length > 0) throw new Error('unexpected end');
        return found;
      }
      if (character === ';') {
        at++;
        found.push({ words });
        words = [];
      } else if (character === '{') {
        at++;
        found.push({ words, block: statements(true) });
        words = [];
      } else if (character === '}') {
        if (!nested || words.length > 0) throw new Error('unexpected }');
        at++;
        return found;
      } else if (character === '#') {
        throw new Error('a comment');
      } else words.push(word());
    }
  };
  return statements(false);
}
