/** Reading apt's list of sources: one-line and deb822 format (sources.list(5)). */

export interface AptSource {
  readonly uri: string;
  /** `Signed-By`, when it is a file. */
  readonly keyring?: string;
}

/** The source of a release's main component, for `suite` itself (not its updates). */
export function chooseSource(
  files: readonly { readonly file: string; readonly text: string }[],
  suite: string,
): AptSource | undefined {
  for (const { file, text } of files) {
    const found = file.endsWith('.sources') ? fromDeb822(text, suite) : fromLines(text, suite);
    if (found !== undefined) return found;
  }
  return undefined;
}

function fromDeb822(text: string, suite: string): AptSource | undefined {
  const withoutComments = text.replace(/^#.*\n?/gm, '');
  for (const stanza of withoutComments.split(/\n\s*\n/)) {
    const field = (name: string) =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(stanza)?.[1]?.trim().split(/\s+/) ?? [];
    const uri = field('URIs').find((value) => /^https?:/.test(value));
    const wanted =
      field('Types').includes('deb') && field('Suites').includes(suite) && field('Components').includes('main');
    if (wanted && uri !== undefined && field('Enabled')[0] !== 'no') {
      const keyring = field('Signed-By')[0];
      return keyring?.startsWith('/') ? { uri, keyring } : { uri };
    }
  }
  return undefined;
}

function fromLines(text: string, suite: string): AptSource | undefined {
  for (const line of text.split('\n')) {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(https?:\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
    if (match?.[2] === undefined || match[3] !== suite || !match[4]?.split(/\s+/).includes('main')) continue;
    const keyring = /signed-by=(\/\S+)/i.exec(match[1] ?? '')?.[1];
    return keyring === undefined ? { uri: match[2] } : { uri: match[2], keyring };
  }
  return undefined;
}
