import { useEffect, useRef, useState } from 'preact/hooks';
import type { OperationEvent } from '../../../client/src/index.ts';
import { useFailure } from './load.ts';
import { ErrorNotice } from './parts.tsx';
import { useClient } from './session.ts';
import { kindOf } from './steps.tsx';

interface Props {
  readonly operationId: string;
  /** How many resources are touched, when a plan says so. */
  readonly total?: number;
  /** Called once, when the stream has ended. */
  readonly onEnd: () => void;
}

/** An operation's events, as they come. */
export function Progress({ operationId, total, onEnd }: Props) {
  const client = useClient();
  const failure = useFailure();
  const [events, setEvents] = useState<readonly OperationEvent[]>([]);
  const [error, setError] = useState<Error>();
  const ended = useRef(onEnd);
  ended.current = onEnd;
  useEffect(() => {
    const controller = new AbortController();
    const follow = async (): Promise<void> => {
      for await (const event of client.events(operationId, { signal: controller.signal })) {
        setEvents((before) => [...before, event]);
      }
      if (!controller.signal.aborted) ended.current();
    };
    follow().catch((reason: unknown) => {
      if (!controller.signal.aborted) setError(failure(reason));
    });
    return () => controller.abort();
  }, [client, failure, operationId]);
  const done = events.filter(({ type }) => type === 'step').length;
  return (
    <section aria-labelledby="progress">
      <h2 id="progress">Progress</h2>
      <ErrorNotice error={error} />
      {total !== undefined && total > 0 && (
        <progress max={total} value={Math.min(done, total)} aria-labelledby="progress" />
      )}
      <div role="log" aria-label="Events">
        <ol class="events">
          {events.map((event) => (
            <li key={event.sequence} class={event.type}>
              <time dateTime={event.at}>{new Date(event.at).toLocaleTimeString()}</time> {textOf(event)}
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

export function textOf({ type, data }: OperationEvent): string {
  const part = (key: string): string => (typeof data[key] === 'string' ? data[key] : '');
  if (type === 'status') return `The operation is ${part('status')}.`;
  if (type === 'step') return `${part('operation')} ${kindOf(part('type'))} ${part('name')}`;
  return part('message') || JSON.stringify(data);
}
