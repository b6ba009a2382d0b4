import type { Credentials } from '../model.ts';
import * as sealing from '../sealing.ts';
import type { Queryable } from './transaction.ts';

/** Encrypts credentials for the operation `id`: they cannot be passed off as another operation's. */
export function seal(credentials: Credentials, id: string, key: Buffer): Buffer {
  return sealing.seal(Buffer.from(JSON.stringify(credentials)), id, key);
}

/** @throws when the key or the id is another, or the bytes were changed. */
export function unseal(sealed: Buffer, id: string, key: Buffer): Credentials {
  return JSON.parse(sealing.unseal(sealed, id, key).toString()) as Credentials;
}

/** Keeps sealed credentials for 24 hours. */
export async function storeCredentials(client: Queryable, id: string, sealed: Buffer): Promise<void> {
  await client.query(
    `INSERT INTO development_operations.waiting_credentials (operation_id, sealed, expires_at)
     VALUES ($1, $2, now() + interval '24 hours')
     ON CONFLICT (operation_id) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at`,
    [id, sealed],
  );
}

/** Takes sealed credentials: of callers at the same time one gets them. */
export async function takeSealed(client: Queryable, id: string): Promise<Buffer | undefined> {
  const { rows } = await client.query<{ sealed: Buffer; fresh: boolean }>(
    `DELETE FROM development_operations.waiting_credentials WHERE operation_id = $1
     RETURNING sealed, expires_at > now() AS fresh`,
    [id],
  );
  const row = rows[0];
  return row?.fresh ? row.sealed : undefined;
}
