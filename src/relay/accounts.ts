/**
 * The accounts as the newest verified event leaves them. Rows that the log does not hold durably
 * yet are pinned here; the rest is a cache over the store.
 */
import { createEntryCache } from '../lib/entry-cache.ts'
import type { AccountRow, RelayStore } from '../store/relay-store.ts'

/** Accounts kept in memory: about 100 MiB. */
const ACCOUNTS_CACHED_MAX = 200_000

/** Reads and replaces account rows. Not aware of events: who calls decides what a row says. */
export class Accounts {
  readonly #store: RelayStore
  readonly #cache: ReturnType<typeof createEntryCache<string, AccountRow>>
  /** Rows ahead of the store, each with how many batches still carry it. */
  readonly #pinned = new Map<string, { row: AccountRow; batches: number }>()
  readonly #activeByHost: Map<number, number>
  readonly #allByHost: Map<number, number>
  #lastId: number
  #active: number
  #inactive: number

  /** @param cachedMax Rows that are kept in memory though the store has them. */
  constructor(store: RelayStore, cachedMax: number = ACCOUNTS_CACHED_MAX) {
    this.#store = store
    this.#cache = createEntryCache(cachedMax)
    this.#activeByHost = store.activeAccounts()
    this.#allByHost = store.allAccounts()
    this.#lastId = store.lastAccountId()
    const { active, inactive } = store.accountCounts()
    this.#active = active
    this.#inactive = inactive
  }

  get(did: string): AccountRow | null {
    const pinned = this.#pinned.get(did)
    if (pinned !== undefined) return pinned.row
    const cached = this.#cache.get(did)
    if (cached !== undefined) return cached
    const stored = this.#store.account(did)
    if (stored !== null) this.#cache.set(did, stored)
    return stored
  }

  /** A row for an account that is not known yet. It is not kept until it is put. */
  fresh(did: string, hostId: number): AccountRow {
    return {
      id: this.#lastId + 1,
      did,
      hostId,
      active: true,
      status: null,
      takendown: false,
      inactiveSeq: null,
      rev: null,
      commit: null,
      data: null,
    }
  }

  /** Makes `row` the account's state. It stays pinned until `release`. */
  put(row: AccountRow): void {
    this.#count(this.get(row.did), row)
    this.#lastId = Math.max(this.#lastId, row.id)
    const pinned = this.#pinned.get(row.did)
    this.#pinned.set(row.did, { row, batches: (pinned?.batches ?? 0) + 1 })
    this.#cache.delete(row.did)
  }

  /** Replaces a row that is pinned already, within the same batch. */
  replace(row: AccountRow): void {
    this.put(row)
    this.release(row.did)
  }

  /** Tells that the store has taken over one `put` of the account. */
  release(did: string): void {
    const pinned = this.#pinned.get(did)
    if (pinned === undefined) return
    pinned.batches--
    if (pinned.batches > 0) return
    this.#pinned.delete(did)
    this.#cache.set(did, pinned.row)
  }

  /** Accounts of a host that are active there: what its limit counts. */
  activeOf(hostId: number): number {
    return this.#activeByHost.get(hostId) ?? 0
  }

  /** Accounts of a host, active or not. */
  allOf(hostId: number): number {
    return this.#allByHost.get(hostId) ?? 0
  }

  /** How many accounts are served and how many are not. */
  counts(): { readonly active: number; readonly inactive: number } {
    return { active: this.#active, inactive: this.#inactive }
  }

  #count(before: AccountRow | null, after: AccountRow): void {
    if (before !== null) this.#tally(before, -1)
    this.#tally(after, 1)
  }

  #tally(row: AccountRow, by: 1 | -1): void {
    this.#allByHost.set(row.hostId, (this.#allByHost.get(row.hostId) ?? 0) + by)
    if (row.active) {
      this.#activeByHost.set(row.hostId, (this.#activeByHost.get(row.hostId) ?? 0) + by)
    }
    if (row.active && !row.takendown) this.#active += by
    else this.#inactive += by
  }
}
