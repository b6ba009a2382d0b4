import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { Graph } from '../model.ts';

/** Name of the Pulumi project of all databases' stacks. */
export const PROJECT = 'operations';

/** The parts that are read here of a stored stack (`apitype.VersionedCheckpoint`). */
interface StoredStack {
  readonly version: number;
  readonly checkpoint: {
    readonly stack: string;
    readonly latest?: {
      readonly secrets_providers?: { readonly type: string; readonly state?: { readonly salt?: string } };
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

/**
 * The table in which the engine's `postgres://` backend keeps stacks: a row for each, its JSON in base64. Read for the
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
    const { rows } = await this.pool.query<{ data: { data: string } }>(
      'SELECT data FROM public.pulumi_state WHERE key = $1',
      [this.#key(stack)],
    );
    const data = rows[0]?.data.data;
    return data === undefined ? undefined : Buffer.from(data, 'base64').toString('utf8');
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

  /** SHA-256 of the stack's resources, without times: the same while nothing was applied. */
  async version(stack: string): Promise<string> {
    const resources = ((await this.read(stack))?.checkpoint.latest?.resources ?? []).map(
      ({ urn, id, type, inputs }) => [urn, id, type, inputs],
    );
    return createHash('sha256').update(JSON.stringify(resources)).digest('hex');
  }

  async salt(stack: string): Promise<string | undefined> {
    return (await this.read(stack))?.checkpoint.latest?.secrets_providers?.state?.salt;
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
    const data = { data: Buffer.from(JSON.stringify(copy)).toString('base64') };
    await this.pool.query('INSERT INTO public.pulumi_state (key, data) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING', [
      this.#key(stack),
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
