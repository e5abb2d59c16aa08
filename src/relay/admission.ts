/**
 * Takes events from hosts, finds out what deciding them needs, and hands what passes to the sequencer.
 *
 * Most events are decided at once, on what is in memory. The rest wait in a queue for their host and
 * DID, so that order is kept (I6) and nobody waits for anybody else's identity.
 */
import { TokenBucket } from '../identity/host-limits.ts'
import type { IdentityResolver } from '../identity/identity-resolver.ts'
import type { Identity, Resolution } from '../identity/identity.ts'
import { publicKeysEqual } from '../crypto/public-key.ts'
import { sleep, type Clock } from '../lib/clock.ts'
import type { Reason } from '../lib/reasons.ts'
import type { MessageFrame } from '../stream/frame-types.ts'
import { parseFrame } from '../stream/frame.ts'
import { isAtprotoDid } from '../syntax/did.ts'
import type { Arrival } from './host-link.ts'
import type { Judge } from './judge.ts'
import type { Decision } from './outcome.ts'

/** Longest that an event waits for the identity of its DID, ms. */
export const DEFER_MS_MAX: number = 5 * 60_000
/** Most events that wait for one DID from one host; further ones are dropped. */
export const DEFERRED_PER_DID_MAX = 100
/** Shortest pause between two looks for an identity that could not be resolved, ms. */
const RETRY_MS_MIN = 1_000
/** Longest pause, so that a directory that is back is noticed, ms. */
const RETRY_MS_MAX = 30_000

/** Pause before a refresh that was not allowed yet, or not answered, is tried again, ms. */
const REFRESH_WAIT_MS = 5_000

/** Look-ups of identities that one host may cause in a second, and at once: its accounts, say. */
const LOOKUPS_PER_SECOND = 50
const LOOKUPS_BURST = 1_000

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
}

interface Waiting {
  readonly arrival: Arrival
  readonly deadlineMs: number
}

/** Events of one DID from one host that are decided one after another. */
interface Queue {
  readonly waiting: Waiting[]
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
  /** What each host may still cause in look-ups. One for each host there is. */
  readonly #lookups = new Map<number, TokenBucket>()
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #waiting = 0
  #waitingBytes = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Events that wait, and their bytes. */
  get deferred(): { readonly events: number; readonly bytes: number } {
    return { events: this.#waiting, bytes: this.#waitingBytes }
  }

  /** Decides the event now if everything is at hand, else lets it wait. */
  submit(arrival: Arrival): void {
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
    // An #identity event says that what is known may be out of date.
    if (arrival.frame.type !== '#identity') {
      const identity = this.#options.identities.peek(did)
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
      onDefect(error)
      return { kind: 'drop', reason: 'frame-malformed', detail: 'verification failed to finish' }
    } finally {
      onVerifyMs?.(clock.monotonicMs() - startedMs)
    }
  }

  #enqueue(queue: Queue, arrival: Arrival, did: string): void {
    if (queue.waiting.length >= DEFERRED_PER_DID_MAX) {
      this.#options.onDrop(arrival, 'deferred-overflow', did)
      return
    }
    const kept = unpinned(arrival)
    queue.waiting.push({
      arrival: kept,
      deadlineMs: this.#options.clock.monotonicMs() + DEFER_MS_MAX,
    })
    this.#waiting++
    this.#waitingBytes += kept.frame.bytes.length
  }

  #defer(arrival: Arrival, did: string): void {
    const key = queueKey(arrival, did)
    const queue: Queue = { waiting: [] }
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
      try {
        await this.#decideWaiting(next, did)
      } catch (error) {
        this.#options.onDefect(error)
        this.#options.onDrop(next.arrival, 'identity-unresolved', 'the look-up failed')
      }
      queue.waiting.shift()
      this.#waiting--
      this.#waitingBytes -= next.arrival.frame.bytes.length
    }
  }

  async #decideWaiting({ arrival, deadlineMs }: Waiting, did: string): Promise<void> {
    const { identities, onDrop } = this.#options
    const { signal } = this.#stop
    const tried: Tried = { refreshed: false, statusAsked: false }
    let resolution: Resolution
    if (arrival.frame.type === '#identity') {
      await this.#awaitTurn(arrival)
      resolution = await this.#announced(arrival, did)
      tried.refreshed = true
    } else {
      if (identities.peek(did) === undefined) await this.#awaitTurn(arrival)
      resolution = await identities.resolve(did, { signal })
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
    const { clock, identities, onDrop, onDeferred } = this.#options
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
    return signal.aborted ? null : identities.resolve(did, { signal })
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
    const { identities, recheckStatus } = this.#options
    const { signal } = this.#stop
    if (decision.kind === 'doubt-status' && !tried.statusAsked) {
      tried.statusAsked = true
      const active = await recheckStatus(arrival, did)
      return active ? identities.resolve(did, { signal }) : null
    }
    if (decision.kind !== 'doubt-identity' || tried.refreshed) return null
    tried.refreshed = true
    this.#options.onDeferred(decision.reason)
    const fresh = await this.#refresh(arrival, did, deadlineMs)
    if (!fresh.ok) return fresh.reason === 'identity-missing' ? null : fresh
    return sameIdentity(before, fresh.identity) ? null : fresh
  }

  /** The identity after an `#identity` event: as new as the event, however often they come. */
  async #announced(arrival: Arrival, did: string): Promise<Resolution> {
    const { identities } = this.#options
    const { signal } = this.#stop
    const refreshed = await identities.refresh(did, { signal, scope: scopeOf(arrival) })
    if (!refreshed.ok || refreshed.refreshLimited !== true) return refreshed
    identities.purge(did)
    return identities.resolve(did, { signal })
  }

  /** Waits until the host may cause another look-up. */
  async #awaitTurn(arrival: Arrival): Promise<void> {
    const { clock } = this.#options
    const { id } = arrival.link
    let bucket = this.#lookups.get(id)
    if (bucket === undefined) {
      bucket = new TokenBucket(clock, LOOKUPS_PER_SECOND, LOOKUPS_BURST)
      this.#lookups.set(id, bucket)
    }
    const waitMs = bucket.reserve()
    if (waitMs > 0) await sleep(clock, waitMs, this.#stop.signal)
  }

  /**
   * The identity as the network has it now. On one host's word a DID is refreshed once a minute at
   * most, and a directory may be down: the event keeps its place until its deadline, and only its host
   * and DID wait.
   */
  async #refresh(arrival: Arrival, did: string, deadlineMs: number): Promise<Resolution> {
    const { identities, clock } = this.#options
    const { signal } = this.#stop
    await this.#awaitTurn(arrival)
    for (;;) {
      const resolution = await identities.refresh(did, { signal, scope: scopeOf(arrival) })
      const isNew = resolution.ok
        ? resolution.refreshLimited !== true && !resolution.stale
        : resolution.reason === 'identity-missing'
      if (isNew || signal.aborted) return resolution
      if (clock.monotonicMs() + REFRESH_WAIT_MS > deadlineMs) return resolution
      await sleep(clock, REFRESH_WAIT_MS, signal)
    }
  }
}

function queueKey(arrival: Arrival, did: string): string {
  return `${arrival.link.id} ${did}`
}

function scopeOf(arrival: Arrival): string {
  return String(arrival.link.id)
}

function sameIdentity(a: Identity, b: Identity): boolean {
  if (a.pdsHostname !== b.pdsHostname) return false
  if (a.signingKey === null || b.signingKey === null) return a.signingKey === b.signingKey
  return publicKeysEqual(a.signingKey, b.signingKey)
}

/** The arrival on bytes of its own, if those it came on hold much else in memory. */
function unpinned(arrival: Arrival): Arrival {
  const { bytes } = arrival.frame
  if (bytes.buffer.byteLength <= bytes.length * 2) return arrival
  const parsed = parseFrame(new Uint8Array(bytes))
  return parsed.ok && parsed.value.kind === 'message'
    ? { ...arrival, frame: parsed.value }
    : arrival
}
