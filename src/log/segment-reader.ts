import { LRUCache } from 'lru-cache'
import { codeOf } from '../lib/errors.ts'
import { crc32c } from './crc32c.ts'
import { ENTRY_BYTES, EntryTable, entryPosition } from './entry-codec.ts'
import { SCAN_BYTES, SLICES_CACHED_MAX, SLICE_ENTRIES } from './log-limits.ts'
import type { LogChunk, LogRecord } from './log-types.ts'
import { SegmentCache } from './segment-cache.ts'
import { asSkeinError, damaged, lastSeqOf, segmentPath } from './segment.ts'
import type { Segment } from './segment.ts'
import type { LogStorage } from './storage.ts'
import type { Visibility } from './visibility.ts'

/** Entries of a segment that lie in one slice, with the place of the first in the segment. */
export interface IndexSlice {
  readonly table: EntryTable
  readonly first: number
}

/** Entries `[from, to)` of a slice and the bytes of their frames, end to end. */
interface Window {
  readonly table: EntryTable
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/** A stretch of one segment to read: from `seq`, at most up to `lastSeq` and `bytesMax`. */
export interface ReadRange {
  readonly seq: number
  readonly lastSeq: number
  readonly bytesMax: number
}

/**
 * Segments in one slice key: slices of a segment stay below this (2^20 slices are 2^30 entries).
 */
const SLICE_KEYS = 2 ** 20

/**
 * Reads sealed and growing segments from their files: entries in checked slices, frames in one
 * positioned read. Every answer is `gone` when retention dropped the segment before it was opened.
 * Errors: LOG_DAMAGED when the files contradict themselves, LOG_READ_FAILED when they cannot be
 * read.
 */
export class SegmentReader {
  readonly #folder: string
  readonly #visibility: Visibility
  readonly #cache: SegmentCache
  readonly #slices = new LRUCache<number, EntryTable>({ max: SLICES_CACHED_MAX })

  constructor(storage: LogStorage, folder: string, visibility: Visibility) {
    this.#folder = folder
    this.#visibility = visibility
    this.#cache = new SegmentCache(storage, folder)
  }

  get openSegments(): number {
    return this.#cache.size
  }

  /**
   * The visible frames of a range, as far as one slice goes. Frames are not checked by CRC here.
   */
  chunk(segment: Segment, range: ReadRange): Promise<LogChunk | 'gone'> {
    return this.#read(segment, range, 'visible', (window) => {
      const { table, from, to } = window
      const base = from < to ? table.offset(from) : 0
      let length = 0
      let count = 0
      for (let at = from; at < to; at++) {
        if (this.#visibility.isHidden(table, at)) continue
        const begin = table.offset(at) - base
        const end = begin + table.length(at)
        if (begin !== length) window.bytes.copyWithin(length, begin, end)
        length += end - begin
        count++
      }
      const lastSeq = table.seq(to - 1)
      return { bytes: window.bytes.subarray(0, length), firstSeq: range.seq, lastSeq, count }
    })
  }

  /** The entries of a range with their frames checked, as far as one slice and one scan go. */
  records(segment: Segment, seq: number, lastSeq: number): Promise<LogRecord[] | 'gone'> {
    const range = { seq, lastSeq, bytesMax: SCAN_BYTES }
    return this.#read(segment, range, 'all', ({ table, from, to, bytes }) => {
      const records: LogRecord[] = []
      const base = table.offset(from)
      for (let at = from; at < to; at++) {
        const purged = this.#visibility.isPurged(table, at)
        const begin = table.offset(at) - base
        const frame = purged ? new Uint8Array(0) : bytes.subarray(begin, begin + table.length(at))
        if (!purged && crc32c(frame) !== table.crc(at)) {
          const path = segmentPath(this.#folder, segment.number, 'frames')
          throw damaged('a frame does not match its checksum', path, table.offset(at))
        }
        records.push({ entry: { ...table.get(at), purged }, frame })
      }
      return records
    })
  }

  /** The slice that holds place `at` of the segment, as far as it is durable. Do not modify. */
  async slice(segment: Segment, at: number): Promise<IndexSlice | 'gone'> {
    const number = Math.floor(at / SLICE_ENTRIES)
    const first = number * SLICE_ENTRIES
    const key = segment.number * SLICE_KEYS + number
    const cached = this.#slices.get(key)
    if (cached !== undefined) return { table: cached, first }
    const count = Math.min(SLICE_ENTRIES, segment.count - first)
    const generation = this.#visibility.generation
    const bytes = await this.#bytes(segment, 'index', entryPosition(first), count * ENTRY_BYTES)
    if (bytes === 'gone') return bytes
    const table = new EntryTable(bytes)
    this.#checkSlice(segment, table, first)
    const unchanged = generation === this.#visibility.generation && !segment.dropped
    if (count === SLICE_ENTRIES && unchanged) this.#slices.set(key, table)
    return { table, first }
  }

  /** Forgets what was cached of every index, since entries have been rewritten. */
  invalidate(): void {
    this.#slices.clear()
  }

  /** Lets go of a dropped segment. */
  forget(segment: Segment): void {
    this.#cache.forget(segment)
  }

  close(): Promise<void> {
    return this.#cache.close()
  }

  /**
   * Reads entries and frames and calls `render` with them, all judged at one moment: when a purge
   * sweep ended meanwhile, the entries may lack flags whose frames are blank already, so both are
   * read again. A sweep takes longer than a read, so this repeats a few times at most.
   */
  async #read<T>(
    segment: Segment,
    range: ReadRange,
    select: 'visible' | 'all',
    render: (window: Window) => T,
  ): Promise<T | 'gone'> {
    for (;;) {
      const generation = this.#visibility.generation
      const slice = await this.slice(segment, range.seq - segment.firstSeq)
      if (slice === 'gone') return slice
      const { table, first } = slice
      const start = range.seq - segment.firstSeq - first
      const lastSeq = Math.min(range.lastSeq, lastSeqOf(segment))
      const stop = Math.min(table.capacity, lastSeq - segment.firstSeq - first + 1)
      let from = start
      if (select === 'visible') while (from < stop && this.#visibility.isHidden(table, from)) from++
      const to = endWithin(table, from, stop, range.bytesMax)
      const offset = from < to ? table.offset(from) : 0
      const length = from < to ? table.offset(to - 1) + table.length(to - 1) - offset : 0
      const bytes = await this.#bytes(segment, 'frames', offset, length)
      if (bytes === 'gone') return bytes
      if (generation === this.#visibility.generation) return render({ table, from, to, bytes })
    }
  }

  #checkSlice(segment: Segment, table: EntryTable, first: number): void {
    for (let at = 0; at < table.capacity; at++) {
      if (table.isWhole(at) && table.seq(at) === segment.firstSeq + first + at) continue
      const path = segmentPath(this.#folder, segment.number, 'index')
      throw damaged('an index entry is not whole', path, entryPosition(first + at))
    }
  }

  /** Exactly `length` bytes of a file of the segment, in a buffer of their own. */
  async #bytes(
    segment: Segment,
    kind: 'frames' | 'index',
    offset: number,
    length: number,
  ): Promise<Uint8Array | 'gone'> {
    if (length === 0) return new Uint8Array(0)
    const path = segmentPath(this.#folder, segment.number, kind)
    try {
      return await this.#cache.use(segment, async (files) => {
        const bytes = Buffer.allocUnsafeSlow(length)
        const read = await files[kind].read(bytes, offset)
        if (read < length) throw damaged('the file is too short', path, offset + read)
        return bytes
      })
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        throw asSkeinError(error, 'LOG_READ_FAILED', 'read log', { file: path })
      }
      if (segment.dropped) return 'gone'
      throw damaged('a file of the segment is missing', path, 0, error)
    }
  }
}

/** The end of the entries from `from` whose frames fit in `bytesMax`: at least one, if there is. */
function endWithin(table: EntryTable, from: number, stop: number, bytesMax: number): number {
  let to = from
  const base = from < stop ? table.offset(from) : 0
  while (to < stop && (to === from || table.offset(to) + table.length(to) - base <= bytesMax)) to++
  return to
}
