import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Namespace } from '@pulumi/kubernetes/core/v1/namespace.js';
import { Provider } from '@pulumi/kubernetes/provider.js';
import { LocalWorkspace, type Stack } from '@pulumi/pulumi/automation/index.js';
import { LoadBalancer, type LoadBalancerArguments } from '../../components/loadBalancer/loadBalancer.ts';
import { clusterObserver } from '../../components/loadBalancer/observe.ts';
import { createContext, repositoryRoot } from '../../local/context.ts';
import { kubeconfigPath, pulumiEnvironment } from '../../local/pulumiEnvironment.ts';

/** On the running local environment, through the engine. */
describe('LoadBalancer on a cluster', function () {
  this.timeout(180_000);
  const namespace = `front-${randomBytes(3).toString('hex')}`;
  const root = repositoryRoot();
  const kubeconfig = kubeconfigPath(createContext(root));
  let directory: string;
  let stack: Stack;
  let args: Partial<LoadBalancerArguments>;

  const program = async () => {
    const provider = new Provider('cluster', { kubeconfig });
    const options = { provider };
    const home = new Namespace('home', { metadata: { name: namespace } }, options);
    const balancer = new LoadBalancer(
      'gateway',
      {
        profile: 'local',
        namespace: home.metadata.name,
        selector: { app: 'none' },
        hosts: ['localhost'],
        outer: { listenAddress: '127.0.0.1', httpsPort: 18443, httpPort: 18080 },
        observe: clusterObserver({ kubeconfig }),
        ...args,
      },
      options,
    );
    return { address: balancer.address, configuration: balancer.outerConfiguration };
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'front-'));
    mkdirSync(join(directory, 'state'));
    mkdirSync(join(directory, 'work'));
    const { PULUMI_STACK: _stack, ...env } = await pulumiEnvironment(root, 'local');
    const envVars = { ...env, PULUMI_BACKEND_URL: `file://${join(directory, 'state')}`, PATH: env.PATH ?? '' };
    const before = process.env.PATH;
    process.env.PATH = envVars.PATH;
    try {
      stack = await LocalWorkspace.createStack(
        { projectName: 'front', stackName: namespace, program },
        { workDir: join(directory, 'work'), envVars },
      );
    } finally {
      process.env.PATH = before;
    }
  });
  after(async () => {
    await stack?.destroy().finally(() => rmSync(directory, { recursive: true, force: true }));
  });

  it('sees the cluster as it is', async () => {
    const observed = await clusterObserver({ kubeconfig })();
    assert.deepEqual(
      observed.nodes?.map(({ name, uninitialized }) => [name, uninitialized]),
      [['development-operations', false]],
    );
    assert.deepEqual(observed.metallb, { installed: false, addressPools: 0, advertisements: 0 });
    assert.ok(Array.isArray(observed.services));
    assert.deepEqual([observed.tunnel, observed.cloudProviderKind], [false, false]);
  });

  it('ends its wait in time, and says what is missing and the cure', async () => {
    args = { profile: 'metallb', loadBalancerClass: 'example.test/nobody', timeoutSeconds: 3 };
    const output: string[] = [];
    const started = Date.now();
    await assert.rejects(stack.up({ onOutput: (text) => output.push(text) }));
    const text = output.join('');
    assert.ok(Date.now() - started < 60_000, 'bounded');
    assert.match(text, /was not ready within 3 s/);
    assert.match(text, /It is waited for 3 seconds\. Service front-\w+\/gateway \(profile metallb\)/);
    assert.match(
      text,
      /error: .*Service front-\w+\/gateway \(profile metallb\):\s+- there is no namespace metallb-system/,
    );
    assert.match(text, /cure: install it \(https:\/\/metallb\.io\/installation\/\)/);
    await stack.destroy();
  });

  it('has an address and the configuration of the outer nginx, and then nothing to change', async () => {
    args = {};
    const { outputs } = await stack.up();
    const address = String(outputs.address?.value);
    assert.match(address, /^172\.31\.241\.\d+$/);
    assert.ok(String(outputs.configuration?.value).includes(`server ${address}:8444;`));
    const { changeSummary } = await stack.preview();
    assert.deepEqual(Object.keys(changeSummary), ['same']);
  });
});
