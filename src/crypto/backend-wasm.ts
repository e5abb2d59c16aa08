/**
 * secp256k1 by libsecp256k1 compiled to WebAssembly (`tiny-secp256k1`): every platform Node has.
 */

import { createEntryCache } from '../lib/entry-cache.ts'
import type { BackendLoader, SignatureBackend } from './backend.ts'
import { CACHED_KEYS_MAX } from './key-cache.ts'
import type { PublicKey } from './public-key.ts'
import { sha256 } from './sha256.node.ts'

export const wasmK256: BackendLoader = {
  name: 'secp256k1-wasm',
  curve: 'k256',
  async load(): Promise<SignatureBackend> {
    const library = await import('tiny-secp256k1')
    const points = createEntryCache<PublicKey, Uint8Array>(CACHED_KEYS_MAX)
    return {
      name: wasmK256.name,
      curve: 'k256',
      verify(key, message, signature) {
        let point = points.get(key)
        if (point === undefined) {
          point = library.pointCompress(key.bytes, false)
          points.set(key, point)
        }
        // The last argument asks for low-S, which this library does not demand by default.
        return library.verify(sha256(message), point, signature, true)
      },
    }
  },
}
