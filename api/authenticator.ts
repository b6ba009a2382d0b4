import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createAuthenticator } from './authentication/authenticatorApp.ts';
import { createVerifier } from './authentication/verifier.ts';
import { readSettings } from './readSettings.ts';
import { createLog } from './telemetry/log.ts';

/** Only the gateway in the same pod reaches it. */
const ADDRESS = { host: '127.0.0.1', port: 9000 };

/** The gateway's sidecar: judges tokens by the settings in API_SETTINGS_FILE. */
async function main(): Promise<void> {
  const log = createLog({ level: process.env.LOG_LEVEL });
  try {
    const { issuers } = readSettings();
    const server = createAuthenticator(createVerifier({ issuers, log }), { log });
    // Longer than nginx keeps a connection that it does not use (60 s).
    server.keepAliveTimeout = 75_000;
    const stop = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    server.listen(ADDRESS.port, ADDRESS.host);
    await once(server, 'listening');
    log.info(ADDRESS, 'ready');
    await stop;
    server.close();
    server.closeIdleConnections();
  } catch (error) {
    log.fatal({ error }, 'cannot start');
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
