import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '@pulumi/kubernetes/apps/v1/deployment.js';
import { Service } from '@pulumi/kubernetes/core/v1/service.js';
import { Provider } from '@pulumi/kubernetes/provider.js';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, type Stack } from '@pulumi/pulumi/automation/index.js';
import { Gateway, type GatewayRoute } from '../../components/gateway/gateway.ts';
import { Namespace } from '../../components/namespace/namespace.ts';
import { RegistrySecret } from '../../components/registry/registrySecret.ts';
import { issue } from '../../local/pki.ts';
import { pulumiEnvironment } from '../../local/pulumiEnvironment.ts';
import { kubectl, root } from '../e2e/support.ts';

const HOST = 'gateway.test';

/** Answers with the method; a request takes a moment, and one that runs is answered when the pod ends. */
const BEHIND = `const server = require('node:http').createServer((request, response) => {
  request.resume().on('end', () => setTimeout(() => response.end(request.method), 30));
}).listen(8080);
process.on('SIGTERM', () => server.close());`;

interface Count {
  answered: number;
  readonly failed: string[];
}

describe('a gateway in the cluster', function () {
  this.timeout(400_000);
  const name = `t${randomBytes(3).toString('hex')}`;
  const folder = join(root, '.local', 'test', name);
  let stack: Stack;
  let address: string;
  let authority: string;
  let env: Record<string, string>;
  let previousPath: string | undefined;
  let certificate: string;
  let privateKey: string;
  let timeoutSeconds = 200;
  let routes: GatewayRoute[];
  let unset: (() => void) | undefined;

  const program = async () => {
    const provider = new Provider('cluster', { kubeconfig: env.DEVOPS_KUBECONFIG });
    const options = { provider };
    const { namespaceName: namespace } = new Namespace('namespace', { name }, { providers: [provider] });
    const registry = {
      server: '127.0.0.1:15000',
      username: env.DEVOPS_REGISTRY_USERNAME ?? '',
      password: pulumi.secret(env.DEVOPS_REGISTRY_PASSWORD ?? ''),
    };
    const pull = new RegistrySecret('pull', { namespace, registries: [registry] }, { providers: [provider] });
    const labels = { app: 'behind' };
    new Deployment(
      'behind',
      {
        metadata: { name: 'behind', namespace },
        spec: {
          replicas: 2,
          selector: { matchLabels: labels },
          strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          template: {
            metadata: { labels },
            spec: {
              imagePullSecrets: [{ name: pull.secretName }],
              containers: [
                {
                  name: 'behind',
                  image: env.DEVOPS_NODE_BASE_IMAGE,
                  command: ['node', '-e', BEHIND],
                  readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
                  // As our own components roll: until every node knows that no new request belongs here.
                  lifecycle: { preStop: { sleep: { seconds: 5 } } },
                },
              ],
            },
          },
        },
      },
      options,
    );
    const ports = [{ port: 80, targetPort: 8080 }];
    new Service('behind', { metadata: { name: 'behind', namespace }, spec: { selector: labels, ports } }, options);
    const gateway = new Gateway(
      'gateway',
      {
        namespace,
        image: env.DEVOPS_NGINX_BASE_IMAGE ?? '',
        imagePullSecrets: [pull.secretName],
        routes,
        tls: { certificate, privateKey: pulumi.secret(privateKey) },
        timeoutSeconds,
      },
      { providers: [provider] },
    );
    return { serviceName: gateway.serviceName };
  };

  before(async () => {
    env = await pulumiEnvironment(root, 'local');
    mkdirSync(join(folder, 'state'), { recursive: true });
    previousPath = process.env.PATH;
    process.env.PATH = env.PATH;
    unset = () => {
      process.env.PATH = previousPath;
    };
    const files = await issue(
      { directory: folder },
      { name: 'server', commonName: HOST, sans: [HOST], usages: ['server'] },
    );
    certificate = readFileSync(files.certFile, 'utf8');
    privateKey = readFileSync(files.keyFile, 'utf8');
    authority = readFileSync(files.caFile, 'utf8');
    routes = [
      {
        ...{ name: 'behind', host: HOST, service: { name: 'behind', port: 80, keepAlive: 4 } },
        authentication: { type: 'none' },
      },
      // A pool of a Service that is not there costs its own route only.
      {
        ...{ name: 'absent', host: HOST, path: '/absent', service: { name: 'absent', port: 80, keepAlive: 4 } },
        authentication: { type: 'none' },
      },
      {
        name: 'kubernetes',
        host: HOST,
        path: '/version',
        service: {
          name: 'kubernetes',
          namespace: 'default',
          port: 443,
          scheme: 'https',
          certificateAuthority: 'cluster',
        },
        authentication: { type: 'none' },
        streaming: true,
      },
    ];
    stack = await LocalWorkspace.createStack(
      { stackName: name, projectName: 'gateway-test', program },
      { envVars: { ...env, PULUMI_BACKEND_URL: `file://${join(folder, 'state')}`, PULUMI_STACK: name } },
    );
    await stack.up();
    address = (await kubectl(['-n', name, 'get', 'service', 'gateway', '-o', 'jsonpath={.spec.clusterIP}'])).trim();
  });

  after(async () => {
    try {
      await stack?.destroy();
      await stack?.workspace.removeStack(name);
    } finally {
      unset?.();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  /** The body of a good answer; a connection of its own. */
  async function ask(path: string, method = 'GET', token?: string): Promise<string> {
    return await new Promise((resolve, reject) => {
      const request = httpsRequest({
        host: address,
        servername: HOST,
        ca: authority,
        agent: false,
        method,
        path,
        headers: { host: HOST, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
        timeout: 10_000,
      });
      request.once('timeout', () => request.destroy(new Error('no answer in 10 s')));
      request.once('error', reject);
      request.once('response', (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${response.statusCode}: ${text}`));
        });
      });
      request.end(method === 'POST' ? 'x' : undefined);
    });
  }

  /** Asks without a pause, in both methods, while the work is done. */
  async function underLoad(work: () => Promise<unknown>): Promise<Count> {
    const count: Count = { answered: 0, failed: [] };
    let done = false;
    const client = async (method: string) => {
      while (!done) {
        try {
          assert.equal(await ask('/', method), method);
          count.answered++;
        } catch (error) {
          count.failed.push(`${method}: ${String(error)}`);
        }
        await sleep(20);
      }
    };
    const clients = ['GET', 'POST', 'GET', 'POST'].map(client);
    try {
      await work();
    } finally {
      done = true;
      await Promise.all(clients);
    }
    return count;
  }

  it('passes requests on, and verifies the Kubernetes API behind it', async () => {
    assert.equal(await ask('/'), 'GET');
    // The API itself judges who asks.
    const token = (await kubectl(['-n', name, 'create', 'token', 'default'])).trim();
    assert.match(await ask('/version', 'GET', token), /gitVersion/);
    await assert.rejects(ask('/absent'), /503/);
  });

  it('has nothing to do in a second update', async () => {
    const { changeSummary } = await stack.preview();
    assert.deepEqual(Object.keys(changeSummary), ['same'], JSON.stringify(changeSummary));
  });

  it('changes its routes without losing a request', async () => {
    const [first] = routes;
    assert.ok(first);
    routes = [...routes, { ...first, name: 'more', path: '/more', maxBodyBytes: 10 }];
    const count = await underLoad(() => stack.up());
    assert.deepEqual(count.failed, []);
    assert.ok(count.answered > 50, `only ${count.answered} requests`);
    const configuration = await kubectl(['-n', name, 'get', 'configmap', '-o', 'name']);
    assert.equal(configuration.match(/gateway-configuration-/g)?.length, 1, configuration);
  });

  it('loses no request while the service behind is rolled', async () => {
    const count = await underLoad(async () => {
      await kubectl(['-n', name, 'rollout', 'restart', 'deployment/behind']);
      await kubectl(['-n', name, 'rollout', 'status', 'deployment/behind', '--timeout=120s']);
      await sleep(3000);
    });
    assert.deepEqual(count.failed, []);
    assert.ok(count.answered > 50, `only ${count.answered} requests`);
  });

  it('gives nothing that nginx refuses to a request: the update fails, and the old pods serve on', async () => {
    const right = { certificate, privateKey, timeoutSeconds };
    const other = await issue(
      { directory: folder },
      { name: 'other', commonName: HOST, sans: [HOST], usages: ['server'] },
    );
    // A certificate that does not belong to the key.
    certificate = readFileSync(other.certFile, 'utf8');
    timeoutSeconds = 25;
    const count = await underLoad(() => assert.rejects(stack.up(), /gateway/));
    assert.deepEqual(count.failed, []);
    assert.ok(count.answered > 50, `only ${count.answered} requests`);
    const pods = ['-n', name, 'get', 'pods', '-l', 'app.kubernetes.io/component=gateway', '-o', 'json'];
    assert.match(await kubectl(pods), /key values mismatch/);
    ({ certificate, privateKey, timeoutSeconds } = right);
    await stack.up();
  });
});
