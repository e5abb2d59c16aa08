/** What a signature implementation offers, and how one is loaded by name. */
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { Curve } from './curve.ts'
import type { PublicKey } from './public-key.ts'
import { passesSelfTest } from './self-test.ts'

/**
 * One implementation for one curve. The caller has checked the form of the signature and passes a
 * key of the right curve, so the answer is about the mathematics only.
 */
export interface SignatureBackend {
  /** Stable: shown to the operator and used as a metric label. */
  readonly name: string
  readonly curve: Curve
  /** True when `signature` (64 bytes, R || S) is of SHA-256(`message`) by `key`. Keeps no input. */
  verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean
}

/** A backend that may or may not work on this machine. `load` throws when it does not. */
export interface BackendLoader {
  readonly name: string
  readonly curve: Curve
  load(): SignatureBackend | Promise<SignatureBackend>
}

/**
 * Loads one backend and makes it prove itself on known signatures: a broken build or a curve that
 * the platform's library lacks shows here and not as refused commits.
 * Throws CRYPTO_UNAVAILABLE.
 */
export async function loadBackend(loader: BackendLoader): Promise<SignatureBackend> {
  const fields = { curve: loader.curve, backend: loader.name }
  let backend: SignatureBackend
  try {
    backend = await loader.load()
  } catch (thrown) {
    throw new SkeinError('CRYPTO_UNAVAILABLE', 'load signature backend: failed', fields, thrown)
  }
  try {
    if (passesSelfTest(backend)) return backend
  } catch (thrown) {
    const message = `test signature backend: threw ${messageOf(thrown)}`
    throw new SkeinError('CRYPTO_UNAVAILABLE', message, fields, thrown)
  }
  throw new SkeinError('CRYPTO_UNAVAILABLE', 'test signature backend: wrong verdict', fields)
}
