/**
 * Waiting for readiness, against a real API server with its real controllers. The part of the kubelet (pod status), of the
 * volume provisioner and of the load balancer is played by the test, through the API.
 */

import assert from 'node:assert/strict';
import type { PropertyMap } from '../../../plugins/framework/values.ts';
import { unwrapMap } from '../../../plugins/framework/values.ts';
import type { GroupVersionKind, KubernetesObject } from '../../../plugins/kubernetes/object.ts';
import { getList, getMap, getString, nameOf } from '../../../plugins/kubernetes/object.ts';
import { plugin } from '../../../plugins/kubernetes/plugin.ts';
import type { Existing, InitFailure, PluginClient } from '../client.ts';
import { connect, PluginError } from '../client.ts';
import type { ApiServer } from './apiserver.ts';
import { eventually, setStatus, startApiServer } from './apiserver.ts';

const POD: GroupVersionKind = { group: '', version: 'v1', kind: 'Pod' };
const SERVICE: GroupVersionKind = { group: '', version: 'v1', kind: 'Service' };
const T = {
  deployment: 'kubernetes:apps/v1:Deployment',
  statefulSet: 'kubernetes:apps/v1:StatefulSet',
  daemonSet: 'kubernetes:apps/v1:DaemonSet',
  job: 'kubernetes:batch/v1:Job',
  pod: 'kubernetes:core/v1:Pod',
  service: 'kubernetes:core/v1:Service',
  claim: 'kubernetes:core/v1:PersistentVolumeClaim',
  volume: 'kubernetes:core/v1:PersistentVolume',
  storageClass: 'kubernetes:storage.k8s.io/v1:StorageClass',
};

const template = (app: string, image = 'a:1'): PropertyMap => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: 'main', image }] },
});

const workload = (kind: string, name: string, spec: PropertyMap = {}, annotations: PropertyMap = {}): PropertyMap => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name, annotations },
  spec: { selector: { matchLabels: { app: name } }, template: template(name), ...spec },
});

const READY: PropertyMap = {
  phase: 'Running',
  conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({ type, status: 'True' })),
  containerStatuses: [{ name: 'main', ready: true, restartCount: 0, image: 'a', imageID: 'a', state: { running: {} } }],
};

const container = (state: PropertyMap, lastState: PropertyMap = {}): PropertyMap => ({
  phase: 'Pending',
  conditions: [
    { type: 'PodScheduled', status: 'True' },
    { type: 'Initialized', status: 'True' },
    { type: 'Ready', status: 'False', reason: 'ContainersNotReady', message: 'containers with unready status: [main]' },
  ],
  containerStatuses: [{ name: 'main', ready: false, restartCount: 1, image: 'a', imageID: '', state, lastState }],
});

const PULL = 'Back-off pulling image "a:1": ErrImagePull: failed to pull: 401 Unauthorized';

async function initFailure(promise: Promise<unknown>): Promise<InitFailure> {
  const error: unknown = await promise.then(
    () => assert.fail('should not have become ready'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof PluginError && error.initFailure, String(error));
  return error.initFailure;
}

describe('kubernetes plugin: waiting', function () {
  this.timeout(60_000);
  let server: ApiServer;
  let client: PluginClient;

  before(async () => {
    server = await startApiServer();
    client = await connect(plugin);
    await client.configure({ kubeconfig: server.kubeconfig });
  });
  after(async () => {
    await client?.close();
    await server?.stop();
  });

  const podsOf = async (app: string): Promise<KubernetesObject[]> =>
    (await server.cluster.list(POD, 'default', { labelSelector: `app=${app}` })).filter(
      (pod) => getString(pod, 'metadata', 'deletionTimestamp') === '',
    );

  /** Waits until the controllers have made the pods, then gives each a status. */
  async function playKubelet(
    app: string,
    count: number,
    status: PropertyMap,
    image = 'a:1',
  ): Promise<KubernetesObject[]> {
    const current = async (): Promise<KubernetesObject[]> =>
      (await podsOf(app)).filter((pod) => getString(getList(pod, 'spec', 'containers')[0], 'image') === image);
    await eventually(async () => (await current()).length === count, `${count} pods of ${app}`);
    const pods = await current();
    const startTime = new Date().toISOString();
    for (const pod of pods) await setStatus(server.cluster, POD, 'default', nameOf(pod), { startTime, ...status });
    return pods;
  }

  const create = (type: string, object: PropertyMap, timeoutSeconds = 20): Promise<Existing> =>
    client.checkAndCreate(type, getString(object, 'metadata', 'name'), object, { timeoutSeconds });

  it('a Deployment is ready when all its pods are, also after an update', async () => {
    const object = (image: string): PropertyMap =>
      workload('Deployment', 'web', { replicas: 2, template: template('web', image) });
    const [made] = await Promise.all([create(T.deployment, object('a:1')), playKubelet('web', 2, READY)]);
    assert.equal(getMap(unwrapMap(made.state), 'status').availableReplicas, 2);
    assert.equal((await client.read(T.deployment, 'web', made)).id, made.id);
    const { inputs } = await client.check(T.deployment, 'web', object('a:2'), made.inputs);
    let done = false;
    const update = client.update(T.deployment, 'web', made, inputs, { timeoutSeconds: 30 }).finally(() => {
      done = true;
    });
    // A rollout goes pod by pod: each new pod must be ready before the next is made.
    const rollout = async (): Promise<boolean> => {
      for (const pod of await podsOf('web')) {
        if (getString(pod, 'status', 'phase') !== 'Running') {
          await setStatus(server.cluster, POD, 'default', nameOf(pod), {
            startTime: new Date().toISOString(),
            ...READY,
          });
        }
      }
      return done;
    };
    await Promise.all([eventually(rollout, 'the rollout', 30_000), update]);
    const state = unwrapMap((await update).state);
    assert.equal(getMap(state, 'status').updatedReplicas, 2);
    assert.equal(getMap(state, 'metadata', 'annotations')['deployment.kubernetes.io/revision'], '2');
  });

  it('a Deployment that is not ready in time says what its pods say, and is kept with its state', async () => {
    const object = workload('Deployment', 'pull', { replicas: 1 });
    const failing = initFailure(create(T.deployment, object, 3));
    await playKubelet('pull', 1, container({ waiting: { reason: 'ImagePullBackOff', message: PULL } }));
    const failure = await failing;
    assert.equal(failure.id, 'default/pull');
    assert.match(
      failure.reasons[0] ?? '',
      /Deployment default\/pull was not ready within 3 s \(0 of 1 pods available; .*401 Unauthorized/,
    );
    assert.ok(
      failure.reasons.some((reason) =>
        /^\[Pod default\/pull-.*\]: container "main": \[ImagePullBackOff\] .*401 Unauthorized$/.test(reason),
      ),
      failure.reasons.join('\n'),
    );
    assert.ok(failure.reasons.some((reason) => reason.startsWith('[MinimumReplicasUnavailable]')));
    // A refresh says so too; once the pods run, it does not.
    const existing = {
      id: failure.id,
      state: failure.state,
      inputs: (await client.check(T.deployment, 'pull', object)).inputs,
    };
    const refreshed = await initFailure(client.read(T.deployment, 'pull', existing));
    assert.match(refreshed.reasons.join('\n'), /401 Unauthorized/);
    await playKubelet('pull', 1, READY);
    await eventually(
      async () =>
        client.read(T.deployment, 'pull', existing).then(
          () => true,
          () => false,
        ),
      'the refresh',
    );
  });

  it('a Deployment past its own progress deadline fails without waiting longer', async () => {
    const object = workload('Deployment', 'late', { replicas: 1, progressDeadlineSeconds: 2 });
    const failing = initFailure(create(T.deployment, object, 50));
    const crash = container(
      { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container' } },
      { terminated: { exitCode: 3, reason: 'Error', message: 'no database', startedAt: null, finishedAt: null } },
    );
    await playKubelet('late', 1, crash);
    const reasons = (await failing).reasons.join('\n');
    assert.match(reasons, /Deployment default\/late failed/);
    assert.match(reasons, /\[ProgressDeadlineExceeded\]/);
    assert.match(reasons, /\[CrashLoopBackOff\] back-off 10s/);
    assert.match(reasons, /container "main" ended with exit code 3 \(Error\): no database/);
  });

  it('a Deployment whose last rollout missed its deadline is waited for anew when its pods are others', async () => {
    const object = (image: string, progressDeadlineSeconds: number): PropertyMap =>
      workload('Deployment', 'mended', { replicas: 1, progressDeadlineSeconds, template: template('mended', image) });
    const first = object('a:1', 2);
    const { inputs: old } = await client.check(T.deployment, 'mended', first);
    const failing = initFailure(create(T.deployment, first, 50));
    await playKubelet('mended', 1, container({ waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s' } }));
    const { id, state } = await failing;
    const existing = { id, state, inputs: old };
    const { inputs } = await client.check(T.deployment, 'mended', object('a:2', 60), old);
    const update = client.update(T.deployment, 'mended', existing, inputs, { timeoutSeconds: 50 });
    const [updated] = await Promise.all([update, playKubelet('mended', 1, READY, 'a:2')]);
    assert.equal(getMap(unwrapMap(updated.state), 'status').availableReplicas, 1);
  });

  it("a Job is ready when complete; a failed one tells its reason and its pod's", async () => {
    const job = (name: string): PropertyMap => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name },
      spec: {
        backoffLimit: 0,
        template: { ...template(name), spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'a:1' }] } },
      },
    });
    const ended = (exitCode: number): PropertyMap => ({
      phase: exitCode === 0 ? 'Succeeded' : 'Failed',
      containerStatuses: [
        {
          ...{ name: 'main', ready: false, restartCount: 0, image: 'a', imageID: 'a' },
          state: {
            terminated: {
              exitCode,
              reason: exitCode === 0 ? 'Completed' : 'Error',
              message: 'relation "orders" exists',
              startedAt: null,
              finishedAt: null,
            },
          },
        },
      ],
    });
    const [made] = await Promise.all([create(T.job, job('good')), playKubelet('good', 1, ended(0))]);
    assert.equal(getMap(unwrapMap(made.state), 'status').succeeded, 1);
    const failing = initFailure(create(T.job, job('bad'), 30));
    await playKubelet('bad', 1, ended(1));
    const reasons = (await failing).reasons.join('\n');
    assert.match(reasons, /Job default\/bad failed[\s\S]*\[BackoffLimitExceeded\]/);
    assert.match(reasons, /ended with exit code 1 \(Error\): relation "orders" exists/);
    const inputs = (
      await client.check(T.job, 'bad', {
        ...job('bad'),
        metadata: { name: 'bad', annotations: { 'pulumi.com/replaceUnready': 'true' } },
      })
    ).inputs;
    const failure = { id: 'default/bad', state: (await initFailureState('bad')).state, inputs };
    const { replaces } = await client.diff(T.job, 'bad', failure, inputs);
    assert.ok(
      replaces.some((path) => path.includes('pulumi.com/replaceUnready')),
      replaces.join(),
    );
  });

  async function initFailureState(name: string): Promise<{ state: PropertyMap }> {
    const live = await server.cluster.get({ group: 'batch', version: 'v1', kind: 'Job' }, 'default', name);
    return { state: { ...live, __inputs: {}, __initialApiVersion: 'batch/v1', __fieldManager: 'm' } };
  }

  it('a Pod that cannot be scheduled says why', async () => {
    const pod = (name: string): PropertyMap => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app: name } },
      spec: template(name).spec ?? null,
    });
    const [made] = await Promise.all([create(T.pod, pod('single')), playKubelet('single', 1, READY)]);
    assert.equal(getString(unwrapMap(made.state), 'status', 'phase'), 'Running');
    const failing = initFailure(create(T.pod, pod('nowhere'), 2));
    await playKubelet('nowhere', 1, {
      phase: 'Pending',
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: '0/1 nodes are available: 1 Insufficient cpu.',
        },
      ],
    });
    assert.match((await failing).reasons.join('\n'), /not scheduled: \[Unschedulable\] 0\/1 nodes are available/);
  });

  it('a Service waits for its pods and, of type LoadBalancer, for an address', async () => {
    const service = (name: string, spec: PropertyMap): PropertyMap => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...spec },
    });
    const started = Date.now();
    await create(T.service, service('external', { type: 'ExternalName', externalName: 'example.com' }));
    await create(T.service, service('headless', { clusterIP: 'None', selector: { app: 'none' } }));
    await create(T.service, service('bare', {}));
    assert.ok(Date.now() - started < 5000, 'these need no pods');
    // Endpoints need a node; no daemon pods are wanted on it later.
    const NODE: GroupVersionKind = { group: '', version: 'v1', kind: 'Node' };
    await server.cluster.create({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }, {});
    const pod: PropertyMap = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'backend', labels: { app: 'backend' } },
      spec: { ...getMap(template('backend'), 'spec'), nodeName: 'node' },
    };
    await Promise.all([
      create(T.pod, pod),
      playKubelet('backend', 1, { ...READY, podIP: '10.9.8.7', podIPs: [{ ip: '10.9.8.7' }] }),
    ]);
    const before = Date.now();
    const local = await create(T.service, service('local', { selector: { app: 'backend' } }));
    assert.equal(local.id, 'default/local');
    assert.ok(Date.now() - before < 5000, 'ready endpoints need no settling');
    const balanced = service('balanced', { type: 'LoadBalancer', selector: { app: 'backend' } });
    const failing = await initFailure(create(T.service, balanced, 2));
    assert.match(failing.reasons.join('\n'), /was given no address.*minikube tunnel/);
    const existing = {
      id: failing.id,
      state: failing.state,
      inputs: (await client.check(T.service, 'balanced', balanced)).inputs,
    };
    const update = client.update(T.service, 'balanced', existing, existing.inputs, { timeoutSeconds: 20 });
    await setStatus(server.cluster, SERVICE, 'default', 'balanced', {
      loadBalancer: { ingress: [{ ip: '172.31.241.1' }] },
    });
    const status = getMap(unwrapMap((await update).state), 'status', 'loadBalancer');
    assert.deepEqual(
      getList(status, 'ingress').map((item) => item.ip),
      ['172.31.241.1'],
    );
    await server.cluster.delete(NODE, '', 'node', {}, new AbortController().signal);
  });

  it('a volume claim waits until it is bound, unless its class waits for a pod', async () => {
    const claim = (name: string, storageClassName: string): PropertyMap => ({
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '1024Mi' } } },
    });
    const storage = (name: string, volumeBindingMode: string): PropertyMap => ({
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name },
      provisioner: 'example.com/none',
      volumeBindingMode,
    });
    await create(T.storageClass, storage('lazy', 'WaitForFirstConsumer'));
    await create(T.storageClass, storage('eager', 'Immediate'));
    const lazy = await create(T.claim, claim('lazy', 'lazy'));
    assert.equal(getString(unwrapMap(lazy.inputs), 'spec', 'resources', 'requests', 'storage'), '1Gi');
    const failure = await initFailure(create(T.claim, claim('eager', 'eager'), 1));
    assert.match(failure.reasons.join('\n'), /StorageClass "eager" \(example\.com\/none\) has not provisioned/);
    const wait = client.update(
      T.claim,
      'eager',
      { id: failure.id, state: failure.state, inputs: lazy.inputs },
      (await client.check(T.claim, 'eager', claim('eager', 'eager'))).inputs,
      { timeoutSeconds: 20 },
    );
    const volume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'disk' },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'eager',
        hostPath: { path: '/tmp' },
      },
    };
    await create(T.volume, volume);
    assert.equal(getString(unwrapMap((await wait).state), 'spec', 'volumeName'), 'disk');
  });

  it('a StatefulSet and a DaemonSet wait for their pods', async () => {
    const set = workload('StatefulSet', 'ordered', { serviceName: 'ordered', replicas: 1 });
    const [made] = await Promise.all([create(T.statefulSet, set), playKubelet('ordered', 1, READY)]);
    assert.equal(getMap(unwrapMap(made.state), 'status').readyReplicas, 1);
    // No nodes here, so no pods are wanted.
    const daemons = await create(T.daemonSet, workload('DaemonSet', 'daemons'));
    assert.equal(getMap(unwrapMap(daemons.state), 'status').observedGeneration, 1);
  });

  it('annotations skip the wait, bound it, or say what to wait for', async () => {
    await create(T.deployment, workload('Deployment', 'skipped', {}, { 'pulumi.com/skipAwait': 'true' }));
    const bounded = client.checkAndCreate(
      T.deployment,
      'bounded',
      workload('Deployment', 'bounded', {}, { 'pulumi.com/timeoutSeconds': '1' }),
    );
    assert.match((await initFailure(bounded)).reasons.join('\n'), /within 1 s/);
    const waiting = workload(
      'Deployment',
      'condition',
      { replicas: 0 },
      { 'pulumi.com/waitFor': 'jsonpath={.status.observedGeneration}=1' },
    );
    assert.equal(getMap(unwrapMap((await create(T.deployment, waiting)).state), 'status').observedGeneration, 1);
  });

  it('a cancelled wait ends at once and keeps what was made', async () => {
    const other = await connect(plugin);
    await other.configure({ kubeconfig: server.kubeconfig });
    const waiting = initFailure(other.checkAndCreate(T.deployment, 'cancelled', workload('Deployment', 'cancelled')));
    await eventually(async () => (await podsOf('cancelled')).length === 1, 'the pod');
    const before = Date.now();
    await other.cancel();
    const failure = await waiting;
    assert.ok(Date.now() - before < 3000);
    assert.equal(failure.id, 'default/cancelled');
    assert.match(failure.reasons[0] ?? '', /was cancelled/);
    await other.close();
  });
});
