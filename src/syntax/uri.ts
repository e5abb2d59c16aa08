/** URIs of any scheme (specification: lexicon, string formats; RFC 3986). */
import { type Branded, parseWith, requireWith } from './brand.ts'

/** A URI of any scheme. */
export type Uri = Branded<'uri'>

/** The format's limit, 8 KB. */
const URI_CHARS_MAX = 8_192

/** A scheme, a colon, and at least one printable ASCII character, with no space among them. */
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/

/** True for a scheme and something after it. Knows no scheme, decodes nothing. */
export function isUri(value: unknown): value is Uri {
  return typeof value === 'string' && value.length <= URI_CHARS_MAX && URI.test(value)
}

/** `text` as a URI, or null. */
export function parseUri(text: string): Uri | null {
  return parseWith(isUri, text)
}

/** `text` as a URI. Throws SYNTAX_INVALID. */
export function toUri(text: string): Uri {
  return requireWith(isUri, 'URI', text)
}
