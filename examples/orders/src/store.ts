import { createHash } from 'node:crypto';
import type { NewOrder, Order, OrderItem } from '@example/orders-client';
import type pg from 'pg';

/** A page of orders; `last` is where the next one starts, undefined when there is none. */
export interface StoredPage {
  readonly orders: readonly Order[];
  readonly last: string | undefined;
}

/** The same idempotency key was used for another order. */
export class IdempotencyConflict extends Error {
  override readonly name = 'IdempotencyConflict';
}

interface OrderRow {
  readonly number: string;
  readonly id: string;
  readonly customer: string;
  readonly currency: string;
  readonly created_at: Date;
  readonly items: readonly OrderItem[];
}

/** One statement, so that an order is never stored without its items. */
const INSERT = `
WITH inserted AS (
  INSERT INTO orders.orders (customer, currency, idempotency_key, request_digest)
  VALUES ($1, $2, $3, $4)
  ON CONFLICT (idempotency_key) DO NOTHING
  RETURNING number, id, created_at
), items AS (
  INSERT INTO orders.order_items (order_number, position, sku, quantity, unit_price)
  SELECT inserted.number, item.position, item.sku, item.quantity, item.unit_price
  FROM inserted, unnest($5::text[], $6::integer[], $7::bigint[])
    WITH ORDINALITY AS item (sku, quantity, unit_price, position)
)
SELECT id, created_at FROM inserted`;

const COLUMNS = `
  o.number, o.id, o.customer, o.currency, o.created_at,
  (SELECT json_agg(json_build_object('sku', i.sku, 'quantity', i.quantity, 'unitPrice', i.unit_price)
     ORDER BY i.position)
   FROM orders.order_items i WHERE i.order_number = o.number) AS items`;

const BY_ID = `SELECT ${COLUMNS} FROM orders.orders o WHERE o.id = $1`;
const BY_KEY = `SELECT ${COLUMNS}, o.request_digest FROM orders.orders o WHERE o.idempotency_key = $1`;
/** Continues after a key instead of skipping rows: the thousandth page costs what the first does. */
const PAGE = `SELECT ${COLUMNS} FROM orders.orders o
  WHERE $1::bigint IS NULL OR o.number < $1::bigint
  ORDER BY o.number DESC LIMIT $2`;

/** The orders in PostgreSQL. Methods throw what `pg` throws. */
export class OrderStore {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /**
   * Stores an order; with a key that was used before, returns the order of then.
   *
   * @throws IdempotencyConflict when the key was used for another order.
   */
  async create(order: NewOrder, idempotencyKey?: string): Promise<Order> {
    const digest = idempotencyKey === undefined ? null : digestOf(order);
    const { rows } = await this.#pool.query<Pick<OrderRow, 'id' | 'created_at'>>(INSERT, [
      order.customer,
      order.currency,
      idempotencyKey ?? null,
      digest,
      order.items.map(({ sku }) => sku),
      order.items.map(({ quantity }) => quantity),
      order.items.map(({ unitPrice }) => unitPrice),
    ]);
    const inserted = rows[0];
    if (inserted) return toOrder({ ...order, number: '', ...inserted });
    return await this.#earlier(idempotencyKey ?? '', digest);
  }

  async #earlier(idempotencyKey: string, digest: Buffer | null): Promise<Order> {
    const { rows } = await this.#pool.query<OrderRow & { request_digest: Buffer }>(BY_KEY, [idempotencyKey]);
    const earlier = rows[0];
    if (!earlier || !digest?.equals(earlier.request_digest)) {
      throw new IdempotencyConflict('the idempotency key was used for another order: send a new key with a new order');
    }
    return toOrder(earlier);
  }

  async get(id: string): Promise<Order | undefined> {
    const { rows } = await this.#pool.query<OrderRow>(BY_ID, [id]);
    return rows[0] && toOrder(rows[0]);
  }

  /** @param after `last` of the page before. */
  async list(limit: number, after: string | undefined): Promise<StoredPage> {
    // One more than asked for tells whether there is a next page.
    const { rows } = await this.#pool.query<OrderRow>(PAGE, [after ?? null, limit + 1]);
    const shown = rows.slice(0, limit);
    return { orders: shown.map(toOrder), last: rows.length > limit ? shown.at(-1)?.number : undefined };
  }

  /** Fails when the database is away, the migrations have not run, or the role may not read. */
  async check(): Promise<void> {
    await this.#pool.query('SELECT idempotency_key FROM orders.orders LIMIT 0');
  }
}

function toOrder(row: OrderRow): Order {
  return {
    id: row.id,
    customer: row.customer,
    currency: row.currency,
    items: row.items.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice })),
    // The limits of the schema keep the sum below Number.MAX_SAFE_INTEGER.
    total: row.items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0),
    createdAt: row.created_at.toISOString(),
  };
}

function digestOf({ customer, currency, items }: NewOrder): Buffer {
  const plain = [customer, currency, items.map(({ sku, quantity, unitPrice }) => [sku, quantity, unitPrice])];
  return createHash('sha256').update(JSON.stringify(plain)).digest();
}
