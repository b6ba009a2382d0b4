/** rotate.yml and the command that it calls, on the local cluster and PostgreSQL server. */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ageText, parseAge } from '../../workflows/rotate/age.ts';
import { carriedAlong, unexpected } from '../../workflows/rotate/carried.ts';
import { olderThan, rolePasswords } from '../../workflows/rotate/passwords.ts';
import { runAct } from './support/act.ts';
import { type Application, createApplication } from './support/application.ts';
import { engineEnvironment } from './support/engine.ts';
import { type CommandResult, TestEnvironment } from './support/environment.ts';
import { schedule } from './support/events.ts';

const DAY_MS = 86_400_000;
const ROLES = ['application', 'migrations', 'readonly'] as const;
type Role = (typeof ROLES)[number];

describe('the workflow rotate', () => {
  let application: Application;
  let environment: TestEnvironment;

  before(async () => {
    application = await createApplication();
    environment = await TestEnvironment.create({ application: application.directory });
    await environment.publish('1');
    await environment.deploy('1');
    await application.commit('feat: an environment');
  });

  after(async () => {
    await environment?.remove();
    await application?.remove();
  });

  const rotate = (olderThan: string, more: Record<string, string> = {}): Promise<CommandResult> =>
    environment.workflow('rotate', {
      application: environment.application,
      environment: environment.name,
      'older-than': olderThan,
      ...more,
    });

  /** The password as the Secret has it. */
  async function password(role: Role): Promise<string> {
    const { data } = await environment.object<{ data: Record<string, string> }>('secret', `orders-database-${role}`);
    return Buffer.from(data.PGPASSWORD ?? '', 'base64').toString();
  }

  async function passwords(): Promise<Record<Role, string>> {
    const all = await Promise.all(ROLES.map(async (role) => [role, await password(role)] as const));
    return Object.fromEntries(all) as Record<Role, string>;
  }

  async function logsIn(role: Role, secret: string): Promise<boolean> {
    const client = new pg.Client({
      host: '127.0.0.1',
      port: 15432,
      database: environment.database,
      user: `${environment.database}_${role}`,
      password: secret,
      ssl: { ca: await readFile(environment.env.DEVOPS_DATABASE_CA_FILE ?? '', 'utf8') },
    });
    try {
      await client.connect();
      return true;
    } catch (error) {
      assert.equal((error as { code?: string }).code, '28P01', String(error));
      return false;
    } finally {
      await client.end();
    }
  }

  /** Makes passwords in the state as old as they would be after a time. */
  async function age(days: number, roles: readonly Role[] = ROLES): Promise<void> {
    const state = JSON.parse(await readFile(environment.stateFile, 'utf8')) as {
      checkpoint: { latest: { resources: { urn: string; created?: string }[] } };
    };
    for (const role of roles) {
      const found = state.checkpoint.latest.resources.find(({ urn }) =>
        urn.endsWith(`::orders-database-password-${role}`),
      );
      assert.ok(found?.created, `there is no password of ${role}, or it has no age`);
      found.created = new Date(Date.now() - days * DAY_MS).toISOString();
    }
    await writeFile(environment.stateFile, JSON.stringify(state));
  }

  const pods = async () =>
    (await environment.kubectl('get', 'pods', '--selector=app.kubernetes.io/component=server', '--output=name')).trim();

  it('leaves passwords alone that are young', async () => {
    const [state, before] = [await readFile(environment.stateFile, 'utf8'), await passwords()];
    const result = await rotate('30d');
    assert.equal(result.exitCode, 0, result.output);
    assert.match(result.output, /no password is older than 30d: nothing to do/);
    assert.match(result.summary, /Older than 30d: 0 of 3/);
    assert.equal(result.outputs.rotated, '0');
    assert.deepEqual(await passwords(), before);
    assert.equal(await readFile(environment.stateFile, 'utf8'), state);
  });

  it('replaces old ones on the server, in the Secrets and in the pods, as it was shown', async () => {
    await age(40, ['application', 'migrations']);
    const [before, podsBefore] = [await passwords(), await pods()];
    const key = await environment.object<{ data: object }>('secret', 'orders-secrets');
    const result = await runAct({
      application,
      workflow: '.github/workflows/rotate.yml',
      event: schedule(),
      variables: { ROTATED_ENVIRONMENT: environment.name },
      secrets: {
        GITHUB_TOKEN: 'token-of-the-run',
        ...environment.callerSecrets,
      },
      environment: { ...environment.machine, ...(await engineEnvironment()), GITHUB_RUN_ID: String(randomInt(1e9)) },
    });
    assert.equal(result.exitCode, 0, result.output);
    assert.equal(result.value('rotated'), '2');
    const shown = result.summaries.join('\n');
    assert.match(shown, /`orders-database-password-application` \| 40 days \| is replaced/);
    assert.match(shown, /`orders-database-password-readonly` \| 0 hours \| stays/);
    assert.match(shown, /Role<\/code> <code>orders-database-role-application/);
    assert.match(shown, /ALTER ROLE/);
    assert.doesNotMatch(shown, /orders-database-role-readonly/);
    const after = await passwords();
    for (const role of ['application', 'migrations'] as const) {
      assert.notEqual(after[role], before[role]);
      assert.equal(await logsIn(role, before[role]), false, `the old password of ${role} is still good`);
      assert.equal(await logsIn(role, after[role]), true, `the new password of ${role} is not good`);
    }
    assert.equal(after.readonly, before.readonly);
    assert.deepEqual(
      await environment.object<{ data: object }>('secret', 'orders-secrets').then(({ data }) => data),
      key.data,
    );
    assert.notEqual(await pods(), podsBefore);
    // A pod of before that is ending may still be asked for a moment, and cannot connect any more.
    const ready = async () => (await fetch(`${await environment.url()}/readyz`).catch(() => undefined))?.status;
    for (const deadline = Date.now() + 30_000; (await ready()) !== 200 && Date.now() < deadline; ) await sleep(250);
    assert.equal(await ready(), 200);
    const seen = `${result.output}\n${shown}`;
    for (const value of [...Object.values(before), ...Object.values(after), ...Object.values(environment.secrets)]) {
      assert.ok(!seen.includes(value), 'a password was shown');
    }
  });

  it('does not carry other changes with it', async () => {
    await age(40, ['readonly']);
    const before = await passwords();
    // What the rotation does not touch stays as it is.
    environment.config.applications.orders.service = { type: 'ClusterIP', annotations: { waits: 'for a deployment' } };
    await environment.save();
    const left = await rotate('30d');
    assert.equal(left.exitCode, 0, left.output);
    const { metadata } = await environment.object<{ metadata: { annotations?: object } }>('service', 'orders');
    assert.ok(!('waits' in (metadata.annotations ?? {})), 'the Service was changed');
    assert.notEqual(await password('readonly'), before.readonly);
    // What it would bring up to date as a whole is refused.
    await age(40, ['application']);
    environment.config.applications.orders.replicas = 2;
    await environment.save();
    const refused = await rotate('30d');
    assert.equal(refused.exitCode, 1, refused.output);
    assert.match(refused.output, /would carry other changes with it/);
    assert.match(refused.output, /Deployment orders-deployment: update \(spec\.replicas\)/);
    assert.match(refused.output, /deploy the environment first/);
    assert.equal(await password('application'), before.application);
    assert.equal(await logsIn('application', before.application), true);
  });

  it('says what an age looks like', async () => {
    const result = await rotate('a month');
    assert.equal(result.exitCode, 2, result.output);
    assert.match(result.output, /"a month" is not an age/);
    assert.match(result.output, /12h \(hours\), 30d \(days\) or 8w \(weeks\)/);
  });

  it('takes ages as people write them, and tells them so', () => {
    assert.equal(parseAge('30d'), 30 * DAY_MS);
    assert.equal(parseAge('2w'), parseAge('14d'));
    assert.equal(parseAge('0h'), 0);
    for (const wrong of ['', '30', 'd', '-1d', '1.5d', '30 d', '1y', '999999d']) assert.throws(() => parseAge(wrong));
    assert.equal(ageText(DAY_MS), '24 hours');
    assert.equal(ageText(2 * DAY_MS), '2 days');
    assert.equal(ageText(3_600_000), '1 hour');
  });

  it('knows the passwords of roles, and leaves other generated secrets alone', () => {
    const urn = (type: string, name: string) => `urn:pulumi:s::p::${type}::${name}`;
    const make = (name: string, created?: string) => ({
      urn: urn('random:index/randomPassword:RandomPassword', name),
      type: 'random:index/randomPassword:RandomPassword',
      ...(created !== undefined && { created }),
    });
    const now = Date.parse('2026-02-01T00:00:00Z');
    const role = (name: string, of: string) => ({
      urn: urn('postgresql:index/role:Role', name),
      type: 'postgresql:index/role:Role',
      propertyDependencies: { password: [urn('random:index/randomPassword:RandomPassword', of)], name: null },
    });
    const resources = [
      make('young', '2026-01-31T00:00:00Z'),
      make('old', '2025-12-01T00:00:00Z'),
      make('unknown'),
      make('signing-key', '2020-01-01T00:00:00Z'),
      ...['young', 'old', 'unknown'].map((name) => role(`role-${name}`, name)),
    ];
    const found = rolePasswords({ resources }, now);
    assert.deepEqual(
      found.map(({ name }) => name),
      ['unknown', 'old', 'young'],
    );
    assert.deepEqual(
      olderThan(found, parseAge('30d')).map(({ name }) => name),
      ['unknown', 'old'],
    );
  });

  it('tells what a rotation would carry with it, and what it must not do', () => {
    const step = (
      name: string,
      operation: 'update' | 'replace' | 'delete',
      type = 'kubernetes:apps/v1:Deployment',
    ) => ({
      urn: name,
      type,
      name,
      operation,
      changes: [{ path: 'spec', from: 1, to: 2 }],
      sql: [],
    });
    assert.deepEqual(carriedAlong([step('a', 'update')], [step('a', 'update'), step('b', 'update')]), [
      'Deployment a: update (spec)',
    ]);
    assert.deepEqual(carriedAlong([step('a', 'update')], [step('b', 'delete')]), []);
    assert.deepEqual(unexpected([step('a', 'update'), step('p', 'replace'), step('b', 'delete')], ['p']), [
      'Deployment b: delete',
    ]);
    assert.deepEqual(unexpected([step('d', 'replace')], []), ['Deployment d: replace']);
    assert.deepEqual(unexpected([step('j', 'replace', 'kubernetes:batch/v1:Job')], []), []);
  });
});
