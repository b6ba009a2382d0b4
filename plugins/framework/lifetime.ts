/** A plugin lives as long as the engine that started it, whichever way the engine ends. */

import { fstatSync } from 'node:fs';

/** How often to look whether the parent is still there, in milliseconds. */
const PARENT_CHECK_INTERVAL = 1000;
/** The engine kills a plugin 5 s after the interrupt; closing gets less, in milliseconds. */
const CLOSE_TIMEOUT = 4000;

/**
 * Ends this process after `close` when the engine interrupts it, closes its standard input, or dies. A terminal's
 * Ctrl-C does not come here: the engine starts plugins in process groups of their own and calls Cancel instead.
 */
export function endWithParent(close: () => Promise<void>): void {
  const parent = process.ppid;
  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(0), CLOSE_TIMEOUT).unref();
    void close().finally(() => process.exit(0));
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  // Only a pipe ends with its writer; /dev/null, the standard input of a background job, is at its end at once.
  if (isPipe(0)) process.stdin.on('end', end).on('error', end).resume();
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, PARENT_CHECK_INTERVAL).unref();
}

function isPipe(descriptor: number): boolean {
  try {
    const status = fstatSync(descriptor);
    return status.isFIFO() || status.isSocket();
  } catch {
    return false;
  }
}
