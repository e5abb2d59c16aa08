import { crashPoint } from '../lib/crash-point.ts'
import type { SkeinError } from '../lib/errors.ts'
import { ENTRY_BYTES, EntryTable, entryPosition } from './entry-codec.ts'
import { SLICE_ENTRIES } from './log-limits.ts'
import { writePurges } from './purge-journal.ts'
import type { SegmentReader } from './segment-reader.ts'
import { asSkeinError, closeQuietly, damaged, lastSeqOf, openSegment } from './segment.ts'
import { segmentPath } from './segment.ts'
import type { Segment, SegmentFiles, SegmentList } from './segment.ts'
import type { LogStorage } from './storage.ts'
import type { Tail } from './tail.ts'
import { isPurgedBy } from './visibility.ts'
import type { Visibility } from './visibility.ts'

/** Bytes blanked by one write. */
const BLANK = new Uint8Array(64 * 1024)

export interface PurgeSweeperParts {
  readonly storage: LogStorage
  readonly folder: string
  readonly segments: SegmentList
  readonly tail: Tail
  readonly visibility: Visibility
  readonly reader: SegmentReader
  readonly onError: (error: SkeinError) => void
}

/**
 * Carries purges out in the background. One pass over the indexes serves every DID that is pending
 * when it begins; those that come meanwhile have the next.
 *
 * The order on disk makes every crash harmless: the journal names the purges; then in each segment
 * the flags are set and made durable; only then are the frames blanked; when all segments are done
 * the journal is renewed. Whatever is blank therefore carries its flag, and whatever is not done
 * yet is in the journal, hidden from the next open on, and done again.
 */
export class PurgeSweeper {
  readonly #parts: PurgeSweeperParts
  #running: Promise<void> | null = null
  #stopped = false
  /** Which state of the pending purges the journal holds. */
  #journaled = -1

  constructor(parts: PurgeSweeperParts) {
    this.#parts = parts
  }

  /** Starts a sweep if something can be done and none is running. */
  kick(): void {
    if (this.#stopped || this.#running !== null || this.#ready().size === 0) return
    this.#running = this.#run().finally(() => {
      this.#running = null
    })
  }

  /** Resolves when no sweep is running. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running
  }

  /** Ends the sweep at its next step; the journal has what is left. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.settled()
  }

  async #run(): Promise<void> {
    // What is asked for in the same turn shares the pass.
    await Promise.resolve()
    try {
      for (let purges = this.#ready(); purges.size > 0; purges = this.#ready()) {
        if (!(await this.#sweep(purges))) return
      }
    } catch (error) {
      const { folder, onError } = this.#parts
      onError(asSkeinError(error, 'LOG_WRITE_FAILED', 'purge from log', { folder }))
    }
  }

  /** Purges whose events are all durable: others wait for the append that they reach into. */
  #ready(): Map<bigint, number> {
    const nextSeq = lastSeqOf(this.#parts.segments.newest) + 1
    const purges = this.#parts.visibility.purges()
    for (const [didHash, beforeSeq] of purges) if (beforeSeq > nextSeq) purges.delete(didHash)
    return purges
  }

  /** Between two slices: renews the journal when more was asked for; false when to stop. */
  async #goesOn(): Promise<boolean> {
    if (this.#journaled !== this.#parts.visibility.purgeVersion) await this.#writeJournal()
    return !this.#stopped
  }

  async #writeJournal(): Promise<void> {
    const { storage, folder, visibility } = this.#parts
    const version = visibility.purgeVersion
    await writePurges(storage, folder, visibility.purges())
    this.#journaled = version
  }

  /** One pass over all segments; false when it was stopped. */
  async #sweep(purges: ReadonlyMap<bigint, number>): Promise<boolean> {
    const { segments, tail, visibility, reader } = this.#parts
    if (!(await this.#goesOn())) return false
    let highest = 0
    for (const beforeSeq of purges.values()) highest = Math.max(highest, beforeSeq)
    for (const segment of segments.all()) {
      if (segment.firstSeq >= highest || segment.dropped) continue
      if (!(await this.#sweepSegment(segment, purges))) return false
    }
    tail.markPurged(purges)
    reader.invalidate()
    visibility.finishPurges(purges)
    await this.#writeJournal()
    return true
  }

  async #sweepSegment(segment: Segment, purges: ReadonlyMap<bigint, number>): Promise<boolean> {
    const { storage, folder } = this.#parts
    let files: SegmentFiles
    try {
      files = await openSegment(storage, folder, segment.number, 'write')
    } catch (error) {
      // Retention was faster.
      if (segment.dropped) return true
      throw error
    }
    try {
      const flagged = await this.#flag(segment, files, purges)
      if (flagged === 'stopped') return false
      if (flagged === 0) return true
      crashPoint('purge.flagged')
      await files.index.sync()
      crashPoint('purge.flags-synced')
      return await this.#blank(segment, files, purges)
    } finally {
      await closeQuietly(files.frames, files.index)
    }
  }

  /** Sets the flags; returns how many entries are covered, those already flagged included. */
  async #flag(
    segment: Segment,
    files: SegmentFiles,
    purges: ReadonlyMap<bigint, number>,
  ): Promise<number | 'stopped'> {
    let covered = 0
    for (let first = 0; first < segment.count; first += SLICE_ENTRIES) {
      if (!(await this.#goesOn())) return 'stopped'
      const table = await this.#slice(segment, files, first)
      for (let at = 0; at < table.capacity; at++) {
        if (!isPurgedBy(purges, table, at)) continue
        covered++
        if (table.purged(at)) continue
        table.markPurged(at)
        const bytes = table.bytes.subarray(at * ENTRY_BYTES, (at + 1) * ENTRY_BYTES)
        await files.index.write(bytes, entryPosition(first + at))
      }
    }
    return covered
  }

  async #blank(
    segment: Segment,
    files: SegmentFiles,
    purges: ReadonlyMap<bigint, number>,
  ): Promise<boolean> {
    for (let first = 0; first < segment.count; first += SLICE_ENTRIES) {
      if (!(await this.#goesOn())) return false
      const table = await this.#slice(segment, files, first)
      for (let at = 0; at < table.capacity; at++) {
        // An entry that came after the flags were set is above every bound, hence without one.
        if (!table.purged(at) || !isPurgedBy(purges, table, at)) continue
        const end = table.offset(at) + table.length(at)
        for (let position = table.offset(at); position < end; position += BLANK.length) {
          await files.frames.write(BLANK.subarray(0, end - position), position)
        }
      }
    }
    crashPoint('purge.blanked')
    await files.frames.sync()
    return true
  }

  async #slice(segment: Segment, files: SegmentFiles, first: number): Promise<EntryTable> {
    const count = Math.min(SLICE_ENTRIES, segment.count - first)
    const table = new EntryTable(new Uint8Array(count * ENTRY_BYTES))
    await files.index.read(table.bytes, entryPosition(first))
    for (let at = 0; at < count; at++) {
      if (table.isWhole(at) && table.seq(at) === segment.firstSeq + first + at) continue
      const path = segmentPath(this.#parts.folder, segment.number, 'index')
      throw damaged('an index entry is not whole', path, entryPosition(first + at))
    }
    return table
  }
}
