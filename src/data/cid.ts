/**
 * CIDs as the 36 bytes that they are on the wire: version 1, codec, SHA-256, length, digest.
 *
 * ```
 * 0x01  0x71 (dag-cbor) | 0x55 (raw)  0x12 (sha2-256)  0x20 (32)  digest
 * ```
 *
 * Inside Skein a CID is a `Uint8Array` of 36 bytes; text is for people and JSON.
 */
import { decode, fromString, toString } from '@atcute/cid'
import { sha256, sha256Latin1 } from '../crypto/sha256.ts'

/** Length of every CID that atproto allows. */
export const CID_BYTES = 36
/** Codec of commits, tree nodes and records. */
export const CODEC_DAG_CBOR = 0x71
/** Codec of blobs. */
export const CODEC_RAW = 0x55

const DIGEST_OFFSET = 4

/**
 * True when 36 bytes at `offset` are a CID of the only kind allowed. Does not look past `bytes`.
 */
export function isCidBytes(bytes: Uint8Array, offset: number): boolean {
  return (
    bytes.length - offset >= CID_BYTES &&
    bytes[offset] === 1 &&
    (bytes[offset + 1] === CODEC_DAG_CBOR || bytes[offset + 1] === CODEC_RAW) &&
    bytes[offset + 2] === 0x12 &&
    bytes[offset + 3] === 0x20
  )
}

/** The CID of a block. */
export function cidOf(
  codec: typeof CODEC_DAG_CBOR | typeof CODEC_RAW,
  block: Uint8Array,
): Uint8Array {
  const cid = new Uint8Array(CID_BYTES)
  cid[0] = 1
  cid[1] = codec
  cid[2] = 0x12
  cid[3] = 0x20
  cid.set(sha256(block), DIGEST_OFFSET)
  return cid
}

/** True when `block` hashes to the digest of the CID at `offset`. */
export function hashMatches(bytes: Uint8Array, offset: number, block: Uint8Array): boolean {
  const digest = sha256Latin1(block)
  for (let i = 0; i < 32; i++) {
    if (bytes[offset + DIGEST_OFFSET + i] !== digest.charCodeAt(i)) return false
  }
  return true
}

/** The text form, base32 with the prefix `b`. */
export function cidToString(cid: Uint8Array): string {
  return toString(decode(cid))
}

/** Reads the text form; null unless it is a CID of the only kind allowed. */
export function cidFromString(text: string): Uint8Array | null {
  try {
    const { bytes } = fromString(text)
    return bytes.length === CID_BYTES && isCidBytes(bytes, 0) ? bytes : null
  } catch {
    return null
  }
}

/** True when 36 bytes at both offsets are equal. */
export function cidEqualsAt(
  a: Uint8Array,
  aOffset: number,
  b: Uint8Array,
  bOffset: number,
): boolean {
  // The digest comes first: CIDs that differ almost always differ in its first byte.
  for (let i = DIGEST_OFFSET; i < CID_BYTES; i++)
    if (a[aOffset + i] !== b[bOffset + i]) return false
  return a[aOffset + 1] === b[bOffset + 1]
}

/** True when both are the same CID. */
export function cidEquals(a: Uint8Array, b: Uint8Array): boolean {
  return cidEqualsAt(a, 0, b, 0)
}
