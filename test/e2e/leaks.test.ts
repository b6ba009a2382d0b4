import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { kubectl, root, TestStack } from './support.ts';

const canary = (what: string): string => `canary-${what}-${randomBytes(12).toString('hex')}`;

/** Collects the arguments and, for what is not secret there, nothing else of every process while `work` runs. */
async function watchArguments<T>(work: () => Promise<T>): Promise<{ result: T; seen: Set<string> }> {
  const seen = new Set<string>();
  let running = true;
  const watching = (async () => {
    while (running) {
      for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
        try {
          seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
        } catch {
          // Ended meanwhile.
        }
      }
      await sleep(20);
    }
  })();
  try {
    return { result: await work(), seen };
  } finally {
    running = false;
    await watching;
  }
}

/** The forms in which a value can be spelled out: as it is, and in base64 at each of the three alignments. */
function spellings(value: string): string[] {
  const aligned = [0, 1, 2].map((offset) => {
    const text = Buffer.from('x'.repeat(offset) + value).toString('base64');
    // The characters that also hold bits of the neighbours are left out.
    return text.slice(offset === 0 ? 0 : offset + 1, -4);
  });
  return [value, ...aligned];
}

async function files(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

describe('secrets', function () {
  this.timeout(300_000);
  const canaries = {
    application: canary('application'),
    registry: canary('registry'),
    npm: canary('npm'),
  };
  let stack: TestStack;
  let seen: Set<string>;
  /** Where secrets might be, by name. */
  const places = new Map<string, string>();

  /** All secrets that must appear nowhere: the planted ones, those that the stack made, those of the environment. */
  const secrets = new Map<string, string>();

  before(async () => {
    stack = await TestStack.create({ CANARY_APPLICATION: canaries.application, CANARY_REGISTRY: canaries.registry });
    const npmrc = join(stack.directory, 'npmrc');
    const own = await readFile(stack.env.DEVOPS_NPMRC_FILE ?? '', 'utf8');
    await writeFile(npmrc, `${own}\n; ${canaries.npm}\n`, { mode: 0o600 });
    stack.env.DEVOPS_NPMRC_FILE = npmrc;
    stack.application.secrets = { ...stack.application.secrets, ORDERS_CANARY: { env: 'CANARY_APPLICATION' } };
    stack.config.registry.pullFrom = [
      { server: 'registry.example.com', username: { env: 'CANARY_REGISTRY' }, password: { env: 'CANARY_REGISTRY' } },
    ];
    // Something of the image changes, so that the build runs and is not taken from the cache.
    await writeFile(
      join(stack.directory, 'orders', 'migrations', '9997_nothing.sql'),
      `-- Up Migration\n-- ${stack.name}\nSELECT 1;\n`,
    );
    await stack.save();
    const previewed = await watchArguments(() => stack.must('preview', '--diff'));
    const updated = await watchArguments(() => stack.up('--diff'));
    seen = new Set([...previewed.seen, ...updated.seen]);
    await stack.must('preview', '--json');
    stack.application.replicas = 2;
    await stack.save();
    await stack.must('preview', '--json', '--diff');
    await stack.must('stack output', '--json');
    places.set('command output', stack.transcript.join('\n'));
    places.set('state', await stack.must('stack export'));
    places.set('process arguments', [...seen].join('\n'));

    // The passwords that the stack generated, read where they belong: in the cluster's Secrets.
    const list = JSON.parse(await kubectl(['-n', stack.name, 'get', 'secrets', '-o', 'json'])) as {
      items: { metadata: { name: string }; data?: Record<string, string> }[];
    };
    for (const { metadata, data = {} } of list.items) {
      for (const [key, value] of Object.entries(data)) {
        const text = Buffer.from(value, 'base64').toString('utf8');
        if (/password|key|token/i.test(key) && text.length >= 12) secrets.set(`${metadata.name}.${key}`, text);
      }
    }
    for (const [name, value] of Object.entries(canaries)) secrets.set(name, value);
    for (const name of ['DEVOPS_DATABASE_ADMIN_PASSWORD', 'DEVOPS_REGISTRY_PASSWORD']) {
      secrets.set(name, stack.env[name] ?? '');
    }
  });

  after(async () => {
    await stack?.remove();
  });

  function assertAbsent(place: string, text: string): void {
    for (const [name, value] of secrets) {
      for (const spelling of spellings(value)) {
        assert.ok(!text.includes(spelling), `the secret ${name} is in plain text in: ${place}`);
      }
    }
  }

  it('are known to the test, and it finds them where they belong', async () => {
    assert.ok(
      [...secrets.keys()].some((name) => name.endsWith('PASSWORD')),
      'no generated password was found',
    );
    for (const [name, value] of secrets) assert.ok(value.length >= 12, `${name} is too short to search for`);
    const inCluster = await kubectl(['-n', stack.name, 'get', 'secrets', '-o', 'json']);
    assert.ok(spellings(canaries.application).some((spelling) => inCluster.includes(spelling)));
    const plain = await execa('pulumi', ['stack', 'export', '--stack', stack.name, '--show-secrets'], {
      cwd: root,
      env: stack.env,
    });
    assert.ok(
      spellings(canaries.application).some((spelling) => plain.stdout.includes(spelling)),
      'the state does not hold the secret, even when it is decrypted',
    );
  });

  for (const place of ['command output', 'state', 'process arguments']) {
    it(`are not in plain text in ${place}`, () => {
      const text = places.get(place) ?? '';
      assert.ok(text.length > 100, `nothing was recorded of ${place}`);
      assertAbsent(place, text);
    });
  }

  it('are not in plain text in the state files', async () => {
    for (const file of await files(join(stack.directory, 'state'))) assertAbsent(file, await readFile(file, 'utf8'));
  });

  it('are not in the history or the layers of an image', async () => {
    const { applications } = await stack.outputs();
    const env: NodeJS.ProcessEnv = { ...stack.env, DOCKER_CONFIG: join(stack.directory, 'docker') };
    const login = ['login', '127.0.0.1:15000', '--username', env.DEVOPS_REGISTRY_USERNAME ?? '', '--password-stdin'];
    await execa('docker', login, { env, input: env.DEVOPS_REGISTRY_PASSWORD ?? '' });
    for (const image of Object.values(applications.orders.images)) {
      await execa('docker', ['pull', '--quiet', image], { env });
      const history = await execa('docker', ['history', '--no-trunc', image], { env });
      const inspect = await execa('docker', ['inspect', image], { env });
      assertAbsent(`history of ${image}`, `${history.stdout}\n${inspect.stdout}`);
      const { stdout } = await execa('docker', ['create', image], { env });
      try {
        const layers = execa('docker', ['export', stdout], {
          env,
          encoding: 'buffer',
          maxBuffer: 2 ** 30,
        });
        const content = Buffer.from((await layers).stdout);
        for (const [name, value] of secrets) {
          assert.ok(!content.includes(value), `the secret ${name} is in a file of ${image}`);
        }
      } finally {
        await execa('docker', ['rm', stdout], { env });
      }
    }
  });

  it('are not in the logs of the local environment', async () => {
    for (const file of await files(join(root, '.local', 'log'))) assertAbsent(file, await readFile(file, 'latin1'));
  });

  it('are not in annotations or other objects of the cluster', async () => {
    const kinds = 'configmaps,deployments,replicasets,jobs,pods,services,serviceaccounts,events';
    assertAbsent('objects', await kubectl(['-n', stack.name, 'get', kinds, '-o', 'json', '--show-managed-fields']));
    const list = JSON.parse(await kubectl(['-n', stack.name, 'get', 'secrets', '-o', 'json'])) as {
      items: { metadata: unknown }[];
    };
    assertAbsent('metadata of Secrets', JSON.stringify(list.items.map(({ metadata }) => metadata)));
  });
});
