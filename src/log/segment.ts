/**
 * Segments: the files of the log. A segment exists exactly while its `.index` does, so both
 * creation and removal are single renames of that file:
 *
 * - created: `.frames` (empty) and `.index.new` (header) are written and synced, then `.index.new`
 *   becomes `.index`;
 * - dropped: `.index` becomes `.index.dropped`, then `.frames` and `.index.dropped` are removed.
 *
 * Numbers rise by one, so a missing segment shows in the numbers and again in the seqs.
 */
import { assert, must } from '../lib/assert.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { SkeinError, codeOf } from '../lib/errors.ts'
import type { ErrorFields } from '../lib/errors.ts'
import { ENTRY_BYTES, HEADER_BYTES, encodeHeader } from './entry-codec.ts'
import type { LogFile, LogStorage } from './storage.ts'

/** The log's folder inside the data directory. */
export const LOG_FOLDER = 'log'

/** What is known of a segment in memory. Only the writer and retention change it. */
export interface Segment {
  readonly number: number
  readonly firstSeq: number
  /** Durable entries. */
  count: number
  /** Bytes of durable frames. */
  framesBytes: number
  /** Time of the first and last entry; null while there is none. */
  firstTimeMs: number | null
  lastTimeMs: number | null
  /** Retention has dropped it: its files are gone or going. */
  dropped: boolean
}

/** The two files of a segment, open. */
export interface SegmentFiles {
  readonly frames: LogFile
  readonly index: LogFile
}

export type SegmentFileKind = 'frames' | 'index' | 'index.new' | 'index.dropped'

export function segmentPath(folder: string, number: number, kind: SegmentFileKind): string {
  return `${folder}/${String(number).padStart(8, '0')}.${kind}`
}

/** Seq of the last durable entry; one below `firstSeq` when there is none. */
export function lastSeqOf(segment: Segment): number {
  return segment.firstSeq + segment.count - 1
}

/** Bytes on disk, index included. */
export function bytesOf(segment: Segment): number {
  return segment.framesBytes + HEADER_BYTES + segment.count * ENTRY_BYTES
}

/** The segments of a log, oldest first; never empty. */
export class SegmentList {
  readonly #segments: Segment[]

  constructor(segments: readonly Segment[]) {
    assert(segments.length > 0, 'a log has at least one segment')
    this.#segments = [...segments]
  }

  get oldest(): Segment {
    return must(this.#segments[0], 'oldest segment')
  }

  get newest(): Segment {
    return must(this.#segments.at(-1), 'newest segment')
  }

  get size(): number {
    return this.#segments.length
  }

  get bytes(): number {
    let total = 0
    for (const segment of this.#segments) total += bytesOf(segment)
    return total
  }

  /** A copy, oldest first, that later changes do not touch. */
  all(): readonly Segment[] {
    return [...this.#segments]
  }

  push(segment: Segment): void {
    assert(segment.firstSeq === lastSeqOf(this.newest) + 1, 'segments continue each other')
    this.#segments.push(segment)
  }

  /** Takes the oldest segment out; there must be another. */
  shift(): Segment {
    assert(this.#segments.length > 1, 'the newest segment is never dropped')
    const segment = must(this.#segments.shift(), 'oldest segment')
    segment.dropped = true
    return segment
  }

  /** Puts back what `shift` took out. */
  unshift(segment: Segment): void {
    segment.dropped = false
    this.#segments.unshift(segment)
  }

  /** The segment that holds `seq`, or would; null when `seq` is before the oldest. */
  find(seq: number): Segment | null {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (must(this.#segments[middle], 'segment').firstSeq <= seq) low = middle + 1
      else high = middle
    }
    return this.#segments[low - 1] ?? null
  }
}

/** Creates an empty segment durably and returns it with its files open for writing. */
export async function createSegment(
  storage: LogStorage,
  folder: string,
  place: { readonly number: number; readonly firstSeq: number; readonly createdMs: number },
): Promise<{ segment: Segment; files: SegmentFiles }> {
  const { number, firstSeq, createdMs } = place
  const frames = await storage.open(segmentPath(folder, number, 'frames'), 'create')
  let index: LogFile | null = null
  try {
    index = await storage.open(segmentPath(folder, number, 'index.new'), 'create')
    await index.write(encodeHeader({ segment: number, firstSeq, createdMs }), 0)
    await index.sync()
    await frames.sync()
    // The frames file's name must be durable before the index that promises it.
    await storage.syncDirectory(folder)
    crashPoint('segment.created')
    const path = segmentPath(folder, number, 'index')
    await storage.rename(segmentPath(folder, number, 'index.new'), path)
    crashPoint('segment.named')
    await storage.syncDirectory(folder)
  } catch (error) {
    await closeQuietly(frames, index)
    throw error
  }
  const segment: Segment = {
    number,
    firstSeq,
    count: 0,
    framesBytes: 0,
    firstTimeMs: null,
    lastTimeMs: null,
    dropped: false,
  }
  return { segment, files: { frames, index } }
}

/** The moment at which a segment ends to exist. {@link finishDrop} removes its files. */
export async function beginDrop(
  storage: LogStorage,
  folder: string,
  number: number,
): Promise<void> {
  const dropped = segmentPath(folder, number, 'index.dropped')
  await storage.rename(segmentPath(folder, number, 'index'), dropped)
  crashPoint('segment.dropping')
}

/** The second half of a drop, also of one that a crash interrupted. */
export async function finishDrop(
  storage: LogStorage,
  folder: string,
  number: number,
): Promise<void> {
  // Between the steps, so that no crash leaves an index without frames or frames without a reason.
  await storage.syncDirectory(folder)
  await storage.remove(segmentPath(folder, number, 'frames'))
  crashPoint('segment.frames-removed')
  await storage.syncDirectory(folder)
  await storage.remove(segmentPath(folder, number, 'index.dropped'))
  crashPoint('segment.dropped')
}

/** Opens both files of a segment; closes the first when the second fails. */
export async function openSegment(
  storage: LogStorage,
  folder: string,
  number: number,
  mode: 'read' | 'write',
): Promise<SegmentFiles> {
  const frames = await storage.open(segmentPath(folder, number, 'frames'), mode)
  try {
    return { frames, index: await storage.open(segmentPath(folder, number, 'index'), mode) }
  } catch (error) {
    await closeQuietly(frames)
    throw error
  }
}

export async function closeSegment(files: SegmentFiles): Promise<void> {
  await files.frames.close()
  await files.index.close()
}

/** Closes files whose errors no longer matter. */
export async function closeQuietly(...files: readonly (LogFile | null)[]): Promise<void> {
  await Promise.allSettled(files.map(async (file) => file?.close()))
}

/** LOG_DAMAGED: what is wrong, where, and what a person can do. */
export function damaged(what: string, file: string, offset: number, cause?: unknown): SkeinError {
  const advice =
    'restore the log folder from a backup, or move it away and start a new log whose first seq ' +
    'is above every seq that was ever published'
  return new SkeinError('LOG_DAMAGED', `read log: ${what} (${advice})`, { file, offset }, cause)
}

/** Gives a storage error its code; errors of our own pass unchanged. */
export function asSkeinError(
  error: unknown,
  code: 'LOG_READ_FAILED' | 'LOG_WRITE_FAILED',
  action: string,
  fields: ErrorFields = {},
): SkeinError {
  if (error instanceof SkeinError) return error
  const cause = codeOf(error) ?? (error instanceof Error ? error.message : String(error))
  return new SkeinError(code, `${action}: the storage failed`, { ...fields, cause }, error)
}
