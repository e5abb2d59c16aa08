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

/** As `verify` takes it: made once a key, since decoding costs half as much as verifying. */
interface VerifyKey {
  readonly key: KeyObject
  readonly dsaEncoding: 'ieee-p1363'
}

export const nodeK256: BackendLoader = loaderOf('k256')
export const nodeP256: BackendLoader = loaderOf('p256')

function loaderOf(curve: Curve): BackendLoader {
  const name = 'node-crypto'
  return { name, curve, load: () => createBackend(curve, name) }
}

function createBackend(curve: Curve, name: string): SignatureBackend {
  const keys = createEntryCache<PublicKey, VerifyKey>(CACHED_KEYS_MAX)
  return {
    name,
    curve,
    verify(key, message, signature) {
      let verifyKey = keys.get(key)
      if (verifyKey === undefined) {
        verifyKey = { key: importKey(key), dsaEncoding: 'ieee-p1363' }
        keys.set(key, verifyKey)
      }
      return verify('sha256', message, verifyKey, signature)
    },
  }
}

function importKey(key: PublicKey): KeyObject {
  const spki = concatBytes([SPKI_PREFIX[key.curve], key.bytes])
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
}
