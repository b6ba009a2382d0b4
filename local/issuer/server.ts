import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import './urlParse.ts';
// Not the package's index: it warns on standard error of every Node.js before 22. What that lacks is in urlParse.ts.
import { Provider } from 'oidc-provider/lib/provider.js';
import type { CertificateFiles } from '../pki.ts';
import { type IssuerSecrets, issuerConfiguration } from './configuration.ts';
import { answerLogin } from './login.ts';

export interface IssuerOptions {
  /** Listened on as well. */
  readonly host: string;
  readonly port: number;
  readonly secrets: IssuerSecrets;
  readonly certificate: Pick<CertificateFiles, 'certFile' | 'keyFile'>;
}

/** Starts the issuer `https://<host>:<port>`; the caller closes the server. */
export async function startIssuer({ host, port, secrets, certificate }: IssuerOptions): Promise<Server> {
  const provider = new Provider(`https://${host}:${port}`, issuerConfiguration(secrets));
  provider.on('server_error', (_context, error) => console.error(error));
  const answer = provider.callback();
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    if (!(await answerLogin(provider, request, response, host))) answer(request, response);
  };
  const tls = { cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) };
  const server = createServer({ ...tls, requestTimeout: 10_000 }, (request, response) => {
    handle(request, response).catch((error: unknown) => {
      console.error(error);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return server;
}
