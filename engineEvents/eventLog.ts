import { open, stat } from 'node:fs/promises';
import type { EngineEvent } from './steps.ts';

/** Reads the engine's event log while it is written: one JSON text a line. */
export class EventLog {
  #offset = 0;
  #rest = '';

  constructor(
    private readonly file: string,
    private readonly onEvent: (event: EngineEvent) => void,
  ) {}

  /**
   * Reads while `work` lasts, and what is left after it.
   *
   * @param interval milliseconds between two looks
   */
  async follow<T>(interval: number, work: () => Promise<T>): Promise<T> {
    let reading: Promise<void> = Promise.resolve();
    const timer = setInterval(() => {
      reading = reading.then(() => this.read());
    }, interval);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      await reading;
      await this.read();
    }
  }

  /** Reads on to the present end; an incomplete last line waits for the next time. */
  async read(): Promise<void> {
    const size = await stat(this.file).then(
      (found) => found.size,
      () => 0,
    );
    if (size <= this.#offset) return;
    const handle = await open(this.file, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(
        Buffer.alloc(size - this.#offset),
        0,
        size - this.#offset,
        this.#offset,
      );
      this.#offset += bytesRead;
      // A character may be cut in two at the end only where a line is incomplete; the log is ASCII-escaped JSON lines.
      const lines = (this.#rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') this.onEvent(JSON.parse(line) as EngineEvent);
    } finally {
      await handle.close();
    }
  }
}
