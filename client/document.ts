import { createApp } from '../api/http/app.ts';
import type { OperationsService } from '../api/operations/service.ts';
import type { ApiSettings } from '../api/settings.ts';
import { createTelemetry } from '../api/telemetry/telemetry.ts';

/** Where the local environment serves the API; every deployment's own document names its own address. */
const publicUrl = 'https://localhost:18443';

/** The service's OpenAPI document. The service is built for it, but does not listen and reaches nothing. */
export async function readDocument(): Promise<unknown> {
  const settings: ApiSettings = { publicUrl, environments: {}, issuers: [], namespaces: [] };
  const unused = async (): Promise<never> => {
    throw new Error('the document is made without a request');
  };
  const app = await createApp({
    service: {} as OperationsService,
    settings,
    verifier: { verify: unused },
    telemetry: createTelemetry({ level: 'silent' }),
  });
  try {
    await app.ready();
    return app.swagger();
  } finally {
    await app.close();
  }
}
