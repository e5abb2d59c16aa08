/**
 * The bounds of the log, with their reasons. What an operator may change is an option; what follows
 * from the format or from memory is a constant.
 */
import type { Clock } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import type { LogStorage } from './storage.ts'

/** Most events of one batch: a position in a batch takes 16 bits in the index. */
export const BATCH_EVENTS_MAX = 65_535
/** Largest frame: a length takes 32 bits in the index. The network's limit is far below. */
export const FRAME_LENGTH_MAX = 0xffff_ffff
/** Entries of the unit in which an index is read and cached: 64 KiB. */
export const SLICE_ENTRIES = 1_024
/** Cached slices, 64 KiB each: 8 MiB, so that 100 readers at different places each keep theirs. */
export const SLICES_CACHED_MAX = 128
/**
 * Reads of files in progress at once; more wait in line. Four threads serve them, so more would
 * only hold buffers. Bounds the memory of replay to this times a reader's `bytesMax`.
 */
export const FILE_READS_MAX = 16
/** Segments kept open for reading, two files each. Not below FILE_READS_MAX. */
export const OPEN_SEGMENTS_MAX = 32
/** What recovery and tools read at once, bytes. A larger frame is read alone. */
export const SCAN_BYTES = 1_048_576
/** Unit of the in-memory tail: large enough that many small batches make one chunk for a socket. */
export const TAIL_BLOCK_BYTES = 1_048_576
/** DIDs in the file of pending purges: 16 bytes each, so at most 16 MiB are read at boot. */
export const PURGES_PENDING_MAX = 1_000_000

/** What may be set. Every bound has a default in {@link LOG_DEFAULTS}. */
export interface LogOptions extends Partial<LogSettings> {
  readonly clock: Clock
  /** Defaults to the file system. */
  readonly storage?: LogStorage
  /** Defaults to did-hash.ts. One directory must always be opened with the same function. */
  readonly hashDid?: (did: string) => bigint
  /** Called when a background purge fails. The events stay hidden; `retain` tries again. */
  readonly onPurgeError?: (error: SkeinError) => void
}

export interface LogSettings {
  /** Seq of the first event of a new log. Ignored when the directory already holds a log. */
  readonly firstSeq: number
  /** A segment that would grow past this is closed before the batch, bytes of frames. */
  readonly segmentBytesMax: number
  /** A segment whose first event is this old is closed at the next append, ms. */
  readonly segmentAgeMsMax: number
  /** Segments whose last event is older than this are dropped, ms. */
  readonly retainMs: number
  /** Oldest segments are dropped while the log is larger than this, bytes. */
  readonly retainBytes: number
  /** Memory for the newest events, bytes. Holds at least the newest block. */
  readonly tailBytesMax: number
  /** Most accounts hidden at once. Beyond it the oldest hide becomes a purge, and is counted. */
  readonly hiddenDidsMax: number
}

export const LOG_DEFAULTS: LogSettings = {
  firstSeq: 1,
  /** Recovery reads the newest segment whole: 128 MiB take a quarter of a second. */
  segmentBytesMax: 128 * 1024 * 1024,
  /** Retention drops whole segments, so its precision in time is this. */
  segmentAgeMsMax: 60 * 60_000,
  /** Three days, the replay window that consumers of the network are used to. */
  retainMs: 72 * 60 * 60_000,
  /** About twenty million commits of 5 KB. */
  retainBytes: 100 * 1024 * 1024 * 1024,
  /** About six thousand commits of 5 KB: what a busy network sends in ten seconds. */
  tailBytesMax: 32 * 1024 * 1024,
  /** About 100 MB of memory. */
  hiddenDidsMax: 1_000_000,
}

/** The settings in force. Errors: OPTION_INVALID for a number out of range. */
export function settingsOf(options: Partial<LogSettings>): LogSettings {
  const given = (name: keyof LogSettings): number => {
    const value = options[name] ?? LOG_DEFAULTS[name]
    if (Number.isFinite(value) && value >= 0) return value
    throw new SkeinError('OPTION_INVALID', 'open log: an option is out of range', { [name]: value })
  }
  const firstSeq = given('firstSeq')
  if (!Number.isSafeInteger(firstSeq) || firstSeq < 1) {
    throw new SkeinError('OPTION_INVALID', 'open log: the first seq is not a seq', { firstSeq })
  }
  return {
    firstSeq,
    segmentBytesMax: given('segmentBytesMax'),
    segmentAgeMsMax: given('segmentAgeMsMax'),
    retainMs: given('retainMs'),
    retainBytes: given('retainBytes'),
    tailBytesMax: given('tailBytesMax'),
    hiddenDidsMax: given('hiddenDidsMax'),
  }
}
