/**
 * Verification of signatures: the form first, then whichever implementation was chosen at start.
 */
import { runtime as defaultRuntime } from '#runtime'

import { messageOf, SkeinError } from '../lib/errors.ts'
import type { AsyncBackend } from './backend-web.ts'
import { type BackendLoader, loadBackend, type SignatureBackend } from './backend.ts'
import type { Curve } from './curve.ts'
import type { PublicKey } from './public-key.ts'
import type { Runtime } from './runtime.ts'
import { checkSignatureForm, type SignatureVerdict } from './signature-form.ts'

/** A better implementation that was passed over, and why: for the operator's log. */
export interface SkippedBackend {
  readonly curve: Curve
  readonly name: string
  readonly why: string
}

/** Verifies signatures of both curves. Has no state but bounded caches of keys; share one. */
export interface SignatureVerifier {
  /** The name of the implementation in use for each curve. */
  readonly backends: Readonly<Record<Curve, string>>
  readonly skipped: readonly SkippedBackend[]
  /**
   * The verdict on `signature` over SHA-256(`message`). Never throws on any bytes. High S is
   * refused on both curves (cryptography specification). Keeps neither message nor signature.
   */
  verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): SignatureVerdict
  /**
   * The same verdict, later: by WebCrypto where P-256 would otherwise be slow, elsewhere that of
   * `verify`. The bytes must not change before it resolves. Never rejects.
   */
  verifyAsync(key: PublicKey, message: Uint8Array, signature: Uint8Array): Promise<SignatureVerdict>
}

export interface VerifierOptions {
  /** Names of the only implementation to use for a curve, instead of the best that loads. */
  readonly prefer?: Partial<Readonly<Record<Curve, string>>>
  /** The platform; the default is the one this process runs on. */
  readonly runtime?: Runtime
}

/**
 * Chooses, for each curve, the first implementation that loads and passes its self-test: k256 is
 * `secp256k1-native`, `secp256k1-wasm`, `node-crypto`, `noble`; p256 is `node-crypto`, `noble`;
 * outside Node both are `noble`. A preferred one is used or the promise rejects with
 * CRYPTO_UNAVAILABLE; a name that is not known rejects with OPTION_INVALID.
 */
export async function loadVerifier(options: VerifierOptions = {}): Promise<SignatureVerifier> {
  const runtime = options.runtime ?? defaultRuntime
  const skipped: SkippedBackend[] = []
  const chosen = {
    k256: await chooseBackend(runtime, 'k256', options.prefer?.k256, skipped),
    p256: await chooseBackend(runtime, 'p256', options.prefer?.p256, skipped),
  }
  return createVerifier(chosen, runtime.createAsyncP256(), skipped)
}

/** The implementations that `runtime` knows for `curve`, best first; not all of them may load. */
export function backendLoaders(
  curve: Curve,
  runtime: Runtime = defaultRuntime,
): readonly BackendLoader[] {
  return runtime.backends[curve]
}

async function chooseBackend(
  runtime: Runtime,
  curve: Curve,
  preferred: string | undefined,
  skipped: SkippedBackend[],
): Promise<SignatureBackend> {
  const loaders = runtime.backends[curve]
  if (preferred !== undefined) {
    const loader = loaders.find((candidate) => candidate.name === preferred)
    if (loader !== undefined) return loadBackend(loader)
    const known = loaders.map((candidate) => candidate.name).join(',')
    const fields = { curve, backend: preferred, known }
    throw new SkeinError('OPTION_INVALID', 'choose signature backend: unknown name', fields)
  }
  for (const loader of loaders) {
    try {
      return await loadBackend(loader)
    } catch (thrown) {
      skipped.push({ curve, name: loader.name, why: explain(thrown) })
    }
  }
  const why = skipped.map((entry) => `${entry.name}: ${entry.why}`).join('; ')
  throw new SkeinError('CRYPTO_UNAVAILABLE', `choose signature backend: none (${why})`, { curve })
}

function explain(thrown: unknown): string {
  const cause = thrown instanceof Error ? thrown.cause : undefined
  return cause === undefined ? messageOf(thrown) : `${messageOf(thrown)} cause=${messageOf(cause)}`
}

function createVerifier(
  chosen: Readonly<Record<Curve, SignatureBackend>>,
  asyncP256: AsyncBackend | null,
  skipped: readonly SkippedBackend[],
): SignatureVerifier {
  function verify(key: PublicKey, message: Uint8Array, signature: Uint8Array): SignatureVerdict {
    const form = checkSignatureForm(key.curve, signature)
    if (form !== 'ok') return form
    try {
      return verdictOf(chosen[key.curve].verify(key, message, signature))
    } catch {
      // Some implementations throw where others say no (a message in memory they may not read).
      return 'signature-invalid'
    }
  }

  async function verifyAsync(
    key: PublicKey,
    message: Uint8Array,
    signature: Uint8Array,
  ): Promise<SignatureVerdict> {
    if (asyncP256 === null || key.curve !== 'p256') return verify(key, message, signature)
    const form = checkSignatureForm(key.curve, signature)
    if (form !== 'ok') return form
    const verified = await asyncP256.verify(key, message, signature)
    return verified === null ? verify(key, message, signature) : verdictOf(verified)
  }

  return {
    backends: { k256: chosen.k256.name, p256: chosen.p256.name },
    skipped,
    verify,
    verifyAsync,
  }
}

function verdictOf(verified: boolean): SignatureVerdict {
  return verified ? 'ok' : 'signature-invalid'
}
