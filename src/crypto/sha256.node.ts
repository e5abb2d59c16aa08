/** SHA-256 by node:crypto. */
import { createHash, hash } from 'node:crypto'

import type { Sha256 } from './runtime.ts'

const DIGEST_BYTES = 32

/** See sha256.ts. The string form crosses into JavaScript at a third of the cost of a Buffer. */
export function sha256(bytes: Uint8Array): Uint8Array {
  const text = hash('sha256', bytes, 'binary')
  const digest = new Uint8Array(DIGEST_BYTES)
  for (let i = 0; i < DIGEST_BYTES; i++) digest[i] = text.charCodeAt(i)
  return digest
}

/** See sha256.ts. */
export function sha256Latin1(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'binary')
}

/** See sha256.ts. */
export function createSha256(): Sha256 {
  const state = createHash('sha256')
  return {
    update(bytes) {
      state.update(bytes)
    },
    digest: () => new Uint8Array(state.digest()),
  }
}
