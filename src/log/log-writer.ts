import { assert } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { SkeinError } from '../lib/errors.ts'
import { crc32c } from './crc32c.ts'
import { ENTRY_BYTES, KIND_CODES, entryPosition } from './entry-codec.ts'
import { BATCH_EVENTS_MAX, FRAME_LENGTH_MAX } from './log-limits.ts'
import type { LogSettings } from './log-limits.ts'
import type { LogAppend } from './log-types.ts'
import { asSkeinError, closeSegment, createSegment, lastSeqOf } from './segment.ts'
import type { SegmentFiles, SegmentList } from './segment.ts'
import type { LogStorage } from './storage.ts'
import type { Tail, TailBlock } from './tail.ts'

const UINT32_MAX = 0xffff_ffff

export interface LogWriterParts {
  readonly storage: LogStorage
  readonly folder: string
  readonly clock: Clock
  readonly settings: LogSettings
  readonly hashDid: (did: string) => bigint
  readonly segments: SegmentList
  readonly tail: Tail
  /** The newest segment's files, open for writing. The writer closes them. */
  readonly files: SegmentFiles
}

/**
 * Appends batches to the newest segment and begins new ones. After the first failure it takes
 * nothing more: what the failed batch left in the files is cut off again, or, where even that
 * fails, judged by its checksums at the next open.
 */
export class LogWriter {
  readonly #parts: LogWriterParts
  #files: SegmentFiles
  #failure: SkeinError | null = null
  #writing: Promise<void> | null = null
  #lastFlushMs = 0

  constructor(parts: LogWriterParts) {
    this.#parts = parts
    this.#files = parts.files
  }

  get failed(): boolean {
    return this.#failure !== null
  }

  get lastFlushMs(): number {
    return this.#lastFlushMs
  }

  /** See EventLog.append. */
  async append(batch: readonly LogAppend[]): Promise<void> {
    assert(this.#writing === null, 'appends are made one at a time')
    if (this.#failure !== null) throw refusal(this.#failure)
    if (batch.length === 0) return
    const bytes = checkBatch(batch, lastSeqOf(this.#parts.segments.newest) + 1)
    this.#writing = this.#write(batch, bytes)
    try {
      await this.#writing
    } finally {
      this.#writing = null
    }
  }

  /** Waits for the batch in progress and closes the files. */
  async close(): Promise<void> {
    await this.#writing?.catch(() => undefined)
    await closeSegment(this.#files)
  }

  async #write(batch: readonly LogAppend[], bytes: number): Promise<void> {
    const { clock, segments, tail } = this.#parts
    const started = clock.monotonicMs()
    // Copied before anything is awaited, so that the caller has its buffers back.
    const block = tail.reserve(bytes, batch.length)
    const rolls = this.#mustRoll(bytes)
    const ends = this.#fill(block, batch, rolls ? 0 : segments.newest.framesBytes)
    try {
      crashPoint('log.batch')
      if (rolls) await this.#roll()
      await this.#flush(block, bytes, batch.length)
    } catch (error) {
      this.#failure = asSkeinError(error, 'LOG_WRITE_FAILED', 'append to log', {
        segment: segments.newest.number,
      })
      crashPoint('log.failed')
      await this.#cutBack()
      throw this.#failure
    }
    const segment = segments.newest
    segment.firstTimeMs ??= batch[0]?.timeMs ?? null
    segment.lastTimeMs = batch.at(-1)?.timeMs ?? null
    segment.framesBytes += bytes
    segment.count += batch.length
    tail.commit(block, ends)
    this.#lastFlushMs = clock.monotonicMs() - started
  }

  /** Copies the batch behind the block's durable part; returns where each frame ends there. */
  #fill(block: TailBlock, batch: readonly LogAppend[], offset: number): number[] {
    const ends: number[] = []
    const shift = offset - block.used
    let at = block.used
    for (const [position, event] of batch.entries()) {
      block.frames.set(event.frame, at)
      const end = at + event.frame.length
      block.entries.set(block.count + position, event, {
        offset: at + shift,
        crc: crc32c(block.frames, at, end),
        batchPosition: position,
        didHash: this.#parts.hashDid(event.did),
      })
      ends.push(end)
      at = end
    }
    return ends
  }

  /** Writes the batch behind the segment's durable part and makes both files durable. */
  async #flush(block: TailBlock, bytes: number, events: number): Promise<void> {
    const segment = this.#parts.segments.newest
    const { frames, index } = this.#files
    const frameBytes = block.frames.subarray(block.used, block.used + bytes)
    const entryBytes = block.entries.bytes.subarray(
      block.count * ENTRY_BYTES,
      (block.count + events) * ENTRY_BYTES,
    )
    await bothDone(
      frames.write(frameBytes, segment.framesBytes).then(() => crashPoint('log.frames-written')),
      index
        .write(entryBytes, entryPosition(segment.count))
        .then(() => crashPoint('log.index-written')),
    )
    crashPoint('log.written')
    await bothDone(
      frames.sync().then(() => crashPoint('log.frames-synced')),
      index.sync().then(() => crashPoint('log.index-synced')),
    )
    crashPoint('log.synced')
  }

  #mustRoll(bytes: number): boolean {
    const { segments, settings, clock } = this.#parts
    const segment = segments.newest
    if (segment.count === 0) return false
    if (segment.framesBytes + bytes > settings.segmentBytesMax) return true
    return clock.nowMs() - (segment.firstTimeMs ?? 0) >= settings.segmentAgeMsMax
  }

  async #roll(): Promise<void> {
    const { storage, folder, segments, clock } = this.#parts
    const { segment, files } = await createSegment(storage, folder, {
      number: segments.newest.number + 1,
      firstSeq: lastSeqOf(segments.newest) + 1,
      createdMs: clock.nowMs(),
    })
    const old = this.#files
    this.#files = files
    segments.push(segment)
    crashPoint('segment.rolled')
    await closeSegment(old)
  }

  /** Takes a failed batch out of the files as far as the storage still lets us. */
  async #cutBack(): Promise<void> {
    const segment = this.#parts.segments.newest
    const { frames, index } = this.#files
    // The index first: without entries, frames are nothing.
    await quietly(index.truncate(entryPosition(segment.count)))
    await quietly(frames.truncate(segment.framesBytes))
    await quietly(index.sync())
    await quietly(frames.sync())
  }
}

/** Checks what the caller promises of a batch; returns the bytes of its frames. */
function checkBatch(batch: readonly LogAppend[], nextSeq: number): number {
  assert(batch.length <= BATCH_EVENTS_MAX, 'a batch has at most BATCH_EVENTS_MAX events')
  let bytes = 0
  let expected = nextSeq
  for (const event of batch) {
    const { seq, frame } = event
    assert(seq === expected, () => `append seq ${seq} where ${expected} must follow`)
    assert(Number.isSafeInteger(seq + 1), 'seqs stay within the safe integers')
    assert(event.kind in KIND_CODES, () => `unknown event kind ${event.kind}`)
    assert(frame.length > 0 && frame.length <= FRAME_LENGTH_MAX, 'a frame fits its length field')
    assert(isUint(event.timeMs, Number.MAX_SAFE_INTEGER), 'timeMs is a whole number')
    assert(isUint(event.hostSeq, Number.MAX_SAFE_INTEGER), 'hostSeq is a whole number')
    assert(isUint(event.hostId, UINT32_MAX), 'hostId fits 32 bits')
    assert(isUint(event.hostEpoch, UINT32_MAX), 'hostEpoch fits 32 bits')
    bytes += frame.length
    expected++
  }
  return bytes
}

function isUint(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max
}

function refusal(failure: SkeinError): SkeinError {
  return new SkeinError(
    'LOG_WRITE_FAILED',
    'append to log: it takes nothing more after an earlier failure',
    {},
    failure,
  )
}

/** Like Promise.all, but waits for both also when one fails: nothing may still be writing after. */
async function bothDone(one: Promise<void>, other: Promise<void>): Promise<void> {
  const results = await Promise.allSettled([one, other])
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

async function quietly(work: Promise<void>): Promise<void> {
  try {
    await work
  } catch {
    // The failure that brought us here is the one to report.
  }
}
