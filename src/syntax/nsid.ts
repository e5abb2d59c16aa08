/** Namespaced identifiers (specification: NSID). */
import { isNsid as hasNsidSyntax } from '@atcute/lexicons/syntax'

import { type Branded, parseWith, requireWith } from './brand.ts'

/** A namespaced identifier, such as the name of a collection. */
export type Nsid = Branded<'nsid', `${string}.${string}.${string}`>

/** Longest NSID. */
export const NSID_CHARS_MAX = 317
/** Longest segment of the authority, and longest name. */
export const NSID_SEGMENT_CHARS_MAX = 63

/**
 * True for an NSID: no fragment, no wildcard. Does not lower-case the authority. The
 * specification's text limits the authority to 253 characters; its test vectors hold a longer one,
 * so only the whole is limited.
 */
export function isNsid(value: unknown): value is Nsid {
  return hasNsidSyntax(value)
}

/** `text` as an NSID, or null. */
export function parseNsid(text: string): Nsid | null {
  return parseWith(isNsid, text)
}

/** `text` as an NSID. Throws SYNTAX_INVALID. */
export function toNsid(text: string): Nsid {
  return requireWith(isNsid, 'NSID', text)
}
