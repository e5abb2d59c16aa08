/** A clock that moves only when a test moves it. */

import type { Clock } from '../../lib/clock.ts'

export interface FakeClock extends Clock {
  /** Moves time forward and fires what has become due, in order. */
  advance(ms: number): void
}

export function createFakeClock(startMs = 1_700_000_000_000): FakeClock {
  let now = 0
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>()
  return {
    nowMs: () => startMs + now,
    monotonicMs: () => now,
    after(delayMs, callback) {
      const timer = { atMs: now + delayMs, callback }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const due = [...timers].filter(({ atMs }) => atMs <= end)
        const [first] = due.sort((a, b) => a.atMs - b.atMs)
        if (first === undefined) break
        timers.delete(first)
        now = Math.max(now, first.atMs)
        first.callback()
      }
      now = end
    },
  }
}
