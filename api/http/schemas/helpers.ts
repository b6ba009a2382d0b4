import { type Static, type TSchema, Type } from '@sinclair/typebox';

/** One of some texts; a plain `enum` reads better in the document than a union of constants. */
export function oneOf<const T extends readonly string[]>(values: T, options: { description?: string } = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options });
}

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

/** A schema that the document names: `components.schemas.<$id>`. Its `$id` has to be among `SHARED` (shared.ts). */
export function reference<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` });
}

/** A map from any name to values of one kind. */
export function mapOf<T extends TSchema>(value: T, options: Readonly<Record<string, unknown>> = {}) {
  return Type.Unsafe<Record<string, Static<T>>>({ type: 'object', additionalProperties: value, ...options });
}

type DeepReadonly<T> = unknown extends T
  ? T
  : T extends readonly (infer E)[]
    ? readonly DeepReadonly<E>[]
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/**
 * Whether a schema says the same as a type of model.ts, but for `readonly`: `true` or a type error where it is used as
 * `true satisfies Mirrors<typeof Schema, Model>`. A property that only one of them has is found, too.
 */
export type Mirrors<S extends TSchema, M> = Equal<DeepReadonly<Static<S>>, DeepReadonly<M>>;
