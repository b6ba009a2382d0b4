import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChooseOptions, chooseCluster, isLocalContext, readChoice } from '../../../local/kubernetes/choose.ts';
import { kubernetesServices } from '../../../local/kubernetes/services.ts';
import { type Context, LocalError } from '../../../local/service.ts';

describe('local/kubernetes: choice of the cluster', () => {
  let ctx: Context;

  beforeEach(() => {
    const directory = mkdtempSync(join(tmpdir(), 'kubernetes-choice-'));
    ctx = {
      root: directory,
      directory,
      progress: { step: (_title, work) => work(() => undefined), note: () => undefined },
      tool: async (name) => name,
    };
  });

  afterEach(() => {
    rmSync(ctx.directory, { recursive: true, force: true });
  });

  function options(changed: Partial<ChooseOptions> = {}): ChooseOptions {
    return { env: {}, canOwn: true, current: async () => 'minikube', ask: async () => 'n', ...changed };
  }

  it('knows clusters on this machine by name or by mark', () => {
    for (const name of ['minikube', 'kind-x', 'k3d-dev', 'docker-desktop', 'rancher-desktop', 'colima', 'colima-x']) {
      assert.equal(isLocalContext(name, ''), true, name);
    }
    for (const name of ['production', 'my-minikube', 'kind', 'gke_kind-x', 'arn:aws:eks:minikube']) {
      assert.equal(isLocalContext(name, ''), false, name);
    }
    assert.equal(isLocalContext('any', '{"provider": "minikube.sigs.k8s.io"}'), true);
  });

  it('uses a cluster of the user only after a yes, and remembers it', async () => {
    assert.deepEqual(await chooseCluster(ctx, options({ ask: async () => ' Yes ' })), {
      cluster: 'current',
      context: 'minikube',
    });
    const never = options({ ask: () => assert.fail('asked twice'), current: () => assert.fail('looked twice') });
    assert.deepEqual(await chooseCluster(ctx, never), { cluster: 'current', context: 'minikube' });
    assert.deepEqual(
      kubernetesServices(ctx).map(({ name }) => name),
      ['cluster'],
    );
  });

  it('takes a node of its own after a no, and where nobody can be asked', async () => {
    assert.deepEqual(await chooseCluster(ctx, options()), { cluster: 'own' });
    rmSync(join(ctx.directory, 'choice.json'));
    const nobody = options({ current: async () => undefined, ask: () => assert.fail('nothing to ask about') });
    assert.deepEqual(await chooseCluster(ctx, nobody), { cluster: 'own' });
  });

  it('obeys DEVOPS_CLUSTER, also against what it remembers, and drops the other kubeconfig', async () => {
    await chooseCluster(ctx, options());
    writeFileSync(join(ctx.directory, 'kubeconfig'), 'of the own node');
    const choice = await chooseCluster(ctx, options({ env: { DEVOPS_CLUSTER: 'current' } }));
    assert.deepEqual(choice, { cluster: 'current', context: 'minikube' });
    assert.equal(existsSync(join(ctx.directory, 'kubeconfig')), false);
    assert.deepEqual(await chooseCluster(ctx, options({ env: { DEVOPS_CLUSTER: 'own' } })), { cluster: 'own' });
  });

  it('neither looks nor remembers where nobody can be asked, and asks later', async () => {
    const silent = options({ ask: undefined, current: () => assert.fail('looked') });
    assert.deepEqual(await chooseCluster(ctx, silent), { cluster: 'own' });
    assert.equal(readChoice(ctx), undefined);
    const choice = await chooseCluster(ctx, options({ ask: async () => 'y' }));
    assert.deepEqual(choice, { cluster: 'current', context: 'minikube' });
    assert.deepEqual(
      kubernetesServices(ctx).map(({ name }) => name),
      ['cluster'],
    );
  });

  it('says what to do when there is no cluster to be had', async () => {
    const none = options({ canOwn: false, current: async () => undefined });
    await assert.rejects(chooseCluster(ctx, none), /minikube start.*on Linux run it as root/s);
    await assert.rejects(chooseCluster(ctx, options({ canOwn: false })), /DEVOPS_CLUSTER=current npm run up/);
    await assert.rejects(chooseCluster(ctx, options({ env: { DEVOPS_CLUSTER: 'x' } })), LocalError);
    await assert.rejects(chooseCluster(ctx, options({ canOwn: false, env: { DEVOPS_CLUSTER: 'own' } })), /needs Linux/);
    assert.equal(readChoice(ctx), undefined);
  });

  it('chooses anew when the file is damaged', async () => {
    writeFileSync(join(ctx.directory, 'choice.json'), '{"cluster":"current"}');
    assert.equal(readChoice(ctx), undefined);
    assert.deepEqual(await chooseCluster(ctx, options()), { cluster: 'own' });
  });
});
