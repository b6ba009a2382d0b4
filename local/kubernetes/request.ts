import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { CertificateFiles } from '../pki.ts';
import type { Health } from '../service.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface RequestTls {
  readonly caFile: string;
  /** A client certificate. @default none */
  readonly client?: CertificateFiles;
}

const TIMEOUT_MS = 3000;
const BODY_LIMIT = 4 * 1024 * 1024;

/**
 * One GET, with the environment's own authority: the global `fetch` takes no client certificate.
 *
 * @throws Error when there is no whole answer in 3 seconds
 */
export async function get(url: string, tls?: RequestTls): Promise<Answer> {
  return await new Promise<Answer>((resolve, reject) => {
    const options = {
      timeout: TIMEOUT_MS,
      agent: false as const,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(tls === undefined ? {} : { ca: readFileSync(tls.caFile) }),
      ...(tls?.client === undefined
        ? {}
        : { cert: readFileSync(tls.client.certFile), key: readFileSync(tls.client.keyFile) }),
    };
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > BODY_LIMIT) request.destroy(new Error(`${url} answers more than ${BODY_LIMIT} bytes`));
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end();
  });
}

/** Whether a health endpoint answers 200. */
export async function answersOk(url: string, tls?: () => Promise<RequestTls>): Promise<Health> {
  try {
    const { status, body } = await get(url, await tls?.());
    const detail = body.trim().split('\n').at(-1) ?? '';
    return {
      healthy: status === 200,
      detail: status === 200 ? 'answers' : `answers ${status}: ${detail.slice(0, 200)}`,
    };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return {
      healthy: false,
      detail: `does not answer${code === undefined || code === 'ECONNREFUSED' ? '' : ` (${code})`}`,
    };
  }
}
