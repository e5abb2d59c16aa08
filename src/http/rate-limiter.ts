/** A token bucket for each address, for a bounded number of addresses. */

import type { Clock } from '../lib/clock.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import { LIMITED_ADDRESSES_MAX } from './http-limits.ts'

export interface RateLimit {
  /** Tokens of a full bucket. */
  readonly burst: number
  /** How long an empty bucket takes to fill, ms. */
  readonly refillMs: number
}

/** What became of one request for a token. */
export interface RateVerdict {
  readonly ok: boolean
  /** Whole tokens left. */
  readonly remaining: number
  /** How long until a token is there, ms; 0 when one was. */
  readonly retryAfterMs: number
}

interface Bucket {
  tokens: number
  atMs: number
}

/** Counts in memory only. A new address starts with a full bucket. */
export class RateLimiter {
  readonly limit: RateLimit
  readonly #clock: Clock
  readonly #buckets = createEntryCache<string, Bucket>(LIMITED_ADDRESSES_MAX)

  constructor(limit: RateLimit, clock: Clock) {
    this.limit = limit
    this.#clock = clock
  }

  /** Takes a token of `key`, if there is one. */
  take(key: string): RateVerdict {
    const { burst, refillMs } = this.limit
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#buckets.get(key) ?? { tokens: burst, atMs: nowMs }
    const gained = ((nowMs - bucket.atMs) / refillMs) * burst
    const tokens = Math.min(burst, bucket.tokens + gained)
    const ok = tokens >= 1
    bucket.tokens = ok ? tokens - 1 : tokens
    bucket.atMs = nowMs
    this.#buckets.set(key, bucket)
    const retryAfterMs = ok ? 0 : ((1 - tokens) / burst) * refillMs
    return { ok, remaining: Math.floor(bucket.tokens), retryAfterMs }
  }

  /** The headers by which clients pace themselves, as the reference PDS names them. */
  headers(verdict: RateVerdict): Record<string, string> {
    const { burst, refillMs } = this.limit
    const fullInMs = ((burst - verdict.remaining) / burst) * refillMs
    return {
      'ratelimit-limit': String(burst),
      'ratelimit-remaining': String(verdict.remaining),
      'ratelimit-reset': String(Math.ceil((this.#clock.nowMs() + fullInMs) / 1_000)),
      'ratelimit-policy': `${burst};w=${Math.ceil(refillMs / 1_000)}`,
    }
  }
}
