/** What a repository host may be told, and the types of its calls. */
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { LogSettings } from '../log/log-limits.ts'
import type { HostObserver } from './host-observer.ts'
import type { HostedHead } from './host-view.ts'

/** Largest blob, bytes: what large posts with video of the network take. */
export const BLOB_BYTES_MAX: number = 50 * 1024 * 1024
/**
 * How long an upload waits for a record to refer to it, ms. (Blob specification: at least an hour,
 * better several.)
 */
export const BLOB_GRACE_MS: number = 6 * 60 * 60_000
/**
 * Most blobs of an account that no record refers to: ten times what a client uploads for the posts
 * of a long thread before it writes them. Blobs that a moved repository refers to do not count.
 */
export const UNREFERENCED_BLOBS_MAX = 1_000
/** Bytes of them: ten of the largest. */
export const UNREFERENCED_BLOB_BYTES_MAX: number = 10 * BLOB_BYTES_MAX
/** Most uploads of one account at once: a client that moves an account sends some in parallel. */
export const UPLOADS_PER_ACCOUNT_MAX = 32
/**
 * What blobs leave free on the disk, bytes: the write-ahead log of the database at its largest, so
 * that uploads alone never keep records from being written and garbage from being removed.
 */
export const DISK_RESERVE_BYTES: number = 64 * 1024 * 1024
/** Most exports at once: each holds a connection with its page cache, 16 MiB. */
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
  /** Default {@link UNREFERENCED_BLOBS_MAX}. */
  readonly unreferencedBlobsMax?: number
  /**
   * Default {@link UNREFERENCED_BLOB_BYTES_MAX}. A larger blob is taken only where a record refers
   * to it already.
   */
  readonly unreferencedBlobBytesMax?: number
  /** Default {@link UPLOADS_PER_ACCOUNT_MAX}. */
  readonly uploadsPerAccountMax?: number
  /** Default {@link DISK_RESERVE_BYTES}. */
  readonly diskReserveBytes?: number
  /** Default {@link EXPORTS_MAX}. */
  readonly exportsMax?: number
  /** Told what calls come to, for metrics. */
  readonly observer?: HostObserver
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
