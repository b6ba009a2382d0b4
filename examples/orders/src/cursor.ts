import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Where a page starts, as callers see it: signed, so that nobody can guess positions, and free to change its form.
 */
export class Cursors {
  readonly #key: string;

  /** @param key at least 32 characters; a cursor is good for as long as its key. */
  constructor(key: string) {
    this.#key = key;
  }

  encode(position: string): string {
    return `${Buffer.from(position).toString('base64url')}.${this.#sign(position).toString('base64url')}`;
  }

  /** @returns the position, or undefined when the cursor was not made with this key. */
  decode(cursor: string): string | undefined {
    const [head = '', tail = '', ...rest] = cursor.split('.');
    const position = Buffer.from(head, 'base64url').toString();
    const signature = Buffer.from(tail, 'base64url');
    const expected = this.#sign(position);
    if (rest.length > 0 || signature.length !== expected.length) return undefined;
    return timingSafeEqual(signature, expected) && /^\d{1,19}$/.test(position) ? position : undefined;
  }

  #sign(position: string): Buffer {
    return createHmac('sha256', this.#key).update(`orders-page:${position}`).digest().subarray(0, 16);
  }
}
