/** Before the first test: the programs that the tests run, as their first time takes minutes. */

import { act, actionlint, zizmor } from './tools.ts';

export async function mochaGlobalSetup(): Promise<void> {
  await act();
  await actionlint();
  await zizmor();
}
