/** AT identifiers (specification: lexicon, string formats): what names an account in a call. */
import { type Branded, parseWith, requireWith } from './brand.ts'
import { isDid } from './did.ts'
import { isHandle } from './handle.ts'

/** A DID of any method, or a handle. */
export type AtIdentifier = Branded<'did' | 'handle'>

/** True for a DID or a handle. */
export function isAtIdentifier(value: unknown): value is AtIdentifier {
  return isDid(value) || isHandle(value)
}

/** `text` as a DID or a handle, or null. */
export function parseAtIdentifier(text: string): AtIdentifier | null {
  return parseWith(isAtIdentifier, text)
}

/** `text` as a DID or a handle. Throws SYNTAX_INVALID. */
export function toAtIdentifier(text: string): AtIdentifier {
  return requireWith(isAtIdentifier, 'AT identifier', text)
}
