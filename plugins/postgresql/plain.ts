/** Typed access to property maps whose secret marks are off. */

import { isMap, isUnknown, type PropertyMap, type PropertyValue } from '../framework/values.ts';

/** A text; '' when it is absent or not known. */
export function text(map: PropertyMap, key: string): string {
  const value = map[key];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** A text, or undefined when it is absent, empty or not known. */
export function optionalText(map: PropertyMap, key: string): string | undefined {
  return text(map, key) || undefined;
}

export function boolean(map: PropertyMap, key: string, fallback = false): boolean {
  const value = map[key];
  return typeof value === 'boolean' ? value : value === 'true' ? true : value === 'false' ? false : fallback;
}

export function integer(map: PropertyMap, key: string, fallback = 0): number {
  const value = map[key];
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value !== '' ? Number(value) : fallback;
}

/** The texts of a list; elements that are not known are left out. */
export function texts(map: PropertyMap, key: string): string[] {
  const value = map[key];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

export function maps(map: PropertyMap, key: string): PropertyMap[] {
  const value = map[key];
  return Array.isArray(value) ? value.filter(isMap) : [];
}

/** Absent, null, or what Terraform counts as the same: '', false, 0 and an empty list. */
export function isZero(value: PropertyValue | undefined): boolean {
  if (value === undefined || value === null || value === '' || value === false || value === 0) return true;
  return !isUnknown(value) && Array.isArray(value) && value.length === 0;
}
