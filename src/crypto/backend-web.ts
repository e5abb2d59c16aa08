/** P-256 by WebCrypto, for runtimes where the synchronous alternative takes milliseconds. */
import { ARITHMETIC } from './curve.ts'
import type { PublicKey } from './public-key.ts'

/** An implementation that answers later. */
export interface AsyncBackend {
  readonly name: string
  /**
   * As `SignatureBackend.verify`; null when the platform could not do it (no WebCrypto outside a
   * secure context, memory that it may not read), so that the caller asks another.
   */
  verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<boolean | null>
}

type WebKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' } as const
const VERIFY_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' } as const

/** P-256 by the platform's WebCrypto. A key is imported once for as long as its object lives. */
export function createWebP256(): AsyncBackend {
  const imported = new WeakMap<PublicKey, Promise<WebKey>>()
  return {
    name: 'web-crypto',
    async verify(key, message, signature) {
      try {
        let cryptoKey = imported.get(key)
        if (cryptoKey === undefined) {
          cryptoKey = importKey(key)
          imported.set(key, cryptoKey)
        }
        return await crypto.subtle.verify(VERIFY_ALGORITHM, await cryptoKey, signature, message)
      } catch {
        imported.delete(key)
        return null
      }
    },
  }
}

function importKey(key: PublicKey): Promise<WebKey> {
  // WebCrypto does not promise to read compressed points.
  const point = ARITHMETIC.p256.Point.fromBytes(key.bytes).toBytes(false)
  return crypto.subtle.importKey('raw', point, ALGORITHM, false, ['verify'])
}
