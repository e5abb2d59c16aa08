import { assert, must } from '../lib/assert.ts'
import { ENTRY_BYTES, EntryTable } from './entry-codec.ts'
import { TAIL_BLOCK_BYTES } from './log-limits.ts'
import type { LogChunk } from './log-types.ts'
import type { Visibility } from './visibility.ts'
import { isPurgedBy } from './visibility.ts'

/**
 * A stretch of memory that frames are copied into once, are written to disk from, and are served
 * from. Bytes below `used` never change, so that any number of sockets may hold views of them.
 */
export interface TailBlock {
  readonly frames: Uint8Array
  /** Entries of the frames, in the form of the index file; grows by replacement. */
  entries: EntryTable
  /** Offset in `frames` at which each entry's frame ends. */
  ends: number[]
  /** Durable entries and their bytes; what lies beyond belongs to the batch being written. */
  count: number
  used: number
}

/** Entries that a block has room for at first. */
const ENTRIES_START = 256

/**
 * The newest events in memory: blocks of frames, the oldest given up as a whole when the bound is
 * reached (a socket that still holds a view keeps that block alive by itself). Blocks hold
 * consecutive seqs and continue one another.
 */
export class Tail {
  readonly #bytesMax: number
  readonly #blocks: TailBlock[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Memory held, entries included. */
  get bytes(): number {
    return this.#bytes
  }

  /** Oldest seq held; Infinity when there is none. */
  get firstSeq(): number {
    for (const block of this.#blocks) if (block.count > 0) return block.entries.seq(0)
    return Number.POSITIVE_INFINITY
  }

  /** The block that takes a batch next, with room for it. Gives up old blocks to make that room. */
  reserve(bytes: number, events: number): TailBlock {
    let block = this.#blocks.at(-1)
    if (block === undefined || block.frames.length - block.used < bytes) {
      if (block !== undefined && block.count === 0) this.#giveUp(this.#blocks.length - 1)
      block = {
        frames: Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(TAIL_BLOCK_BYTES, this.#bytesMax))),
        entries: new EntryTable(new Uint8Array(ENTRIES_START * ENTRY_BYTES)),
        ends: [],
        count: 0,
        used: 0,
      }
      this.#blocks.push(block)
      this.#bytes += sizeOf(block)
    }
    this.#growEntries(block, block.count + events)
    while (this.#blocks.length > 1 && this.#bytes > this.#bytesMax) this.#giveUp(0)
    return block
  }

  /** Makes the batch that was put into `block` visible to `read`, now that it is durable. */
  commit(block: TailBlock, ends: readonly number[]): void {
    for (const end of ends) block.ends.push(end)
    block.count += ends.length
    block.used = must(ends.at(-1), 'end of a batch')
  }

  /**
   * Frames from `seq` (at or above `firstSeq`) up to `lastSeq`: one run without a skipped frame in
   * it, of at most `bytesMax` bytes or one frame. Never copies.
   */
  read(seq: number, lastSeq: number, bytesMax: number, visibility: Visibility): LogChunk {
    const block = this.#find(seq)
    const table = block.entries
    const base = table.seq(0)
    const from = seq - base
    const to = Math.min(block.count, lastSeq - base + 1)
    let start = from
    while (start < to && visibility.isHidden(table, start)) start++
    const begin = start === 0 ? 0 : endAt(block, start - 1)
    let end = start
    while (end < to && !visibility.isHidden(table, end)) {
      if (end > start && endAt(block, end) - begin > bytesMax) break
      end++
    }
    const finish = end === start ? begin : endAt(block, end - 1)
    let next = end
    while (next < to && visibility.isHidden(table, next)) next++
    return {
      bytes: block.frames.subarray(begin, finish),
      firstSeq: seq,
      lastSeq: base + next - 1,
      count: end - start,
    }
  }

  /** Flags what `purges` covers. The bytes stay: a socket may be in the midst of sending them. */
  markPurged(purges: ReadonlyMap<bigint, number>): void {
    for (const block of this.#blocks) {
      for (let at = 0; at < block.count; at++) {
        if (isPurgedBy(purges, block.entries, at)) block.entries.markPurged(at)
      }
    }
  }

  #find(seq: number): TailBlock {
    const block = this.#blocks.findLast((each) => each.count > 0 && each.entries.seq(0) <= seq)
    return must(block, 'tail block of a seq at or above firstSeq')
  }

  #growEntries(block: TailBlock, count: number): void {
    if (count <= block.entries.capacity) return
    const capacity = Math.max(count, block.entries.capacity * 2)
    const bytes = new Uint8Array(capacity * ENTRY_BYTES)
    bytes.set(block.entries.bytes)
    this.#bytes += bytes.length - block.entries.bytes.length
    block.entries = new EntryTable(bytes)
  }

  #giveUp(at: number): void {
    const [block] = this.#blocks.splice(at, 1)
    assert(block !== undefined, 'a tail block to give up')
    this.#bytes -= sizeOf(block)
  }
}

function endAt(block: TailBlock, at: number): number {
  return must(block.ends[at], 'end of a frame in the tail')
}

function sizeOf(block: TailBlock): number {
  return block.frames.length + block.entries.bytes.length
}
