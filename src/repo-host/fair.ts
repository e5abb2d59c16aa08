/** Long work in slices, so that other connections are served in between. */
import { scheduler } from 'node:timers/promises'
import type { Clock } from '../lib/clock.ts'

/** Longest stretch of work without a pause, ms: what it adds to the latency of everything else. */
const SLICE_MS = 5

/** Lets the event loop run when a slice has been used up. One to a piece of work. */
export class Slices {
  readonly #clock: Clock
  #endsAtMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#endsAtMs = clock.monotonicMs() + SLICE_MS
  }

  /** Whether it is time for a pause. */
  get used(): boolean {
    return this.#clock.monotonicMs() >= this.#endsAtMs
  }

  /** Lets everything run that is ready to, once; not a wait. */
  async pause(): Promise<void> {
    await scheduler.yield()
    this.#endsAtMs = this.#clock.monotonicMs() + SLICE_MS
  }
}
