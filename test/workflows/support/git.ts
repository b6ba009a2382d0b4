/** git for the tests' repositories: no configuration of the machine's, fixed names. */

import { execa } from 'execa';

const IDENTITY = { name: 'Test', email: 'test@example.com' };

/** Runs git in `directory` and returns what it prints, without the last line's end. Throws with git's message. */
export async function git(directory: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execa('git', args, {
    cwd: directory,
    extendEnv: false,
    env: {
      PATH: process.env.PATH,
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: IDENTITY.name,
      GIT_AUTHOR_EMAIL: IDENTITY.email,
      GIT_COMMITTER_NAME: IDENTITY.name,
      GIT_COMMITTER_EMAIL: IDENTITY.email,
    },
  });
  return stdout;
}
