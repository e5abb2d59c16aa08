/**
 * How much one host, and all hosts together, may be asked. What strangers say makes us send
 * requests; these bounds keep us from being turned against a third party.
 */

import type { Clock } from '../lib/clock.ts'
import { createEntryCache } from '../lib/entry-cache.ts'

/** A rate with a burst. Tokens are fractions of requests; none is stored beyond the burst. */
export class TokenBucket {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #countedAtMs: number

  /** Starts full: `burst` requests at once, then `perSecond`. */
  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#countedAtMs = clock.monotonicMs()
  }

  /** Takes a token if there is one and returns 0; else takes none and returns the wait in ms. */
  tryTake(): number {
    this.#refill()
    if (this.#tokens < 1) return this.#waitMs(1)
    this.#tokens -= 1
    return 0
  }

  /** Takes `tokens`, if need be of the future, and returns how long to wait for them in ms. */
  reserve(tokens = 1): number {
    this.#refill()
    this.#tokens -= tokens
    return this.#tokens >= 0 ? 0 : this.#waitMs(0)
  }

  #waitMs(level: number): number {
    return Math.ceil(((level - this.#tokens) / this.#perSecond) * 1_000)
  }

  #refill(): void {
    const now = this.#clock.monotonicMs()
    const gained = ((now - this.#countedAtMs) / 1_000) * this.#perSecond
    this.#countedAtMs = now
    this.#tokens = Math.min(this.#burst, this.#tokens + gained)
  }
}

export interface HostLimitsOptions {
  readonly clock: Clock
  /** Requests under way to all hosts together. */
  readonly inFlightMax: number
  /** Requests under way to one host. */
  readonly inFlightPerHostMax: number
  /** Requests to one host per second, once its burst is used up. */
  readonly perHostPerSecond: number
  readonly perHostBurst: number
}

/** Leave to send one request, or when to ask again. */
export type Admission =
  | { readonly ok: true; readonly leave: () => void }
  | { readonly ok: false; readonly detail: string; readonly retryAfterMs: number }

/** Hosts whose rate is remembered. The one longest unused is forgotten and starts with a burst. */
const HOSTS_TRACKED_MAX = 10_000
/** When to ask again if the bound is on requests under way: a guess at when one ends, ms. */
const BUSY_RETRY_MS = 1_000

/** Counts requests by host. Never waits: who is not admitted is told to come again. */
export class HostLimits {
  readonly #options: HostLimitsOptions
  readonly #buckets = createEntryCache<string, TokenBucket>(HOSTS_TRACKED_MAX)
  readonly #inFlight = new Map<string, number>()
  #total = 0

  constructor(options: HostLimitsOptions) {
    this.#options = options
  }

  /** `leave` of an admission must be called once, when the request has ended. */
  enter(host: string): Admission {
    const { clock, inFlightMax, inFlightPerHostMax } = this.#options
    if (this.#total >= inFlightMax) return busy('too many requests under way')
    const current = this.#inFlight.get(host) ?? 0
    if (current >= inFlightPerHostMax) return busy('too many requests to this host under way')
    let bucket = this.#buckets.get(host)
    if (bucket === undefined) {
      bucket = new TokenBucket(clock, this.#options.perHostPerSecond, this.#options.perHostBurst)
      this.#buckets.set(host, bucket)
    }
    const retryAfterMs = bucket.tryTake()
    if (retryAfterMs > 0) {
      return { ok: false, detail: 'requests to this host are too frequent', retryAfterMs }
    }
    this.#total++
    this.#inFlight.set(host, current + 1)
    return { ok: true, leave: () => this.#leave(host) }
  }

  #leave(host: string): void {
    this.#total--
    const left = (this.#inFlight.get(host) ?? 1) - 1
    if (left > 0) this.#inFlight.set(host, left)
    else this.#inFlight.delete(host)
  }
}

function busy(detail: string): Admission {
  return { ok: false, detail, retryAfterMs: BUSY_RETRY_MS }
}
