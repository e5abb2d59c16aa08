/**
 * What a repository host shows of itself to those who serve it. The HTTP layer depends on this
 * interface only, never on the host's parts.
 *
 * Everything but blobs and whole repositories is synchronous, so that two calls in one turn of the
 * event loop speak of the same state. What a caller may get wrong is an outcome, never an
 * exception; exceptions mean that storage failed.
 */
import type { CarBlock } from '../data/car-stream.ts'
import type { LogSource } from '../stream/log-source.ts'

/** Why a repository is not served, by the error names of the lexicons. */
export type RepoRefusal = 'RepoNotFound' | 'RepoTakendown' | 'RepoSuspended' | 'RepoDeactivated'

/** The newest commit of a repository. */
export interface HostedHead {
  /** CID of the commit, 36 bytes. */
  readonly commit: Uint8Array
  /** CID of the root of the tree, 36 bytes. */
  readonly data: Uint8Array
  readonly rev: string
}

/** Why an account is not active. `deleted` is what is left of it. */
export type InactiveStatus = 'takendown' | 'suspended' | 'deactivated' | 'deleted'

/** An account as `com.atproto.sync.getRepoStatus` shows it. */
export interface HostedStatus {
  readonly did: string
  readonly active: boolean
  /** Present when it is not active. */
  readonly status?: InactiveStatus
  /** Present when it is active and has a commit. */
  readonly rev?: string
}

/** A repository as `com.atproto.sync.listRepos` shows it. */
export interface HostedRepo {
  readonly did: string
  /** CID of the newest commit, 36 bytes. */
  readonly head: Uint8Array
  readonly rev: string
  readonly active: boolean
  /** Present when it is not active. */
  readonly status?: InactiveStatus
}

/** A page of a listing. `cursor` is absent on the last page. */
export interface HostPage<T> {
  readonly items: readonly T[]
  readonly cursor?: string
}

/** Where a page of blobs begins and what it holds. */
export interface BlobQuery {
  /** 1 or more; the caller bounds it. */
  readonly limit: number
  /** Opaque; null asks for the first page. */
  readonly cursor: string | null
  /**
   * A rev: only blobs that a record written after it refers to. Null: all that are referred to.
   */
  readonly since: string | null
}

/** A stored blob. */
export interface HostedBlob {
  /** Bytes. */
  readonly size: number
  /** As stored at the upload; `application/octet-stream` when nothing was said. */
  readonly mimeType: string
  /**
   * The bytes from `start` up to and without `end`, in pieces of at most 64 KiB. Nothing is opened
   * before the first piece is asked for; leaving the loop closes the file. Rejects with
   * STORE_FAILED when the blob has gone in the meantime.
   *
   * @param start 0 to `end`.
   * @param end Up to `size`.
   */
  read(start: number, end: number): AsyncIterable<Uint8Array>
}

/** The answer to `com.atproto.sync.getBlocks`. */
export type HostedBlocks =
  /** In the order asked for, each CID once. */
  | { readonly kind: 'found'; readonly blocks: readonly CarBlock[] }
  /** The CIDs that this repository does not hold now. */
  | { readonly kind: 'missing'; readonly cids: readonly Uint8Array[] }
  /** Together they are larger than one answer may be. */
  | { readonly kind: 'too-large'; readonly bytesMax: number }

/** Proof of what stands at a path; pass `blocks` to `encodeCar` with `root`. */
export interface HostedProof {
  /** CID of the commit, 36 bytes. */
  readonly root: Uint8Array
  /** Whether a record stands there. If not, the blocks prove that. */
  readonly present: boolean
  /** Commit first, nodes from the root down, the record last if there is one. */
  readonly blocks: readonly CarBlock[]
}

/** A whole repository, or what is new in it, as a CAR that is being written. */
export interface RepoExport {
  /** CID of the commit, 36 bytes: the root of the CAR. */
  readonly root: Uint8Array
  readonly rev: string
  /**
   * The bytes of the CAR, header included, in pieces of about 64 KiB that the reader may keep. To
   * be iterated once. Nothing is read ahead, and the loop may be left at any point. The state is
   * the one of when {@link HostView.repoCar} was called, whatever is written meanwhile. Rejects
   * with REPO_UNAVAILABLE when the account stops being served before the end, or turns to another
   * repository.
   */
  readonly chunks: AsyncIterable<Uint8Array>
  /**
   * Gives the snapshot back. Must be called if `chunks` is never iterated or not to its end;
   * afterwards it ends. Calling it again does nothing. While a snapshot is held, the database
   * cannot shrink its write-ahead log: callers drop readers that stand still.
   */
  close(): void
}

export interface HostView {
  /**
   * Whether the repository is served. An account has one status at a time. Deleted accounts are not
   * found, nor are active ones without a commit: there is nothing to serve.
   */
  availability(did: string): 'active' | RepoRefusal
  /** Status of an account, whether served or not; null when it never was here. */
  status(did: string): HostedStatus | null
  /** Null when there is no commit. Does not look at availability, as all that follows. */
  latestCommit(did: string): HostedHead | null
  /**
   * Repositories that have a commit, inactive ones included, deleted ones not; in order of
   * creation, which never changes. `invalid-cursor` when the cursor is not one of ours.
   *
   * @param limit 1 or more; the caller bounds it.
   * @param cursor Opaque; null asks for the first page.
   */
  listRepos(limit: number, cursor: string | null): HostPage<HostedRepo> | 'invalid-cursor'
  /**
   * CIDs (36 bytes) of stored blobs that records refer to, in order of their bytes.
   */
  listBlobs(did: string, query: BlobQuery): HostPage<Uint8Array> | 'invalid-cursor'
  /** A blob that a record of this repository refers to; null when there is none. */
  blob(did: string, cid: Uint8Array): HostedBlob | null
  /** Blocks of the newest commit's repository: commit, nodes, records; nothing older. */
  blocks(did: string, cids: readonly Uint8Array[]): HostedBlocks
  /**
   * Proof of what stands at a path, as of the newest commit; null when there is no commit.
   *
   * @param path `collection/rkey`, valid (asserted).
   */
  recordProof(did: string, path: string): HostedProof | null
  /**
   * Opens an export of the newest commit: null when there is none, `busy` when as many exports run
   * as may.
   *
   * The whole repository comes in streamable order: commit, then each node before what hangs below
   * it, each record at its place. With `since`, in the same order, only what a reader lacks who
   * holds the repository as of that rev: every block that was not part of it then, records that
   * came back or moved included. A rev that this host does not know stands for the newest known one
   * before it; with one before all of them the CAR is that of the whole repository, with the newest
   * rev or a later one it holds the commit alone.
   */
  repoCar(did: string, since: string | null): RepoExport | 'busy' | null
  /** The host's events, for a Broadcaster. */
  readonly log: LogSource
  /** Whether log and state can be written, as far as the last write has shown. */
  health(): { readonly ok: boolean; readonly detail?: string }
}
