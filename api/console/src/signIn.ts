/**
 * Signing in at an OpenID Connect issuer: the authorization code flow with PKCE (RFC 7636, RFC 9700). What has to outlive
 * the way there and back is in sessionStorage and holds no token; a token is in this page's memory alone.
 */
import * as oauth from 'oauth4webapi';

const BEGUN = 'sign-in';
const SIGNED_OUT = 'signed-out';

/** An issuer at which people sign in, as the service names it. */
export interface SignInOption {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
}

interface Begun extends SignInOption {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  /** Fragment of the view from before. */
  readonly place: string;
}

/** @throws TypeError when the service cannot be reached */
export async function signInOptions(): Promise<readonly SignInOption[]> {
  const answer = await fetch('/sign-in.json');
  if (!answer.ok) return [];
  const { issuers } = (await answer.json()) as { issuers: readonly SignInOption[] };
  return issuers;
}

/** Goes to the issuer's page; this one is left. @throws when the issuer does not answer */
export async function beginSignIn(option: SignInOption): Promise<void> {
  const server = await discover(option.issuer);
  if (server.authorization_endpoint === undefined) throw new Error(`${option.issuer} names no authorization_endpoint.`);
  const begun: Begun = {
    ...option,
    verifier: oauth.generateRandomCodeVerifier(),
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    place: location.hash,
  };
  const address = new URL(server.authorization_endpoint);
  const parameters = {
    client_id: option.clientId,
    redirect_uri: redirectUri(),
    response_type: 'code',
    scope: option.scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(begun.verifier),
    code_challenge_method: 'S256',
    state: begun.state,
    nonce: begun.nonce,
    // Who has signed out is asked anew, though the issuer may still know them.
    ...(sessionStorage.getItem(SIGNED_OUT) !== null && { prompt: 'login' }),
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  sessionStorage.setItem(BEGUN, JSON.stringify(begun));
  location.assign(address);
}

/** Whether the page was opened by an issuer that sends somebody back. */
export function isReturn(address: URL): boolean {
  const { searchParams } = address;
  return searchParams.has('state') && (searchParams.has('code') || searchParams.has('error'));
}

/**
 * Takes the issuer's answer out of the page's address, brings the view from before back, and asks for the token.
 *
 * @throws when this tab did not begin it, or the issuer refuses
 */
export async function finishSignIn(address: URL): Promise<string> {
  const text = sessionStorage.getItem(BEGUN);
  sessionStorage.removeItem(BEGUN);
  // A code is used once: neither the history nor a reload has it again.
  const begun = text === null ? undefined : (JSON.parse(text) as Begun);
  history.replaceState(null, '', `${location.pathname}${begun?.place ?? location.hash}`);
  if (begun === undefined) throw new Error('It was not begun in this tab: sign in again.');
  const server = await discover(begun.issuer);
  const client: oauth.Client = { client_id: begun.clientId };
  try {
    const answer = oauth.validateAuthResponse(server, client, address, begun.state);
    const response = await oauth.authorizationCodeGrantRequest(
      ...([server, client, oauth.None(), answer, redirectUri(), begun.verifier] as const),
    );
    const { access_token: token } = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: begun.nonce,
      requireIdToken: true,
    });
    sessionStorage.removeItem(SIGNED_OUT);
    return token;
  } catch (error) {
    throw new Error(`${begun.issuer} does not sign you in: ${reasonOf(error)}`, { cause: error });
  }
}

/** Who signs in next is asked by the issuer. */
export function noteSignOut(): void {
  sessionStorage.setItem(SIGNED_OUT, '1');
}

async function discover(issuer: string): Promise<oauth.AuthorizationServer> {
  const address = new URL(issuer);
  try {
    return await oauth.processDiscoveryResponse(address, await oauth.discoveryRequest(address));
  } catch (error) {
    const why = error instanceof TypeError ? 'does this browser trust its certificate?' : reasonOf(error);
    throw new Error(`${issuer} cannot be asked: ${why}`, { cause: error });
  }
}

function redirectUri(): string {
  return `${location.origin}/`;
}

function reasonOf(error: unknown): string {
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
    return error.error_description ?? error.error;
  }
  return error instanceof Error ? error.message : String(error);
}
