import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import type pg from 'pg';
import type { Graph } from '../model.ts';

/** Name of the Pulumi project of all databases' stacks. */
export const PROJECT = 'operations';

/** What `Pulumi.yaml` of that project says. */
export const PROJECT_FILE = `name: ${PROJECT}\nruntime: nodejs\n`;

/** The parts that are read here of a stored stack (`apitype.VersionedCheckpoint`). */
interface StoredStack {
  readonly version: number;
  readonly checkpoint: {
    readonly stack: string;
    readonly latest?: {
      readonly secrets_providers?: { readonly type: string; readonly state?: { readonly encryptedkey?: string } };
      readonly resources?: readonly StoredResource[];
      readonly pending_operations?: readonly PendingOperation[];
    };
  };
}

interface StoredResource {
  readonly urn: string;
  readonly custom?: boolean;
  readonly id?: string;
  readonly type: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly dependencies?: readonly string[];
}

export interface PendingOperation {
  readonly type: string;
  readonly resource: StoredResource;
}

/** How the engine marks a stack that is compressed. */
const COMPRESSED = '.gz';

/** For the CLI: a state is written after every step, and compressed it costs the server a tenth. */
export const STATE_ENVIRONMENT = { PULUMI_DIY_BACKEND_GZIP: 'true' } as const;

/**
 * The table in which the engine's `postgres://` backend keeps stacks: a row for each, its JSON in base64, compressed
 * since STATE_ENVIRONMENT says so. Read for the
 * graph and the hash of a plan, where a call of the CLI would cost a third of a second; written only to make an empty
 * stack as a copy of one that the CLI made.
 */
export class StateTable {
  constructor(
    private readonly pool: pg.Pool,
    private readonly database: string,
  ) {}

  #key(stack: string): string {
    return `${this.database}/.pulumi/stacks/${PROJECT}/${stack}.json`;
  }

  async #row(stack: string): Promise<string | undefined> {
    const key = this.#key(stack);
    // Where there are both, the engine takes the newer one too.
    const { rows } = await this.pool.query<{ key: string; data: { data: string } }>(
      'SELECT key, data FROM public.pulumi_state WHERE key = ANY($1) ORDER BY updated_at DESC LIMIT 1',
      [[key, `${key}${COMPRESSED}`]],
    );
    const [row] = rows;
    if (!row) return undefined;
    const content = Buffer.from(row.data.data, 'base64');
    return (row.key.endsWith(COMPRESSED) ? gunzipSync(content) : content).toString('utf8');
  }

  async read(stack: string): Promise<StoredStack | undefined> {
    const text = await this.#row(stack);
    return text === undefined ? undefined : (JSON.parse(text) as StoredStack);
  }

  /** Whether the table is there: the CLI makes it at its first call. */
  async exists(): Promise<boolean> {
    const { rows } = await this.pool.query<{ found: boolean }>(
      "SELECT to_regclass('public.pulumi_state') IS NOT NULL AS found",
    );
    return rows[0]?.found === true;
  }

  /**
   * Before each of its some fifty saves in a run the engine copies the row to one that ends in `.bak`, as if it were a file
   * that may be half written. A row is written whole or not at all, so these copies are not kept.
   */
  async keepNoCopies(): Promise<void> {
    const { rows } = await this.pool.query(
      "SELECT FROM pg_catalog.pg_trigger WHERE tgname = 'no_copies' AND tgrelid = 'public.pulumi_state'::regclass",
    );
    if (rows.length > 0) return;
    await this.pool.query(`
      CREATE OR REPLACE FUNCTION public.discard_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER no_copies BEFORE INSERT ON public.pulumi_state
        FOR EACH ROW WHEN (NEW.key LIKE '%.bak') EXECUTE FUNCTION public.discard_row();
      DELETE FROM public.pulumi_state WHERE key LIKE '%.bak'`);
  }

  /** SHA-256 of the stack's resources, without times: the same while nothing was applied. */
  async version(stack: string): Promise<string> {
    const resources = ((await this.read(stack))?.checkpoint.latest?.resources ?? []).map(
      ({ urn, id, type, inputs }) => [urn, id, type, inputs],
    );
    return createHash('sha256').update(JSON.stringify(resources)).digest('hex');
  }

  /** The key of a stack's secrets, as the key service has encrypted it. */
  async encryptedKey(stack: string): Promise<string | undefined> {
    return (await this.read(stack))?.checkpoint.latest?.secrets_providers?.state?.encryptedkey;
  }

  /** Makes an empty stack as a copy of `template`, unless it is there. */
  async copy(template: string, stack: string): Promise<void> {
    const found = await this.read(template);
    if (
      found?.checkpoint.stack !== `organization/${PROJECT}/${template}` ||
      found.checkpoint.latest?.resources?.length
    ) {
      throw new Error(
        `the stack "${template}" is not the empty stack that this service made: delete it from the state`,
      );
    }
    const copy = { ...found, checkpoint: { ...found.checkpoint, stack: `organization/${PROJECT}/${stack}` } };
    const data = { data: gzipSync(JSON.stringify(copy)).toString('base64') };
    await this.pool.query('INSERT INTO public.pulumi_state (key, data) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING', [
      `${this.#key(stack)}${COMPRESSED}`,
      data,
    ]);
  }

  async graph(stack: string): Promise<Graph> {
    const resources = (await this.read(stack))?.checkpoint.latest?.resources ?? [];
    const shown = resources.filter(({ custom, type }) => custom === true && !type.startsWith('pulumi:'));
    const known = new Set(shown.map(({ urn }) => urn));
    return {
      nodes: shown.map(({ urn, type }) => ({ urn, type, name: urn.split('::').at(-1) ?? urn })),
      edges: shown.flatMap(({ urn, dependencies }) =>
        (dependencies ?? []).filter((to) => known.has(to)).map((to) => ({ from: urn, to })),
      ),
    };
  }
}
