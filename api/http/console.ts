import fastifyStatic from '@fastify/static';
import type { ApiSettings } from '../settings.ts';
import type { App } from './types.ts';

const ACTIONS = ['read', 'plan', 'apply', 'admin'];

/** The console's files, with a policy that lets it reach this service and the issuers, and nothing else. */
export async function consoleFiles(app: App, root: string, settings: ApiSettings): Promise<void> {
  const origins = [...new Set(settings.issuers.map(({ issuer }) => new URL(issuer).origin))];
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    // It signs in at an issuer.
    `connect-src 'self' ${origins.join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  const signIn = signInOptions(settings);
  app.get('/sign-in.json', async (_request, reply) => await reply.header('cache-control', 'no-cache').send(signIn));
  await app.register(fastifyStatic, {
    root,
    prefix: '/',
    decorateReply: false,
    // Names of files stay the same from one version to the next: they are compared by their ETag.
    cacheControl: false,
    setHeaders: (reply) => {
      reply.header('content-security-policy', policy);
      reply.header('referrer-policy', 'no-referrer');
      reply.header('cache-control', 'no-cache');
    },
  });
}

/** Where people sign in, and what they are to ask for; see console/src/signIn.ts. Nothing of it is secret. */
function signInOptions({ issuers, environments }: ApiSettings): object {
  const scopes = Object.keys(environments).flatMap((environment) =>
    ACTIONS.map((action) => `${environment}:${action}`),
  );
  return {
    issuers: issuers.flatMap(({ issuer, consoleClientId: clientId, scopeClaim }) => {
      // Where rules give the scopes, the issuer knows none of ours.
      const scope = ['openid', ...(scopeClaim === undefined ? [] : scopes)].join(' ');
      return clientId === undefined ? [] : [{ issuer, clientId, scope }];
    }),
  };
}
