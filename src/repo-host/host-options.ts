/** What a repository host may be told, and the types of its calls. */
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { LogSettings } from '../log/log-limits.ts'
import type { HostedHead } from './host-view.ts'

/** Largest blob, bytes: what large posts with video of the network take. */
export const BLOB_BYTES_MAX: number = 50 * 1024 * 1024
/**
 * How long an upload waits for a record to refer to it, ms. (Blob specification: at least an hour,
 * better several.)
 */
export const BLOB_GRACE_MS: number = 6 * 60 * 60_000
/** Most exports at once: each holds a connection with its page cache, 24 MiB. */
export const EXPORTS_MAX = 8
export interface RepoHostOptions {
  /** Data directory, made when missing; null for a temporary one that goes with the host. */
  readonly directory: string | null
  readonly clock: Clock
  /** Draws the clock identifier of revs, unless `clockId` says it. */
  readonly random?: Random
  /** 0 to 1,023: tells the revs of this host from those of others. */
  readonly clockId?: number
  /** Bounds of the event log; see log/log-limits.ts. */
  readonly log?: Partial<LogSettings>
  /** Default {@link BLOB_BYTES_MAX}. */
  readonly blobBytesMax?: number
  /** Default {@link BLOB_GRACE_MS}. */
  readonly blobGraceMs?: number
  /** Default {@link EXPORTS_MAX}. */
  readonly exportsMax?: number
  /** Called once when log or state cannot be written any more; all writes are refused then. */
  readonly onFailed?: (error: unknown) => void
}

/** Conditions of a write. */
export interface WriteConditions {
  /** CID (36 bytes) of the commit that must be the newest. */
  readonly swapCommit?: Uint8Array
}

/** Conditions of a write of one record; `swapRecord` null demands that none stands there. */
export interface RecordConditions extends WriteConditions {
  readonly swapRecord?: Uint8Array | null
}

/** A blob that has been uploaded. It is served once a record refers to it. */
export interface UploadedBlob {
  /** 36 bytes. */
  readonly cid: Uint8Array
  readonly mimeType: string
  /** Bytes. */
  readonly size: number
}

/** What came of an import. */
export interface ImportedRepo extends HostedHead {
  readonly records: number
}
