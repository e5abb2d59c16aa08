/** Handles (specification: handle): domain names of at least two labels. */
import { isHandle as hasHandleSyntax } from '@atcute/lexicons/syntax'

import { type Branded, parseWith, requireWith } from './brand.ts'

/** A handle as written; handles are compared after `normalizeHandle`. */
export type Handle = Branded<'handle', `${string}.${string}`>

/**
 * True for the handle syntax, in capital letters too. Resolves nothing, allows every top-level
 * domain.
 */
export function isHandle(value: unknown): value is Handle {
  return hasHandleSyntax(value)
}

/** `text` as a handle, or null. */
export function parseHandle(text: string): Handle | null {
  return parseWith(isHandle, text)
}

/** `text` as a handle. Throws SYNTAX_INVALID. */
export function toHandle(text: string): Handle {
  return requireWith(isHandle, 'handle', text)
}

/** The lower-case form, in which equal handles are equal strings. */
export function normalizeHandle(handle: Handle): Handle {
  return toHandle(handle.toLowerCase())
}

/** Handle specification, "Additional Non-Syntax Restrictions". `.test` stays, for development. */
const DISALLOWED_TLDS: ReadonlySet<string> = new Set([
  'alt',
  'arpa',
  'example',
  'internal',
  'invalid',
  'local',
  'localhost',
  'onion',
])

/** True when `hostname` ends in a top-level domain that handles and did:web may not use. */
export function hasDisallowedTld(hostname: string): boolean {
  return DISALLOWED_TLDS.has(hostname.slice(hostname.lastIndexOf('.') + 1).toLowerCase())
}
