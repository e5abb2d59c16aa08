/** What a service says of its limits in the headers of an answer. Pure. */

/** Headers by lower-case name. */
export type AnswerHeaders = ReadonlyMap<string, string>

/** The longest wait that is believed, ms: a day. */
const WAIT_MS_MAX = 86_400_000
/** Numbers from here on are moments in seconds since 1970, below they are seconds from now. */
const EPOCH_SECONDS_MIN = 1_000_000_000

/**
 * `Retry-After` (RFC 9110, 10.2.3): whole seconds, or a date, as ms from now. Null when it is
 * neither or not there.
 */
export function parseRetryAfter(headers: AnswerHeaders, nowMs: number): number | null {
  const text = headers.get('retry-after')?.trim()
  if (text === undefined) return null
  if (/^\d{1,15}$/.test(text)) return Math.min(Number(text) * 1_000, WAIT_MS_MAX)
  if (!/^[A-Za-z]{3,9}, /.test(text)) return null
  const ms = Date.parse(text) - nowMs
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), WAIT_MS_MAX)
}

/**
 * How long to wait because the limit is used up, ms; null when it is not or nothing is said.
 *
 * Read are `RateLimit-Remaining` and `RateLimit-Reset` (with or without `X-`), whose reset is in
 * seconds from now in the drafts and a moment in seconds since 1970 at the reference PDS, and the
 * one field `RateLimit` of later drafts: `limit=10, remaining=0, reset=5` or `"name";r=0;t=5`.
 */
export function parseRateLimit(headers: AnswerHeaders, nowMs: number): number | null {
  const field = headers.get('ratelimit')
  if (field !== undefined) {
    const remaining = /(?:\bremaining|;\s*r)=(\d{1,15})/.exec(field)?.[1]
    const reset = /(?:\breset|;\s*t)=(\d{1,15})/.exec(field)?.[1]
    const waitMs = waitOf(remaining, reset, nowMs)
    if (waitMs !== null) return waitMs
  }
  const remaining = headers.get('ratelimit-remaining') ?? headers.get('x-ratelimit-remaining')
  const reset = headers.get('ratelimit-reset') ?? headers.get('x-ratelimit-reset')
  return waitOf(remaining?.trim(), reset?.trim(), nowMs)
}

function waitOf(
  remaining: string | undefined,
  reset: string | undefined,
  nowMs: number,
): number | null {
  if (remaining === undefined || !/^0+$/.test(remaining)) return null
  if (reset === undefined || !/^\d{1,15}$/.test(reset)) return null
  const seconds = Number(reset)
  const ms = seconds >= EPOCH_SECONDS_MIN ? seconds * 1_000 - nowMs : seconds * 1_000
  return Math.min(Math.max(0, ms), WAIT_MS_MAX)
}
