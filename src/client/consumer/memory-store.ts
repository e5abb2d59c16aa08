/** A consumer's state in memory: for processes that may begin anew. */
import type {
  ConsumerStore,
  IndexedRecord,
  QuarantineRow,
  RepoRow,
  StoreChanges,
  StoredCursor,
} from '../../store/consumer-state.ts'
import { OrderedRecords } from './ordered-records.ts'

export interface MemoryStoreOptions {
  /** Repositories kept; default 1,000,000. */
  readonly reposMax?: number
  /** Records kept over all repositories; default 2,000,000, some 300 bytes each. */
  readonly recordsMax?: number
}

interface Kept {
  row: RepoRow
  readonly records: OrderedRecords
}

/**
 * What it holds ends with the process, marks and quarantine too: a process that begins again at a
 * stored cursor knows no heads, so that what was to be repaired is not. Over its limits it forgets
 * the repositories that have been quiet the longest, but for those that wait for something; they
 * are then first seen again.
 */
export class MemoryStore implements ConsumerStore {
  readonly #reposMax: number
  readonly #recordsMax: number
  /** The longest quiet first. */
  readonly #repos = new Map<string, Kept>()
  /** Of these there is a mark. */
  readonly #marked = new Set<string>()
  readonly #quarantine = new Map<number, QuarantineRow>()
  readonly #cursors = new Map<string, StoredCursor>()
  #recordCount = 0

  constructor({ reposMax = 1_000_000, recordsMax = 2_000_000 }: MemoryStoreOptions = {}) {
    this.#reposMax = reposMax
    this.#recordsMax = recordsMax
  }

  repo(did: string): RepoRow | null {
    return this.#repos.get(did)?.row ?? null
  }

  due(nowMs: number, limit: number): readonly RepoRow[] {
    const due: { readonly row: RepoRow; readonly atMs: number }[] = []
    for (const did of this.#marked) {
      const row = this.repo(did)
      const atMs = row?.mark?.nextTryMs ?? null
      if (row !== null && atMs !== null && atMs <= nowMs) due.push({ row, atMs })
    }
    const oldest = due.toSorted((a, b) => a.atMs - b.atMs).slice(0, limit)
    return oldest.map(({ row }) => row)
  }

  records(did: string, after: string, limit: number): readonly IndexedRecord[] {
    return this.#repos.get(did)?.records.page(after, limit) ?? []
  }

  quarantine(did: string | null, after: number, limit: number): readonly QuarantineRow[] {
    const rows: QuarantineRow[] = []
    for (const row of this.#quarantine.values()) {
      if (rows.length === limit) break
      if (row.id > after && (did === null || row.did === did)) rows.push(row)
    }
    return rows
  }

  cursors(): readonly StoredCursor[] {
    return [...this.#cursors.values()].toReversed()
  }

  apply(changes: StoreChanges): void {
    for (const did of changes.forgotten) this.#forget(did)
    for (const [did, records] of changes.records) this.#write(did, records)
    for (const row of changes.repos) this.#put(row)
    for (const row of changes.quarantined) this.#quarantine.set(row.id, row)
    for (const id of changes.released) this.#quarantine.delete(id)
    for (const service of changes.forgottenCursors) this.#cursors.delete(service)
    for (const cursor of changes.cursors) {
      this.#cursors.delete(cursor.service)
      this.#cursors.set(cursor.service, cursor)
    }
    this.#evict()
  }

  #forget(did: string): void {
    this.#recordCount -= this.#repos.get(did)?.records.size ?? 0
    this.#repos.delete(did)
    this.#marked.delete(did)
    for (const { id, did: of } of this.#quarantine.values()) {
      if (of === did) this.#quarantine.delete(id)
    }
  }

  #write(did: string, records: ReadonlyMap<string, Uint8Array | null>): void {
    const kept = this.#repos.get(did)?.records ?? new OrderedRecords()
    const before = kept.size
    for (const [path, cid] of records) {
      if (cid === null) kept.delete(path)
      else kept.set(path, cid)
    }
    this.#recordCount += kept.size - before
    if (!this.#repos.has(did)) {
      const row = { did, head: null, complete: false, inactive: null, mark: null, quarantined: 0 }
      this.#repos.set(did, { row, records: kept })
    }
  }

  #put(row: RepoRow): void {
    const { did } = row
    const records = this.#repos.get(did)?.records ?? new OrderedRecords()
    this.#repos.delete(did)
    this.#repos.set(did, { row, records })
    if (row.mark === null) this.#marked.delete(did)
    else this.#marked.add(did)
  }

  #evict(): void {
    if (this.#repos.size <= this.#reposMax && this.#recordCount <= this.#recordsMax) return
    for (const [did, { row }] of this.#repos) {
      if (this.#repos.size <= this.#reposMax && this.#recordCount <= this.#recordsMax) return
      if (row.mark === null && row.quarantined === 0) this.#forget(did)
    }
  }
}
