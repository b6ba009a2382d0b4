import { EventSourceParserStream } from 'eventsource-parser/stream';
import { ProblemError } from './problem.ts';
import type { OperationEvent } from './types.ts';

export interface EventsOptions {
  /** Sequence of the last event that is known already. @default 0: all */
  readonly after?: number;
  readonly signal?: AbortSignal;
}

/** Pauses before the connection is tried again, in milliseconds; the last one is repeated. */
const PAUSES = [250, 500, 1000, 2000, 4000];
/** Connections that brought nothing, one after the other, before the error is handed on. */
const FRUITLESS = 8;

/** Where events come from. */
export interface EventSource {
  /** Asks for the stream, after the event of this sequence. */
  connect(after: number, signal?: AbortSignal): Promise<Response>;
  /** Whether the operation has ended. */
  hasEnded(signal?: AbortSignal): Promise<boolean>;
}

/**
 * An operation's events in order, each once, until the operation has ended. A connection that ends before (a replica
 * that is replaced, a proxy's limit) is made again after the last event (`Last-Event-ID`). The browser's `EventSource`
 * cannot send the `Authorization` header, hence fetch.
 *
 * @throws ProblemError when the service refuses, and what `connect` throws when it fails again and again
 */
export async function* readEvents(source: EventSource, options: EventsOptions = {}): AsyncGenerator<OperationEvent> {
  const { signal } = options;
  let last = options.after ?? 0;
  let over = false;
  for (let fruitless = 0; ; ) {
    const before = last;
    try {
      const response = await source.connect(last, signal);
      let ended = over;
      for await (const event of parse(response)) {
        if (event.sequence <= last) continue;
        last = event.sequence;
        // Not the end by itself: an operation that is tried again goes on after it.
        ended = ends(event);
        yield event;
      }
      if (ended) return;
      // What was written between the end of the stream and this answer comes with one more connection.
      over = await source.hasEnded(signal);
      if (over) continue;
    } catch (error) {
      if (signal?.aborted) throw error;
      if (error instanceof ProblemError && error.status < 500 && error.status !== 429) throw error;
      if (last === before && fruitless + 1 >= FRUITLESS) throw error;
    }
    fruitless = last === before ? fruitless + 1 : 0;
    await pause(PAUSES[Math.min(fruitless, PAUSES.length - 1)] ?? 0, signal);
  }
}

function ends({ type, data }: OperationEvent): boolean {
  return type === 'status' && ['succeeded', 'failed', 'canceled'].includes(String(data.status));
}

async function* parse(response: Response): AsyncGenerator<OperationEvent> {
  if (response.body === null) return;
  const reader = response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield JSON.parse(value.data) as OperationEvent;
    }
  } finally {
    // Also when the caller leaves early: the connection must not stay open.
    await reader.cancel().catch(() => undefined);
  }
}

/** Ends early, with the signal's reason, when the signal fires. */
function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
