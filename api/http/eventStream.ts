import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { OperationEvent } from '../model.ts';

/** A comment this often keeps proxies from closing a quiet connection, in milliseconds. */
const HEARTBEAT = 15_000;
/** How soon a client that lost the connection comes again, in milliseconds. */
const RETRY = 2_000;

/** Longest time of a timer in Node.js, in milliseconds; the client of a stream that is cut comes again. */
const LONGEST_TIMER = 2 ** 31 - 1;

export interface StreamEnd {
  /** Fires when the service ends. */
  readonly closing: AbortSignal;
  /** When the token of who asks ends, in milliseconds since 1970: nobody is told more than it allows. */
  readonly until: number;
}

/**
 * Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. The stream ends with the events,
 * and at its `end`; a client that leaves ends the reading of events.
 *
 * @param open begins to read; called at once
 */
export function eventStream(
  open: (signal: AbortSignal) => AsyncIterable<OperationEvent>,
  end: StreamEnd,
  onError: (error: Error) => void,
): PassThrough {
  const stream = new PassThrough();
  const left = new AbortController();
  const expired = new AbortController();
  const expiry = setTimeout(() => expired.abort(), Math.min(Math.max(end.until - Date.now(), 0), LONGEST_TIMER));
  expiry.unref();
  const heartbeat = setInterval(() => stream.writableNeedDrain || stream.write(':\n\n'), HEARTBEAT);
  heartbeat.unref();
  stream.once('close', () => left.abort());
  stream.write(`retry: ${RETRY}\n\n`);
  void send(stream, open(AbortSignal.any([left.signal, end.closing, expired.signal])), left.signal)
    // Without an end of its own: the client sees that it was cut, and comes again.
    .catch((error: Error) => {
      if (!left.signal.aborted) onError(error);
    })
    .finally(() => {
      clearInterval(heartbeat);
      clearTimeout(expiry);
      stream.end();
    });
  return stream;
}

async function send(stream: PassThrough, events: AsyncIterable<OperationEvent>, left: AbortSignal): Promise<void> {
  for await (const event of events) {
    if (left.aborted) return;
    const taken = stream.write(`id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
    if (!taken) await once(stream, 'drain', { signal: left });
  }
}
