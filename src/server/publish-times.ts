/** When seqs were published, roughly: what turns a subscriber's place into a lag in seconds. */
import type { Clock } from '../lib/clock.ts'

/** One mark a second at most. */
const MARK_MS = 1_000
/** Marks kept: a day and more. A subscriber further behind shows the age of the oldest. */
const MARKS_MAX = 100_000

interface Mark {
  /** Every seq up to here was published at or before `atMs`. */
  readonly seq: number
  readonly atMs: number
}

/** Remembers publications in bounded memory. */
export class PublishTimes {
  readonly #clock: Clock
  #marks: Mark[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes note that everything up to `seq` is published. */
  note(seq: number): void {
    const atMs = this.#clock.nowMs()
    const last = this.#marks.at(-1)
    if (last !== undefined && atMs - last.atMs < MARK_MS) {
      this.#marks[this.#marks.length - 1] = { seq, atMs: last.atMs }
      return
    }
    this.#marks.push({ seq, atMs })
    if (this.#marks.length > MARKS_MAX) this.#marks = this.#marks.slice(MARKS_MAX / 2)
  }

  /** How long ago the event after `cursor` was published, seconds; 0 when there is none. */
  lagSeconds(cursor: number): number {
    let low = 0
    let high = this.#marks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#marks[middle] as Mark).seq <= cursor) low = middle + 1
      else high = middle
    }
    const mark = this.#marks[low]
    return mark === undefined ? 0 : Math.max(0, (this.#clock.nowMs() - mark.atMs) / 1_000)
  }
}
