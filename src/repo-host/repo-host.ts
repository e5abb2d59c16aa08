/** A repository host: the PDS side of `com.atproto.sync`, as a library. */
import type { PrivateKey } from '../crypto/private-key.ts'
import { must } from '../lib/assert.ts'
import { messageOf } from '../lib/errors.ts'
import { systemRandom } from '../lib/random.ts'
import { fail, ok } from '../lib/result.ts'
import type { EventLog } from '../log/event-log.ts'
import type { HostedAccountStatus } from '../store/repo-store.ts'
import { isDid } from '../syntax/did.ts'
import { nextTid, type Tid, TID_CLOCK_ID_MAX } from '../syntax/tid.ts'
import {
  createAccount,
  gateReplay,
  type NewAccount,
  rotateKey,
  setStatus,
  updateHandle,
} from './account-jobs.ts'
import { adoptRepo } from './adopt-repo.ts'
import { type Collected, GarbageCollector } from './garbage.ts'
import {
  BLOB_GRACE_MS,
  type ImportedRepo,
  type RecordConditions,
  type RepoHostOptions,
  type UploadedBlob,
  type WriteConditions,
} from './host-options.ts'
import { type HostLoad, type HostObserver, observed } from './host-observer.ts'
import { headOf, HostReads } from './host-reads.ts'
import type {
  BlobQuery,
  HostedBlob,
  HostedBlocks,
  HostedHead,
  HostedProof,
  HostedRepo,
  HostedStatus,
  HostPage,
  HostView,
  RepoExport,
  RepoRefusal,
} from './host-view.ts'
import { type ImportOptions, stageRepo } from './import-repo.ts'
import { type OpenHost, openHost } from './open-host.ts'
import type { HostResult, ImportResult, WriteAnswer } from './outcomes.ts'
import {
  type PreparedWrite,
  preparePath,
  prepareWrites,
  type RecordBody,
  type RepoWrite,
} from './record-writes.ts'
import { exportRepo } from './repo-export.ts'
import type { Turn } from './turn.ts'
import { Uploader } from './upload-blob.ts'
import { WriteQueue } from './write-queue.ts'
import { writeRecords } from './write-records.ts'

/** What a job holds besides records, bytes, roughly. */
const JOB_BYTES = 512

/**
 * Repositories by DID, with their log of events. Owns the data directory.
 *
 * ```ts
 * await using host = await RepoHost.open({ directory: null, clock: systemClock })
 * await host.createAccount({ did, key, handle: 'a.example' })
 * await host.putRecord(did, 'org.example.note/1', { record: { text: 'hello' } })
 * ```
 *
 * Calls that write resolve when the change is durable and its events are published; calls for one
 * account take effect in the order in which they were made. What a caller may get wrong is a
 * refusal that changed nothing. Errors: STOPPED; STORE_FAILED (nothing happened); LOG_WRITE_FAILED
 * (it happened, and its events go out after the next start).
 *
 * It resolves no identities: who changes handle or key changes the DID document first.
 */
export class RepoHost implements HostView, AsyncDisposable {
  readonly #open: OpenHost
  readonly #queue: WriteQueue
  readonly #reads: HostReads
  readonly #garbage: GarbageCollector
  readonly #uploader: Uploader
  readonly #options: RepoHostOptions
  readonly #observer: HostObserver
  readonly #clockId: number
  /** DIDs of accounts with an import on its way. */
  readonly #importing = new Set<string>()
  #closing: Promise<void> | null = null

  private constructor(options: RepoHostOptions, open: OpenHost) {
    const { clock, random = systemRandom } = options
    const { state, files, log } = open
    this.#open = open
    this.#options = options
    this.#observer = options.observer ?? {}
    this.#clockId = options.clockId ?? Math.floor(random.next() * (TID_CLOCK_ID_MAX + 1))
    this.#reads = new HostReads(state, files)
    const garbage = new GarbageCollector(state, files, clock, this.#observer)
    this.#garbage = garbage
    const onStray = (): void => garbage.expectStrays()
    this.#uploader = new Uploader({ state, files, onStray }, clock, options)
    this.#queue = new WriteQueue({
      state,
      log,
      clock,
      clockId: this.#clockId,
      onFailed: options.onFailed ?? (() => undefined),
    })
  }

  /**
   * Opens a host. Events that a crash kept from the log are in it when this resolves.
   *
   * @throws SkeinError DATA_DIRECTORY_LOCKED and others of EventLog.open; STORE_FAILED,
   *   STORE_TOO_NEW; LOG_DAMAGED when log and state are not of one backup.
   */
  static async open(options: RepoHostOptions): Promise<RepoHost> {
    const open = await openHost(options)
    try {
      const host = new RepoHost(options, open)
      await host.#queue.catchUpLog()
      const { store } = open.state
      for (const account of store.inactiveSince(open.log.firstSeq)) gateReplay(open.log, account)
      store.transaction(() => store.abandonImports())
      return host
    } catch (error) {
      await open.close()
      throw error
    }
  }

  /** The events of this host, for a Broadcaster. */
  get log(): EventLog {
    return this.#open.log
  }

  /** Where its data is. */
  get directory(): string {
    return this.#open.directory
  }

  health(): { readonly ok: boolean; readonly detail?: string } {
    const { trouble } = this.#queue
    return trouble === null ? { ok: true } : { ok: false, detail: messageOf(trouble) }
  }

  // ---- Accounts

  /**
   * Creates an account; active ones begin with a commit without records. One that moves here is
   * created `deactivated`, given its repository and blobs, then activated.
   *
   * Events, when active: `#identity`, `#account`, `#commit`, `#sync`. Refusals: AccountExists,
   * DidInvalid, HandleInvalid; RepoBusy while an import for an account that was deleted goes on.
   */
  async createAccount(account: {
    readonly did: string
    readonly key: PrivateKey
    readonly handle?: string
    readonly status?: 'active' | 'deactivated'
  }): Promise<HostResult<HostedHead | null>> {
    const { did, key, handle = null, status = 'active' } = account
    if (!isDid(did)) return fail('DidInvalid', did.slice(0, 128))
    const added: NewAccount = { did, key, handle, status }
    const created = await this.#exclusive(did, JOB_BYTES, (turn) => createAccount(turn, added))
    return created.ok ? ok(headOf(created.value)) : created
  }

  /**
   * Sets the status of an account, whatever it was. What is not active is neither written nor
   * served, nor replayed; what is deleted is gone: repository, blobs, key and replay.
   *
   * Events: `#account`; when it becomes active `#identity`, `#account`, `#sync` (with the first
   * `#commit` before it, if there is none yet). None when nothing changes, and none but those of
   * activation for an account that has never been active here. Refusals: RepoNotFound; RepoBusy
   * when it is to become active during an import.
   */
  async setStatus(did: string, status: HostedAccountStatus): Promise<HostResult<null>> {
    const { log } = this.#open
    const change = { did, status }
    const run = (turn: Turn) => setStatus(turn, change, log)
    const set = await (status === 'active'
      ? this.#exclusive(did, JOB_BYTES, run)
      : this.#submit(JOB_BYTES, run))
    if (!set.ok) return set
    if (status === 'deleted') this.#collectSoon()
    return ok(null)
  }

  /** Sets the handle. Event: `#identity`. Refusals: RepoNotFound, HandleInvalid. */
  async updateHandle(did: string, handle: string | null): Promise<HostResult<null>> {
    const set = await this.#submit(JOB_BYTES, (turn) => updateHandle(turn, did, handle))
    return set.ok ? ok(null) : set
  }

  /**
   * Has commits signed with another key, beginning with one of the same tree. To be called when the
   * DID document names the new key. Events, when active: `#identity`, `#commit`, `#sync`. Refusals:
   * RepoNotFound, RepoBusy.
   */
  async rotateKey(did: string, key: PrivateKey): Promise<HostResult<HostedHead | null>> {
    const rotated = await this.#exclusive(did, JOB_BYTES, (turn) => rotateKey(turn, did, key))
    return rotated.ok ? ok(headOf(rotated.value)) : rotated
  }

  // ---- Records

  /**
   * Applies up to 200 writes on distinct paths as one commit, all or none. A write that leaves a
   * record as it is counts for nothing; when no write is left, no commit is made. Event: `#commit`.
   * Refusals: see outcomes.ts.
   */
  async applyWrites(
    did: string,
    writes: readonly RepoWrite[],
    conditions: WriteConditions = {},
  ): Promise<HostResult<WriteAnswer>> {
    return this.#write(did, prepareWrites(writes), conditions)
  }

  /** Creates or replaces a record. One that is the same already stays, without a commit. */
  async putRecord(
    did: string,
    path: string,
    body: RecordBody,
    conditions: RecordConditions = {},
  ): Promise<HostResult<WriteAnswer>> {
    return this.#write(did, one(preparePath('put', path, body, conditions.swapRecord)), conditions)
  }

  /** Deletes a record, if there is one. */
  async deleteRecord(
    did: string,
    path: string,
    conditions: RecordConditions = {},
  ): Promise<HostResult<WriteAnswer>> {
    const prepared = preparePath('remove', path, null, conditions.swapRecord)
    return this.#write(did, one(prepared), conditions)
  }

  #write(
    did: string,
    prepared: HostResult<readonly PreparedWrite[]>,
    { swapCommit = null }: { readonly swapCommit?: Uint8Array | null },
  ): Promise<HostResult<WriteAnswer>> {
    const submit = (writes: readonly PreparedWrite[]): Promise<HostResult<WriteAnswer>> => {
      let bytes = JOB_BYTES
      for (const { record } of writes) bytes += record?.block.length ?? 0
      const call = { did, writes, swapCommit }
      return this.#exclusive(did, bytes, (turn) => writeRecords(turn, call))
    }
    const answer = prepared.ok ? submit(prepared.value) : Promise.resolve(prepared)
    return observed(this.#observer, 'write', answer, ({ commit }) => ({
      outcome: commit === null ? 'unchanged' : 'committed',
    }))
  }

  /** A job that waits for no import: it is refused during one. */
  #exclusive<T>(
    did: string,
    bytes: number,
    run: (turn: Turn) => HostResult<T>,
  ): Promise<HostResult<T>> {
    return this.#submit(bytes, (turn) =>
      this.#importing.has(did) ? fail('RepoBusy', `${did} is being imported`) : run(turn),
    )
  }

  #submit<T>(bytes: number, run: (turn: Turn) => HostResult<T>): Promise<HostResult<T>> {
    if (!this.#queue.hasRoom(bytes)) {
      return Promise.resolve(fail('HostBusy', 'too many writes are waiting'))
    }
    return this.#queue.submit(bytes, run)
  }

  // ---- Moving, blobs

  /**
   * Replaces the repository of an account by one that comes as a CAR, blocks in any order. Every
   * rule is checked before anything changes; records and tree are taken over as they are, under a
   * new commit of this host. Blobs that records refer to may come later: see {@link missingBlobs}.
   *
   * Memory is bounded; a source that never ends is for the caller to end. Event, when active:
   * `#sync`. Refusals: RepoNotFound, RepoBusy, and the reasons of invalid repositories.
   *
   * @throws What `source` throws.
   */
  importRepo(
    did: string,
    source: AsyncIterable<Uint8Array>,
    options: ImportOptions = {},
  ): Promise<ImportResult<ImportedRepo>> {
    const answer = this.#import(did, source, options)
    return observed(this.#observer, 'import', answer, () => ({ outcome: 'imported' }))
  }

  async #import(
    did: string,
    source: AsyncIterable<Uint8Array>,
    options: ImportOptions,
  ): Promise<ImportResult<ImportedRepo>> {
    const { state } = this.#open
    const { clock } = this.#options
    const account = state.store.account(did)
    if (account === null || account.status === 'deleted') return fail('RepoNotFound', did)
    if (this.#importing.has(did)) return fail('RepoBusy', `${did} is being imported`)
    this.#importing.add(did)
    try {
      const revAfter = (imported: string): string => {
        const own = state.store.account(did)?.rev ?? ''
        return nextTid((own > imported ? own : imported) as Tid, clock, this.#clockId)
      }
      const staged = await stageRepo({ state, clock, did, revAfter }, source, options)
      if (!staged.ok) return staged
      const { records } = staged.value
      const adopted = await this.#queue.submit(JOB_BYTES, (turn) =>
        adoptRepo(turn, did, staged.value),
      )
      return adopted.ok ? ok({ ...must(headOf(adopted.value), 'head'), records }) : adopted
    } finally {
      this.#importing.delete(did)
      this.#collectSoon()
    }
  }

  /**
   * Stores a blob. Until a record refers to it, it is neither served nor listed, and goes after a
   * grace. Refusals: RepoNotFound; RepoInactive for accounts that are taken down or suspended;
   * BlobTooLarge; BlobQuotaExceeded when too much waits for a record, until records refer to it or
   * its grace is over; HostBusy when too many uploads of the account are under way; StorageFull.
   *
   * @param mimeType As the uploader says it; kept, if it can stand in a header.
   * @throws What `source` throws.
   */
  uploadBlob(
    did: string,
    source: AsyncIterable<Uint8Array>,
    mimeType: string,
  ): Promise<HostResult<UploadedBlob>> {
    const answer = this.#uploader.upload(did, source, mimeType)
    return observed(this.#observer, 'upload', answer, ({ size }) => ({
      outcome: 'stored',
      bytes: size,
    }))
  }

  /** CIDs (36 bytes) that records refer to and that have not been uploaded, in order. */
  missingBlobs(did: string, limit: number, cursor: Uint8Array | null = null): Uint8Array[] {
    const { store, blobs } = this.#open.state
    const account = store.account(did)
    if (account === null || account.repoId === null) return []
    return blobs.missing(account.id, account.repoId, cursor ?? new Uint8Array(0), limit)
  }

  // ---- Upkeep

  /**
   * Removes blobs that no record has referred to for the grace, what deleted and replaced
   * repositories have left, and at the first call what a crash has. To be called from time to time.
   */
  collectGarbage(nowMs: number = this.#options.clock.nowMs()): Promise<Collected> {
    return this.#garbage.collect(nowMs - (this.#options.blobGraceMs ?? BLOB_GRACE_MS))
  }

  /** How busy the host is at the moment. */
  load(): HostLoad {
    return { exports: this.#open.snapshots.size, waitingCalls: this.#queue.length }
  }

  /** What it does not get done is done by the next collection. */
  #collectSoon(): void {
    if (this.#closing === null) this.collectGarbage().catch(() => undefined)
  }

  /** Finishes what has been called, closes everything, gives the directory back. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#queue.stop()
    await this.#garbage.stop()
    await this.#open.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // ---- HostView: see there

  availability(did: string): 'active' | RepoRefusal {
    return this.#reads.availability(did)
  }

  status(did: string): HostedStatus | null {
    return this.#reads.status(did)
  }

  latestCommit(did: string): HostedHead | null {
    return this.#reads.latestCommit(did)
  }

  listRepos(limit: number, cursor: string | null): HostPage<HostedRepo> | 'invalid-cursor' {
    return this.#reads.listRepos(limit, cursor)
  }

  listBlobs(did: string, query: BlobQuery): HostPage<Uint8Array> | 'invalid-cursor' {
    return this.#reads.listBlobs(did, query)
  }

  blob(did: string, cid: Uint8Array): HostedBlob | null {
    return this.#reads.blob(did, cid)
  }

  blocks(did: string, cids: readonly Uint8Array[]): HostedBlocks {
    return this.#reads.blocks(did, cids)
  }

  recordProof(did: string, path: string): HostedProof | null {
    return this.#reads.recordProof(did, path)
  }

  repoCar(did: string, since: string | null): RepoExport | 'busy' | null {
    const { state, snapshots } = this.#open
    const account = state.store.account(did)
    const head = account === null ? null : headOf(account)
    if (account === null || head === null || account.repoId === null) return null
    const snapshot = snapshots.open(account.repoId)
    if (snapshot === null) return 'busy'
    const { status, repoId } = account
    const isServed = (): boolean => {
      const now = state.store.account(did)
      // One that was deleted and has come back has another repository.
      return now?.status === status && now.repoId === repoId
    }
    return exportRepo({ snapshot, head, since, isServed, clock: this.#options.clock })
  }
}

function one(write: HostResult<PreparedWrite>): HostResult<readonly PreparedWrite[]> {
  return write.ok ? ok([write.value]) : write
}
