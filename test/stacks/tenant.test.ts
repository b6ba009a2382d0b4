import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { subdomainProblem } from '../../components/kubernetes/names.ts';
import { deployTenant, objectName, type TenantArguments } from '../../stacks/database.ts';
import { record, resolved } from '../components/mocks.ts';
import { holds } from '../holds.ts';

const tenant: TenantArguments = {
  database: 'orders_dev',
  environment: 'dev',
  schemas: ['orders'],
  roles: { application: { access: 'write' }, readonly: { access: 'read', connectionLimit: 5 } },
  connectionLimit: 40,
  delivery: { type: 'return' },
  rotations: {},
  server: {
    host: 'db.example.com',
    port: 15432,
    sslmode: 'verify-full',
    database: 'postgres',
    superuser: false,
    username: 'administrator',
    password: 'of the administrator',
  },
};

describe('the program of one tenant', () => {
  it('returns the credentials and makes no object of Kubernetes', async () => {
    const recording = await record();
    const { credentials } = deployTenant(tenant);
    const all = await recording.registrations();
    assert.ok(!all.some(({ type }) => type.includes('kubernetes')), all.map(({ type }) => type).join());
    const { value, secret } = await resolved(credentials.application);
    assert.equal(secret, true);
    assert.deepEqual(Object.keys(value as object).sort(), [
      ...['PGDATABASE', 'PGHOST', 'PGPASSWORD', 'PGPORT', 'PGSSLMODE', 'PGUSER'],
    ]);
    const provider = await recording.find('postgresql');
    assert.deepEqual(provider.inputs.username, { secret: 'administrator' });
    assert.deepEqual(provider.inputs.password, { secret: 'of the administrator' });
    assert.deepEqual(
      all.filter(({ protect }) => protect).map(({ name }) => name),
      [],
    );
    assert.equal((await recording.find('database-database')).inputs.connectionLimit, 40);
  });

  it('puts the credentials into Secrets of the cluster that it runs in, with the certificate authority', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tenant-'));
    try {
      const rootCertificateFile = join(folder, 'ca.crt');
      writeFileSync(rootCertificateFile, 'PEM');
      const recording = await record();
      deployTenant({
        ...tenant,
        delivery: { type: 'secret', namespace: 'shop' },
        server: { ...tenant.server, rootCertificateFile },
      });
      const secret = await recording.find('database-connection-readonly');
      assert.deepEqual(secret.inputs.metadata, {
        name: 'orders-dev-readonly',
        namespace: 'shop',
        labels: { 'development-operations/environment': 'dev' },
      });
      const { data } = secret.inputs as { data: { secret: Record<string, string> } };
      assert.equal(Buffer.from(data.secret['ca.crt'] ?? '', 'base64').toString(), 'PEM');
      assert.equal((await recording.find('postgresql')).inputs.sslrootcert, rootCertificateFile);
      assert.equal((await recording.find('kubernetes')).inputs.kubeconfig, undefined);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('rotates the roles that are named, and with the empty name all others', async () => {
    const keepers = async (rotations: Record<string, string>) => {
      const recording = await record();
      deployTenant({ ...tenant, rotations });
      const of = async (role: string) => (await recording.find(`database-password-${role}`)).inputs.keepers;
      return [await of('application'), await of('readonly')];
    };
    assert.deepEqual(await keepers({}), [undefined, undefined]);
    assert.deepEqual(await keepers({ readonly: 'a' }), [undefined, { rotation: 'a' }]);
    assert.deepEqual(await keepers({ '': 'b', readonly: 'a', gone: 'c' }), [{ rotation: 'b' }, { rotation: 'a' }]);
  });

  it('names the objects of any two databases apart, as Kubernetes wants names', () => {
    assert.equal(objectName('orders_dev'), 'orders-dev');
    assert.notEqual(objectName('orders-dev'), objectName('orders_dev'));
    assert.notEqual(objectName('Orders'), objectName('orders'));
    const name = fc.oneof(
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
      fc.stringMatching(/^[aA_-]{1,4}$/),
    );
    holds(
      fc.property(name, name, (one, other) => {
        assert.equal(subdomainProblem(`${objectName(one)}-role`), undefined);
        assert.equal(objectName(one) === objectName(other), one === other);
      }),
    );
  });
});
