/** Real time that a test can push forward, so that waits of minutes take none. */
import { type Clock, systemClock, type Timer } from '../../src/lib/clock.ts'

interface Entry {
  readonly atMs: number
  readonly callback: () => void
  timer: Timer
}

export interface JumpingClockOptions {
  /** How many times as fast as the system's clock durations pass; default 1. */
  readonly speed?: number
  /** Wall time that somebody else keeps, ms since the epoch: jumps leave it alone. */
  readonly nowMs?: () => number
}

/** Runs as the system clock does until it is told to jump. */
export class JumpingClock implements Clock {
  readonly #speed: number
  readonly #nowMs: (() => number) | null
  #aheadMs = 0
  readonly #entries = new Set<Entry>()

  constructor(options: JumpingClockOptions = {}) {
    this.#speed = options.speed ?? 1
    this.#nowMs = options.nowMs ?? null
  }

  nowMs(): number {
    return this.#nowMs?.() ?? systemClock.nowMs() + this.#aheadMs
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() * this.#speed + this.#aheadMs
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Entry = {
      atMs: this.monotonicMs() + delayMs,
      callback,
      timer: this.#later(delayMs, () => this.#fire(entry)),
    }
    this.#entries.add(entry)
    return {
      cancel: () => {
        entry.timer.cancel()
        this.#entries.delete(entry)
      },
    }
  }

  /** Moves time forward. What becomes due is called before this returns, the earliest first. */
  jump(ms: number): void {
    this.#aheadMs += ms
    const now = this.monotonicMs()
    const due = [...this.#entries].filter(({ atMs }) => atMs <= now)
    for (const entry of due.sort((a, b) => a.atMs - b.atMs)) this.#fire(entry)
    for (const entry of this.#entries) {
      entry.timer.cancel()
      entry.timer = this.#later(entry.atMs - now, () => this.#fire(entry))
    }
  }

  /**
   * Jumps in steps until `awaited` settles. Before each one the event loop has to come to rest, so
   * that no answer that is on its way is taken for late. Fails after `steps`.
   */
  async jumpUntil<T>(awaited: Promise<T>, stepMs: number, steps = 100): Promise<T> {
    let settled = false
    const settle = (): void => void (settled = true)
    awaited.then(settle, settle)
    for (let i = 0; i < steps; i++) {
      await rest()
      if (settled) return awaited
      this.jump(stepMs)
    }
    throw new Error(`nothing happened within ${stepMs * steps} ms`)
  }

  #later(delayMs: number, callback: () => void): Timer {
    return systemClock.after(delayMs / this.#speed, callback)
  }

  #fire(entry: Entry): void {
    entry.timer.cancel()
    if (this.#entries.delete(entry)) entry.callback()
  }
}

/** Pauses of a quiet event loop, ms. All servers of a test are in its process: quiet means idle. */
const PAUSE_MS = 4
const QUIET_PAUSES = 4

/** Resolves when the event loop has come to rest: several short timers in a row were not late. */
export async function rest(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_PAUSES;) {
    const startedMs = systemClock.monotonicMs()
    await new Promise<void>((resolve) => systemClock.after(PAUSE_MS, resolve))
    quiet = systemClock.monotonicMs() - startedMs < PAUSE_MS * 2 ? quiet + 1 : 0
  }
}
