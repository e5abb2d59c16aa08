/**
 * Blocks by CID, packed end to end into a few large buffers: a repository of 100,000 small records
 * takes little more than its bytes. Those that wait for their turn stay until they are taken; those
 * that have had it make room when there is none.
 */
import { slotOfCid } from '../data/block-index.ts'
import { CID_BYTES, cidEqualsAt } from '../data/cid.ts'

/** Size of a buffer, bytes; a larger block has one of its own. */
const SLAB_BYTES = 1_024 * 1_024
/** In front of each block: its length, whether it is kept, its CID. */
const HEAD_BYTES: number = 4 + 1 + CID_BYTES
const SLOTS_MIN = 1_024
/** What finding a block costs, bytes: two slots of eight. */
const SLOT_COST_BYTES = 16
/** Slots that hold no place: never used, and used once. */
const EMPTY = 0
const GONE = -1

/** Marks of blocks in a buffer. */
const WAITING = 0
const SPARE = 1
const TAKEN = 2
/** Making room copies what waits: it must be worth it, so this share stays free afterwards. */
const FREE_SHARE = 1 / 8

interface Slab {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** Bytes written. */
  end: number
  /** Cost of all blocks written, and of those that are held. */
  written: number
  held: number
}

/** `waiting`: until it is taken. `spare`: as long as there is room. */
export type HeldState = 'waiting' | 'spare'

/** Owns copies of what is put in; what it gives out are copies too. */
export class HeldBlocks {
  readonly #bytesMax: number
  /** Null where a buffer has been let go; a place is `number * SLAB_BYTES + offset`. */
  #slabs: (Slab | null)[] = []
  /** Places, plus one. */
  #slots = new Float64Array(SLOTS_MIN)
  #slotsUsed = 0
  #blocks = 0
  /** Cost of all blocks written to buffers that are there. */
  #bytes = 0
  #waitingBytes = 0

  /** @param bytesMax Most bytes held, whatever their state. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Number of blocks, waiting and spare. */
  get size(): number {
    return this.#blocks
  }

  /** Memory that is accounted for, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Holds a block that is not held. False when there is no room, even without spare ones. */
  put(cid: Uint8Array, block: Uint8Array, state: HeldState): boolean {
    const cost = costOf(block.length)
    if (this.#bytes + cost > this.#bytesMax) {
      if (this.#waitingBytes + cost > this.#bytesMax * (1 - FREE_SHARE)) return false
      this.#dropSpare()
    }
    if (this.#slotsUsed * 2 >= this.#slots.length) this.#rebuildSlots()
    this.#append(cid, block, state === 'waiting' ? WAITING : SPARE)
    return true
  }

  has(cid: Uint8Array): boolean {
    return this.#find(cid) >= 0
  }

  /**
   * A copy of the block, which is let go (`once`) or stays as a spare one (`again`); null when it
   * is not held.
   */
  take(cid: Uint8Array, use: 'once' | 'again'): Uint8Array | null {
    const slot = this.#find(cid)
    if (slot < 0) return null
    const place = (this.#slots[slot] as number) - 1
    const number = Math.floor(place / SLAB_BYTES)
    const slab = this.#slabs[number] as Slab
    const at = place % SLAB_BYTES
    const length = slab.view.getUint32(at)
    const begin = at + HEAD_BYTES
    const block = slab.bytes.slice(begin, begin + length)
    const cost = costOf(length)
    if (slab.bytes[at + 4] === WAITING) this.#waitingBytes -= cost
    slab.bytes[at + 4] = use === 'again' ? SPARE : TAKEN
    if (use === 'again') return block
    this.#slots[slot] = GONE
    this.#blocks--
    slab.held -= cost
    if (slab.held === 0) this.#release(number, slab)
    return block
  }

  clear(): void {
    this.#slabs = []
    this.#slots = new Float64Array(SLOTS_MIN)
    this.#slotsUsed = 0
    this.#blocks = 0
    this.#bytes = 0
    this.#waitingBytes = 0
  }

  /** The slot of a CID, or -1. */
  #find(cid: Uint8Array): number {
    const mask = this.#slots.length - 1
    for (let slot = slotOfCid(cid, 0, mask); ; slot = (slot + 1) & mask) {
      const value = this.#slots[slot] as number
      if (value === EMPTY) return -1
      if (value === GONE) continue
      const place = value - 1
      const slab = this.#slabs[Math.floor(place / SLAB_BYTES)] as Slab
      if (cidEqualsAt(slab.bytes, (place % SLAB_BYTES) + 5, cid, 0)) return slot
    }
  }

  #append(cid: Uint8Array, block: Uint8Array, mark: number): void {
    const length = HEAD_BYTES + block.length
    let number = this.#slabs.length - 1
    let slab = this.#slabs[number] ?? null
    if (slab === null || slab.end + length > slab.bytes.length) {
      const bytes = new Uint8Array(Math.max(SLAB_BYTES, length))
      slab = { bytes, view: new DataView(bytes.buffer), end: 0, written: 0, held: 0 }
      number = this.#slabs.push(slab) - 1
    }
    const at = slab.end
    slab.view.setUint32(at, block.length)
    slab.bytes[at + 4] = mark
    slab.bytes.set(cid, at + 5)
    slab.bytes.set(block, at + HEAD_BYTES)
    slab.end += length
    const cost = costOf(block.length)
    slab.written += cost
    slab.held += cost
    this.#bytes += cost
    if (mark === WAITING) this.#waitingBytes += cost
    this.#blocks++
    this.#index(slab, at, number * SLAB_BYTES + at)
  }

  #index(slab: Slab, at: number, place: number): void {
    const mask = this.#slots.length - 1
    let slot = slotOfCid(slab.bytes, at + 5, mask)
    while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask
    this.#slots[slot] = place + 1
    this.#slotsUsed++
  }

  /** Lets a buffer go that holds nothing any more. The newest is written to and stays. */
  #release(number: number, slab: Slab): void {
    if (number === this.#slabs.length - 1) return
    this.#slabs[number] = null
    this.#bytes -= slab.written
  }

  /** Slots for twice as many blocks as there are, without those that are gone. */
  #rebuildSlots(): void {
    const places = this.#slots.filter((value) => value > EMPTY)
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(SLOTS_MIN, (this.#blocks + 1) * 4)))
    this.#slots = new Float64Array(capacity)
    this.#slotsUsed = 0
    for (const value of places) {
      const place = value - 1
      const slab = this.#slabs[Math.floor(place / SLAB_BYTES)] as Slab
      this.#index(slab, place % SLAB_BYTES, place)
    }
  }

  /** Copies what waits into new buffers, one after the other, and forgets the rest. */
  #dropSpare(): void {
    const slabs = this.#slabs
    this.clear()
    for (let i = 0; i < slabs.length; i++) {
      const slab = slabs[i] ?? null
      slabs[i] = null
      if (slab === null) continue
      for (let at = 0; at < slab.end;) {
        const end = at + HEAD_BYTES + slab.view.getUint32(at)
        if (slab.bytes[at + 4] === WAITING) {
          const block = slab.bytes.subarray(at + HEAD_BYTES, end)
          this.put(slab.bytes.subarray(at + 5, at + HEAD_BYTES), block, 'waiting')
        }
        at = end
      }
    }
  }
}

function costOf(length: number): number {
  return HEAD_BYTES + length + SLOT_COST_BYTES
}
