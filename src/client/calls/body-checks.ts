/** What is looked at while a body passes: where a CAR ends, and what a blob hashes to. */
import type { Sha256 } from '../../crypto/runtime.ts'
import { createSha256 } from '../../crypto/sha256.ts'
import { CAR_HEADER_BYTES_MAX } from '../../lib/limits.ts'
import type { ByteCheck } from './byte-stream.ts'
import { CallError, type CallTarget } from './call-error.ts'

/** Longest length in front of a part of a CAR, bytes: 28 bits, as ../../data/varint.ts reads. */
const VARINT_BYTES_MAX = 4
/** First bytes of CBOR maps of 1 to 23 entries. */
const CBOR_MAP_FIRST = 0xa1
const CBOR_MAP_LAST = 0xb7

/**
 * Follows the lengths in a CAR, so that one that ends within a part is known to be cut. Looks at
 * nothing else: what ends between two blocks passes, and so do wrong hashes.
 */
export class CarEndCheck implements ByteCheck {
  readonly #target: CallTarget
  /** Bytes of the current part that are still to come; within a length, none are known yet. */
  #left = 0
  #length = 0
  #lengthBytes = 0
  #parts = 0
  /** The first byte of the header is to come. */
  #inHead = false

  constructor(target: CallTarget) {
    this.#target = target
  }

  piece(bytes: Uint8Array): void {
    let pos = 0
    while (pos < bytes.length) {
      if (this.#left > 0) {
        if (this.#inHead) this.#checkHead(bytes[pos] as number)
        const taken = Math.min(this.#left, bytes.length - pos)
        this.#left -= taken
        pos += taken
      } else this.#readLength(bytes[pos++] as number)
    }
  }

  #readLength(byte: number): void {
    this.#length += (byte & 0x7f) * 2 ** (7 * this.#lengthBytes)
    this.#lengthBytes++
    if (byte >= 0x80) {
      if (this.#lengthBytes === VARINT_BYTES_MAX) throw this.#garbage()
      return
    }
    if (this.#length === 0) throw this.#garbage()
    if (this.#parts === 0 && this.#length > CAR_HEADER_BYTES_MAX) throw this.#garbage()
    this.#inHead = this.#parts === 0
    this.#parts++
    this.#left = this.#length
    this.#length = 0
    this.#lengthBytes = 0
  }

  /** The header is a map of few entries in CBOR: text of any kind is not. */
  #checkHead(byte: number): void {
    this.#inHead = false
    if (byte < CBOR_MAP_FIRST || byte > CBOR_MAP_LAST) throw this.#garbage()
  }

  #garbage(): CallError {
    return new CallError('InvalidResponse', this.#target, 'answer is not a CAR', {
      reason: 'car-malformed',
    })
  }

  end(): void {
    if (this.#parts > 0 && this.#left === 0 && this.#lengthBytes === 0) return
    throw new CallError('Truncated', this.#target, 'the CAR is cut', { reason: 'car-malformed' })
  }
}

/** Hashes a body and compares it with its CID in the end. */
export class HashCheck implements ByteCheck {
  readonly #target: CallTarget
  readonly #cid: Uint8Array
  readonly #hash: Sha256 = createSha256()

  /** @param cid 36 bytes. */
  constructor(target: CallTarget, cid: Uint8Array) {
    this.#target = target
    this.#cid = cid
  }

  piece(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  end(): void {
    const digest = this.#hash.digest()
    if (digest.every((byte, i) => byte === this.#cid[4 + i])) return
    throw new CallError('Unverified', this.#target, 'the blob does not hash to its CID', {
      reason: 'car-hash-mismatch',
    })
  }
}
