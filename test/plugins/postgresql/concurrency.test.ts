import assert from 'node:assert/strict';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { SERVERS, useSample, useServer } from './fixture.ts';

for (const [server, options] of SERVERS) {
  describe(`postgresql: parallel changes on ${server}`, function () {
    this.timeout(20_000);
    const f = useServer({ ...options, settings: ["log_statement = 'all'"] });
    const rows = useSample(f);

    describe('at once', () => {
      it('forty grants and memberships from three engines never collide', async function () {
        this.timeout(40_000);
        const engines = [f.client, await f.connectAs(), await f.connectAs({ maxConnections: '1' })];
        const roles = Array.from({ length: 10 }, (_, index) => `parallel_${index}`);
        const engine = (index: number) => engines[index % engines.length];
        await Promise.all(roles.map((name, index) => f.create('Role', { name, roles: ['reader'] }, engine(index))));
        const grants: [string, PropertyMap][] = roles.flatMap((role): [string, PropertyMap][] => [
          ['Grant', { role, database: 'app', objectType: 'database', privileges: ['CONNECT'] }],
          ['Grant', { role, database: 'app', schema: 'app', objectType: 'schema', privileges: ['USAGE'] }],
          ['Grant', { role, database: 'app', schema: 'app', objectType: 'table', privileges: ['SELECT'] }],
          [
            'DefaultPrivileges',
            { role, database: 'app', schema: 'app', owner: 'app_owner', objectType: 'table', privileges: ['SELECT'] },
          ],
          ['GrantRole', { role, grantRole: 'writer' }],
        ]);
        const made = await Promise.all(grants.map(([type, inputs], index) => f.create(type, inputs, engine(index))));
        for (const role of roles) {
          const answer = await rows(
            `SELECT has_schema_privilege($1, 'app', 'USAGE') AS a, has_table_privilege($1, 'app.orders', 'SELECT') AS b, pg_has_role($1, 'writer', 'MEMBER') AS c`,
            [role],
            'app',
          );
          assert.deepEqual(answer, [[true, true, true]], role);
        }
        await Promise.all(made.map((existing, index) => f.remove(grants[index]?.[0] ?? '', existing, engine(index))));
        await Promise.all(
          roles.map((name, index) => f.remove('Role', { id: name, state: { name }, inputs: {} }, engine(index))),
        );
        assert.deepEqual(await rows("SELECT 1 FROM pg_roles WHERE rolname LIKE 'parallel%'"), []);
      });

      it('a change by somebody else in the same row is tried again', async () => {
        const collide = async () => {
          for (let index = 0; index < 30; index++) {
            await f.db
              .query('GRANT USAGE ON SCHEMA app TO writer; REVOKE USAGE ON SCHEMA app FROM writer', { database: 'app' })
              .catch(() => undefined);
          }
        };
        const ours = async () => {
          for (let index = 0; index < 15; index++) {
            const grant = await f.create('Grant', {
              role: 'reader',
              database: 'app',
              schema: 'app',
              objectType: 'schema',
              privileges: ['USAGE'],
            });
            await f.remove('Grant', grant);
          }
        };
        await Promise.all([collide(), ours()]);
      });
    });
  });
}
