import type pg from 'pg';
import { appendEvents, type NewEvent } from '../store/events.ts';

/** Events are written together, at most this many milliseconds after they came. */
const INTERVAL = 100;

/** Writes a run's events without keeping the run waiting. What cannot be written now is written with the next. */
export class EventWriter {
  #pending: NewEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(
    private readonly pool: pg.Pool,
    private readonly id: string,
  ) {}

  add(event: NewEvent): void {
    this.#pending.push(event);
    if (!this.#closed) this.#timer ??= setTimeout(() => this.#write(), INTERVAL);
  }

  /** Ends the writing in the background; what is left is in `rest`. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#writing;
  }

  /** Events that were not written. */
  rest(): readonly NewEvent[] {
    return this.#pending;
  }

  #write(): void {
    this.#timer = undefined;
    this.#writing = this.#writing.then(async () => {
      const events = this.#pending;
      this.#pending = [];
      try {
        await appendEvents(this.pool, this.id, events);
      } catch {
        this.#pending = [...events, ...this.#pending];
      }
    });
  }
}
