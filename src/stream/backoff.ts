/** Reconnect delays: exponential, jittered, never giving up. Pure. */

/** First delays lie under 2 s, so that a restarted host is found again at once. */
export const BACKOFF_BASE_MS = 1_000
/**
 * A host that is down for days costs one attempt an hour or less, and is noticed within the hour.
 */
export const BACKOFF_MAX_MS = 3_600_000

/**
 * The delay before attempt number `attempt` (from 1): uniform in the upper half of 2^attempt
 * seconds, within BACKOFF_BASE_MS and BACKOFF_MAX_MS. Jitter stays on at the cap, so that hosts
 * which went down together do not come back together.
 *
 * @param random uniform in [0, 1).
 */
export function backoffMs(attempt: number, random: number): number {
  const span = Math.min(BACKOFF_BASE_MS * 2 ** Math.min(attempt, 32), BACKOFF_MAX_MS)
  return Math.max(BACKOFF_BASE_MS, Math.round(span / 2 + (random * span) / 2))
}

/**
 * Milliseconds that a Retry-After header asks for (RFC 9110, section 10.2.3): whole seconds or a
 * date. Null when absent or malformed; capped at {@link BACKOFF_MAX_MS}.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null
  const text = header.trim()
  if (/^[0-9]{1,10}$/.test(text)) return Math.min(Number(text) * 1_000, BACKOFF_MAX_MS)
  if (!/^[A-Za-z]{3,9}, /.test(text)) return null
  const dateMs = Date.parse(text)
  if (Number.isNaN(dateMs)) return null
  return Math.min(Math.max(0, dateMs - nowMs), BACKOFF_MAX_MS)
}
