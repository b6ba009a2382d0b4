/** A PostgreSQL with TLS behind a connection that a test can cut. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { issue } from '../../local/pki.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

export interface TestServer {
  /** Where the example reaches it; its certificate names `localhost` and not 127.0.0.1. */
  readonly port: number;
  /** PEM of the authority that signed the server's certificate. */
  readonly caFile: string;
  /** Runs statements as superuser, one after the other, and returns the last one's rows. */
  query<Row extends pg.QueryResultRow>(database: string, ...statements: string[]): Promise<Row[]>;
  /** A superuser's connection; the caller ends it. */
  connect(database: string): Promise<pg.Client>;
  /** Cuts all connections through `port`, and lets no new one through. */
  cut(): Promise<void>;
  /** Lets connections through again. */
  mend(): Promise<void>;
  destroy(): Promise<void>;
}

export async function startServer(): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'orders-test-'));
  let postgres: TestPostgres | undefined;
  const relay = new Relay();
  const destroy = async () => {
    await relay.close();
    await postgres?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const request = { name: 'server', commonName: 'orders-test', sans: ['localhost'], usages: ['server'] } as const;
    const { certFile, keyFile, caFile } = await issue({ directory }, request);
    const ssl = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    const started = await startPostgres({ ssl });
    postgres = started;
    const port = await relay.listen(started.port);
    const connect = async (database: string) => {
      const { host, port, password } = started;
      const client = new pg.Client({ host, port, user: 'postgres', password, database });
      await client.connect();
      return client;
    };
    return {
      port,
      caFile,
      destroy,
      connect,
      query: async <Row extends pg.QueryResultRow>(database: string, ...statements: string[]) => {
        const client = await connect(database);
        try {
          let rows: Row[] = [];
          for (const statement of statements) rows = (await client.query<Row>(statement)).rows;
          return rows;
        } finally {
          await client.end();
        }
      },
      cut: async () => await relay.close(),
      mend: async () => void (await relay.listen(started.port, port)),
    };
  } catch (error) {
    await destroy();
    throw error;
  }
}

/** Hands on bytes from one port of the loopback interface to another. */
class Relay {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  async listen(target: number, port = 0): Promise<number> {
    const server = createServer((incoming) => {
      const outgoing = createConnection(target, '127.0.0.1');
      for (const [socket, other] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        this.#sockets.add(socket);
        // Whichever end breaks takes the other with it.
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the relay has no port');
    return address.port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
