/** The pure parts of a deployment: what differs between two plans, where an environment is, which plan was reviewed. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Step } from '../../engineEvents/model.ts';
import { beyond, differences } from '../../workflows/deploy/difference.ts';
import { placesMarkdown, placesOf } from '../../workflows/deploy/places.ts';
import { readPlan, writePlan } from '../../workflows/deploy/planFile.ts';
import { WorkflowError } from '../../workflows/failure.ts';

function step(name: string, operation: Step['operation'], changes: Step['changes'] = []): Step {
  return { urn: `urn:${name}`, type: 'kubernetes:apps/v1:Deployment', name, operation, changes, sql: [] };
}

describe('workflows: deploy', () => {
  it('tells in what two plans differ, resource by resource', () => {
    const replicas = (to: number) => [{ path: 'spec.replicas', from: 1, to }];
    const reviewed = [step('a', 'update', replicas(2)), step('b', 'create'), step('c', 'update', replicas(3))];
    const now = [step('a', 'update', replicas(4)), step('c', 'delete'), step('d', 'update', replicas(5))];
    assert.deepEqual(differences(reviewed, now), [
      'Deployment a: is changed in another way than in the plan: spec.replicas',
      'Deployment b: was to be created, and is not any more',
      'Deployment c: was to be changed, and is deleted now',
      'Deployment d: is changed now, and was not in the plan (spec.replicas)',
    ]);
    assert.deepEqual(differences(reviewed, reviewed), []);
  });

  it('tells what was done beyond a plan, and nothing of what was left undone', () => {
    assert.deepEqual(beyond([step('a', 'update'), step('b', 'create')], [step('a', 'replace')]), [
      'Deployment a: is replaced',
    ]);
    assert.deepEqual(beyond([step('a', 'update'), step('b', 'create')], [step('b', 'create')]), []);
  });

  it('finds the addresses among the outputs, and makes no link of what is none', () => {
    const outputs = {
      applications: {
        shop: { url: 'http://172.31.241.9:8080', images: { main: 'registry/shop@sha256:1' } },
        api: { url: null, images: {} },
        odd: { url: 'http://x/](https://elsewhere)' },
      },
      gateway: { url: 'https://shop.example.com' },
    };
    assert.deepEqual(
      placesOf(outputs).map(({ name }) => name),
      ['gateway', 'odd', 'shop'],
    );
    const text = placesMarkdown(outputs);
    assert.match(text, /\| `gateway` \| <https:\/\/shop\.example\.com> \|/);
    assert.match(text, /\| `odd` \| `http:\/\/x\/\]\(https:\/\/elsewhere\)` \|/);
    assert.match(text, /- `shop main: registry\/shop@sha256:1`/);
    assert.equal(placesMarkdown({}), '');
  });

  it('takes no other plan than the one that was reviewed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'plan-'));
    try {
      const file = join(folder, 'plan.json');
      const plan = { environment: 'staging', version: '1', digest: 'd1', steps: [step('a', 'create')] };
      await writePlan(file, plan);
      assert.deepEqual(await readPlan(file, plan), plan);
      const refused = async (expected: object, message: RegExp) =>
        await assert.rejects(readPlan(file, { ...plan, ...expected }), (error: unknown) => {
          assert.ok(error instanceof WorkflowError);
          assert.equal(error.exitCode, 2);
          assert.match(error.message, message);
          return true;
        });
      await refused({ version: '2' }, /the plan of version 1 for the environment "staging", not of version 2/);
      await refused({ environment: 'prod' }, /not of version 1 for "prod"/);
      await refused({ digest: 'd2' }, /is not the plan that was reviewed: its digest is d1, not d2/);
      await writeFile(file, 'no plan');
      await refused({}, /the plan cannot be read/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
