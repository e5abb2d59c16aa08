/** SHA-256 by @noble/hashes: synchronous everywhere, which WebCrypto is not. */
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'

import type { Sha256 } from './runtime.ts'

/** See sha256.ts. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nobleSha256(bytes)
}

/** See sha256.ts. */
export function sha256Latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...nobleSha256(bytes))
}

/** See sha256.ts. */
export function createSha256(): Sha256 {
  const state = nobleSha256.create()
  return {
    update(bytes) {
      state.update(bytes)
    },
    digest: () => state.digest(),
  }
}
