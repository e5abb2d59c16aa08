/** State of repositories at hand: what was read of the store, and what is not yet written to it. */
import { createEntryCache } from '../../lib/entry-cache.ts'
import type {
  ConsumerStore,
  QuarantineRow,
  RepoRow,
  StoreChanges,
  StoredCursor,
} from '../../store/consumer-state.ts'
import { isPromise, type MaybePromise } from './maybe-promise.ts'
import { unknownRepo } from './repo-states.ts'

/** What is written together. */
class Changes implements StoreChanges {
  readonly forgotten = new Set<string>()
  readonly records = new Map<string, Map<string, Uint8Array | null>>()
  readonly rows = new Map<string, RepoRow>()
  readonly messages = new Map<number, QuarantineRow>()
  readonly released = new Set<number>()
  readonly forgottenCursors = new Set<string>()
  cursors: readonly StoredCursor[] = []

  get repos(): Iterable<RepoRow> {
    return this.rows.values()
  }

  get quarantined(): Iterable<QuarantineRow> {
    return this.messages.values()
  }

  get isEmpty(): boolean {
    const { forgotten, records, rows, messages, released, forgottenCursors, cursors } = this
    const sizes = [forgotten, records, rows, messages, released, forgottenCursors]
    return cursors.length === 0 && sizes.every(({ size }) => size === 0)
  }
}

/**
 * Rows are read through a bounded cache; those that have changed are kept until they are written.
 * Records and quarantine are only written here: who reads them has everything written first.
 */
export class RepoMemory {
  readonly #store: Pick<ConsumerStore, 'repo'>
  readonly #cache: ReturnType<typeof createEntryCache<string, RepoRow>>
  #changes = new Changes()
  /** What the store is being given. */
  #leaving: Changes | null = null

  constructor(store: Pick<ConsumerStore, 'repo'>, cachedReposMax: number) {
    this.#store = store
    this.#cache = createEntryCache(cachedReposMax)
  }

  /** A repository; one of which nothing is known when there is none. */
  get(did: string): MaybePromise<RepoRow> {
    const known = this.#known(did)
    if (known !== undefined) return known
    const found = this.#store.repo(did)
    return isPromise(found) ? found.then((row) => this.#read(did, row)) : this.#read(did, found)
  }

  put(row: RepoRow): void {
    this.#cache.set(row.did, row)
    this.#changes.rows.set(row.did, row)
  }

  /** Changes what is known now, which may be other than what was known before a wait. */
  update(did: string, change: (row: RepoRow) => RepoRow): MaybePromise<void> {
    const row = this.get(did)
    if (isPromise(row)) return row.then((later) => this.put(change(later)))
    this.put(change(row))
  }

  /** What stands at a path now: null for nothing. */
  setRecord(did: string, path: string, cid: Uint8Array | null): void {
    let records = this.#changes.records.get(did)
    if (records === undefined) {
      records = new Map()
      this.#changes.records.set(did, records)
    }
    records.set(path, cid)
  }

  /** Nothing is kept of a repository; a row that is put later begins anew. */
  forget(did: string): void {
    const { forgotten, records, rows, messages } = this.#changes
    forgotten.add(did)
    records.delete(did)
    rows.delete(did)
    for (const { id, did: of } of messages.values()) if (of === did) messages.delete(id)
    this.#cache.set(did, unknownRepo(did))
  }

  setMessage(message: QuarantineRow): void {
    this.#changes.messages.set(message.id, message)
  }

  releaseMessage(id: number): void {
    this.#changes.messages.delete(id)
    this.#changes.released.add(id)
  }

  forgetCursor(service: string): void {
    this.#changes.forgottenCursors.add(service)
  }

  /** What is to be written now; null when there is nothing. To be followed by `settled`. */
  take(cursors: readonly StoredCursor[]): StoreChanges | null {
    this.#changes.cursors = cursors
    if (this.#changes.isEmpty) return null
    this.#leaving = this.#changes
    this.#changes = new Changes()
    return this.#leaving
  }

  /** The store has what was taken. */
  settled(): void {
    this.#leaving = null
  }

  #known(did: string): RepoRow | undefined {
    const changed = this.#changes.rows.get(did)
    if (changed !== undefined) return changed
    if (this.#changes.forgotten.has(did)) return unknownRepo(did)
    return this.#leaving?.rows.get(did) ?? this.#cache.get(did)
  }

  /** The row may have been changed while it was read. */
  #read(did: string, found: RepoRow | null): RepoRow {
    const known = this.#known(did)
    if (known !== undefined) return known
    const row = found ?? unknownRepo(did)
    this.#cache.set(did, row)
    return row
  }
}
