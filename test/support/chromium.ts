/** A real browser for tests: Chromium of the system, installed from Debian's archive when it is missing. */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { type Browser, chromium } from 'playwright-core';

/** Debian's package; Ubuntu's is only a pointer to a snap, there use Google Chrome. */
export const CHROMIUM_PACKAGE = 'chromium';
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const INSTALL = ['install', '-y', '--no-install-recommends', CHROMIUM_PACKAGE];
const APT_OPTIONS = ['-q', '--no-remove', '-o', 'DPkg::Lock::Timeout=300'];

function find(): string | undefined {
  const given = process.env.CHROMIUM;
  if (given) {
    if (!existsSync(given)) throw new Error(`CHROMIUM names ${given}, which is not there`);
    return given;
  }
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin'];
  return directories
    .flatMap((directory) => NAMES.map((name) => join(directory, name)))
    .find((path) => existsSync(path));
}

/**
 * Path of Chromium. As root on Debian it is installed when it is missing, which takes about a minute.
 *
 * @throws with the cure where it cannot be installed
 */
export async function chromiumPath(): Promise<string> {
  const found = find();
  if (found !== undefined) return found;
  const cure = `install it (sudo apt-get ${INSTALL.join(' ')}), or name a Chromium or Chrome in CHROMIUM`;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`the tests of the console need Chromium: ${cure}`);
  }
  console.error(`  ${CHROMIUM_PACKAGE} is missing: installing it for the tests of the console`);
  const apt = (args: readonly string[]) =>
    execa('/usr/bin/apt-get', [...APT_OPTIONS, ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      stdin: 'ignore',
      reject: false,
      timeout: 10 * 60_000,
    });
  // The lists may be fresh enough: an update costs half a minute.
  let result = await apt(INSTALL);
  if (find() === undefined) {
    await apt(['update']);
    result = await apt(INSTALL);
  }
  const installed = find();
  if (installed === undefined) {
    throw new Error(`Chromium could not be installed:\n${result.stderr.slice(-1000)}\n${cure}`);
  }
  return installed;
}

/** Starts it; as root without its sandbox, which root cannot have. Close it with `browser.close()`. */
export async function launchChromium(): Promise<Browser> {
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({
    executablePath: await chromiumPath(),
    // Containers often have a small /dev/shm.
    args: [...sandbox, '--disable-dev-shm-usage'],
  });
}
