import { join } from 'node:path';
import { runtimeDirectory } from '../facts.ts';
import type { Context } from '../service.ts';

export const NAME = 'outer-nginx';
export const LISTEN_ADDRESS = '127.0.0.1';
/** TLS, passed through to the cluster. */
export const HTTPS_PORT = 18443;
/** Redirects to HTTPS, and `/healthz`. */
export const HTTP_PORT = 18080;
export const PUBLIC_URL = `https://localhost:${HTTPS_PORT}`;

/** The instance of nginx: which directory, and where it is seen. */
export interface Instance {
  /** Names the run file and the log file. */
  readonly name: string;
  /** nginx's prefix: `nginx.conf`, `log/`, `run/`, `temp/`. */
  readonly directory: string;
  /** Where nginx itself finds it, as root: its user cannot enter the folders of the clone. */
  readonly mountedAt: string;
  readonly httpsPort: number;
  readonly httpPort: number;
}

/** The one of the environment. */
export function instance(ctx: Pick<Context, 'directory'>): Instance {
  return {
    name: NAME,
    directory: join(ctx.directory, 'data', NAME),
    mountedAt: join(runtimeDirectory(), NAME),
    httpsPort: HTTPS_PORT,
    httpPort: HTTP_PORT,
  };
}
