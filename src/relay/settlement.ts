/**
 * What an event needs before it can be decided and that is not at hand: its identity, an identity
 * asked for anew, its host's word on a status. Asks, and decides.
 */
import { type PublicKey, publicKeysEqual } from '../crypto/public-key.ts'
import type { Identity, Resolution } from '../identity/identity.ts'
import { sleep, type Clock } from '../lib/clock.ts'
import type { Reason } from '../lib/reasons.ts'
import type { Arrival, ArrivedFrame } from './host-link.ts'
import type { IdentityLookups } from './identity-lookups.ts'
import { type Decision, type Doubt, drop, type Drop, type Pass } from './outcome.ts'
import type { Waiting } from './waiting.ts'

/** Shortest pause between two looks for an identity that could not be resolved, ms. */
const RETRY_MS_MIN = 1_000
/** Longest pause, so that a directory that is back is noticed, ms. */
const RETRY_MS_MAX = 30_000

export interface SettlementOptions {
  readonly lookups: IdentityLookups
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Decides on what is known of the event and an identity. */
  readonly judge: (waiting: Waiting, identity: Identity) => Decision
  /** Resolves when the event has been verified with the key. */
  readonly verify: (waiting: Waiting, key: PublicKey) => Promise<void>
  /**
   * Carries a decision out: in the same turn as it was come to, before anything that it rests upon
   * can change.
   */
  readonly conclude: (waiting: Waiting, outcome: Pass | Drop) => void
  readonly recheckStatus: (arrival: Arrival, did: string) => Promise<boolean>
  readonly onDeferred: (reason: Reason) => void
  /** What the event needs has been asked for in vain, and is asked for again. */
  readonly onVain: (waiting: Waiting) => void
}

/** What has already been tried for an event. */
interface Tried {
  refreshed: boolean
  statusAsked: boolean
}

/**
 * True for events before which the identity is asked for anew: `#identity` says that it has
 * changed, and an end of activity, which nobody signs, may come from a host that is no longer the
 * account's.
 */
export function asksAnew(frame: ArrivedFrame): boolean {
  if (frame.kind === 'peeked') return false
  return frame.type === '#identity' || !frame.body.active
}

/** Settles events one at a time each; holds nothing between them. */
export class Settlement {
  readonly #options: SettlementOptions

  constructor(options: SettlementOptions) {
    this.#options = options
  }

  /** Resolves when the event has its outcome, at its deadline at the latest, or on abort. */
  async settle(waiting: Waiting): Promise<void> {
    const { signal, judge, verify, conclude } = this.#options
    const { arrival, did } = waiting
    const tried: Tried = { refreshed: false, statusAsked: false }
    let resolution = await this.#resolveFirst(waiting, arrival, tried)
    for (;;) {
      if (signal.aborted) return
      if (!resolution.ok) {
        const next = await this.#askAgain(waiting, did, resolution)
        if (next === null) return
        resolution = next
        continue
      }
      const before: Identity = resolution.identity
      const decision = judge(waiting, before)
      if (decision.kind === 'verify') {
        await verify(waiting, decision.key)
        continue
      }
      if (decision.kind === 'pass' || decision.kind === 'drop') {
        conclude(waiting, decision)
        return
      }
      const again = await this.#settleDoubt(waiting, arrival, before, decision, tried)
      if (signal.aborted) return
      if (again === null) {
        conclude(waiting, drop(decision.reason, decision.detail))
        return
      }
      resolution = again
    }
  }

  async #resolveFirst(waiting: Waiting, arrival: Arrival, tried: Tried): Promise<Resolution> {
    const { lookups } = this.#options
    const { did, deadlineMs } = waiting
    const { link, frame } = arrival
    let resolution = await lookups.resolve(link, did)
    if (!resolution.ok && isIdentityEvent(frame)) {
      // It may have come to be since somebody last looked: that is what the event says.
      this.#options.onVain(waiting)
      resolution = await lookups.again(link, did, 'announcement', deadlineMs)
    }
    const isHost = resolution.ok && resolution.identity.pdsHostname === link.hostname
    if (isHost && asksAnew(frame)) {
      const event = `${arrival.hostEpoch} ${arrival.hostSeq}`
      resolution = await lookups.fresh(link, did, event)
      tried.refreshed = !resolution.ok || !resolution.stale
    }
    return resolution
  }

  /** Waits and resolves once more; null when the event has been dropped instead. */
  async #askAgain(
    waiting: Waiting,
    did: string,
    failed: Extract<Resolution, { readonly ok: false }>,
  ): Promise<Resolution | null> {
    const { clock, lookups, signal, conclude, onDeferred } = this.#options
    const { link, deadlineMs } = waiting
    const waitMs = Math.min(Math.max(failed.retryAfterMs, RETRY_MS_MIN), RETRY_MS_MAX)
    if (failed.reason === 'identity-missing') {
      conclude(waiting, drop('identity-missing', failed.detail))
      return null
    }
    if (clock.monotonicMs() + waitMs > deadlineMs) {
      conclude(waiting, drop('deferred-expired', failed.detail))
      return null
    }
    onDeferred('identity-unresolved')
    this.#options.onVain(waiting)
    await sleep(clock, waitMs, signal)
    return signal.aborted ? null : lookups.resolve(link, did)
  }

  /** Asks whoever can lift a refusal; null when it stands. */
  async #settleDoubt(
    waiting: Waiting,
    arrival: Arrival,
    before: Identity,
    decision: Doubt,
    tried: Tried,
  ): Promise<Resolution | null> {
    const { lookups, onDeferred, onVain, recheckStatus } = this.#options
    const { did, deadlineMs } = waiting
    if (decision.kind === 'doubt-status' && !tried.statusAsked) {
      tried.statusAsked = true
      onVain(waiting)
      const active = await recheckStatus(arrival, did)
      return active ? lookups.resolve(arrival.link, did) : null
    }
    if (decision.kind !== 'doubt-identity' || tried.refreshed) return null
    // Asked for after the event had come: there is nothing newer to hope for.
    if (before.fetchedAtMs > arrival.receivedAtMs) return null
    tried.refreshed = true
    onDeferred(decision.reason)
    onVain(waiting)
    const cause = isIdentityEvent(arrival.frame) ? 'announcement' : 'event'
    const fresh = await lookups.again(arrival.link, did, cause, deadlineMs)
    if (!fresh.ok) return fresh.reason === 'identity-missing' ? null : fresh
    return sameIdentity(before, fresh.identity) ? null : fresh
  }
}

function isIdentityEvent(frame: ArrivedFrame): boolean {
  return frame.kind === 'message' && frame.type === '#identity'
}

function sameIdentity(a: Identity, b: Identity): boolean {
  if (a.pdsHostname !== b.pdsHostname) return false
  if (a.signingKey === null || b.signingKey === null) return a.signingKey === b.signingKey
  return publicKeysEqual(a.signingKey, b.signingKey)
}
