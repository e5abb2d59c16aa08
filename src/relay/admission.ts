/**
 * Takes events from hosts, finds out what deciding them needs, and hands what passes to the
 * sequencer.
 *
 * Most events need nothing but to be verified. Events of one host and DID stand in a line while the
 * first of them is verified or waits for its identity, so that order is kept (I6) and nobody waits
 * for anybody else's identity.
 */
import type { PublicKey } from '../crypto/public-key.ts'
import type { IdentityResolver } from '../identity/identity-resolver.ts'
import type { Identity } from '../identity/identity.ts'
import type { Clock } from '../lib/clock.ts'
import { codeOf } from '../lib/errors.ts'
import type { Reason } from '../lib/reasons.ts'
import { isAtprotoDid } from '../syntax/did.ts'
import type { Arrival } from './host-link.ts'
import { IdentityLookups } from './identity-lookups.ts'
import type { Judge } from './judge.ts'
import { type Decision, drop, type Drop, type Pass } from './outcome.ts'
import { asksAnew, Settlement } from './settlement.ts'
import type { FrameVerifier, VerifyOutcome } from './verifiers/frame-verifier.ts'
import { didOf, Line, Waiting } from './waiting.ts'

/** Longest that an event waits for the identity of its DID, ms. */
export const DEFER_MS_MAX: number = 5 * 60_000
/**
 * Events that wait for one DID from one host before the host is held back for them. Looking up a
 * DID takes a moment, and nothing is lost meanwhile.
 */
export const DEFERRED_PER_DID_MAX = 100
/**
 * How long a host is held back for one DID that cannot be resolved, ms. After that the DID is at
 * fault, and what else comes for it is dropped, rather than that the host's other accounts wait.
 * One that nobody has answered about yet is at no fault: its first look-up has an end of its own.
 */
const CROWDED_MS_MAX = 5_000

export interface AdmissionOptions {
  readonly judge: Judge
  readonly verifier: FrameVerifier
  readonly identities: IdentityResolver
  readonly clock: Clock
  /**
   * Asks the host whether an inactive account is active after all, and takes over its answer. True
   * when the account is active now. Limited by who provides it.
   */
  readonly recheckStatus: (arrival: Arrival, did: string) => Promise<boolean>
  readonly onPass: (arrival: Arrival, did: string, decision: Pass) => void
  readonly onDrop: (arrival: Arrival, reason: Reason, detail: string) => void
  readonly onDeferred: (reason: Reason) => void
  readonly onVerifyMs?: (ms: number) => void
  /** A defect: something threw that must not. The event has been dropped. */
  readonly onDefect: (error: unknown) => void
  /** State could not be read or written. The event has no outcome: its host sends it again. */
  readonly onFailed: (error: unknown) => void
}

/** Decides events in the order of each host and DID. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #lines = new Map<string, Line>()
  readonly #stop = new AbortController()
  readonly #lookups: IdentityLookups
  readonly #settlement: Settlement
  readonly #running = new Set<Promise<void>>()
  #deferred = 0
  #deferredBytes = 0

  constructor(options: AdmissionOptions) {
    this.#options = options
    const { identities, clock, recheckStatus, onDeferred } = options
    const { signal } = this.#stop
    this.#lookups = new IdentityLookups(identities, clock, signal)
    this.#settlement = new Settlement({
      lookups: this.#lookups,
      clock,
      signal,
      judge: (waiting, identity) => this.#judge(waiting, identity),
      verify: (waiting, key) => this.#verified(waiting, key),
      conclude: (waiting, outcome) => this.#conclude(waiting, outcome),
      recheckStatus,
      onDeferred,
      onVain: (waiting) => this.#onVain(waiting),
    })
  }

  /** Events that wait for more than their verification, and their bytes. */
  get deferred(): { readonly events: number; readonly bytes: number } {
    return { events: this.#deferred, bytes: this.#deferredBytes }
  }

  /** Decides the event now if everything is at hand, else lets it wait. */
  submit(arrival: Arrival): void {
    this.#guard(() => this.#admit(arrival))
  }

  /** Drops what waits, without an outcome: after a restart its hosts send it again. */
  async close(): Promise<void> {
    this.#stop.abort()
    for (const line of this.#lines.values()) for (const { onVerified } of line.all()) onVerified?.()
    await Promise.all(this.#running)
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#options.onFailed(error)
    }
  }

  #admit(arrival: Arrival): void {
    const { clock, onDrop } = this.#options
    const did = didOf(arrival)
    if (!isAtprotoDid(did)) {
      onDrop(arrival, 'did-invalid', did.slice(0, 128))
      return
    }
    const key = `${arrival.link.id} ${did}`
    const line = this.#lines.get(key)
    const waiting = new Waiting(arrival, did, clock.monotonicMs() + DEFER_MS_MAX)
    if (line !== undefined) {
      this.#enqueue(line, waiting)
      return
    }
    const step = this.#decide(waiting)
    if (step === 'decided') return
    const opened = new Line(key)
    this.#lines.set(key, opened)
    opened.push(waiting)
    if (step === 'unsettled') this.#settle(opened)
  }

  /**
   * Goes as far as it can with an event whose turn it is: it has its outcome, is being verified, or
   * needs what is not at hand.
   */
  #decide(waiting: Waiting): 'decided' | 'verifying' | 'unsettled' {
    if (asksAnew(waiting.arrival.frame)) return 'unsettled'
    const identity = this.#lookups.peek(waiting.did)
    if (identity === undefined) return 'unsettled'
    for (;;) {
      const decision = this.#judge(waiting, identity)
      if (decision.kind === 'verify') {
        if (this.#verify(waiting, decision.key) === 'later') return 'verifying'
        continue
      }
      if (decision.kind !== 'pass' && decision.kind !== 'drop') return 'unsettled'
      this.#conclude(waiting, decision)
      return 'decided'
    }
  }

  #conclude(waiting: Waiting, outcome: Pass | Drop): void {
    const { onPass, onDrop } = this.#options
    if (outcome.kind === 'pass') onPass(waiting.arrival, waiting.did, outcome)
    else onDrop(waiting.arrival, outcome.reason, outcome.detail)
  }

  #judge(waiting: Waiting, identity: Identity): Decision {
    const { judge, onDefect } = this.#options
    try {
      return judge.decide(waiting.arrival.frame, waiting.link, identity, waiting.verified)
    } catch (error) {
      if (isStoreFailure(error)) throw error
      onDefect(error)
      return drop('frame-malformed', 'deciding failed to finish')
    }
  }

  // ---- Verification

  #verify(waiting: Waiting, key: PublicKey): 'done' | 'later' {
    const { verifier, clock } = this.#options
    const { link, length } = waiting
    const { frame } = waiting.arrival
    if (frame.kind !== 'peeked') return 'done'
    waiting.verifyingKey = key
    const outcome = verifier.verify({
      frame,
      key,
      nowMs: clock.nowMs(),
      hostId: link.id,
      onVerified: (later) => {
        link.verifying(-length)
        this.#take(waiting, later)
        this.#guard(() => this.#onVerified(waiting))
      },
    })
    if (outcome === null) {
      link.verifying(length)
      return 'later'
    }
    this.#take(waiting, outcome)
    return 'done'
  }

  #take(waiting: Waiting, outcome: VerifyOutcome): void {
    this.#options.onVerifyMs?.(outcome.tookMs)
    waiting.take(outcome)
  }

  #onVerified(waiting: Waiting): void {
    if (this.#stop.signal.aborted) return
    if (waiting.onVerified !== null) {
      waiting.onVerified()
      return
    }
    const line = this.#lineOf(waiting)
    if (line?.first === waiting) this.#progress(line)
  }

  /** Begins to verify an event whose turn has not come, if all that takes is at hand. */
  #verifyAhead(waiting: Waiting): void {
    if (waiting.verifyingKey !== null || asksAnew(waiting.arrival.frame)) return
    const identity = this.#lookups.peek(waiting.did)
    if (identity === undefined) return
    const decision = this.#judge(waiting, identity)
    if (decision.kind === 'verify') this.#verify(waiting, decision.key)
  }

  /** Resolves when a verification has ended, which may have been under way; or on abort. */
  async #verified(waiting: Waiting, key: PublicKey): Promise<void> {
    if (waiting.verifyingKey === null && this.#verify(waiting, key) === 'done') return
    await new Promise<void>((resolve) => {
      waiting.onVerified = resolve
    })
    waiting.onVerified = null
  }

  // ---- Lines

  /** Goes on with a line whose first event is neither being verified nor settled. */
  #progress(line: Line): void {
    for (;;) {
      const { first } = line
      if (first === undefined) {
        this.#lines.delete(line.key)
        return
      }
      if (first.verifyingKey !== null) return
      const step = this.#decide(first)
      if (step === 'verifying') return
      if (step === 'unsettled') {
        this.#settle(line)
        return
      }
      this.#leave(line, first)
    }
  }

  #enqueue(line: Line, waiting: Waiting): void {
    if (!line.isSettling) {
      line.push(waiting)
      this.#verifyAhead(waiting)
      if (waiting.verifyingKey === null && waiting.verified === null) this.#defer(waiting)
      return
    }
    if (line.isSlow && line.length >= DEFERRED_PER_DID_MAX) {
      this.#options.onDrop(waiting.arrival, 'deferred-overflow', waiting.did)
      return
    }
    line.push(waiting)
    this.#defer(waiting)
    if (line.length >= DEFERRED_PER_DID_MAX) this.#crowd(line, waiting.link)
  }

  #defer(waiting: Waiting): void {
    if (waiting.isDeferred) return
    waiting.defer()
    this.#deferred++
    this.#deferredBytes += waiting.length
    waiting.link.defer(waiting.length)
  }

  /** The first event of the line has its outcome. */
  #leave(line: Line, first: Waiting): void {
    line.shift()
    if (first.isDeferred) {
      this.#deferred--
      this.#deferredBytes -= first.length
      first.link.undefer(first.length)
    }
    if (line.length <= DEFERRED_PER_DID_MAX / 2) this.#uncrowd(line, first.link)
  }

  /** Holds the host back until the line is shorter, or for as long as one DID is worth. */
  #crowd(line: Line, link: Arrival['link']): void {
    if (line.crowded !== null || line.isSlow) return
    link.crowd('begin')
    line.crowded = this.#options.clock.after(CROWDED_MS_MAX, () => {
      line.isOverdue = true
      this.#giveUpIfInVain(line, link)
    })
  }

  #onVain(waiting: Waiting): void {
    waiting.askedInVain = true
    const line = this.#lineOf(waiting)
    if (line !== undefined) this.#giveUpIfInVain(line, waiting.link)
  }

  /** Lets the host go on without the line, once both its time and its first try are over. */
  #giveUpIfInVain(line: Line, link: Arrival['link']): void {
    if (!line.isOverdue || line.first?.askedInVain !== true) return
    line.isSlow = true
    this.#uncrowd(line, link)
  }

  #lineOf({ link, did }: Waiting): Line | undefined {
    return this.#lines.get(`${link.id} ${did}`)
  }

  #uncrowd(line: Line, link: Arrival['link']): void {
    if (line.crowded === null) return
    line.crowded.cancel()
    line.crowded = null
    line.isOverdue = false
    link.crowd('end')
  }

  /** Finds out what the first event of the line needs, while the others wait. */
  #settle(line: Line): void {
    const { first } = line
    if (first === undefined) return
    line.isSettling = true
    for (const waiting of line.all()) this.#defer(waiting)
    if (line.length >= DEFERRED_PER_DID_MAX) this.#crowd(line, first.link)
    const running = this.#settleFirst(line, first).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async #settleFirst(line: Line, first: Waiting): Promise<void> {
    const { onDefect, onFailed } = this.#options
    try {
      await this.#settlement.settle(first)
    } catch (error) {
      if (isStoreFailure(error)) {
        onFailed(error)
        return
      }
      onDefect(error)
      this.#conclude(first, drop('identity-unresolved', 'the look-up failed'))
    }
    // In the same turn as the outcome, so that nothing is put into a line that nobody empties.
    this.#leave(line, first)
    line.isSettling = false
    if (this.#stop.signal.aborted) return
    this.#guard(() => {
      for (const waiting of line.all()) this.#verifyAhead(waiting)
      this.#progress(line)
    })
  }
}

function isStoreFailure(error: unknown): boolean {
  return codeOf(error) === 'STORE_FAILED'
}
