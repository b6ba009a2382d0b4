import { isNodeOwner, NODE_ADDRESS } from '../facts.ts';

export const NAME = 'issuer';
export const PORT = 15080;
/** Pods reach the node's own address; without one, only this machine needs the issuer. */
export const HOST = isNodeOwner() ? NODE_ADDRESS : '127.0.0.1';
export const ISSUER_URL = `https://${HOST}:${PORT}`;

/** What the operations API expects in `aud`. */
export const AUDIENCE = 'development-operations';
/** A resource indicator is an absolute URI (RFC 8707, 2); the audience of its tokens need not be. */
export const RESOURCE = 'urn:development-operations:api';

/** The environment of the local stack. */
export const SCOPES = ['local:read', 'local:plan', 'local:apply', 'local:admin'] as const;

/** A client that gets tokens in its own name (RFC 6749, 4.4). */
export interface MachineClient {
  readonly scopes: readonly string[];
  /** @default AUDIENCE */
  readonly audience?: string;
  /** Lifetime of its tokens in seconds. @default 3600 */
  readonly lifetime?: number;
}

export const TOKEN_LIFETIME = 3600;

/** `developer` is for people; the others are for tests of what is refused. */
export const MACHINE_CLIENTS = {
  developer: { scopes: SCOPES },
  reader: { scopes: ['local:read'] },
  planner: { scopes: ['local:read', 'local:plan'] },
  /** Its tokens are for another service. */
  foreign: { scopes: SCOPES, audience: 'another-service' },
  /** Its tokens expire at once. */
  brief: { scopes: SCOPES, lifetime: 1 },
} as const satisfies Record<string, MachineClient>;

export type ClientName = keyof typeof MACHINE_CLIENTS;

export function isClientName(name: string): name is ClientName {
  return Object.hasOwn(MACHINE_CLIENTS, name);
}

/** The console in a browser: no secret, authorization code with PKCE (RFC 7636). */
export const CONSOLE_CLIENT = 'console';
export const CONSOLE_ORIGIN = 'https://localhost:18443';
