/** Waiting in tests: for a condition that something announces, and never for ever. */
import { systemClock } from '../../src/lib/clock.ts'

/** How long anything in these tests may take before it counts as not happening, ms. */
const PATIENCE_MS = 10_000

/** Rejects with `what` when `promise` takes too long. */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = systemClock.after(patienceMs, () => {
    late.reject(new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`))
  })
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    timer.cancel()
  }
}

/** Lets waiters look again whenever something has changed. */
export class Signal {
  #waiters: (() => void)[] = []

  /** Something has changed. */
  notify(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  /** The first value of `look` that is not null, looked for now and after each change. */
  until<T>(look: () => T | null, what: string | (() => string), patienceMs?: number): Promise<T> {
    const search = async (): Promise<T> => {
      for (;;) {
        const found = look()
        if (found !== null) return found
        await new Promise<void>((resolve) => this.#waiters.push(resolve))
      }
    }
    return within(search(), what, patienceMs)
  }
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Looks again after short pauses, for what nobody announces. */
export async function eventually<T>(
  look: () => T | null | Promise<T | null>,
  what: string | (() => string),
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  const untilMs = systemClock.monotonicMs() + patienceMs
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (systemClock.monotonicMs() > untilMs) {
      throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`)
    }
    await new Promise<void>((resolve) => systemClock.after(5, resolve))
  }
}
