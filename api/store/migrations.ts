import type pg from 'pg';
import { transaction } from './transaction.ts';

/** Number of the advisory lock under which replicas that start together make the schema one after the other. */
const LOCK = 7_365_112_001;

/** In order; one that was released is never changed. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE development_operations.databases (
    environment text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    -- What was applied last, and what was last begun to be applied.
    applied jsonb,
    attempted jsonb,
    attempted_by uuid,
    -- A run began that has not succeeded: the next one recovers first.
    dirty boolean NOT NULL DEFAULT false,
    -- Names of databases and roles that were not there before this service made them.
    checked_names text[] NOT NULL DEFAULT '{}',
    rotations jsonb NOT NULL DEFAULT '{}',
    drift jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    last_operation_id uuid NOT NULL,
    PRIMARY KEY (environment, name)
  );
  CREATE TABLE development_operations.operations (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    environment text NOT NULL,
    database text NOT NULL,
    status text NOT NULL DEFAULT 'queued',
    attempt integer NOT NULL DEFAULT 0,
    plan_id uuid,
    input jsonb NOT NULL,
    requested_by text NOT NULL,
    request_id text NOT NULL,
    action text NOT NULL,
    plan_hash text,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- The order in which those of one database are carried out; of one that is tried again: when that was asked.
    queued_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    steps jsonb NOT NULL DEFAULT '[]',
    error jsonb,
    worker text,
    cancel_requested boolean NOT NULL DEFAULT false,
    last_sequence integer NOT NULL DEFAULT 0
  );
  CREATE INDEX ON development_operations.operations (environment, id DESC);
  CREATE INDEX ON development_operations.operations (environment, database, id DESC);
  CREATE INDEX ON development_operations.operations (environment, database, queued_at, id)
    WHERE status IN ('queued', 'running');
  CREATE INDEX ON development_operations.operations (finished_at);
  CREATE TABLE development_operations.plans (
    id uuid PRIMARY KEY,
    environment text NOT NULL,
    database text NOT NULL,
    action text NOT NULL,
    status text NOT NULL DEFAULT 'planning',
    wanted jsonb,
    given_up jsonb,
    hash text,
    steps jsonb NOT NULL DEFAULT '[]',
    counts jsonb NOT NULL DEFAULT '{}',
    operation_id uuid NOT NULL,
    applied_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    error jsonb
  );
  CREATE TABLE development_operations.operation_events (
    operation_id uuid NOT NULL REFERENCES development_operations.operations ON DELETE CASCADE,
    sequence integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    type text NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (operation_id, sequence)
  );
  CREATE TABLE development_operations.idempotency_keys (
    caller text NOT NULL,
    key text NOT NULL,
    request_hash text NOT NULL,
    result_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
  );
  CREATE INDEX ON development_operations.idempotency_keys (at);
  CREATE TABLE development_operations.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    caller text NOT NULL,
    action text NOT NULL,
    environment text,
    database text,
    operation_id uuid,
    plan_hash text,
    result text NOT NULL,
    request_id text NOT NULL
  );
  CREATE INDEX ON development_operations.audit (environment, id DESC);
  CREATE TABLE development_operations.waiting_credentials (
    operation_id uuid PRIMARY KEY REFERENCES development_operations.operations ON DELETE CASCADE,
    sealed bytea NOT NULL,
    expires_at timestamptz NOT NULL
  );
  `,
  // Where an operation belongs in traces: the header traceparent.
  'ALTER TABLE development_operations.operations ADD COLUMN trace text',
];

/**
 * Brings the schema `development_operations` to the newest version; `further` runs under the same lock.
 *
 * @throws when the schema is newer than this program.
 */
export async function migrate(pool: pg.Pool, further: () => Promise<void>): Promise<void> {
  await transaction(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
    await client.query('CREATE SCHEMA IF NOT EXISTS development_operations');
    await client.query(
      `CREATE TABLE IF NOT EXISTS development_operations.migrations (
         version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const { rows } = await client.query<{ version: number }>(
      'SELECT coalesce(max(version), 0) AS version FROM development_operations.migrations',
    );
    const present = rows[0]?.version ?? 0;
    if (present > MIGRATIONS.length) {
      throw new Error(
        `the schema has version ${present}, this program knows ${MIGRATIONS.length}: run a newer release`,
      );
    }
    for (const [index, statements] of MIGRATIONS.entries()) {
      if (index < present) continue;
      await client.query(statements);
      await client.query('INSERT INTO development_operations.migrations (version) VALUES ($1)', [index + 1]);
    }
    await further();
  });
}
