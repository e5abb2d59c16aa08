/**
 * Answers "which key, which host?" for a DID: from memory, from disk, or from the network, where
 * look-ups are coalesced, counted and bounded. A stranger's message may cause one, so nothing here
 * grows with what strangers send.
 */

import type { Clock } from '../lib/clock.ts'
import { systemClock } from '../lib/clock.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import { isAtprotoDid } from '../syntax/did.ts'
import { IdentityCache } from './identity-cache.ts'
import type { CachedIdentity, IdentityCacheLimits } from './identity-cache.ts'
import type { DidResolver, DocumentOutcome, IdentityHooks, IdentityStore } from './identity.ts'
import type { Identity, LookupSource, Resolution } from './identity.ts'
import { LookupQueue } from './lookup-queue.ts'
import type { LookupQueueOptions } from './lookup-queue.ts'

export interface IdentityLimits extends IdentityCacheLimits {
  /** How long a DID that does not exist is not asked for again, ms. */
  readonly missingMs: number
  /** The same for the first failure to get an answer; it doubles with each one, up to the cap. */
  readonly unresolvedMs: number
  readonly unresolvedMsMax: number
  /** Between two refreshes of one DID, ms. */
  readonly refreshIntervalMs: number
  readonly plcQueue: LookupQueueOptions
  readonly webQueue: LookupQueueOptions
}

/** What applies unless the options say otherwise. The cache has its own defaults. */
export const IDENTITY_LIMITS: Omit<IdentityLimits, keyof IdentityCacheLimits> = {
  missingMs: 5 * 60_000,
  unresolvedMs: 30_000,
  unresolvedMsMax: 5 * 60_000,
  // Each may be caused by one message with a bad signature, whose sender can make more.
  refreshIntervalMs: 60_000,
  // At 50 requests a second to a directory that answers in 0.1 s, 32 places never limit.
  plcQueue: { concurrencyMax: 32, waitingMax: 20_000 },
  // Apart from did:plc, so that slow hosts of strangers cannot hold up the directory's DIDs.
  webQueue: { concurrencyMax: 16, waitingMax: 1_000 },
}

/** DIDs whose last refresh is remembered: a minute's worth at 800 a second. */
const REFRESHES_TRACKED_MAX = 50_000
/** When to come again if a queue is full, ms. */
const OVERFLOW_RETRY_MS = 2_000

export interface IdentityResolverOptions {
  readonly plc: DidResolver
  readonly web: DidResolver
  readonly store?: IdentityStore
  readonly clock?: Clock
  readonly hooks?: IdentityHooks
  readonly limits?: Partial<IdentityLimits>
  /** Called at the end of `close`, for what belongs to nobody else. */
  readonly onClose?: () => Promise<void>
}

type Failed = Extract<Resolution, { ok: false }>

interface Lookup {
  readonly done: Promise<Resolution>
  readonly isRefresh: boolean
  /** The refresh that began while this was under way, and whose answer counts for both. */
  supersededBy: Lookup | null
}

export interface RefreshOptions {
  readonly signal?: AbortSignal
  /** On whose word the DID is doubted. One who cries wolf does not use up another's refresh. */
  readonly scope?: string
}

/**
 * One for the process. `resolve` and `refresh` reject only if the store fails; after `close`
 * everything that is not in memory is unresolved.
 *
 * A `#identity` event calls for `refresh`, as does a signature that does not verify: its answer is
 * what the directory says no earlier than the call.
 */
export class IdentityResolver {
  readonly #options: IdentityResolverOptions
  readonly #limits: Omit<IdentityLimits, keyof IdentityCacheLimits>
  readonly #clock: Clock
  readonly #cache: IdentityCache
  readonly #plcQueue: LookupQueue
  readonly #webQueue: LookupQueue
  readonly #lookups = new Map<string, Lookup>()
  readonly #refreshedAtMs = createEntryCache<string, number>(REFRESHES_TRACKED_MAX)
  readonly #stop = new AbortController()

  constructor(options: IdentityResolverOptions) {
    this.#options = options
    this.#limits = { ...IDENTITY_LIMITS, ...options.limits }
    this.#clock = options.clock ?? systemClock
    const { store, limits } = options
    this.#cache = new IdentityCache({ clock: this.#clock, store, limits })
    this.#plcQueue = new LookupQueue(this.#limits.plcQueue)
    this.#webQueue = new LookupQueue(this.#limits.webQueue)
  }

  /**
   * The identity if it is current, in memory or on disk; for the hot path, where an event that has
   * to wait costs far more than a row that is read. Counts as an answer given. Throws if the store
   * fails.
   */
  peek(did: string): Identity | undefined {
    const known = this.#cache.peek(did)
    if (known !== undefined) {
      this.#options.hooks?.onLookup?.('memory', 'fresh')
      return known
    }
    // After `close` the store is not used; what is no DID is not looked for.
    if (this.#stop.signal.aborted || !isAtprotoDid(did)) return undefined
    const cached = this.#cache.find(did)
    if (cached?.isFresh !== true) return undefined
    this.#options.hooks?.onLookup?.(cached.source, 'fresh')
    return cached.identity
  }

  /** Estimated memory of the identities kept at hand, bytes. */
  get cacheBytes(): number {
    return this.#cache.bytes
  }

  /**
   * The identity, at most 24 hours old; up to 7 days and marked stale when no directory answers.
   * Concurrent calls for a DID share one look-up. Aborting the signal ends the wait with
   * `identity-unresolved`; the look-up goes on for others.
   */
  async resolve(did: string, options: { readonly signal?: AbortSignal } = {}): Promise<Resolution> {
    const answer = this.#answerFromCache(did)
    if (answer !== null) return answer
    const lookup = this.#lookups.get(did) ?? this.#start(did, 'plain')
    return this.#follow(lookup, options.signal)
  }

  /**
   * Doubts what is known, asks the network whatever is cached, and falls back on what was known,
   * marked stale. Within a minute of the last refresh of the DID in the same scope nobody is asked
   * again: the answer is then that of `resolve`, with `refreshLimited`.
   */
  async refresh(did: string, options: RefreshOptions = {}): Promise<Resolution> {
    if (!isAtprotoDid(did) || this.#stop.signal.aborted) return this.resolve(did, options)
    const now = this.#clock.monotonicMs()
    const limitKey = `${options.scope ?? ''} ${did}`
    const lastMs = this.#refreshedAtMs.get(limitKey)
    if (lastMs !== undefined && now - lastMs < this.#limits.refreshIntervalMs) {
      this.#options.hooks?.onOverflow?.('refresh')
      const known = this.#lookups.get(did)
      const answer =
        known?.isRefresh === true
          ? await this.#follow(known, options.signal)
          : await this.resolve(did, options)
      return answer.ok ? { ...answer, refreshLimited: true } : answer
    }
    this.#refreshedAtMs.set(limitKey, now)
    this.#cache.doubt(did)
    // A look-up that is under way may have been answered before the change: it is superseded.
    return this.#follow(this.#start(did, 'refresh'), options.signal)
  }

  /** Forgets the DID in memory and on disk; a look-up that is under way is not remembered. */
  purge(did: string): void {
    this.#lookups.delete(did)
    this.#cache.forget(did)
  }

  /** Ends look-ups (their callers get `identity-unresolved`). The store is not used after this. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.allSettled([...this.#lookups.values()].map(({ done }) => done))
    await this.#options.onClose?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** The answer that can be given without asking anybody; null when somebody must be asked. */
  #answerFromCache(did: string): Resolution | null {
    if (!isAtprotoDid(did)) {
      const { missingMs } = this.#limits
      return this.#refused('memory', 'identity-missing', 'not a DID of atproto', missingMs)
    }
    if (this.#stop.signal.aborted) {
      const identity = this.#cache.peek(did)
      if (identity !== undefined) return this.#found('memory', identity, 'fresh')
      return this.#refused('memory', 'identity-unresolved', 'stopped', OVERFLOW_RETRY_MS)
    }
    const cached = this.#cache.find(did)
    if (cached?.isFresh === true) return this.#found(cached.source, cached.identity, 'fresh')
    const refusal = this.#cache.refusal(did)
    const leftMs = refusal === undefined ? 0 : refusal.untilMs - this.#clock.monotonicMs()
    if (refusal === undefined || leftMs <= 0) return null
    // While a DID is not asked for again, what is known of it stands in, as in the failure itself.
    if (cached !== undefined) return this.#found(cached.source, cached.identity, 'stale')
    return this.#refused('memory', refusal.reason, refusal.detail, leftMs)
  }

  #start(did: string, kind: 'plain' | 'refresh'): Lookup {
    const isPlc = did.startsWith('did:plc:')
    const resolver = isPlc ? this.#options.plc : this.#options.web
    const queue = isPlc ? this.#plcQueue : this.#webQueue
    const outcome = queue.run(() => resolver.resolve(did, this.#stop.signal))
    if (outcome === null) {
      this.#options.hooks?.onOverflow?.(isPlc ? 'plc-queue' : 'web-queue')
    }
    const settle = async (): Promise<Resolution> => {
      try {
        const answer = (await outcome) ?? OVERFLOW
        const isCurrent = this.#lookups.get(did) === lookup && !this.#stop.signal.aborted
        return isCurrent ? this.#settle(did, answer) : this.#passOn(did, answer)
      } finally {
        if (this.#lookups.get(did) === lookup) this.#lookups.delete(did)
      }
    }
    // `settle` runs no further than its first await before `lookup` is in the map.
    const lookup: Lookup = {
      done: settle(),
      isRefresh: kind === 'refresh',
      supersededBy: null,
    }
    const before = this.#lookups.get(did)
    if (before !== undefined) before.supersededBy = lookup
    this.#lookups.set(did, lookup)
    // Whoever waits sees a failure of the store; it must not be unhandled when nobody does.
    lookup.done.catch(() => {})
    return lookup
  }

  /** Waits for the look-up, and for a refresh that has superseded it meanwhile. */
  async #follow(start: Lookup, signal: AbortSignal | undefined): Promise<Resolution> {
    let lookup = start
    for (;;) {
      const answer = await untilAborted(lookup.done, signal)
      if (answer === null) {
        return { ok: false, reason: 'identity-unresolved', detail: 'aborted', retryAfterMs: 0 }
      }
      if (lookup.supersededBy === null) return answer
      lookup = lookup.supersededBy
    }
  }

  /** Remembers the outcome and makes the answer of it. */
  #settle(did: string, outcome: DocumentOutcome): Resolution {
    const { missingMs, unresolvedMs, unresolvedMsMax } = this.#limits
    const now = this.#clock.monotonicMs()
    if (outcome.kind === 'found') {
      const identity = { ...outcome.document, fetchedAtMs: this.#clock.nowMs() }
      return this.#found('network', this.#cache.put(identity), 'fresh')
    }
    if (outcome.kind === 'missing') {
      const { detail } = outcome
      const reason = 'identity-missing'
      this.#cache.forget(did)
      this.#cache.refuse(did, { reason, detail, untilMs: now + missingMs, failures: 0 })
      return this.#refused('network', reason, detail, missingMs)
    }
    let { retryAfterMs } = outcome
    if (retryAfterMs === null) {
      const failures = this.#cache.refusal(did)?.failures ?? 0
      retryAfterMs = Math.min(unresolvedMs * 2 ** failures, unresolvedMsMax)
      this.#cache.refuse(did, {
        reason: 'identity-unresolved',
        detail: outcome.detail,
        untilMs: now + retryAfterMs,
        failures: failures + 1,
      })
    }
    const known: CachedIdentity | undefined = this.#cache.find(did)
    if (known !== undefined) return this.#found(known.source, known.identity, 'stale')
    return this.#refused('network', 'identity-unresolved', outcome.detail, retryAfterMs)
  }

  /** The answer of a look-up that was purged or closed meanwhile: given, but not remembered. */
  #passOn(did: string, outcome: DocumentOutcome): Resolution {
    if (outcome.kind === 'found') {
      const identity = { ...outcome.document, fetchedAtMs: this.#clock.nowMs() }
      return this.#found('network', identity, 'fresh')
    }
    const reason = outcome.kind === 'missing' ? 'identity-missing' : 'identity-unresolved'
    return this.#refused('network', reason, `${did}: ${outcome.detail}`, OVERFLOW_RETRY_MS)
  }

  #found(source: LookupSource, identity: Identity, outcome: 'fresh' | 'stale'): Resolution {
    this.#options.hooks?.onLookup?.(source, outcome)
    return { ok: true, identity, stale: outcome === 'stale' }
  }

  #refused(
    source: LookupSource,
    reason: Failed['reason'],
    detail: string,
    retryAfterMs: number,
  ): Failed {
    const outcome = reason === 'identity-missing' ? 'missing' : 'unresolved'
    this.#options.hooks?.onLookup?.(source, outcome)
    return { ok: false, reason, detail, retryAfterMs: Math.ceil(retryAfterMs) }
  }
}

const OVERFLOW: DocumentOutcome = {
  kind: 'unresolved',
  detail: 'too many identities are being looked up',
  retryAfterMs: OVERFLOW_RETRY_MS,
}

/** The promise's value, or null as soon as `signal` aborts. */
function untilAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T | null> {
  if (signal === undefined) return promise
  if (signal.aborted) return Promise.resolve(null)
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(null)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.finally(() => signal.removeEventListener('abort', onAbort)).then(resolve, reject)
  })
}
