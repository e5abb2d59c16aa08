/** Both curves by @noble/curves: slow, and there is nowhere it does not run. */
import type { BackendLoader, SignatureBackend } from './backend.ts'
import { ARITHMETIC, type Curve } from './curve.ts'

export const nobleK256: BackendLoader = loaderOf('k256')
export const nobleP256: BackendLoader = loaderOf('p256')

function loaderOf(curve: Curve): BackendLoader {
  const name = 'noble'
  return { name, curve, load: () => createBackend(curve, name) }
}

function createBackend(curve: Curve, name: string): SignatureBackend {
  const options = { prehash: true, lowS: true, format: 'compact' } as const
  return {
    name,
    curve,
    verify: (key, message, signature) =>
      ARITHMETIC[curve].verify(signature, message, key.bytes, options),
  }
}
