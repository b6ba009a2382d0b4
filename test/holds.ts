import * as fc from 'fast-check';

/** Checks a synchronous property. `fc.assert` may also return a promise, which its type shows for every property. */
export function holds<T>(property: fc.IProperty<T>, parameters?: fc.Parameters<T>): void {
  fc.assert(property, parameters);
}
