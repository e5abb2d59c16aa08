/** When a call that failed is made again, and after how long. Pure. */
import type { CallError } from './call-error.ts'

export interface RetryPolicy {
  /** Requests of one call, the first one included. */
  readonly attemptsMax: number
  /** The longest of the first pauses, ms; doubles with each, up to the cap. */
  readonly pauseMs: number
  readonly pauseMsMax: number
  /** The longest that a service is obeyed when it says when to come again, ms. */
  readonly retryAfterMsMax: number
}

export const RETRY_POLICY: RetryPolicy = {
  attemptsMax: 4,
  pauseMs: 500,
  pauseMsMax: 10_000,
  // Windows of rate limits are often of five minutes; who asks for more gives the error.
  retryAfterMsMax: 60_000,
}

export const NO_RETRY: RetryPolicy = { ...RETRY_POLICY, attemptsMax: 1 }

/**
 * The pause before the next attempt, ms; null when there is none: the error says that asking again
 * does not help, the attempts are used up, or the service wants to be left alone for longer.
 *
 * @param attempt The one that failed, from 1.
 * @param random Uniform in [0, 1): pauses are spread over their upper half.
 */
export function retryDelayMs(
  error: CallError,
  attempt: number,
  policy: RetryPolicy,
  random: number,
): number | null {
  if (error.kind !== 'retryable' || attempt >= policy.attemptsMax) return null
  const span = Math.min(policy.pauseMs * 2 ** Math.min(attempt - 1, 30), policy.pauseMsMax)
  const ownMs = span / 2 + (random * span) / 2
  if (error.retryAfterMs === null) return Math.round(ownMs)
  if (error.retryAfterMs > policy.retryAfterMsMax) return null
  // Beside it, not in place of it: those who were told the same time do not all come at once.
  return Math.round(error.retryAfterMs + ownMs)
}
