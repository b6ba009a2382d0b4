import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import protobuf from 'google-protobuf';
import { serviceAccountKeys } from '../../../local/kubernetes/apiServer.ts';
import {
  apiServerCertificate,
  clientCertificate,
  componentKubeconfig,
  ETCD_CLIENT_NAME,
  etcdClientCertificate,
} from '../../../local/kubernetes/certificates.ts';
import { decodeList, encodeId } from '../../../local/kubernetes/cri.ts';
import { writeConfiguration } from '../../../local/kubernetes/files.ts';
import { isOwnShim } from '../../../local/kubernetes/leftovers.ts';
import { mountPoints } from '../../../local/mounts.ts';

describe('local/kubernetes: node', () => {
  let ctx: { directory: string };

  beforeEach(() => {
    ctx = { directory: mkdtempSync(join(tmpdir(), 'kubernetes-node-')) };
  });

  afterEach(() => {
    rmSync(ctx.directory, { recursive: true, force: true });
  });

  it('finds mounts at and below a folder, the last one first', () => {
    const mountinfo = [
      '22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw',
      '30 22 254:0 /a /home/a\\040b/.local rw - ext4 /dev/vda rw',
      '31 30 0:40 / /home/a\\040b/.local/pods/x rw - tmpfs tmpfs rw',
      '32 22 0:41 / /home/a\\040b/.localother rw - tmpfs tmpfs rw',
    ].join('\n');
    assert.deepEqual(mountPoints(mountinfo, '/home/a b/.local'), ['/home/a b/.local/pods/x', '/home/a b/.local']);
  });

  it('tells our shims from those of another containerd', () => {
    const line = (address: string) =>
      ['/usr/bin/containerd-shim-runc-v2', '-namespace', 'k8s.io', '-id', 'x', '-address', address].join('\0');
    assert.equal(isOwnShim(line('/run/own.sock'), '/run/own.sock'), true);
    assert.equal(isOwnShim(line('/run/containerd/containerd.sock'), '/run/own.sock'), false);
    assert.equal(isOwnShim(['vi', '-address', '/run/own.sock'].join('\0'), '/run/own.sock'), false);
    assert.equal(isOwnShim('', '/run/own.sock'), false);
  });

  it('reads the lists of the runtime: unknown fields are passed over, a missing state is 0', () => {
    const list = new protobuf.BinaryWriter();
    const item = (id: string, state: number) =>
      list.writeMessage(1, {}, (_: object, inner: protobuf.BinaryWriter) => {
        inner.writeString(1, id);
        inner.writeString(2, 'sandbox');
        if (state !== 0) inner.writeEnum(6, state);
        inner.writeInt64(7, 1_700_000_000_000_000_000);
      });
    item('one', 1);
    item('two', 0);
    list.writeString(9, 'from a later version');
    assert.deepEqual(decodeList(list.getResultBuffer(), 6), [
      { id: 'one', state: 1 },
      { id: 'two', state: 0 },
    ]);
    assert.deepEqual(decodeList(new Uint8Array(), 6), []);
    // Field 1 (length-delimited), then field 2 (varint).
    assert.deepEqual([...encodeId('ab', 5)], [0x0a, 2, 0x61, 0x62, 0x10, 5]);
  });

  it('says whether a file changed, and keeps it to its owner', () => {
    const path = join(ctx.directory, 'a', 'b');
    assert.equal(writeConfiguration(path, 'one'), true);
    assert.equal(writeConfiguration(path, 'one'), false);
    assert.equal(writeConfiguration(path, 'two'), true);
    assert.equal(readFileSync(path, 'utf8'), 'two');
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it('gives each component the user that RBAC knows, and etcd one name', async () => {
    const subject = async (user: Parameters<typeof clientCertificate>[1]) =>
      new X509Certificate(readFileSync((await clientCertificate(ctx, user)).certFile)).subject.split('\n').sort();
    assert.deepEqual(await subject('kubelet'), ['CN=system:node:development-operations', 'O=system:nodes']);
    assert.deepEqual(await subject('kube-scheduler'), ['CN=system:kube-scheduler']);
    const etcd = new X509Certificate(readFileSync((await etcdClientCertificate(ctx)).certFile));
    assert.equal(etcd.subjectAltName, `DNS:${ETCD_CLIENT_NAME}`);
    const admin = new X509Certificate(readFileSync((await clientCertificate(ctx, 'admin')).certFile));
    assert.equal(admin.checkHost(ETCD_CLIENT_NAME), undefined);
  });

  it('serves the API under the names that pods use', async () => {
    const certificate = new X509Certificate(readFileSync((await apiServerCertificate(ctx)).certFile));
    assert.notEqual(certificate.checkHost('kubernetes.default.svc'), undefined);
    assert.notEqual(certificate.checkIP('10.96.0.1'), undefined);
    assert.notEqual(certificate.checkIP('172.31.240.1'), undefined);
  });

  it('makes keys and kubeconfigs once', async () => {
    const keys = serviceAccountKeys(ctx);
    const before = readFileSync(keys.privateFile, 'utf8');
    assert.match(before, /BEGIN RSA PRIVATE KEY/);
    assert.equal(readFileSync(serviceAccountKeys(ctx).privateFile, 'utf8'), before);
    assert.equal(statSync(keys.privateFile).mode & 0o777, 0o600);
    const first = await componentKubeconfig(ctx, 'kube-proxy');
    assert.equal(first.changed, true);
    assert.equal(statSync(first.path).mode & 0o777, 0o600);
    assert.equal((await componentKubeconfig(ctx, 'kube-proxy')).changed, false);
  });
});
