/** The keys of the accounts in use: to make one of stored bytes, a point is multiplied. */
import type { LRUCache } from 'lru-cache'
import { PrivateKey } from '../crypto/private-key.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import { must } from '../lib/assert.ts'
import type { RepoStore } from '../store/repo-store.ts'

/** Under 1 KB each. */
const KEYS_MAX = 10_000

/** Signing keys by account id. */
export class SigningKeys {
  readonly #store: RepoStore
  readonly #keys: LRUCache<number, PrivateKey> = createEntryCache(KEYS_MAX)

  constructor(store: RepoStore) {
    this.#store = store
  }

  /** The key of an account that has one. */
  of(accountId: number): PrivateKey {
    const known = this.#keys.get(accountId)
    if (known !== undefined) return known
    const { curve, secret } = must(this.#store.key(accountId), 'key of an account')
    const key = PrivateKey.import(curve, secret)
    this.#keys.set(accountId, key)
    return key
  }

  /** Within a transaction. */
  set(accountId: number, key: PrivateKey): void {
    this.#store.setKey(accountId, { curve: key.curve, secret: key.export() })
    this.#keys.set(accountId, key)
  }

  /** Within a transaction. */
  wipe(accountId: number): void {
    this.#store.setKey(accountId, null)
    this.#keys.delete(accountId)
  }

  /** Forgets what may not have been committed. */
  clear(): void {
    this.#keys.clear()
  }
}
