import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  environmentVariableProblem,
  labelProblem,
  portProblem,
  secretKeyProblem,
  serviceNameProblem,
  subdomainProblem,
} from '../../components/kubernetes/names.ts';
import { Namespace } from '../../components/namespace/namespace.ts';
import { holds } from '../holds.ts';
import { findingsOf, record, resolved } from './mocks.ts';

describe('Namespace', () => {
  it('is created with its labels', async () => {
    const recording = await record();
    const namespace = new Namespace('environment', { name: 'dev', labels: { a: 'b' } });
    const { type, inputs } = await recording.find('environment-namespace');
    assert.equal(type, 'kubernetes:core/v1:Namespace');
    assert.deepEqual(inputs.metadata, { name: 'dev', labels: { a: 'b', 'app.kubernetes.io/managed-by': 'pulumi' } });
    assert.deepEqual(await resolved(namespace.namespaceName), { value: 'dev', secret: false });
  });

  it('is only named where it exists', async () => {
    const recording = await record();
    const namespace = new Namespace('environment', { name: 'dev', create: false });
    assert.equal((await recording.registrations()).length, 1);
    assert.equal((await resolved(namespace.namespaceName)).value, 'dev');
  });

  it('refuses what is not a label', async () => {
    await record();
    assert.match(
      findingsOf(() => new Namespace('n', { name: 'Dev' }))[0] ?? '',
      /^name: "Dev" is not a DNS-1123 label/,
    );
  });
});

describe('names of Kubernetes', () => {
  const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);

  it('accept labels, and subdomains made of them', () => {
    holds(fc.property(label, (text) => labelProblem(text) === undefined && subdomainProblem(text) === undefined));
    holds(fc.property(label, label, (one, two) => subdomainProblem(`${one}.${two}`) === undefined));
    holds(fc.property(label, (text) => (serviceNameProblem(text) === undefined) === /^[a-z]/.test(text)));
  });

  it('refuse everything else', () => {
    const strange = fc.string({ minLength: 1 }).filter((text) => /[^-a-z0-9.]/.test(text));
    holds(fc.property(strange, (text) => labelProblem(text) !== undefined && subdomainProblem(text) !== undefined));
    for (const bad of ['', '-a', 'a-', 'a'.repeat(64)]) assert.ok(labelProblem(bad), bad);
    for (const bad of ['', 'a..b', '.a', 'a'.repeat(254)]) assert.ok(subdomainProblem(bad), bad);
  });

  it('know ports, keys and variables', () => {
    holds(fc.property(fc.integer(), (port) => (portProblem(port) === undefined) === (port >= 1 && port <= 65535)));
    assert.ok(portProblem(80.5));
    assert.equal(secretKeyProblem('.dockerconfigjson'), undefined);
    for (const bad of ['', 'a/b', '..', 'a'.repeat(254)]) assert.ok(secretKeyProblem(bad), bad);
    assert.equal(environmentVariableProblem('LOG_LEVEL2'), undefined);
    for (const bad of ['', '2A', 'A-B', 'A.B']) assert.ok(environmentVariableProblem(bad), bad);
  });
});
