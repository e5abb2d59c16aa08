/** One signal for a time limit and the signals of others. */
import type { Clock } from './clock.ts'

export interface Deadline {
  readonly signal: AbortSignal
  /** Whether the time ran out; false when another signal aborted. */
  hasExpired(): boolean
  /** Lets go of the time, not of the signals. */
  stopTimer(): void
  /** Lets go of both. */
  clear(): void
}

/** Aborts after `timeoutMs` or with any of `signals`, and lets go of them when cleared. */
export function createDeadline(
  clock: Clock,
  timeoutMs: number,
  signals: readonly (AbortSignal | undefined)[],
): Deadline {
  const controller = new AbortController()
  let expired = false
  const abort = (): void => controller.abort()
  const timer = clock.after(timeoutMs, () => {
    expired = true
    abort()
  })
  for (const signal of signals) {
    if (signal?.aborted === true) abort()
    signal?.addEventListener('abort', abort, { once: true })
  }
  return {
    signal: controller.signal,
    hasExpired: () => expired,
    stopTimer: () => timer.cancel(),
    clear() {
      timer.cancel()
      for (const signal of signals) signal?.removeEventListener('abort', abort)
    },
  }
}
