/**
 * The budgets of an address: requests in general, and the calls that cost somebody else something.
 */

import type { Clock } from '../lib/clock.ts'
import type { CallBudget } from './endpoint.ts'
import {
  CRAWL_REQUESTS_BURST,
  CRAWL_REQUESTS_PER_HOUR,
  DID_LOOKUPS_PER_MINUTE,
} from './http-limits.ts'
import type { HttpMetrics } from './http-metrics.ts'
import { RateLimiter, type RateVerdict } from './rate-limiter.ts'
import { xrpcError } from './xrpc-error.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

export interface RequestLimitsOptions {
  readonly requestsPerMinute: number
  readonly clock: Clock
  readonly metrics: Pick<HttpMetrics, 'httpLimited'>
}

/** Owns the counts of every address, for HTTP requests and WebSocket upgrades alike. */
export class RequestLimits {
  readonly #limiters: Readonly<Record<CallBudget | 'request', RateLimiter>>
  readonly #metrics: Pick<HttpMetrics, 'httpLimited'>

  constructor(options: RequestLimitsOptions) {
    const { requestsPerMinute, clock, metrics } = options
    const crawlRefillMs = (HOUR_MS * CRAWL_REQUESTS_BURST) / CRAWL_REQUESTS_PER_HOUR
    this.#metrics = metrics
    this.#limiters = {
      request: new RateLimiter({ burst: requestsPerMinute, refillMs: MINUTE_MS }, clock),
      crawl: new RateLimiter({ burst: CRAWL_REQUESTS_BURST, refillMs: crawlRefillMs }, clock),
      lookup: new RateLimiter({ burst: DID_LOOKUPS_PER_MINUTE, refillMs: MINUTE_MS }, clock),
    }
  }

  /** Counts one use. `headers` describe the budget, whatever the outcome. */
  take(
    budget: CallBudget | 'request',
    address: string,
  ): { verdict: RateVerdict; headers: Record<string, string> } {
    const limiter = this.#limiters[budget]
    const verdict = limiter.take(address)
    if (!verdict.ok) this.#metrics.httpLimited.add(1, { limit: budget })
    return { verdict, headers: limiter.headers(verdict) }
  }

  /** Counts one use; a 429 answer when the budget is used up. */
  spend(budget: CallBudget | 'request', address: string): Response | null {
    const { verdict, headers } = this.take(budget, address)
    return verdict.ok ? null : tooManyRequests(verdict, headers)
  }
}

/** The 429 answer to a verdict. */
export function tooManyRequests(
  verdict: RateVerdict,
  headers: Readonly<Record<string, string>>,
): Response {
  const seconds = Math.max(1, Math.ceil(verdict.retryAfterMs / 1_000))
  return xrpcError(429, 'RateLimitExceeded', `Too many requests; retry in ${seconds} s`, {
    ...headers,
    'retry-after': String(seconds),
  })
}
