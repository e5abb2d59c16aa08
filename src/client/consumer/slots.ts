/** How many deliveries may be open at once. */
import type { Clock } from '../../lib/clock.ts'

/** Places for deliveries; who finds none waits, first come, first served. */
export class Slots {
  readonly #max: number
  #open = 0
  readonly #waiters: (() => void)[] = []
  #onEmpty: (() => void) | null = null

  constructor(max: number) {
    this.#max = max
  }

  get isFull(): boolean {
    return this.#open >= this.#max
  }

  /** Takes one if there is one. */
  take(): boolean {
    if (this.#open >= this.#max) return false
    this.#open++
    return true
  }

  /** Resolves with one taken; first come, first served. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  give(): void {
    const next = this.#waiters.shift()
    if (next !== undefined) {
      next()
      return
    }
    this.#open--
    if (this.#open === 0) this.#onEmpty?.()
  }

  /** Resolves when none is open, or after `mostMs`. */
  empty(clock: Clock, mostMs: number): Promise<void> {
    if (this.#open === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = clock.after(mostMs, () => resolve())
      this.#onEmpty = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}
