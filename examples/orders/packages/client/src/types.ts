/** One line of an order. */
export interface OrderItem {
  /** Stock keeping unit: 1 to 64 letters, digits, `.`, `_` or `-`. */
  readonly sku: string;
  /** 1 to 10,000. */
  readonly quantity: number;
  /** Price of one, in the currency's smallest unit: 0 to 1,000,000,000. */
  readonly unitPrice: number;
}

/** What a caller sends to store an order. */
export interface NewOrder {
  /** 1 to 200 characters. */
  readonly customer: string;
  /** Three capital letters, ISO 4217. */
  readonly currency: string;
  /** 1 to 100 lines. */
  readonly items: readonly OrderItem[];
}

/** An order as it is stored. */
export interface Order extends NewOrder {
  /** A UUID. */
  readonly id: string;
  /** Sum over all items, in the currency's smallest unit. */
  readonly total: number;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

/** Part of the list of orders, newest first. */
export interface OrderPage {
  readonly orders: readonly Order[];
  /** Where the next page starts; absent on the last one. */
  readonly next?: string;
}

/** A problem document: https://www.rfc-editor.org/rfc/rfc9457 */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  /** What is wrong with the input, one entry a place. */
  readonly errors?: readonly InputError[];
}

export interface InputError {
  /** JSON pointer into the body (`/items/0/quantity`), or the name of a parameter. */
  readonly path: string;
  readonly message: string;
}
