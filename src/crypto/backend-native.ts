/**
 * secp256k1 by libsecp256k1 through the `secp256k1` package's addon: the fastest by far. Only its
 * `bindings.js` is ever loaded: the package's main file falls back to a slow JavaScript
 * implementation without saying so where no binary exists.
 */
import { createRequire } from 'node:module'

import { createEntryCache } from '../lib/entry-cache.ts'
import { SkeinError } from '../lib/errors.ts'
import type { BackendLoader, SignatureBackend } from './backend.ts'
import { CACHED_KEYS_MAX } from './key-cache.ts'
import type { PublicKey } from './public-key.ts'
import { sha256 } from './sha256.node.ts'

/** The part of the addon that is used. Each call throws on arguments of the wrong size. */
interface Bindings {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, point: Uint8Array): boolean
  ecdsaSign(digest: Uint8Array, secret: Uint8Array): { readonly signature: Uint8Array }
  publicKeyConvert(point: Uint8Array, compressed: boolean): Uint8Array
}

const require = createRequire(import.meta.url)

export const nativeK256: BackendLoader = {
  name: 'secp256k1-native',
  curve: 'k256',
  load: () => createBackend(loadBindings()),
}

/**
 * Deterministic low-S signing (RFC 6979) of a 32-byte digest by the addon, or null where it does
 * not load. The secret is used, not kept.
 */
export function nativeK256Signer():
  | ((digest: Uint8Array, secret: Uint8Array) => Uint8Array)
  | null {
  try {
    const bindings = loadBindings()
    return (digest, secret) => bindings.ecdsaSign(digest, secret).signature
  } catch {
    return null
  }
}

function createBackend(bindings: Bindings): SignatureBackend {
  // Uncompressing a point takes a square root: a tenth of a whole verification.
  const points = createEntryCache<PublicKey, Uint8Array>(CACHED_KEYS_MAX)
  return {
    name: nativeK256.name,
    curve: 'k256',
    verify(key, message, signature) {
      let point = points.get(key)
      if (point === undefined) {
        point = bindings.publicKeyConvert(key.bytes, false)
        points.set(key, point)
      }
      return bindings.ecdsaVerify(signature, sha256(message), point)
    },
  }
}

function loadBindings(): Bindings {
  const loaded: unknown = require('secp256k1/bindings.js')
  if (!isBindings(loaded)) {
    throw new SkeinError('CRYPTO_UNAVAILABLE', 'load secp256k1 addon: lacks the functions needed')
  }
  return loaded
}

function isBindings(value: unknown): value is Bindings {
  if (typeof value !== 'object' || value === null) return false
  const names = ['ecdsaVerify', 'ecdsaSign', 'publicKeyConvert']
  return names.every((name) => typeof Reflect.get(value, name) === 'function')
}
