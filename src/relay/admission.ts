/**
 * Takes events from hosts, finds out what deciding them needs, and hands what passes to the
 * sequencer.
 *
 * Most events are decided at once, on what is in memory. The rest wait in a queue for their host
 * and DID, so that order is kept (I6) and nobody waits for anybody else's identity.
 */
import type { IdentityResolver } from '../identity/identity-resolver.ts'
import type { Identity, Resolution } from '../identity/identity.ts'
import { publicKeysEqual } from '../crypto/public-key.ts'
import { assert } from '../lib/assert.ts'
import { sleep, type Clock, type Timer } from '../lib/clock.ts'
import { codeOf } from '../lib/errors.ts'
import type { Reason } from '../lib/reasons.ts'
import type { MessageFrame } from '../stream/frame-types.ts'
import { parseFrame } from '../stream/frame.ts'
import { isAtprotoDid } from '../syntax/did.ts'
import type { Arrival } from './host-link.ts'
import { IdentityLookups } from './identity-lookups.ts'
import type { Judge } from './judge.ts'
import type { Decision } from './outcome.ts'

/** Longest that an event waits for the identity of its DID, ms. */
export const DEFER_MS_MAX: number = 5 * 60_000
/**
 * Events that wait for one DID from one host before the host is held back for them. Looking up a
 * DID takes a moment, and nothing is lost meanwhile.
 */
export const DEFERRED_PER_DID_MAX = 100
/**
 * How long a host is held back for one DID, ms. After that the DID is at fault, and what else comes
 * for it is dropped, rather than that the host's other accounts wait.
 */
const CROWDED_MS_MAX = 5_000
/** Shortest pause between two looks for an identity that could not be resolved, ms. */
const RETRY_MS_MIN = 1_000
/** Longest pause, so that a directory that is back is noticed, ms. */
const RETRY_MS_MAX = 30_000

export interface AdmissionOptions {
  readonly judge: Judge
  readonly identities: IdentityResolver
  readonly clock: Clock
  /**
   * Asks the host whether an inactive account is active after all, and takes over its answer. True
   * when the account is active now. Limited by who provides it.
   */
  readonly recheckStatus: (arrival: Arrival, did: string) => Promise<boolean>
  readonly onPass: (
    arrival: Arrival,
    did: string,
    decision: Extract<Decision, { readonly kind: 'pass' }>,
  ) => void
  readonly onDrop: (arrival: Arrival, reason: Reason, detail: string) => void
  readonly onDeferred: (reason: Reason) => void
  readonly onVerifyMs?: (ms: number) => void
  /** A defect: something threw that must not. The event has been dropped. */
  readonly onDefect: (error: unknown) => void
  /** State could not be read or written. The event has no outcome: its host sends it again. */
  readonly onFailed: (error: unknown) => void
}

/**
 * An event that waits, as the bytes it came in: decoded, an event can take many times its size, and
 * bounds count bytes.
 */
interface Waiting extends Omit<Arrival, 'frame'> {
  readonly bytes: Uint8Array
  readonly deadlineMs: number
}

/** Events of one DID from one host that are decided one after another. */
interface Queue {
  readonly waiting: Waiting[]
  /** Runs while the host is held back for this queue. */
  crowded: Timer | null
  /** The host has been held back long enough: what finds the queue full is dropped. */
  isSlow: boolean
}

/** What has already been tried for an event. */
interface Tried {
  refreshed: boolean
  statusAsked: boolean
}

function didOf(frame: MessageFrame): string {
  return frame.type === '#commit' ? frame.body.repo : frame.body.did
}

/** Decides events in the order of each host and DID. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #queues = new Map<string, Queue>()
  readonly #stop = new AbortController()
  readonly #lookups: IdentityLookups
  readonly #running = new Set<Promise<void>>()
  #waiting = 0
  #waitingBytes = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
    const { identities, clock } = options
    this.#lookups = new IdentityLookups(identities, clock, this.#stop.signal)
  }

  /** Events that wait, and their bytes. */
  get deferred(): { readonly events: number; readonly bytes: number } {
    return { events: this.#waiting, bytes: this.#waitingBytes }
  }

  /** Decides the event now if everything is at hand, else lets it wait. */
  submit(arrival: Arrival): void {
    try {
      this.#admit(arrival)
    } catch (error) {
      this.#options.onFailed(error)
    }
  }

  #admit(arrival: Arrival): void {
    const did = didOf(arrival.frame)
    if (!isAtprotoDid(did)) {
      this.#options.onDrop(arrival, 'did-invalid', did.slice(0, 128))
      return
    }
    const queue = this.#queues.get(queueKey(arrival, did))
    if (queue !== undefined) {
      this.#enqueue(queue, arrival, did)
      return
    }
    if (!asksAnew(arrival.frame)) {
      const identity = this.#lookups.peek(did)
      if (identity !== undefined && this.#decideNow(arrival, did, identity)) return
    }
    this.#defer(arrival, did)
  }

  /** Drops what waits, without an outcome: after a restart its hosts send it again. */
  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  /** True when the event has its outcome. */
  #decideNow(arrival: Arrival, did: string, identity: Identity): boolean {
    const decision = this.#judge(arrival, identity)
    if (decision.kind === 'pass') this.#options.onPass(arrival, did, decision)
    else if (decision.kind === 'drop') {
      this.#options.onDrop(arrival, decision.reason, decision.detail)
    } else return false
    return true
  }

  #judge(arrival: Arrival, identity: Identity): Decision {
    const { judge, clock, onVerifyMs, onDefect } = this.#options
    const startedMs = clock.monotonicMs()
    try {
      return judge.decide(arrival.frame, arrival.link, identity, clock.nowMs())
    } catch (error) {
      if (isStoreFailure(error)) throw error
      onDefect(error)
      return { kind: 'drop', reason: 'frame-malformed', detail: 'verification failed to finish' }
    } finally {
      onVerifyMs?.(clock.monotonicMs() - startedMs)
    }
  }

  #enqueue(queue: Queue, arrival: Arrival, did: string): void {
    if (queue.isSlow && queue.waiting.length >= DEFERRED_PER_DID_MAX) {
      this.#options.onDrop(arrival, 'deferred-overflow', did)
      return
    }
    const { frame, ...origin } = arrival
    const deadlineMs = this.#options.clock.monotonicMs() + DEFER_MS_MAX
    // A copy: what came in may be a small part of a large read.
    const bytes = new Uint8Array(frame.bytes)
    queue.waiting.push({ ...origin, bytes, deadlineMs })
    this.#waiting++
    this.#waitingBytes += bytes.length
    arrival.link.defer(bytes.length)
    if (queue.waiting.length >= DEFERRED_PER_DID_MAX) this.#crowd(queue, arrival.link)
  }

  /** Holds the host back until the queue is shorter, or for as long as one DID is worth. */
  #crowd(queue: Queue, link: Arrival['link']): void {
    if (queue.crowded !== null || queue.isSlow) return
    link.crowd('begin')
    queue.crowded = this.#options.clock.after(CROWDED_MS_MAX, () => {
      queue.isSlow = true
      this.#uncrowd(queue, link)
    })
  }

  #uncrowd(queue: Queue, link: Arrival['link']): void {
    if (queue.crowded === null) return
    queue.crowded.cancel()
    queue.crowded = null
    link.crowd('end')
  }

  #defer(arrival: Arrival, did: string): void {
    const key = queueKey(arrival, did)
    const queue: Queue = { waiting: [], crowded: null, isSlow: false }
    this.#queues.set(key, queue)
    this.#enqueue(queue, arrival, did)
    const running = this.#drain(queue, key, did).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #drain(queue: Queue, key: string, did: string): Promise<void> {
    for (;;) {
      const next = queue.waiting[0]
      if (next === undefined) {
        // In the same turn as the look, so that nothing is put into a queue that nobody empties.
        this.#queues.delete(key)
        return
      }
      const arrival = arrivalOf(next)
      try {
        await this.#decideWaiting(arrival, did, next.deadlineMs)
      } catch (error) {
        if (isStoreFailure(error)) {
          this.#options.onFailed(error)
          return
        }
        this.#options.onDefect(error)
        this.#options.onDrop(arrival, 'identity-unresolved', 'the look-up failed')
      }
      queue.waiting.shift()
      this.#waiting--
      this.#waitingBytes -= next.bytes.length
      next.link.undefer(next.bytes.length)
      if (queue.waiting.length <= DEFERRED_PER_DID_MAX / 2) this.#uncrowd(queue, next.link)
    }
  }

  async #decideWaiting(arrival: Arrival, did: string, deadlineMs: number): Promise<void> {
    const { onDrop } = this.#options
    const { signal } = this.#stop
    const tried: Tried = { refreshed: false, statusAsked: false }
    let resolution = await this.#lookups.resolve(arrival.link, did)
    if (!resolution.ok && arrival.frame.type === '#identity') {
      // It may have come to be since somebody last looked: that is what the event says.
      resolution = await this.#lookups.again(arrival.link, did, 'announcement', deadlineMs)
    }
    const isHost = resolution.ok && resolution.identity.pdsHostname === arrival.link.hostname
    if (isHost && asksAnew(arrival.frame)) {
      const event = `${arrival.hostEpoch} ${arrival.hostSeq}`
      resolution = await this.#lookups.fresh(arrival.link, did, event)
      tried.refreshed = !resolution.ok || !resolution.stale
    }
    for (;;) {
      if (signal.aborted) return
      if (!resolution.ok) {
        const next = await this.#askAgain(arrival, did, resolution, deadlineMs)
        if (next === null) return
        resolution = next
        continue
      }
      const decision = this.#judge(arrival, resolution.identity)
      if (decision.kind === 'pass') {
        this.#options.onPass(arrival, did, decision)
        return
      }
      const before = resolution.identity
      const again = await this.#settleDoubt(arrival, did, before, decision, tried, deadlineMs)
      if (signal.aborted) return
      if (again === null) {
        onDrop(arrival, decision.reason, decision.detail)
        return
      }
      resolution = again
    }
  }

  /** Waits and resolves once more; null when the event has been dropped instead. */
  async #askAgain(
    arrival: Arrival,
    did: string,
    failed: Extract<Resolution, { readonly ok: false }>,
    deadlineMs: number,
  ): Promise<Resolution | null> {
    const { clock, onDrop, onDeferred } = this.#options
    const { signal } = this.#stop
    if (failed.reason === 'identity-missing') {
      onDrop(arrival, 'identity-missing', failed.detail)
      return null
    }
    const waitMs = Math.min(Math.max(failed.retryAfterMs, RETRY_MS_MIN), RETRY_MS_MAX)
    if (clock.monotonicMs() + waitMs > deadlineMs) {
      onDrop(arrival, 'deferred-expired', failed.detail)
      return null
    }
    onDeferred('identity-unresolved')
    await sleep(clock, waitMs, signal)
    return signal.aborted ? null : this.#lookups.resolve(arrival.link, did)
  }

  /** Asks whoever can lift a refusal; null when it stands. */
  async #settleDoubt(
    arrival: Arrival,
    did: string,
    before: Identity,
    decision: Exclude<Decision, { readonly kind: 'pass' }>,
    tried: Tried,
    deadlineMs: number,
  ): Promise<Resolution | null> {
    if (decision.kind === 'doubt-status' && !tried.statusAsked) {
      tried.statusAsked = true
      const active = await this.#options.recheckStatus(arrival, did)
      return active ? this.#lookups.resolve(arrival.link, did) : null
    }
    if (decision.kind !== 'doubt-identity' || tried.refreshed) return null
    // Asked for after the event had come: there is nothing newer to hope for.
    if (before.fetchedAtMs > arrival.receivedAtMs) return null
    tried.refreshed = true
    this.#options.onDeferred(decision.reason)
    const cause = arrival.frame.type === '#identity' ? 'announcement' : 'event'
    const fresh = await this.#lookups.again(arrival.link, did, cause, deadlineMs)
    if (!fresh.ok) return fresh.reason === 'identity-missing' ? null : fresh
    return sameIdentity(before, fresh.identity) ? null : fresh
  }
}

function isStoreFailure(error: unknown): boolean {
  return codeOf(error) === 'STORE_FAILED'
}

function queueKey(arrival: Arrival, did: string): string {
  return `${arrival.link.id} ${did}`
}

function sameIdentity(a: Identity, b: Identity): boolean {
  if (a.pdsHostname !== b.pdsHostname) return false
  if (a.signingKey === null || b.signingKey === null) return a.signingKey === b.signingKey
  return publicKeysEqual(a.signingKey, b.signingKey)
}

/**
 * True for events before which the identity is asked for anew: `#identity` says that it has
 * changed, and an end of activity, which nobody signs, may come from a host that is no longer the
 * account's.
 */
function asksAnew(frame: MessageFrame): boolean {
  return frame.type === '#identity' || (frame.type === '#account' && !frame.body.active)
}

function arrivalOf(waiting: Waiting): Arrival {
  const { link, hostSeq, hostEpoch, receivedAtMs, bytes } = waiting
  const parsed = parseFrame(bytes)
  assert(parsed.ok && parsed.value.kind === 'message', 'what waits has been parsed before')
  return { link, hostSeq, hostEpoch, receivedAtMs, frame: parsed.value }
}
