/** Turns what a client delivers into text, equal for equal contents and different for different. */

import { createHash } from 'node:crypto'

/**
 * JSON with sorted keys. Bytes become their length and hash; objects that know their own JSON form
 * (CIDs, bytes of @atcute) are replaced by it; absent and undefined fields are the same.
 */
export function canonicalText(value: unknown): string {
  return JSON.stringify(normalize(value))
}

function normalize(value: unknown): unknown {
  if (typeof value === 'bigint') return `bigint ${value}`
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return hashText(value)
  if (Array.isArray(value)) return value.map(normalize)
  if (knowsItsJson(value)) return normalize(value.toJSON())
  const entries = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .map(([key, field]) => [key, normalize(field)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries)
}

function knowsItsJson(value: object): value is { toJSON(): unknown } {
  return 'toJSON' in value && typeof value.toJSON === 'function'
}

/** `bytes:LENGTH:SHA-256`. */
export function hashText(bytes: Uint8Array): string {
  return `bytes:${bytes.length}:${createHash('sha256').update(bytes).digest('hex')}`
}
