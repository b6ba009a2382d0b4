/** What one engine's connection owns: its provider, its log and the signals of its running requests. */

import { EngineLog } from './log.ts';
import type { Plugin, Provider } from './provider.ts';

export class Connection {
  readonly log = new EngineLog();
  readonly provider: Provider;
  /** Set once Configure succeeded; a reconnected engine would find it unset. */
  configured = false;
  readonly #running = new Set<AbortController>();
  #reason: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(readonly plugin: Plugin) {
    this.provider = plugin.create(this.log);
  }

  /** Runs a request with a signal that `cancel`, `close` and the request's own cancellation abort. */
  async run<T>(onCancelled: (abort: () => void) => void, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    if (this.#reason) controller.abort(this.#reason);
    onCancelled(() => controller.abort(new Error('the engine cancelled the request')));
    this.#running.add(controller);
    try {
      return await work(controller.signal);
    } finally {
      this.#running.delete(controller);
      await this.log.flush();
    }
  }

  /** Aborts what runs and whatever comes after: the engine does not use a provider again after Cancel. */
  cancel(reason = new Error('the operation was cancelled')): void {
    this.#reason ??= reason;
    for (const controller of this.#running) controller.abort(this.#reason);
  }

  /** Cancels, then closes the provider; safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.cancel(new Error('the connection to the engine was lost'));
    try {
      await this.provider.close?.();
    } finally {
      this.log.close();
    }
  }
}
