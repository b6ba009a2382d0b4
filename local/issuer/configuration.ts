import { InvalidTarget } from 'oidc-provider/lib/helpers/errors.js';
import { MemoryAdapter } from './adapter.ts';
import {
  AUDIENCE,
  CONSOLE_CLIENT,
  CONSOLE_ORIGIN,
  isClientName,
  MACHINE_CLIENTS,
  type MachineClient,
  RESOURCE,
  SCOPES,
  TOKEN_LIFETIME,
} from './facts.ts';
import type { SigningKey } from './keys.ts';

export interface IssuerSecrets {
  readonly signingKey: SigningKey;
  readonly cookieKey: string;
  /** Where the console is served. @default CONSOLE_ORIGIN */
  readonly consoleOrigin?: string;
  /** Secret of a client. */
  client(name: string): string;
}

interface Client {
  readonly clientId: string;
}

const DAY = 24 * 3600;

function machine(clientId: string | undefined): MachineClient | undefined {
  return clientId !== undefined && isClientName(clientId) ? MACHINE_CLIENTS[clientId] : undefined;
}

function lifetime(clientId: string | undefined): number {
  return machine(clientId)?.lifetime ?? TOKEN_LIFETIME;
}

function clients(secrets: IssuerSecrets): Record<string, unknown>[] {
  const machines = Object.entries(MACHINE_CLIENTS).map(([name, { scopes }]) => ({
    client_id: name,
    client_secret: secrets.client(name),
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: scopes.join(' '),
  }));
  return [
    ...machines,
    {
      client_id: CONSOLE_CLIENT,
      client_name: 'Console',
      token_endpoint_auth_method: 'none',
      application_type: 'web',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: [`${secrets.consoleOrigin ?? CONSOLE_ORIGIN}/`],
      scope: ['openid', ...SCOPES].join(' '),
    },
  ];
}

/** Configuration of oidc-provider: access tokens are JWTs (RFC 9068) for one audience, by the client's own. */
export function issuerConfiguration(secrets: IssuerSecrets): Record<string, unknown> {
  return {
    adapter: MemoryAdapter,
    clients: clients(secrets),
    jwks: { keys: [secrets.signingKey] },
    cookies: { keys: [secrets.cookieKey] },
    scopes: ['openid', ...SCOPES],
    claims: { openid: ['sub'] },
    responseTypes: ['code'],
    pkce: { required: () => true },
    // The console's own origin; nobody else's script gets a token.
    clientBasedCORS: (_ctx: unknown, origin: string, client: Client) =>
      client.clientId === CONSOLE_CLIENT && origin === (secrets.consoleOrigin ?? CONSOLE_ORIGIN),
    findAccount: (_ctx: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx: unknown, resource: string, client: Client) => {
          if (resource !== RESOURCE) throw new InvalidTarget();
          return {
            scope: SCOPES.join(' '),
            audience: machine(client.clientId)?.audience ?? AUDIENCE,
            accessTokenFormat: 'jwt',
            accessTokenTTL: lifetime(client.clientId),
            jwt: { sign: { alg: 'RS256' } },
          };
        },
      },
    },
    ttl: {
      AccessToken: (_ctx: unknown, _token: unknown, client: Client) => lifetime(client.clientId),
      ClientCredentials: (_ctx: unknown, _token: unknown, client: Client) => lifetime(client.clientId),
      AuthorizationCode: 60,
      IdToken: TOKEN_LIFETIME,
      Interaction: 600,
      Session: DAY,
      Grant: DAY,
    },
    renderError: (ctx: { type: string; body: string }, out: Record<string, unknown>) => {
      ctx.type = 'text/plain';
      ctx.body = Object.entries(out)
        .map(([key, value]) => `${key}: ${String(value)}\n`)
        .join('');
    },
  };
}
