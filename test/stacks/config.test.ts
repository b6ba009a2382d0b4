import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { findingsOf, resolved } from '../components/mocks.ts';
import { type Configuration, project, read, valid } from './source.ts';

describe('readConfiguration', () => {
  let folder: ReturnType<typeof project>;
  before(() => {
    folder = project({
      'orders/k/a.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n',
      'ca.pem': 'PEM',
      npmrc: 'token',
    });
  });
  after(() => folder.remove());

  /** The findings after a change to the valid configuration, without the project's prefix. */
  const findings = (change: (configuration: Configuration) => void, changes = {}): string[] => {
    const configuration = valid();
    change(configuration);
    return findingsOf(() => read(configuration, folder.root, changes)).map((line) =>
      line.replace(/^development-operations:/, ''),
    );
  };
  const orders = (configuration: Configuration): Configuration => configuration.applications.orders;

  it('completes a valid configuration with its defaults', async () => {
    const { configuration } = read(valid(), folder.root);
    assert.equal(configuration.environment, 'dev');
    assert.equal(configuration.stack, 'environment');
    assert.equal(configuration.database?.port, 5432);
    assert.equal(configuration.database?.sslmode, 'verify-full');
    const application = configuration.applications.orders;
    assert.deepEqual(application?.service, { type: 'ClusterIP', port: 80, targetPort: 8080 });
    assert.deepEqual(application?.database?.roles, {
      application: { access: 'write' },
      migrations: { access: 'owner' },
    });
    assert.equal(application?.database?.protect, true);
    assert.deepEqual(application?.migrations, {
      image: 'migrations',
      role: 'migrations',
      backoffLimit: 2,
      timeoutSeconds: 300,
    });
    assert.deepEqual(await resolved(configuration.registry.password.output()), {
      value: 'canary-password',
      secret: true,
    });
  });

  it('reads the files that it names', () => {
    const configuration = valid();
    configuration.database.rootCertificateFile = 'ca.pem';
    orders(configuration).images.secretFiles = { npmrc: 'npmrc' };
    orders(configuration).resourceFiles = ['k/*.yaml'];
    const { files } = read(configuration, folder.root);
    assert.equal(files.rootCertificate, 'PEM');
    assert.deepEqual(files.buildSecrets, { orders: { npmrc: 'token' } });
    assert.deepEqual(
      files.documents.orders?.map((one) => one.name),
      ['a'],
    );
  });

  it('reports everything at once, each with its path, and no secret', () => {
    const found = findings((configuration) => {
      configuration.kubernets = {};
      configuration.kubernetes.namespace = 'Not_Good';
      configuration.registry.pasword = 'plain-canary';
      configuration.registry.password = { env: 'NOT_SET' };
      configuration.database.port = 'plain-canary';
      configuration.database.adminPassword = 'plain-canary';
      orders(configuration).images.targets.main.tagret = 'x';
      orders(configuration).database = { schemas: ['pg_x'], name: 'same' };
      configuration.applications.other = { path: 'nowhere', database: { name: 'same' } };
      configuration.applications['Bad Name'] = { path: 'orders' };
    });
    const expected = [
      /^kubernets: is not a known key: did you mean "kubernetes"\?$/,
      /^kubernetes\.namespace: "Not_Good" is not a DNS-1123 label/,
      /^registry\.pasword: is not a known key: did you mean "password"\?$/,
      /^registry\.password: the secret is missing: set the environment variable NOT_SET/,
      /^database\.port: is a text: expected a port, a whole number from 1 to 65535$/,
      /^database\.adminPassword: is a secret in plain text: write \{env: NAME\}/,
      /^applications\.orders\.images\.targets\.main\.tagret: is not a known key: did you mean "target"\?$/,
      /^applications\.orders\.database\.schemas\[0\]: "pg_x" starts with "pg_"/,
      /^applications\.other\.database\.name: the database "same" is already that of development-operations:applications\.orders\.database\.name/,
      /^applications\.other\.path: "nowhere" is not a folder/,
      /^applications\["Bad Name"\]: the name "Bad Name" is not a DNS-1035 label/,
    ];
    for (const expression of expected)
      assert.ok(
        found.some((line) => expression.test(line)),
        `${expression}\n${found.join('\n')}`,
      );
    const roles = found.filter((line) => /the role "same_/.test(line));
    assert.equal(found.length, expected.length + roles.length, found.join('\n'));
    assert.ok(!found.join().includes('canary'));
  });

  const cases: [string, (configuration: Configuration) => void, RegExp][] = [
    ['a missing section', (c) => delete c.registry, /^registry: is missing: expected a mapping$/],
    ['a missing cluster', (c) => delete c.kubernetes, /^kubernetes: is missing/],
    ['a missing server', (c) => delete c.database, /^database: is missing, and .*orders\.database needs it/],
    ['a text for a mapping', (c) => (c.registry = 'x'), /^registry: is a text: expected a mapping$/],
    ['a wrong word', (c) => (c.stack = 'all'), /^stack: is a text: expected one of "environment", "images"$/],
    [
      'an environment that makes no name',
      (c) => (c.environment = 'a b'),
      /^environment: "a b" is not a DNS-1123 label/,
    ],
    [
      'a registry with a scheme',
      (c) => (c.registry.server = 'https://r.io'),
      /^registry\.server: "https:\/\/r\.io" has a scheme/,
    ],
    [
      'a registry twice',
      (c) => (c.registry.pullFrom = [{ ...c.registry, repositoryPrefix: undefined }]),
      /pullFrom\[0\]\.server: .* named twice/,
    ],
    [
      'a bad prefix',
      (c) => (c.registry.repositoryPrefix = 'Team'),
      /^registry\.repositoryPrefix: "Team" is not a repository/,
    ],
    ['an empty secret', (c) => (c.registry.password = ''), /^registry\.password: the secret is empty/],
    [
      'a secret of a wrong type',
      (c) => (c.registry.password = 5),
      /^registry\.password: is a number: expected a password or token as \{env: NAME\}/,
    ],
    ['a port out of range', (c) => (orders(c).service = { port: 70000 }), /orders\.service\.port: .*from 1 to 65535/],
    ['a fraction', (c) => (orders(c).replicas = 1.5), /orders\.replicas: .*a whole number/],
    ['no main image', (c) => (orders(c).images.targets = { migrations: {} }), /images\.targets: has no "main"/],
    [
      'a migration without image',
      (c) => (orders(c).images.targets = { main: {} }),
      /migrations\.image: names no image target "migrations": expected one of main/,
    ],
    ['a migration without role', (c) => (orders(c).migrations.role = 'x'), /migrations\.role: names no login role "x"/],
    ['an application without role', (c) => (orders(c).database.role = 'x'), /database\.role: names no login role "x"/],
    ['a schema twice', (c) => (orders(c).database.schemas = ['a', 'a']), /database\.schemas\[1\]: "a" is named twice/],
    ['a closed schema', (c) => (orders(c).database.schemas = ['public']), /database\.schemas\[0\]: "public" is closed/],
    [
      'a role twice',
      (c) =>
        (orders(c).database.roles = {
          application: { access: 'write', name: 'r' },
          migrations: { access: 'owner', name: 'r' },
        }),
      /roles\.migrations: the role "r" is already that of/,
    ],
    [
      'a database name too long for its owner',
      (c) => {
        orders(c).database.name = 'd'.repeat(58);
        orders(c).database.roles = {
          application: { access: 'write', name: 'a' },
          migrations: { access: 'owner', name: 'm' },
        };
      },
      /database\.name: makes the role "d+_owner", which is 64 bytes long/,
    ],
    [
      'an image repository twice',
      (c) => (orders(c).images.targets.migrations.repository = 'team/orders'),
      /targets\.migrations: the repository "r\.example\.com\/team\/orders" is already/,
    ],
    [
      'a bad variable',
      (c) => (orders(c).environment = { 'A-B': 'x' }),
      /environment\.A-B: the name "A-B" is not the name of an environment variable/,
    ],
    [
      'PORT by hand',
      (c) => (orders(c).environment = { PORT: '1' }),
      /environment\.PORT: is set from service\.targetPort/,
    ],
    [
      'a secret that is a variable too',
      (c) => (orders(c).environment = { TOKEN: 'x' }),
      /secrets\.TOKEN: is also in "environment"/,
    ],
    [
      'a short generated secret',
      (c) => (orders(c).secrets.KEY.generate = 4),
      /secrets\.KEY\.generate: .*from 16 to 512/,
    ],
    ['a path that is none', (c) => (orders(c).healthPath = 'healthz'), /healthPath: "healthz" is not a path/],
    [
      'a missing file',
      (c) => (c.database.rootCertificateFile = 'no.pem'),
      /^database\.rootCertificateFile: cannot read "no\.pem" \(ENOENT\)/,
    ],
    [
      'a missing secret file',
      (c) => (orders(c).images.secretFiles = { npmrc: 'no' }),
      /secretFiles\.npmrc: cannot read "no"/,
    ],
    [
      'a variable that is not set',
      (c) => (orders(c).images.tag = { env: 'NOT_SET' }),
      /images\.tag: the environment variable NOT_SET is not set/,
    ],
    [
      'resource files that match nothing',
      (c) => (orders(c).resourceFiles = ['x/*.yaml']),
      /resourceFiles: x\/\*\.yaml: matches no file/,
    ],
    [
      'a long application name',
      (c) => (c.applications = { ['a'.repeat(41)]: { path: 'orders' } }),
      /applications\.a+: the name is 41 characters long/,
    ],
  ];
  for (const [what, change, expected] of cases) {
    it(`refuses ${what}`, () => {
      const found = findings(change);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] ?? '', expected);
    });
  }

  it('needs neither cluster nor database for the images alone', () => {
    const configuration = { ...valid(), stack: 'images', kubernetes: undefined, database: undefined };
    assert.equal(read(configuration, folder.root).configuration.stack, 'images');
  });

  it('takes the default of a variable that is not set', () => {
    const configuration = valid();
    orders(configuration).images.tag = { env: 'NOT_SET', default: 'stable' };
    assert.equal(read(configuration, folder.root).configuration.applications.orders?.images.tag, 'stable');
  });

  describe('secrets in the configuration itself', () => {
    const plain = (configuration: Configuration) => {
      configuration.registry.password = 'canary';
    };
    const encrypted = { isSecretKey: (key: string) => key === 'registry' };

    it('are taken when Pulumi has them encrypted', async () => {
      const configuration = valid();
      plain(configuration);
      const file = () => ({ registry: { password: { secure: 'v1:abc' } } });
      const { configuration: result } = read(configuration, folder.root, { ...encrypted, file });
      assert.deepEqual(await resolved(result.registry.password.output()), { value: 'canary', secret: true });
      assert.doesNotThrow(() => read(configuration, folder.root, encrypted), 'there may be no file');
      const whole = () => ({ registry: { secure: 'v1:abc' } });
      assert.doesNotThrow(() => read(configuration, folder.root, { ...encrypted, file: whole }));
      const another = () => ({ registry: { password: { env: 'PASSWORD' } } });
      assert.doesNotThrow(() => read(configuration, folder.root, { ...encrypted, file: another }));
    });

    it('are refused in plain text, also beside one that is encrypted', () => {
      assert.match(findings(plain)[0] ?? '', /^registry\.password: is a secret in plain text/);
      const file = () => ({ registry: { username: { secure: 'v1:abc' }, password: 'canary' } });
      const found = findings(plain, { ...encrypted, file });
      assert.equal(found.length, 1);
      assert.match(found[0] ?? '', /^registry\.password: is a secret in plain text/);
    });

    it('are not shown by printing them', () => {
      const { configuration } = read(valid(), folder.root);
      const shown = [
        JSON.stringify(configuration),
        inspect(configuration, { depth: 9 }),
        String(configuration.registry.password),
      ];
      assert.ok(!shown.join().includes('canary'));
    });
  });
});
