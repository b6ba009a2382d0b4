import { type FileHandle, open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import type { EngineEvent } from './steps.ts';

/** Read at once, in bytes. */
const CHUNK = 64 * 1024;

/** Reads the engine's event log while it is written: one JSON text a line. */
export class EventLog {
  readonly #buffer = Buffer.alloc(CHUNK);
  readonly #decoder = new StringDecoder('utf8');
  #handle: FileHandle | undefined;
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
    const look = () => {
      reading = reading.then(() => this.#read());
      // It is waited for in the end.
      reading.catch(() => undefined);
    };
    const timer = setInterval(look, interval);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      look();
      await reading.finally(() => this.#handle?.close());
    }
  }

  /** Reads on to the present end; an incomplete last line waits for the next time. */
  async #read(): Promise<void> {
    this.#handle ??= await open(this.file, 'r').catch(() => undefined);
    if (!this.#handle) return;
    for (;;) {
      const { buffer, bytesRead } = await this.#handle.read(this.#buffer, 0, this.#buffer.length, null);
      if (bytesRead === 0) return;
      // A character that is cut in two waits for its end.
      const lines = (this.#rest + this.#decoder.write(buffer.subarray(0, bytesRead))).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') this.onEvent(JSON.parse(line) as EngineEvent);
    }
  }
}
