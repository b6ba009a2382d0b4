/** The service's HTTP part with the console's files, and an issuer of tokens, on free loopback ports. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createVerifier } from '../../../api/authentication/verifier.ts';
import { buildConsole } from '../../../api/console/build.mjs';
import { createApp } from '../../../api/http/app.ts';
import type { ApiSettings } from '../../../api/settings.ts';
import { createTelemetry } from '../../../api/telemetry/telemetry.ts';
import type { ScriptedService } from './service.ts';

const AUDIENCE = 'development-operations';

export interface ConsoleServer {
  readonly url: string;
  /** Of somebody who may do everything. */
  readonly token: string;
  /** Paths with queries that were asked for. */
  readonly requested: readonly string[];
  close(): Promise<void>;
}

interface Issuer {
  readonly url: string;
  token(scope: string): Promise<string>;
  close(): Promise<void>;
}

async function startIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' }] });
  const server = createServer((_, response) => response.setHeader('content-type', 'application/json').end(keys));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  const url = `http://127.0.0.1:${address.port}`;
  return {
    url,
    token: (scope) =>
      new SignJWT({ scope })
        .setProtectedHeader({ alg: 'ES256', kid: 'test', typ: 'at+jwt' })
        .setIssuer(url)
        .setAudience(AUDIENCE)
        .setSubject('tester')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

export interface ConsoleOptions {
  /** @default a free one */
  readonly port?: number;
  /** Accepted beside the one of the test's own. @default none */
  readonly issuers?: ApiSettings['issuers'];
}

export async function startConsole(service: ScriptedService, options: ConsoleOptions = {}): Promise<ConsoleServer> {
  const consoleDirectory = await mkdtemp(join(tmpdir(), 'devops-console-'));
  await buildConsole(consoleDirectory);
  const issuer = await startIssuer();
  const issuers: ApiSettings['issuers'] = [
    {
      issuer: issuer.url,
      audience: AUDIENCE,
      jwksUri: `${issuer.url}/jwks`,
      scopeClaim: 'scope',
      namespaces: ['shop'],
    },
    ...(options.issuers ?? []),
  ];
  const settings: ApiSettings = {
    publicUrl: 'http://127.0.0.1',
    // No database is reached: the service is a scripted one.
    environments: {
      local: {
        host: '127.0.0.1',
        port: 5432,
        sslmode: 'disable',
        adminDatabase: 'postgres',
        superuser: true,
        usernameVariable: 'UNUSED',
        passwordVariable: 'UNUSED',
      },
    },
    issuers,
    namespaces: ['shop'],
  };
  const telemetry = createTelemetry({ level: 'silent' });
  const verifier = createVerifier({ issuers });
  const app = await createApp({ service, settings, verifier, telemetry, consoleDirectory });
  const requested: string[] = [];
  app.addHook('onRequest', async ({ url }) => void requested.push(url));
  const url = await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  const close = async (): Promise<void> => {
    await app.close();
    await issuer.close();
    await rm(consoleDirectory, { recursive: true, force: true });
  };
  return { url, token: await issuer.token('local:admin'), requested, close };
}
