/** Both curves by node:crypto, that is OpenSSL. Builds on BoringSSL have no secp256k1. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'

import { must } from '../lib/assert.ts'
import { concatBytes, fromHex } from '../lib/bytes.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import type { BackendLoader, SignatureBackend } from './backend.ts'
import type { Curve } from './curve.ts'
import { CACHED_KEYS_MAX } from './key-cache.ts'
import type { PublicKey } from './public-key.ts'

/**
 * What precedes a compressed point in a SubjectPublicKeyInfo (RFC 5480), in DER:
 * SEQUENCE { SEQUENCE { OID ecPublicKey, OID of the curve }, BIT STRING (0 unused bits, the point)
 * }
 */
const SPKI_PREFIX: Readonly<Record<Curve, Uint8Array>> = {
  k256: must(fromHex('3036301006072a8648ce3d020106052b8104000a032200'), 'prefix'),
  p256: must(fromHex('3039301306072a8648ce3d020106082a8648ce3d030107032200'), 'prefix'),
}

/** Bytes of R, and of S. */
const INTEGER_BYTES = 32
/** Longest signature in DER: a sequence of two integers, each with a zero in front. */
const DER_BYTES_MAX: number = 2 + 2 * (2 + 1 + INTEGER_BYTES)

export const nodeK256: BackendLoader = loaderOf('k256')
export const nodeP256: BackendLoader = loaderOf('p256')

function loaderOf(curve: Curve): BackendLoader {
  const name = 'node-crypto'
  return { name, curve, load: () => createBackend(curve, name) }
}

function createBackend(curve: Curve, name: string): SignatureBackend {
  // Made once a key, since decoding costs half as much as verifying.
  const keys = createEntryCache<PublicKey, KeyObject>(CACHED_KEYS_MAX)
  return {
    name,
    curve,
    verify(key, message, signature) {
      let imported = keys.get(key)
      if (imported === undefined) {
        imported = importKey(key)
        keys.set(key, imported)
      }
      return verify('sha256', message, imported, encodeDer(signature))
    },
  }
}

/**
 * R || S as OpenSSL has it: SEQUENCE { INTEGER R, INTEGER S } in DER. Node can do that too, but the
 * options that ask for it cost half as much as the verification.
 */
function encodeDer(signature: Uint8Array): Uint8Array {
  const der = new Uint8Array(DER_BYTES_MAX)
  const middle = putInteger(der, 2, signature, 0)
  const end = putInteger(der, middle, signature, INTEGER_BYTES)
  der[0] = 0x30
  der[1] = end - 2
  return der.subarray(0, end)
}

/** Writes the integer at `from` of the signature to `at`; returns where it ends. */
function putInteger(der: Uint8Array, at: number, signature: Uint8Array, from: number): number {
  const end = from + INTEGER_BYTES
  let start = from
  while (start < end - 1 && signature[start] === 0) start++
  // An integer whose first bit is set would be negative.
  const pad = (signature[start] as number) >= 0x80 ? 1 : 0
  der[at] = 0x02
  der[at + 1] = pad + end - start
  for (let i = start; i < end; i++) der[at + 2 + pad + i - start] = signature[i] as number
  return at + 2 + pad + end - start
}

function importKey(key: PublicKey): KeyObject {
  const spki = concatBytes([SPKI_PREFIX[key.curve], key.bytes])
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
}
