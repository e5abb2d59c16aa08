/** Waiting with a bound. The harness reads the clock and sets timers only here. */

/** How often a condition is looked at again, ms: far below the polling interval of a PDS. */
const POLL_INTERVAL_MS = 10

/** Resolves after `delayMs`. */
export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs)
  })
}

/** Milliseconds of the monotonic clock. */
export function monotonicMs(): number {
  return performance.now()
}

/** True as soon as `condition` holds, false when it does not within `timeoutMs`. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadlineMs = monotonicMs() + timeoutMs
  while (!(await condition())) {
    if (monotonicMs() >= deadlineMs) return false
    await sleep(POLL_INTERVAL_MS)
  }
  return true
}

/** As {@link waitUntil}, but a condition that does not come true is an error that names `what`. */
export async function mustHappen(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  if (await waitUntil(condition, timeoutMs)) return
  throw new Error(`timed out after ${timeoutMs} ms: ${what}`)
}

/** The outcome of `work`, or an error that names `what` when it takes longer than `timeoutMs`. */
export async function withTimeout<T>(
  what: string,
  work: Promise<T>,
  timeoutMs: number,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expiry = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`timed out after ${timeoutMs} ms: ${what}`))
    }, timeoutMs)
  })
  try {
    return await Promise.race([work, expiry])
  } finally {
    clearTimeout(timer)
  }
}
