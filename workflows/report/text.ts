/**
 * Texts of a plan inside Markdown. They come from configurations, resource files and servers, and may hold anything: none
 * may become markup, a link, or a mention of somebody. All of them are put into code, where GitHub looks for neither. Pure.
 */

/** What is not to be seen, or turns the direction of what follows ("Trojan source"); tabs and ends of lines are kept. */
const INVISIBLE = /(?![\t\n])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Characters that a reader cannot see, written as `\u202e`. */
export function visible(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(INVISIBLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** In one line, with at most `limit` characters. */
export function oneLine(text: string, limit = 200): string {
  const line = visible(text)
    .replace(/\s*\n\s*/g, ' ⏎ ')
    .replaceAll('\t', ' ');
  return cut(line, limit);
}

/** The beginning of a text, with a mark where it was cut; never half of a character. */
export function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text[limit - 2] ?? '') ? limit - 2 : limit - 1;
  return `${text.slice(0, end)}…`;
}

/** Code inside a line of Markdown. */
export function codeSpan(text: string, limit?: number): string {
  const line = oneLine(text, limit).trim();
  if (line === '') return '` `';
  const fence = '`'.repeat(longestRun(line) + 1);
  const gap = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${fence}${gap}${line}${gap}${fence}`;
}

/** Code inside a line of HTML, such as `<summary>`: there Markdown is not read. */
export function htmlCode(text: string, limit?: number): string {
  return `<code>${escapeHtml(oneLine(text, limit))}</code>`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** A block of code. */
export function codeBlock(language: string, lines: readonly string[]): string {
  const text = visible(lines.join('\n'));
  const fence = '`'.repeat(Math.max(3, longestRun(text) + 1));
  return `${fence}${language}\n${text}\n${fence}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
}
