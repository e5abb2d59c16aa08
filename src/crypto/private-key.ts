/** Private keys: for repository hosts and tests. A relay has none. */
import { runtime } from '#runtime'

import { must } from '../lib/assert.ts'
import { SkeinError } from '../lib/errors.ts'
import { ARITHMETIC, type Curve, SCALAR_BYTES } from './curve.ts'
import { formatDidKey, type PublicKey, publicKeyFromPoint } from './public-key.ts'
import { sha256 } from './sha256.ts'

/**
 * Signs with one secret scalar, which leaves the object only through `export`: printing, logging,
 * JSON and structured clones show the public key at most.
 */
export class PrivateKey {
  readonly curve: Curve
  readonly publicKey: PublicKey
  readonly #secret: Uint8Array

  private constructor(curve: Curve, secret: Uint8Array) {
    this.curve = curve
    this.#secret = secret
    const point = ARITHMETIC[curve].getPublicKey(secret, true)
    this.publicKey = must(publicKeyFromPoint(curve, point), 'point of a private key')
  }

  /** A new key from the runtime's cryptographic generator. */
  static generate(curve: Curve): PrivateKey {
    return new PrivateKey(curve, ARITHMETIC[curve].utils.randomSecretKey())
  }

  /**
   * The key of a big-endian scalar of 32 bytes, which are copied. Throws KEY_INVALID when they are
   * not 32 or the scalar is not in 1..n-1; the message does not show them.
   */
  static import(curve: Curve, secret: Uint8Array): PrivateKey {
    const copy = new Uint8Array(secret)
    if (copy.length !== SCALAR_BYTES || !ARITHMETIC[curve].utils.isValidSecretKey(copy)) {
      const fields = { curve, bytes: copy.length }
      throw new SkeinError('KEY_INVALID', 'import private key: not a scalar of the curve', fields)
    }
    return new PrivateKey(curve, copy)
  }

  /** The secret scalar, 32 bytes, in a new array that the caller owns and should wipe. */
  export(): Uint8Array {
    return new Uint8Array(this.#secret)
  }

  /**
   * The signature R || S (64 bytes, low S) over SHA-256(`message`). Deterministic (RFC 6979): equal
   * messages give equal bytes on every platform.
   */
  sign(message: Uint8Array): Uint8Array {
    const digest = sha256(message)
    if (this.curve === 'k256') {
      const signer = fastK256Signer()
      if (signer !== null) return signer(digest, this.#secret)
    }
    const options = { prehash: false, lowS: true, format: 'compact', extraEntropy: false } as const
    return ARITHMETIC[this.curve].sign(digest, this.#secret, options)
  }

  toString(): string {
    return `PrivateKey(${formatDidKey(this.publicKey)})`
  }

  toJSON(): string {
    return this.toString()
  }
}

type DigestSigner = (digest: Uint8Array, secret: Uint8Array) => Uint8Array

let k256Signer: DigestSigner | null | undefined

/** Loaded at the first signature: most processes make none. */
function fastK256Signer(): DigestSigner | null {
  if (k256Signer === undefined) k256Signer = runtime.createK256Signer()
  return k256Signer
}
