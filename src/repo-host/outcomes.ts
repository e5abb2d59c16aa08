/** What a repository host refuses to do, and what it answers when it does it. */
import type { InvalidReason } from '../lib/reasons.ts'
import type { Result } from '../lib/result.ts'

/** Why a call changed nothing. Where the lexicons know a name, it is that. */
export type HostRefusal =
  /** There is no such account, or it is deleted. */
  | 'RepoNotFound'
  /** The account is not active, or its status does not allow this. */
  | 'RepoInactive'
  /** An import into this repository is running. */
  | 'RepoBusy'
  /** Too much is waiting to be written: try again. */
  | 'HostBusy'
  | 'AccountExists'
  | 'DidInvalid'
  /** It has not the syntax of handles: readers would refuse the `#identity`. */
  | 'HandleInvalid'
  /** The commit or record is not the one that the caller expects. */
  | 'InvalidSwap'
  | 'TooManyWrites'
  | 'PathInvalid'
  /** One call may name a path once. */
  | 'PathRepeated'
  | 'RecordExists'
  | 'RecordNotFound'
  /** The record is not a map that DRISL can encode. */
  | 'RecordInvalid'
  | 'RecordTooLarge'
  /** The record refers to a blob that this account has not uploaded. */
  | 'BlobNotFound'
  | 'BlobTooLarge'
  /** The account has uploaded as much as it may that no record refers to. */
  | 'BlobQuotaExceeded'
  /** The disk has no room for blobs: what is left is for records. */
  | 'StorageFull'
  /** The `#commit` would be larger than the network allows: write less at once. */
  | 'CommitTooLarge'

/** An answer, or a refusal that changed nothing. */
export type HostResult<T> = Result<T, HostRefusal>

/** An import is refused for what a repository may be too. */
export type ImportResult<T> = Result<T, HostRefusal | InvalidReason>

/** A commit as its writer learns of it. */
export interface WrittenCommit {
  /** 36 bytes. */
  readonly cid: Uint8Array
  readonly rev: string
}

/** What came of one write. */
export interface WrittenRecord {
  readonly action: 'create' | 'update' | 'delete'
  readonly path: string
  /** 36 bytes; null for a deletion. */
  readonly cid: Uint8Array | null
}

/** What came of a call that writes. */
export interface WriteAnswer {
  /** Null when nothing was to be changed: no commit is made then, and no event emitted. */
  readonly commit: WrittenCommit | null
  /** In the order of the writes. */
  readonly records: readonly WrittenRecord[]
}
