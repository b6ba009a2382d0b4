/** Requests made from the description that is deployed, valid and invalid: no server error, every answer as described. */

import assert from 'node:assert/strict';
import type { DatabaseRecord, Operation } from '../../../api/model.ts';
import { isAbsent } from './support/catalogue.ts';
import { PUBLIC_URL } from './support/http.ts';
import { fuzz } from './support/schemathesis.ts';
import { ENVIRONMENT, Service } from './support/service.ts';

const SECONDS = 150;
const SEED = 1987;

describe('requests at random', function () {
  this.timeout(400_000);
  const service = new Service();
  const name = 'e2e_fuzz';
  let known: ReadonlySet<string>;

  const databases = () => service.all<DatabaseRecord>(`/v1/databases?environment=${ENVIRONMENT}`);

  before(async () => {
    known = new Set((await databases()).filter(({ status }) => status !== 'deleted').map(({ name }) => name));
    assert.ok(!known.has(name), 'an earlier run has left its database');
  });

  after(async () => {
    // A plan may be for any name, and may have been applied: everything that was not there goes.
    for (const status of ['queued', 'running']) {
      const open = await service.all<Operation>(`/v1/operations?environment=${ENVIRONMENT}&status=${status}`);
      for (const { id } of open) await service.request('POST', `/v1/operations/${id}/cancel`);
      for (const { id } of open) await service.ended(id, 120);
    }
    for (const made of await databases()) {
      if (known.has(made.name) || made.status === 'deleted') continue;
      await service.removeAll(made.name);
      assert.ok(await isAbsent(made.name), `${made.name} has left something behind`);
    }
    service.close();
  });

  it('find no server error and no answer that is not described', async () => {
    const { exitCode, output, requests } = await fuzz({
      url: PUBLIC_URL,
      token: await service.tokenOf(),
      seed: SEED,
      seconds: SECONDS,
      parameters: { 'path.name': name, 'query.environment': ENVIRONMENT },
    });
    assert.equal(exitCode, 0, output);
    assert.ok(requests > 300, `only ${requests} requests were sent:\n${output}`);
    console.log(`      ${requests} requests`);
  });
});
