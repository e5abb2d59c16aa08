/**
 * The blocks that were seen last, by CID, in one buffer that is written round and round: keeping
 * them makes no objects, so that a stream of many small blocks stays cheap.
 */
import { slotOfCid } from '../data/block-index.ts'
import { CID_BYTES, cidEqualsAt } from '../data/cid.ts'

/** Size of the buffer, bytes: some ten thousand records. */
export const RECENT_BYTES_MAX: number = 4 * 1_024 * 1_024
/** Places to find a block by; two that share one displace each other. A power of two. */
const SLOTS = 32_768
/** In front of each block: its CID and its length. */
const HEAD_BYTES: number = CID_BYTES + 4

/** Owns copies of what is put in. What it says of a block may be forgotten at any time. */
export class RecentBlocks {
  #ring: Uint8Array | null = null
  /** Where an entry begins, counted from the first byte ever written, plus one; 0 for none. */
  readonly #slots = new Float64Array(SLOTS)
  #written = 0

  put(cid: Uint8Array, block: Uint8Array): void {
    const length = HEAD_BYTES + block.length
    if (length > RECENT_BYTES_MAX) return
    this.#ring ??= new Uint8Array(RECENT_BYTES_MAX)
    const left = RECENT_BYTES_MAX - (this.#written % RECENT_BYTES_MAX)
    // An entry lies in one piece: what is left at the end of the buffer is passed over.
    if (left < length) this.#written += left
    const at = this.#written % RECENT_BYTES_MAX
    this.#ring.set(cid, at)
    new DataView(this.#ring.buffer).setUint32(at + CID_BYTES, block.length)
    this.#ring.set(block, at + HEAD_BYTES)
    this.#slots[slotOfCid(cid, 0, SLOTS - 1)] = this.#written + 1
    this.#written += length
  }

  /** A copy of the block, or null when it is not, or no longer, there. */
  get(cid: Uint8Array): Uint8Array | null {
    const start = (this.#slots[slotOfCid(cid, 0, SLOTS - 1)] ?? 0) - 1
    if (this.#ring === null || start < 0 || this.#written - start > RECENT_BYTES_MAX) return null
    const at = start % RECENT_BYTES_MAX
    if (!cidEqualsAt(this.#ring, at, cid, 0)) return null
    const length = new DataView(this.#ring.buffer).getUint32(at + CID_BYTES)
    return this.#ring.slice(at + HEAD_BYTES, at + HEAD_BYTES + length)
  }
}
