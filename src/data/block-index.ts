/**
 * A hash table from CID to block over bytes that already lie in memory: no text, no copies.
 *
 * Slots are chosen by the digest mixed with a number drawn once per process, so that nobody can
 * choose blocks that crowd one slot.
 */
import { must } from '../lib/assert.ts'
import { systemRandom } from '../lib/random.ts'
import { CID_BYTES, cidEqualsAt } from './cid.ts'

const MIX = Math.floor(systemRandom.next() * 2 ** 32) | 1

/**
 * Where to begin looking for the CID that begins at `cid` of `bytes`.
 *
 * @param mask Number of slots less one; the number is a power of two.
 */
export function slotOfCid(bytes: Uint8Array, cid: number, mask: number): number {
  const word =
    ((bytes[cid + 5] as number) << 24) |
    ((bytes[cid + 6] as number) << 16) |
    ((bytes[cid + 7] as number) << 8) |
    (bytes[cid + 8] as number)
  const mixed = Math.imul(word ^ MIX, 0x9e3779b1)
  return (mixed ^ (mixed >>> 15)) & mask
}

/** The blocks of a CAR by CID. Numbers that it gives out are positions in the CAR's order. */
export class BlockIndex {
  readonly #bytes: Uint8Array
  readonly #starts: readonly number[]
  readonly #ends: readonly number[]
  readonly #slots: Int32Array
  readonly #mask: number

  /**
   * @param bytes What the offsets refer to; must not change.
   * @param starts Where the CID of each block begins, the block itself 36 bytes later.
   * @param ends Where each block ends.
   */
  constructor(bytes: Uint8Array, starts: readonly number[], ends: readonly number[]) {
    this.#bytes = bytes
    this.#starts = starts
    this.#ends = ends
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(8, starts.length * 2)))
    this.#slots = new Int32Array(capacity)
    this.#mask = capacity - 1
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i] as number
      // A repeated block keeps its first place: repeats must not lengthen anybody's search.
      if (this.find(bytes, start) >= 0) continue
      let slot = slotOfCid(bytes, start, this.#mask)
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
      this.#slots[slot] = i + 1
    }
  }

  /** Number of blocks, duplicates included. */
  get size(): number {
    return this.#starts.length
  }

  /** The number of the block with the CID at `offset` of `bytes`, or -1. */
  find(bytes: Uint8Array, offset = 0): number {
    let slot = slotOfCid(bytes, offset, this.#mask)
    for (;;) {
      const found = (this.#slots[slot] as number) - 1
      if (found < 0) return -1
      if (cidEqualsAt(bytes, offset, this.#bytes, this.#starts[found] as number)) return found
      slot = (slot + 1) & this.#mask
    }
  }

  /** The bytes of block `index`, a view. */
  block(index: number): Uint8Array {
    const start = must(this.#starts[index], 'block')
    return this.#bytes.subarray(start + CID_BYTES, this.#ends[index])
  }

  /** The CID of block `index`, a view. */
  cid(index: number): Uint8Array {
    const start = must(this.#starts[index], 'block')
    return this.#bytes.subarray(start, start + CID_BYTES)
  }

  /** The block with this CID, a view, or null. */
  get(cid: Uint8Array): Uint8Array | null {
    const index = this.find(cid)
    return index < 0 ? null : this.block(index)
  }
}
