import type { IncomingMessage, ServerResponse } from 'node:http';
import { BlockList } from 'node:net';
import type { Provider } from 'oidc-provider/lib/provider.js';
import { RESOURCE, SCOPES } from './facts.ts';

/** The only account: who can reach this page is the person at this machine. */
const ACCOUNT = 'developer';

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log in: local environment</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}button{font:inherit;padding:.5rem 1rem}</style>
<h1>Local environment</h1>
<p>This login is for the local environment only: it asks for no password, and answers this machine only.</p>
<form method="post"><button>Continue as ${ACCOUNT}</button></form>
</html>
`;

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

/**
 * Whether a connection comes from this machine: a pod could otherwise log in as the developer.
 *
 * @param own the issuer's own address: what connects to it from here has it as its source, too
 */
export function isLocal(remote: string | undefined, own: string): boolean {
  if (remote === undefined) return false;
  const local = new BlockList();
  local.addSubnet('127.0.0.0', 8);
  local.addAddress('::1', 'ipv6');
  const address = remote.replace(/^::ffff:/, '');
  return address === own || local.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

/** Answers `/interaction/<uid>`: the page, then the login and what it grants. False for every other path. */
export async function answerLogin(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  own: string,
): Promise<boolean> {
  const { pathname } = new URL(request.url ?? '/', 'https://issuer');
  if (!/^\/interaction\/[\w-]+$/.test(pathname)) return false;
  if (!isLocal(request.socket.remoteAddress, own)) {
    response.writeHead(403, { 'content-type': 'text/plain' }).end('this login answers its own machine only\n');
    return true;
  }
  try {
    const { prompt, params } = await provider.interactionDetails(request, response);
    if (request.method === 'GET') response.writeHead(200, HEADERS).end(PAGE);
    else if (request.method === 'POST') await finish(provider, request, response, { ...params, prompt: prompt.name });
    else response.writeHead(405, { allow: 'GET, POST' }).end();
  } catch {
    response.writeHead(400, { 'content-type': 'text/plain' }).end('this login has expired: begin again\n');
  }
  return true;
}

async function finish(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  params: Readonly<Record<string, unknown>>,
): Promise<void> {
  const grant = new provider.Grant({ accountId: ACCOUNT, clientId: String(params.client_id) });
  const asked = String(params.scope ?? '').split(' ');
  const scopes = asked.filter((scope) => (SCOPES as readonly string[]).includes(scope));
  // Those of the resource are also the issuer's own, as clients are limited to them.
  grant.addOIDCScope(['openid', ...scopes].join(' '));
  if (scopes.length > 0) grant.addResourceScope(RESOURCE, scopes.join(' '));
  const consent = { grantId: await grant.save() };
  await provider.interactionFinished(request, response, { login: { accountId: ACCOUNT }, consent });
}
