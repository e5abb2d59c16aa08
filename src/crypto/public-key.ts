/**
 * Public keys and their text forms: multikey, did:key and the two legacy kinds of DID documents
 * (specifications: cryptography, DID). Text comes from strangers, so parsing returns null.
 */
import { fromBase58Btc, toBase58Btc } from '@atcute/multibase'

import { bytesEqual } from '../lib/bytes.ts'
import {
  ARITHMETIC,
  COMPRESSED_POINT_BYTES,
  type Curve,
  CURVES,
  UNCOMPRESSED_POINT_BYTES,
} from './curve.ts'

/**
 * A point that lies on its curve. Made only by the functions of this file and by `PrivateKey`;
 * verifiers remember work done for a key by the identity of this object, so keep
 * one object for as long as the key is in use.
 */
export interface PublicKey {
  readonly curve: Curve
  /** The compressed point, 33 bytes. Owned by the key: do not modify. */
  readonly bytes: Uint8Array
}

/** Multicodec of a compressed point, as an unsigned varint (multicodec table: 0xe7, 0x1200). */
const CODEC: Readonly<Record<Curve, readonly [number, number]>> = {
  k256: [0xe7, 0x01],
  p256: [0x80, 0x24],
}
const CODEC_BYTES = 2

const LEGACY_TYPES: Readonly<Record<string, Curve>> = {
  EcdsaSecp256k1VerificationKey2019: 'k256',
  EcdsaSecp256r1VerificationKey2019: 'p256',
}

const DID_KEY_PREFIX = 'did:key:'

/** Base58 takes quadratic time: refuse what is longer than `z` and 65 bytes of base58btc. */
const MULTIBASE_CHARS_MAX = 90

/** Reads a multikey: `z`, then base58btc of the multicodec and the compressed point. */
export function parseMultikey(text: string): PublicKey | null {
  const bytes = parseBase58Multibase(text)
  if (bytes === null || bytes.length !== CODEC_BYTES + COMPRESSED_POINT_BYTES) return null
  const curve = CURVES.find((name) => CODEC[name][0] === bytes[0] && CODEC[name][1] === bytes[1])
  return curve === undefined ? null : publicKeyFromPoint(curve, bytes.subarray(CODEC_BYTES))
}

/** Reads `did:key:` and a multikey. */
export function parseDidKey(text: string): PublicKey | null {
  return text.startsWith(DID_KEY_PREFIX) ? parseMultikey(text.slice(DID_KEY_PREFIX.length)) : null
}

/**
 * Reads the key of a verification method of type `EcdsaSecp256k1VerificationKey2019` or
 * `EcdsaSecp256r1VerificationKey2019`: `z`, then base58btc of the point without a multicodec,
 * uncompressed or compressed. Any other `type` gives null.
 */
export function parseLegacyKey(type: string, publicKeyMultibase: string): PublicKey | null {
  const curve = Object.hasOwn(LEGACY_TYPES, type) ? LEGACY_TYPES[type] : undefined
  if (curve === undefined) return null
  const bytes = parseBase58Multibase(publicKeyMultibase)
  return bytes === null ? null : publicKeyFromPoint(curve, bytes)
}

/** Reads the key of a DID document's verification method: type `Multikey` or a legacy type. */
export function parseVerificationMethodKey(
  type: string,
  publicKeyMultibase: string,
): PublicKey | null {
  return type === 'Multikey'
    ? parseMultikey(publicKeyMultibase)
    : parseLegacyKey(type, publicKeyMultibase)
}

/**
 * A key from a point of 33 bytes (02 or 03 first) or 65 bytes (04 first); null when the bytes are
 * anything else or the point is not on the curve. The bytes are copied.
 */
export function publicKeyFromPoint(curve: Curve, point: Uint8Array): PublicKey | null {
  const length = point.length
  if (length !== COMPRESSED_POINT_BYTES && length !== UNCOMPRESSED_POINT_BYTES) return null
  try {
    const compressed = ARITHMETIC[curve].Point.fromBytes(new Uint8Array(point)).toBytes(true)
    return Object.freeze({ curve, bytes: compressed })
  } catch {
    return null
  }
}

/**
 * A key from a compressed point that was a key's `bytes` before, and was kept since. Only the form
 * is looked at, which takes a hundredth of the time: 33 bytes, 02 or 03 first, else null. Under a
 * key that was damaged meanwhile every signature is invalid. The bytes are copied.
 */
export function publicKeyFromKept(curve: Curve, point: Uint8Array): PublicKey | null {
  const isCompressed = point[0] === 2 || point[0] === 3
  if (point.length !== COMPRESSED_POINT_BYTES || !isCompressed) return null
  return Object.freeze({ curve, bytes: new Uint8Array(point) })
}

/** The multikey text of `key`. */
export function formatMultikey(key: PublicKey): string {
  const bytes = new Uint8Array(CODEC_BYTES + COMPRESSED_POINT_BYTES)
  bytes.set(CODEC[key.curve])
  bytes.set(key.bytes, CODEC_BYTES)
  return `z${toBase58Btc(bytes)}`
}

/** The did:key text of `key`. */
export function formatDidKey(key: PublicKey): string {
  return `${DID_KEY_PREFIX}${formatMultikey(key)}`
}

/** True when both are the same point of the same curve. */
export function publicKeysEqual(a: PublicKey, b: PublicKey): boolean {
  return a.curve === b.curve && bytesEqual(a.bytes, b.bytes)
}

function parseBase58Multibase(text: string): Uint8Array | null {
  if (text.length > MULTIBASE_CHARS_MAX || !text.startsWith('z')) return null
  try {
    return fromBase58Btc(text.slice(1))
  } catch {
    return null
  }
}
