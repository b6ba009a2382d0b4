/** The issuer as a process of its own: `main.ts <.local>`. */

import { argv } from 'node:process';
import { issue } from '../pki.ts';
import { secret } from '../secrets.ts';
import { certificateRequest } from './certificate.ts';
import { HOST, PORT } from './facts.ts';
import { signingKey } from './keys.ts';
import { startIssuer } from './server.ts';

const ctx = { directory: argv[2] ?? '' };
const server = await startIssuer({
  host: HOST,
  port: PORT,
  certificate: await issue(ctx, certificateRequest()),
  secrets: {
    signingKey: signingKey(ctx),
    cookieKey: secret(ctx, 'issuer-cookie-key'),
    client: (name) => secret(ctx, `issuer-client-${name}`),
  },
});
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
