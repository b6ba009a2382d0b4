/** An issuer of tokens, with real keys, over real HTTP. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import type { IssuerSettings } from '../../../api/settings.ts';

export const AUDIENCE = 'development-operations';

export interface TestIssuer {
  readonly settings: IssuerSettings;
  readonly publicKeyPem: string;
  /** Requests that it has got. */
  readonly requests: string[];
  token(claims?: JWTPayload, header?: { readonly typ?: string }): Promise<string>;
  /** A token with these claims that something else has signed. */
  sign(claims: JWTPayload, key: CryptoKey | Uint8Array, algorithm: string): Promise<string>;
  claims(claims?: JWTPayload): JWTPayload;
  close(): Promise<void>;
}

export async function startIssuer(settings: Partial<IssuerSettings> = {}): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const discovery = request.url === '/.well-known/openid-configuration';
    const body = discovery ? { issuer, jwks_uri: `${issuer}/keys` } : { keys: [jwk] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const seconds = (): number => Math.floor(Date.now() / 1000);
  const claims = (given: JWTPayload = {}): JWTPayload => ({
    ...{ iss: issuer, aud: AUDIENCE, sub: 'tester', iat: seconds(), exp: seconds() + 300 },
    ...given,
  });
  const sign = async (payload: JWTPayload, key: CryptoKey | Uint8Array, alg: string, typ?: string): Promise<string> =>
    await new SignJWT(payload).setProtectedHeader({ alg, kid: 'one', ...(typ && { typ }) }).sign(key);
  return {
    settings: { issuer, audience: AUDIENCE, scopeClaim: 'scope', namespaces: ['apps'], ...settings },
    publicKeyPem: await exportSPKI(publicKey),
    requests,
    claims,
    token: (given, { typ } = {}) => sign(claims(given), privateKey, 'ES256', typ),
    sign,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** RFC 8725, section 2.1: a token that nobody has signed. */
export function unsigned(claims: JWTPayload): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode(claims)}.`;
}
