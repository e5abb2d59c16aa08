/**
 * The blocks of a CAR that is being read, given out in the order in which a tree needs them. A CAR
 * in that order passes through; from any other, what comes before its turn is held, within a bound.
 */
import { type CarBlock, CarStreamError } from '../data/car-stream.ts'
import { cidEquals } from '../data/cid.ts'
import { HeldBlocks } from './held-blocks.ts'
import { RecentBlocks } from './recent-blocks.ts'

export interface SupplyLimits {
  /** Blocks that wait for their turn, bytes with what holding them costs. */
  readonly heldBytesMax: number
}

/**
 * Owns the blocks that it holds, and the reading of the CAR.
 *
 * A record may stand at several paths, and a CAR may hold it once. So records that have had their
 * turn are kept too: the newest few megabytes while the CAR is in order, and once it is not, as
 * many as there is room for beside those that wait.
 */
export class BlockSupply {
  readonly #blocks: AsyncIterator<CarBlock>
  readonly #recent = new RecentBlocks()
  /** Made when the first block comes before its turn. */
  #held: HeldBlocks | null = null
  readonly #heldBytesMax: number

  constructor(blocks: AsyncIterable<CarBlock>, limits: SupplyLimits) {
    this.#blocks = blocks[Symbol.asyncIterator]()
    this.#heldBytesMax = limits.heldBytesMax
  }

  /**
   * The block with this CID; null when the CAR has ended without it. Reads on only if it is not
   * held. Throws what reading throws, and `car-out-of-order` when more would have to be held than
   * may.
   *
   * @param use `once` for a block that the tree cannot need again.
   */
  async take(cid: Uint8Array, use: 'once' | 'again'): Promise<Uint8Array | null> {
    const held = this.#held?.take(cid, use) ?? null
    if (held !== null) return held
    const recent = use === 'again' ? this.#recent.get(cid) : null
    if (recent !== null) return recent
    for (;;) {
      const next = await this.#blocks.next()
      if (next.done === true) return null
      const { block } = next.value
      if (cidEquals(next.value.cid, cid)) {
        if (use === 'again') this.#keep(cid, block)
        return block
      }
      this.#hold(next.value)
    }
  }

  /** Reads the rest, which nobody needs, so that an end that is broken is noticed. */
  async drain(): Promise<void> {
    this.#held?.clear()
    for (;;) if ((await this.#blocks.next()).done === true) return
  }

  async close(): Promise<void> {
    await this.#blocks.return?.()
  }

  #hold({ cid, block }: CarBlock): void {
    if (this.#held?.has(cid) === true) return
    // A record that is repeated where it stands again has been taken from here before.
    if (this.#recent.get(cid) !== null) return
    this.#held ??= new HeldBlocks(this.#heldBytesMax)
    if (this.#held.put(cid, block, 'waiting')) return
    const detail = 'too many blocks come before their turn'
    throw new CarStreamError('car-out-of-order', detail, 'too-large')
  }

  #keep(cid: Uint8Array, block: Uint8Array): void {
    if (this.#held === null) this.#recent.put(cid, block)
    else if (!this.#held.has(cid)) this.#held.put(cid, block, 'spare')
  }
}
