/**
 * `npm run -s token [-- --scope "local:read" --client reader]`: an access token of the local issuer for the operations
 * API, and nothing else, on standard output. Without `--scope` with all scopes of the client, by default `developer`.
 */

import { parseArgs } from 'node:util';
import { createContext, repositoryRoot } from '../local/context.ts';
import { isClientName, MACHINE_CLIENTS } from '../local/issuer/facts.ts';
import { requestToken } from '../local/issuer/token.ts';

async function main(args: string[]): Promise<string> {
  const { values } = parseArgs({ args, options: { scope: { type: 'string' }, client: { type: 'string' } } });
  const client = values.client ?? 'developer';
  if (!isClientName(client)) {
    throw new Error(`--client ${client} is not there; there are ${Object.keys(MACHINE_CLIENTS).join(', ')}`);
  }
  return await requestToken(createContext(repositoryRoot()), { client, scope: values.scope });
}

try {
  process.stdout.write(`${await main(process.argv.slice(2))}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
