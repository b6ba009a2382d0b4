/**
 * One engine: a child process of the service that runs one program at a time. The provider plugins and the SDK are
 * loaded once and stay warm, which is most of a run's time; a crash, a leak or a hanging run takes nobody else with it.
 *
 * Messages over the process's channel; see engine/messages.ts. Ends when the channel closes.
 */

import { killAll } from './engine/cli.ts';
import type { FromRunner, ToRunner } from './engine/messages.ts';
import { createRunner } from './engine/runner.ts';

// A stack is taken by the SDK for every resource and promise, and mapping them is much of a run's time.
Object.assign(Error, { stackTraceLimit: 0, prepareStackTrace: undefined });

function send(message: FromRunner): void {
  if (process.connected) process.send?.(message);
}

/** The service is gone: nobody fences this run any more, so it must not go on. */
function end(): void {
  killAll();
  process.exit(1);
}

// Before anything is waited for: a service that is gone by then is never heard of again.
process.on('disconnect', end);
if (!process.connected) end();
// The service ends its runners itself, when their work is done.
process.on('SIGTERM', () => undefined);
process.on('SIGINT', () => undefined);
// One run's stray error must not take the process with it: the run itself reports its failure.
process.on('unhandledRejection', () => undefined);

const runner = await createRunner(send);

process.on('message', (message: ToRunner) => {
  if (message.type === 'abort') runner.abort(message.id);
  else {
    void runner.run(message).then((result) => {
      send({ type: 'result', id: message.id, result });
      runner.prepare();
    });
  }
});

send({ type: 'ready' });
runner.prepare();
