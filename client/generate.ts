import { join } from 'node:path';
import { execa } from 'execa';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';

const root = join(import.meta.dirname, '..');

/** The files of the client that follow from the service's OpenAPI document, by their path in `client/`. */
export async function generateClient(document: unknown): Promise<Readonly<Record<string, string>>> {
  const json = `${JSON.stringify(document, null, 2)}\n`;
  const nodes = await openapiTS(json, { alphabetize: true });
  return {
    'openapi.json': await format('openapi.json', json),
    'src/schema.ts': await format('schema.ts', `${COMMENT_HEADER}${astToString(nodes)}`),
  };
}

/** As `npm run format` would leave it, so that lint has nothing to say about it. */
async function format(name: string, text: string): Promise<string> {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const { stdout } = await execa(process.execPath, [biome, 'check', '--write', `--stdin-file-path=${name}`], {
    cwd: root,
    input: text,
    stripFinalNewline: false,
  });
  return stdout;
}
