/**
 * DIDs (specification: DID). They are case-sensitive, so nothing here changes one: what is not
 * spelt in the one accepted way is refused.
 */
import { isDid as hasDidSyntax } from '@atcute/lexicons/syntax'

import { type Branded, parseWith, requireWith } from './brand.ts'
import { isHandle } from './handle.ts'

/** A DID of any method, of at most 2,048 characters. */
export type Did = Branded<'did', `did:${string}:${string}`>

/** True for the DID syntax of any method. Not enough to name an account: see `isAtprotoDid`. */
export function isDid(value: unknown): value is Did {
  return hasDidSyntax(value)
}

/** `text` as a DID of any method, or null. */
export function parseDid(text: string): Did | null {
  return parseWith(isDid, text)
}

/** `text` as a DID of any method. Throws SYNTAX_INVALID. */
export function toDid(text: string): Did {
  return requireWith(isDid, 'DID', text)
}

const PLC_DID = /^did:plc:[a-z2-7]{24}$/
const WEB_PREFIX = 'did:web:'
const LOCALHOST_PORT = /^localhost(?:%3A([1-9][0-9]{0,4}))?$/
const PORT_MAX = 65_535

/** True for `did:plc:` and 24 characters of lower-case base32 (specification: did:plc). */
export function isPlcDid(value: unknown): value is Did {
  return typeof value === 'string' && PLC_DID.test(value)
}

/**
 * True for `did:web:` and a lower-case hostname, without a path. `localhost` may stand alone or
 * with a port (`%3A` and 1..65535 without leading zeros); no other name may have one. Capital
 * letters are refused although DNS ignores them, or one host would have many DIDs. Top-level
 * domains that the network does not allow pass: see `hasDisallowedTld`.
 */
export function isAtprotoWebDid(value: unknown): value is Did {
  if (typeof value !== 'string' || !value.startsWith(WEB_PREFIX)) return false
  const host = value.slice(WEB_PREFIX.length)
  const local = LOCALHOST_PORT.exec(host)
  if (local !== null) return local[1] === undefined || Number(local[1]) <= PORT_MAX
  return isHandle(host) && host === host.toLowerCase()
}

/** True for a DID that may name an atproto account: did:plc or a host-level did:web. */
export function isAtprotoDid(value: unknown): value is Did {
  return isPlcDid(value) || isAtprotoWebDid(value)
}

/** `text` as a DID that may name an account, or null. */
export function parseAtprotoDid(text: string): Did | null {
  return parseWith(isAtprotoDid, text)
}

/** `text` as a DID that may name an account. Throws SYNTAX_INVALID. */
export function toAtprotoDid(text: string): Did {
  return requireWith(isAtprotoDid, 'atproto DID', text)
}
