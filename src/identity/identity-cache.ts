/** What is known about DIDs: identities in memory and on disk, refusals in memory only. */

import { LRUCache } from 'lru-cache'
import { publicKeyFromKept, publicKeysEqual } from '../crypto/public-key.ts'
import type { Clock } from '../lib/clock.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import { parseHostname } from './hostname.ts'
import type { Identity, IdentityStore, StoredIdentity } from './identity.ts'

export interface IdentityCacheLimits {
  /** Estimated memory of the identities, bytes. */
  readonly memoryBytesMax: number
  /** Refusals that are remembered; the one longest unused is forgotten and asked for again. */
  readonly refusalsMax: number
  /** Age up to which an answer counts as current, ms. Changes are announced by `#identity`. */
  readonly freshMs: number
  /** Age up to which it may stand in for a directory that does not answer, ms. */
  readonly usableMs: number
}

export const IDENTITY_CACHE_LIMITS: IdentityCacheLimits = {
  // About 400,000 identities, more than are active in a day on a middling relay.
  memoryBytesMax: 256 * 1_024 * 1_024,
  refusalsMax: 50_000,
  freshMs: 24 * 3_600_000,
  usableMs: 7 * 24 * 3_600_000,
}

/** Memory of an identity beside its texts: objects, key, and the place in the cache (measured). */
const ENTRY_BYTES = 560
/** How far ahead of the clock a time may be before it is not believed, ms. */
const AHEAD_MS_MAX = 5 * 60_000
/** Distinct hosts whose texts are shared by their accounts' identities. */
const SHARED_HOSTS_MAX = 20_000

/** An identity and how far it can be relied on. */
export interface CachedIdentity {
  readonly identity: Identity
  readonly source: 'memory' | 'disk'
  /** Current; otherwise it may only stand in for an answer that cannot be had. */
  readonly isFresh: boolean
}

/** Why a DID has no identity, and until when nobody is asked again. */
export interface Refusal {
  readonly reason: 'identity-unresolved' | 'identity-missing'
  readonly detail: string
  readonly untilMs: number
  /** Failures in a row, for the back-off. */
  readonly failures: number
}

interface Entry {
  readonly identity: Identity
  /** There is cause to think that the identity has changed since. */
  readonly isDoubted: boolean
}

interface HostTexts {
  readonly endpoint: string
  readonly hostname: string
}

export interface IdentityCacheOptions {
  readonly clock: Clock
  readonly store?: IdentityStore | undefined
  readonly limits?: Partial<IdentityCacheLimits> | undefined
}

/** Synchronous throughout. Errors of the store pass through. */
export class IdentityCache {
  readonly #clock: Clock
  readonly #store: IdentityStore | undefined
  readonly #limits: IdentityCacheLimits
  readonly #memory: LRUCache<string, Entry>
  readonly #refusals: LRUCache<string, Refusal>
  readonly #hosts = createEntryCache<string, HostTexts>(SHARED_HOSTS_MAX)

  constructor(options: IdentityCacheOptions) {
    this.#clock = options.clock
    this.#store = options.store
    this.#limits = { ...IDENTITY_CACHE_LIMITS, ...options.limits }
    this.#memory = new LRUCache({
      maxSize: this.#limits.memoryBytesMax,
      sizeCalculation: ({ identity }, did) =>
        ENTRY_BYTES + 2 * did.length + (identity.handle?.length ?? 0),
    })
    this.#refusals = createEntryCache(this.#limits.refusalsMax)
  }

  /** Estimated memory of the identities, bytes. */
  get bytes(): number {
    return this.#memory.calculatedSize
  }

  /** The identity if it is in memory and current. */
  peek(did: string): Identity | undefined {
    const entry = this.#memory.get(did)
    return entry !== undefined && this.#isFresh(entry) ? entry.identity : undefined
  }

  /** The identity from memory, else from disk (and then into memory), if it is usable at all. */
  find(did: string): CachedIdentity | undefined {
    const entry = this.#memory.get(did)
    if (entry !== undefined && this.#age(entry) < this.#limits.usableMs) {
      return { identity: entry.identity, source: 'memory', isFresh: this.#isFresh(entry) }
    }
    const row = this.#store?.get(did)
    const stored = row === undefined ? null : this.#identityOfRow(row)
    if (stored === null) return undefined
    const loaded = this.#remember(stored, false)
    if (this.#age(loaded) >= this.#limits.usableMs) return undefined
    return { identity: loaded.identity, source: 'disk', isFresh: this.#isFresh(loaded) }
  }

  /** Keeps an answer everywhere, ends a refusal, and returns the object to hand out. */
  put(identity: Identity): Identity {
    this.#refusals.delete(identity.did)
    const { identity: shared } = this.#remember(identity, false)
    this.#store?.put(rowOfIdentity(shared, shared.fetchedAtMs))
    return shared
  }

  /** From now on the identity only stands in for an answer, also after a restart. */
  doubt(did: string): void {
    this.#refusals.delete(did)
    const found = this.find(did)
    if (found === undefined || !found.isFresh) return
    this.#memory.set(did, { identity: found.identity, isDoubted: true })
    this.#store?.put(rowOfIdentity(found.identity, this.#clock.nowMs() - this.#limits.freshMs))
  }

  /** Forgets the DID everywhere, refusals included. */
  forget(did: string): void {
    this.#refusals.delete(did)
    this.#memory.delete(did)
    this.#store?.delete(did)
  }

  refuse(did: string, refusal: Refusal): void {
    this.#refusals.set(did, refusal)
  }

  /** The last refusal, also when it is over (for its count of failures). */
  refusal(did: string): Refusal | undefined {
    return this.#refusals.get(did)
  }

  /**
   * Shares what is equal: the host's texts, and the key object of the answer before, to which
   * verifiers tie what they have worked out about the key.
   */
  #remember(identity: Identity, isDoubted: boolean): Entry {
    const before = this.#memory.get(identity.did)?.identity.signingKey ?? null
    const key = identity.signingKey
    const isSameKey = before !== null && key !== null && publicKeysEqual(before, key)
    const host = this.#shareHost(identity)
    const shared: Identity = {
      ...identity,
      signingKey: isSameKey ? before : key,
      pdsEndpoint: host?.endpoint ?? null,
      pdsHostname: host?.hostname ?? null,
    }
    const entry: Entry = { identity: shared, isDoubted }
    this.#memory.set(identity.did, entry)
    return entry
  }

  /** Null when the row makes no sense: the DID is then asked for again, and the row replaced. */
  #identityOfRow(row: StoredIdentity): Identity | null {
    const signingKey = row.key === null ? null : publicKeyFromKept(row.key.curve, row.key.bytes)
    if (row.key !== null && signingKey === null) return null
    const host = row.pdsEndpoint === null ? null : this.#hostOfRow(row.pdsEndpoint)
    if (row.pdsEndpoint !== null && host === null) return null
    return {
      did: row.did,
      signingKey,
      pdsEndpoint: host?.endpoint ?? null,
      pdsHostname: host?.hostname ?? null,
      handle: row.handle,
      fetchedAtMs: row.fetchedAtMs,
    }
  }

  /** Most accounts share few hosts, whose addresses are parsed once. */
  #hostOfRow(endpoint: string): HostTexts | null {
    const known = this.#hosts.get(endpoint)
    if (known !== undefined) return known
    const parsed = parseHostname(endpoint, { allowPrivateNetwork: true })
    return parsed.ok ? parsed.value : null
  }

  #shareHost({ pdsEndpoint, pdsHostname }: Identity): HostTexts | null {
    if (pdsEndpoint === null || pdsHostname === null) return null
    const known = this.#hosts.get(pdsEndpoint)
    if (known !== undefined) return known
    const texts: HostTexts = { endpoint: pdsEndpoint, hostname: pdsHostname }
    this.#hosts.set(pdsEndpoint, texts)
    return texts
  }

  #isFresh(entry: Entry): boolean {
    return !entry.isDoubted && this.#age(entry) < this.#limits.freshMs
  }

  /** Infinite for a time that the clock has not reached: it was written under another clock. */
  #age({ identity }: Entry): number {
    const age = this.#clock.nowMs() - identity.fetchedAtMs
    return age < -AHEAD_MS_MAX ? Number.POSITIVE_INFINITY : age
  }
}

function rowOfIdentity(identity: Identity, fetchedAtMs: number): StoredIdentity {
  const { did, signingKey: key, pdsEndpoint, handle } = identity
  return {
    did,
    key: key === null ? null : { curve: key.curve, bytes: key.bytes },
    pdsEndpoint,
    handle,
    fetchedAtMs: Math.min(identity.fetchedAtMs, fetchedAtMs),
  }
}
