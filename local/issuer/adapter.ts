/** What oidc-provider keeps while it runs: codes, sessions, grants. Lost with the process: people log in again. */

interface Entry {
  readonly payload: Record<string, unknown>;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** Far more than people on one machine make; the oldest go first. */
const LARGEST = 10_000;

/** The methods are those of oidc-provider's adapter interface. */
export class MemoryAdapter {
  private static readonly entries = new Map<string, Entry>();

  constructor(private readonly kind: string) {}

  async upsert(id: string, payload: Record<string, unknown>, expiresIn = 14 * 24 * 3600): Promise<void> {
    const { entries } = MemoryAdapter;
    entries.delete(this.key(id));
    entries.set(this.key(id), { payload, expires: Date.now() + expiresIn * 1000 });
    for (const oldest of entries.keys()) {
      if (entries.size <= LARGEST) break;
      entries.delete(oldest);
    }
  }

  async find(id: string): Promise<Record<string, unknown> | undefined> {
    const entry = MemoryAdapter.entries.get(this.key(id));
    return entry === undefined || entry.expires <= Date.now() ? undefined : entry.payload;
  }

  async findByUid(uid: string): Promise<Record<string, unknown> | undefined> {
    return this.search((payload) => payload.uid === uid);
  }

  async findByUserCode(userCode: string): Promise<Record<string, unknown> | undefined> {
    return this.search((payload) => payload.userCode === userCode);
  }

  async consume(id: string): Promise<void> {
    const payload = await this.find(id);
    if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id: string): Promise<void> {
    MemoryAdapter.entries.delete(this.key(id));
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, { payload }] of MemoryAdapter.entries) {
      if (payload.grantId === grantId) MemoryAdapter.entries.delete(key);
    }
  }

  private search(matches: (payload: Record<string, unknown>) => boolean): Record<string, unknown> | undefined {
    for (const [key, { payload, expires }] of MemoryAdapter.entries) {
      if (key.startsWith(`${this.kind}:`) && expires > Date.now() && matches(payload)) return payload;
    }
    return undefined;
  }

  private key(id: string): string {
    return `${this.kind}:${id}`;
  }
}
