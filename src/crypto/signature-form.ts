/**
 * The form of a signature, checked before any implementation sees it. Implementations disagree here
 * (node:crypto and WebCrypto take a high S, others throw on an out-of-range R), and a verdict must
 * not depend on which of them happens to be loaded.
 */
import type { InvalidReason } from '../lib/reasons.ts'
import { type Curve, ORDER_BOUNDS, SCALAR_BYTES, SIGNATURE_BYTES } from './curve.ts'

/** What is known about a signature: `ok`, or the reason (lib/reasons.ts) why it is refused. */
export type SignatureVerdict =
  | 'ok'
  | Extract<InvalidReason, 'signature-malformed' | 'signature-high-s' | 'signature-invalid'>

/**
 * Checks the 64 bytes R || S of the cryptography specification: both halves in 1..n-1, and S at
 * most n/2 on either curve. `ok` says nothing about whether the signature is anybody's.
 */
export function checkSignatureForm(
  curve: Curve,
  signature: Uint8Array,
): Exclude<SignatureVerdict, 'signature-invalid'> {
  if (signature.length !== SIGNATURE_BYTES) return 'signature-malformed'
  const { order, halfOrder } = ORDER_BOUNDS[curve]
  if (isZero(signature, 0) || isZero(signature, SCALAR_BYTES)) return 'signature-malformed'
  if (compareScalar(signature, 0, order) >= 0) return 'signature-malformed'
  if (compareScalar(signature, SCALAR_BYTES, order) >= 0) return 'signature-malformed'
  if (compareScalar(signature, SCALAR_BYTES, halfOrder) > 0) return 'signature-high-s'
  return 'ok'
}

function isZero(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < SCALAR_BYTES; i++) if (bytes[offset + i] !== 0) return false
  return true
}

/**
 * Orders the big-endian scalar at `offset` against `bound`. Signatures are public: not
 * constant-time.
 */
function compareScalar(bytes: Uint8Array, offset: number, bound: Uint8Array): number {
  for (let i = 0; i < SCALAR_BYTES; i++) {
    const difference = (bytes[offset + i] ?? 0) - (bound[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
