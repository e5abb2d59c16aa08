/**
 * The two curves of the cryptography specification and their group orders. The arithmetic is that
 * of @noble/curves; this file is where the rest of the folder takes it from.
 */
import type { ECDSA } from '@noble/curves/abstract/weierstrass.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'

/** `k256` is secp256k1 (the usual one), `p256` is NIST P-256 (secp256r1). */
export type Curve = 'k256' | 'p256'

/** Both curves, in the order in which reports list them. */
export const CURVES: readonly Curve[] = ['k256', 'p256']

/** Length of a scalar: a private key, or either half of a signature. */
export const SCALAR_BYTES = 32
/** Length of a compressed point: 02 or 03, then X. */
export const COMPRESSED_POINT_BYTES = 33
/** Length of an uncompressed point: 04, X, Y. */
export const UNCOMPRESSED_POINT_BYTES = 65
/** Length of a signature: R, then S, both big-endian. */
export const SIGNATURE_BYTES = 64

/** The portable implementation of each curve. */
export const ARITHMETIC: Readonly<Record<Curve, ECDSA>> = { k256: secp256k1, p256 }

/** What a signature's halves are compared with: 32 big-endian bytes each. Do not modify. */
export interface OrderBounds {
  /** The group order n. R and S are in 1..n-1. */
  readonly order: Uint8Array
  /** n/2 rounded down: the largest S that is not malleable. */
  readonly halfOrder: Uint8Array
}

export const ORDER_BOUNDS: Readonly<Record<Curve, OrderBounds>> = {
  k256: orderBounds('k256'),
  p256: orderBounds('p256'),
}

function orderBounds(curve: Curve): OrderBounds {
  const scalars = ARITHMETIC[curve].Point.Fn
  return {
    order: bigEndian(scalars.ORDER),
    halfOrder: bigEndian(scalars.ORDER >> 1n),
  }
}

function bigEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(SCALAR_BYTES)
  let rest = value
  for (let i = SCALAR_BYTES - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn)
    rest >>= 8n
  }
  return bytes
}
