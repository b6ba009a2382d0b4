/**
 * `npm run -s workflow -- NAME --option value …`: one flow, the same on a laptop and in a workflow of GitHub Actions.
 * Secrets come from the environment, never as options. Exit code 0: done; 1: refused or failed; 2: could not be tried.
 */

import { EXIT } from '../workflows/failure.ts';
import { flows } from '../workflows/flows.ts';
import { reportFailure } from '../workflows/github/report.ts';
import { parseOptions, usage } from '../workflows/options.ts';

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const load = flows[name];
  if (!load) {
    console.error(usage(await Promise.all(Object.values(flows).map((one) => one()))));
    return name === '' || name === '--help' ? 0 : EXIT.impossible;
  }
  const flow = await load();
  return (await flow.run(parseOptions(flow, args))) ?? 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = await reportFailure(error);
}
