/** What goes into the log and what comes out. */

/** The event types that a log holds; the `t` of the frame without its `#`. */
export type EventKind = 'commit' | 'sync' | 'identity' | 'account'

/** One event to append. */
export interface LogAppend {
  /** Must be the log's `nextSeq`, then rise by one through the batch. */
  readonly seq: number
  readonly kind: EventKind
  readonly did: string
  /**
   * A complete unmasked server WebSocket frame with `seq` already in it. Copied before `append`
   * first yields; the caller may reuse it then.
   */
  readonly frame: Uint8Array
  /** When this log's owner took the event in, ms since the Unix epoch. Drives retention. */
  readonly timeMs: number
  /** Where the event came from: the owner's number of the host; 0 for its own events. */
  readonly hostId: number
  /** Which numbering of the host `hostSeq` belongs to, for hosts that started over. */
  readonly hostEpoch: number
  /** The host's own seq of the event. */
  readonly hostSeq: number
}

/** What the index knows of one event. */
export interface IndexEntry {
  readonly seq: number
  readonly kind: EventKind
  /**
   * The event was purged: its bytes are gone or about to go, and `crc` describes what they were.
   */
  readonly purged: boolean
  /** Where the frame begins in its segment's `.frames` file, bytes. */
  readonly offset: number
  /** Bytes of the frame. */
  readonly length: number
  /** CRC-32C of the frame as it was appended. */
  readonly crc: number
  readonly timeMs: number
  /** See did-hash.ts. */
  readonly didHash: bigint
  readonly hostId: number
  readonly hostEpoch: number
  readonly hostSeq: number
}

/** A stretch of the log, ready for a socket. */
export interface LogChunk {
  /**
   * Whole frames end to end, shared between readers: do not modify. Empty when all were skipped.
   */
  readonly bytes: Uint8Array
  /**
   * Lowest seq covered: `afterSeq + 1`, or higher when retention has dropped what lay between. The
   * reader then knows that it has missed events, and which.
   */
  readonly firstSeq: number
  /** Highest seq covered, also when its frame was skipped. The next read starts after it. */
  readonly lastSeq: number
  /** Frames in `bytes`. */
  readonly count: number
}

/** An entry with its bytes. */
export interface LogRecord {
  readonly entry: IndexEntry
  /** The frame, checked against its CRC; empty when the entry is purged. */
  readonly frame: Uint8Array
}

/** The log's state in numbers, for metrics and the operator. */
export interface LogStats {
  readonly segments: number
  /** On disk, frames and indexes together. */
  readonly bytes: number
  readonly firstSeq: number
  readonly durableSeq: number
  readonly publishedSeq: number
  /** Time of the oldest and newest event; null when the log is empty. */
  readonly firstTimeMs: number | null
  readonly lastTimeMs: number | null
  /** How long the last batch took to write and make durable; 0 before the first. */
  readonly lastFlushMs: number
  /** Memory that the tail holds. */
  readonly tailBytes: number
  readonly hiddenDids: number
  /** Hides that were turned into purges because `hiddenDidsMax` was reached. */
  readonly hidesOverflowed: number
  readonly purgesPending: number
  readonly openSegments: number
  /** True after a write failure: the log can be read but takes nothing more. */
  readonly failed: boolean
}
