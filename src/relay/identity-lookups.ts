/**
 * Look-ups of identities on a host's word. Nothing that an unverified message says may cause a
 * request but the resolving of its DID, and how many of those a host may cause is limited here: one
 * host must not use up what the directories allow to all.
 */
import { LRUCache } from 'lru-cache'
import { TokenBucket } from '../identity/host-limits.ts'
import type { IdentityResolver } from '../identity/identity-resolver.ts'
import type { Identity, Resolution } from '../identity/identity.ts'
import { sleep, type Clock } from '../lib/clock.ts'

/** Who causes a look-up. */
export interface Asker {
  readonly id: number
  /** Added by request of a stranger, not by the operator. */
  readonly requested: boolean
}

/** Look-ups a second, and at once. A host that the operator named may bring many accounts. */
const REQUESTED_RATE = { perSecond: 10, burst: 100 }
const CONFIGURED_RATE = { perSecond: 50, burst: 1_000 }
/** Hosts whose rate is remembered; the one longest unused starts with a burst again. */
const ASKERS_MAX = 10_000
/** Pause before a refresh that was not allowed yet, or not answered, is tried again, ms. */
const REFRESH_WAIT_MS = 5_000

/** Asks the resolver at each host's pace. */
export class IdentityLookups {
  readonly #identities: IdentityResolver
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #rates = new LRUCache<number, TokenBucket>({ max: ASKERS_MAX })

  constructor(identities: IdentityResolver, clock: Clock, signal: AbortSignal) {
    this.#identities = identities
    this.#clock = clock
    this.#signal = signal
  }

  /** What is in memory and fresh. */
  peek(did: string): Identity | undefined {
    return this.#identities.peek(did)
  }

  async resolve(asker: Asker, did: string): Promise<Resolution> {
    const known = this.#identities.peek(did)
    if (known !== undefined) return { ok: true, identity: known, stale: false }
    await this.#awaitTurn(asker)
    return this.#identities.resolve(did, { signal: this.#signal })
  }

  /**
   * The identity as it is after an event, which says that it has changed or cannot be undone. Only
   * on the word of the DID's own host, as far as is known: of others it would doubt what is right.
   *
   * @param event Names the event: an event asks once.
   */
  async fresh(asker: Asker, did: string, event: string): Promise<Resolution> {
    await this.#awaitTurn(asker)
    const scope = `${asker.id} ${event}`
    return this.#identities.refresh(did, { signal: this.#signal, scope })
  }

  /**
   * The identity as the network has it now, because what is known speaks against an event. On one
   * host's word a DID is asked for again after some time only, and a directory may be down: this
   * waits until the deadline.
   *
   * @param cause What kind of event it is: an announcement is not held up by doubts before it.
   */
  async again(
    asker: Asker,
    did: string,
    cause: 'announcement' | 'event',
    deadlineMs: number,
  ): Promise<Resolution> {
    await this.#awaitTurn(asker)
    for (;;) {
      const resolution = await this.#identities.refresh(did, {
        signal: this.#signal,
        scope: `${asker.id} ${cause}`,
      })
      const isNew = resolution.ok
        ? resolution.refreshLimited !== true && !resolution.stale
        : resolution.reason === 'identity-missing'
      if (isNew || this.#signal.aborted) return resolution
      if (this.#clock.monotonicMs() + REFRESH_WAIT_MS > deadlineMs) return resolution
      await sleep(this.#clock, REFRESH_WAIT_MS, this.#signal)
    }
  }

  /** Waits until the host may cause another look-up. */
  async #awaitTurn(asker: Asker): Promise<void> {
    let bucket = this.#rates.get(asker.id)
    if (bucket === undefined) {
      const { perSecond, burst } = asker.requested ? REQUESTED_RATE : CONFIGURED_RATE
      bucket = new TokenBucket(this.#clock, perSecond, burst)
      this.#rates.set(asker.id, bucket)
    }
    const waitMs = bucket.reserve()
    if (waitMs > 0) await sleep(this.#clock, waitMs, this.#signal)
  }
}
