/** CIDs as text. The binary form and its meaning belong to the data layer. */
import { type Branded, parseWith, requireWith } from './brand.ts'

/** Text in the Lexicon string format `cid`: any version, base, codec and hash except version 0. */
export type CidString = Branded<'cid'>

/** The bounds of the format: long enough for a prefix and a digest, short enough to be one. */
const CID_TEXT = /^[A-Za-z0-9+=]{8,256}$/
/** Version 0: a bare SHA-256 multihash in base58btc, which begins so and has this length. */
const CID_V0 = /^Qm[1-9A-HJ-NP-Za-km-z]{44}$/

/** True for what looks like a CID. Decodes nothing: see `isDaslCid` for those of repositories. */
export function isCidString(value: unknown): value is CidString {
  return typeof value === 'string' && CID_TEXT.test(value) && !CID_V0.test(value)
}

/** `text` as a CID of any kind, or null. */
export function parseCidString(text: string): CidString | null {
  return parseWith(isCidString, text)
}

/** `text` as a CID of any kind. Throws SYNTAX_INVALID. */
export function toCidString(text: string): CidString {
  return requireWith(isCidString, 'CID', text)
}

/**
 * Multibase `b`, then 36 bytes in base32 without padding: 01 (version), 71 or 55 (dag-cbor, raw),
 * 12 (SHA-256), 20 (32 bytes), digest. 36 bytes are 57.6 characters: the eighth character begins
 * with the two low bits of 20, which are zero, and the last ends with two bits of nothing, zero
 * too.
 */
const DASL_CID = /^baf[ky]rei[a-h][a-z2-7]{50}[aeimquy4]$/

/**
 * True for the one spelling of a CID of the kind repositories and blobs use: version 1, dag-cbor or
 * raw, SHA-256, lower-case base32.
 */
export function isDaslCid(value: unknown): value is CidString {
  return typeof value === 'string' && DASL_CID.test(value)
}
