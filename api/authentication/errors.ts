import { ServiceError } from '../errors.ts';

/**
 * No token, or one that does not do. The detail never holds the token; `challenge` is the value of `WWW-Authenticate`
 * (RFC 6750, section 3).
 */
export class AuthenticationError extends ServiceError {
  readonly challenge: string;

  constructor(detail: string, code?: 'invalid_token' | 'invalid_request') {
    super('not-authenticated', detail);
    this.name = 'AuthenticationError';
    this.challenge = challengeOf(code ? { error: code, error_description: detail } : {});
  }
}

/** A token that is good, and lacks a scope. */
export class MissingScopeError extends ServiceError {
  readonly challenge: string;

  /**
   * @param scopes any one of them would do.
   * @param held what the token has, for the caller to compare.
   */
  constructor(
    readonly scopes: readonly string[],
    held: readonly string[],
  ) {
    const has = held.length > 0 ? `it has ${held.join(' ')}` : 'it has none';
    super('forbidden', `The token lacks the scope ${scopes.join(' or ')}; ${has}. Ask for a token with that scope.`);
    this.name = 'MissingScopeError';
    this.challenge = challengeOf({ error: 'insufficient_scope', scope: scopes.join(' ') });
  }
}

function challengeOf(parameters: Readonly<Record<string, string>>): string {
  const all = Object.entries({ realm: 'development-operations', ...parameters });
  // A quoted-string of a header: visible ASCII and spaces, without quotes and backslashes.
  return `Bearer ${all.map(([name, value]) => `${name}="${value.replaceAll(/[^ !#-[\]-~]/g, '')}"`).join(', ')}`;
}
