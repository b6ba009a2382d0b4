import assert from 'node:assert/strict';
import { volumeFor } from '../../../local/kubernetes/controller/volumes.ts';

describe('local/kubernetes: volumes for claims', () => {
  it('binds a folder of its own to exactly that claim', () => {
    const volume = volumeFor(
      {
        metadata: { namespace: 'a', name: 'data', uid: '11-22' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } },
      },
      { metadata: { name: 'local' }, provisioner: 'x', reclaimPolicy: 'Retain' },
      '/volumes',
    );
    assert.equal(volume.metadata?.name, 'pvc-11-22');
    assert.equal(volume.spec?.hostPath?.path, '/volumes/pvc-11-22');
    // Not made by the kubelet: a folder that is missing is an error, not an empty volume.
    assert.equal(volume.spec?.hostPath?.type, 'Directory');
    assert.deepEqual(volume.spec?.claimRef, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      namespace: 'a',
      name: 'data',
      uid: '11-22',
    });
    assert.deepEqual(volume.spec?.capacity, { storage: '3Gi' });
    assert.deepEqual(volume.spec?.accessModes, ['ReadWriteOnce']);
    assert.equal(volume.spec?.storageClassName, 'local');
    assert.equal(volume.spec?.persistentVolumeReclaimPolicy, 'Retain');
  });
});
