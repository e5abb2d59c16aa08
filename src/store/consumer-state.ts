/**
 * What a consumer remembers, and what keeps it: heads of repositories, what was delivered of them,
 * marks on those that must be fetched, cursors, quarantine. ./consumer-store.ts keeps it in SQLite,
 * ../client has a store in memory. Types only, so that both may know them.
 */
import type { DiscontinuousReason, UnverifiableReason } from '../lib/reasons.ts'

type MaybePromise<T> = T | Promise<T>

/** The newest commit known of a repository. */
export interface RepoHead {
  readonly rev: string
  /** CID of the commit. */
  readonly commit: Uint8Array
  /** CID of the tree; null where only rev and commit are known. */
  readonly data: Uint8Array | null
}

/** How far a service's stream is finished. */
export interface StoredCursor {
  /** Its origin: `https://relay.example`. */
  readonly service: string
  readonly seq: number
  /** Time of the event at `seq` as its maker says, ms since the epoch; null when not known. */
  readonly timeMs: number | null
}

/** Why a repository must be fetched before anything else of it may be delivered. */
export type MarkReason =
  | DiscontinuousReason
  | UnverifiableReason
  /** A `#sync` says that it is at another commit. */
  | 'sync'
  /** It is to be fetched for the first time. */
  | 'backfill'
  /** Its host goes on sending an older state than was delivered. */
  | 'host-behind'
  /** The handler did not take a repair, or more waited in quarantine than is kept. */
  | 'handler-failed'
  | 'quarantine-overflow'

/** Set before the events that it stands for are let go. */
export interface RepoMark {
  readonly reason: MarkReason
  readonly detail: string
  readonly sinceMs: number
  readonly tries: number
  /** Wall time of the next try; null when an event or the application must bring it about. */
  readonly nextTryMs: number | null
}

/** What is known of a repository. */
export interface RepoRow {
  readonly did: string
  /** The newest commit that is finished, or stored in quarantine; null before the first. */
  readonly head: RepoHead | null
  /** Whether all its wanted records are in the index, rather than those seen since some commit. */
  readonly complete: boolean
  /** Null while the account is active; else why it is not (`inactive` when nobody says). */
  readonly inactive: string | null
  readonly mark: RepoMark | null
  /** Messages of it in quarantine. */
  readonly quarantined: number
}

/** A record that was delivered and is there. */
export interface IndexedRecord {
  readonly path: string
  /** 36 bytes. */
  readonly cid: Uint8Array
}

/** A message in quarantine. `seq` and `service` are null for a repair. */
export interface QuarantineRow {
  /** Rises in the order in which messages came; given by the consumer. */
  readonly id: number
  readonly did: string
  readonly service: string | null
  readonly seq: number | null
  readonly frame: Uint8Array | null
  readonly verdict: 'verified' | 'unverified'
  readonly error: string | null
  readonly tries: number
  readonly sinceMs: number
}

/** What changes together. To be applied in the order of the fields, all or nothing. */
export interface StoreChanges {
  /** Repositories of which nothing is kept, index and quarantine included. */
  readonly forgotten: Iterable<string>
  /** By DID, then path: the CID of what is there now, null for nothing. */
  readonly records: Iterable<readonly [string, ReadonlyMap<string, Uint8Array | null>]>
  readonly repos: Iterable<RepoRow>
  readonly quarantined: Iterable<QuarantineRow>
  /** By id. */
  readonly released: Iterable<number>
  readonly forgottenCursors: Iterable<string>
  /** In the order in which their services were used: the last one is the newest. */
  readonly cursors: Iterable<StoredCursor>
}

/**
 * Where a consumer's state is kept. What `apply` was given is seen by every later call, and durable
 * when it has returned or resolved: each call may answer at once or by a promise. `apply` is never
 * called while another is under way; reads may be. For one consumer only. What it throws stops the
 * consumer.
 */
export interface ConsumerStore {
  repo(did: string): MaybePromise<RepoRow | null>
  /** Marked repositories whose next try is not after `nowMs`, the longest due first. */
  due(nowMs: number, limit: number): MaybePromise<readonly RepoRow[]>
  /** Records delivered, from after `path` on, in the order of their paths. */
  records(did: string, after: string, limit: number): MaybePromise<readonly IndexedRecord[]>
  /** Messages with an id over `after`, in order; of one repository when `did` is given. */
  quarantine(
    did: string | null,
    after: number,
    limit: number,
  ): MaybePromise<readonly QuarantineRow[]>
  /** One a service, the newest first. */
  cursors(): MaybePromise<readonly StoredCursor[]>
  apply(changes: StoreChanges): MaybePromise<void>
}
