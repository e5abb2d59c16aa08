/**
 * Time as a constructor argument. Everything that waits or stamps takes a {@link Clock}; only this
 * file touches the runtime's timers.
 */

/** A pending timer. Cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void
}

/** Wall time, monotonic time and timers, all in milliseconds. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump. */
  nowMs(): number
  /** Milliseconds since an arbitrary start; never goes back. For durations and deadlines. */
  monotonicMs(): number
  /** Calls `callback` once after `delayMs`. The timer does not keep the process alive by itself. */
  after(delayMs: number, callback: () => void): Timer
}

/** The longest delay that the runtime's timers take without firing at once. */
const DELAY_MS_MAX = 2 ** 31 - 1

/** The runtime's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const handle = setTimeout(callback, Math.min(Math.max(0, delayMs), DELAY_MS_MAX))
    if (typeof handle === 'object') handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Resolves after `delayMs`, or at once when `signal` aborts. Never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const timer = clock.after(delayMs, finish)
    signal?.addEventListener('abort', finish, { once: true })
  })
}

/**
 * Keeps the process running until it is cancelled, where runtimes end when nothing is under way:
 * for waits that somebody awaits, since timers of a {@link Clock} do not count.
 */
export function stayAwake(): Timer {
  const handle = setInterval(() => {}, DELAY_MS_MAX)
  return { cancel: () => clearInterval(handle) }
}
