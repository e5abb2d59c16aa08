/** Lets the events of replaying hosts go: at a rate, as fast as they are taken, or all at once. */
import { assert } from '../lib/assert.ts'
import type { Clock, Timer } from '../lib/clock.ts'

/** The events of one host, of which those up to `publishedSeq` may be read. */
export interface PacedLog {
  readonly publishedSeq: number
  /** The last one that there is. */
  readonly lastSeq: number
  /** The last one that was handed to a reader's socket. */
  readonly sentSeq: number
  publish(seq: number): void
}

/**
 * How fast events are let go: so many a second over all hosts; `taken`, as readers take them; or
 * `at-once`, whoever reads.
 */
export type ReplayPace = number | 'taken' | 'at-once'

/** How often events are let go on, ms: at 1,000 events a second two of them at a time. */
const TICK_MS = 2
/**
 * Events over all hosts that may be let go and not yet be in a socket when they go as they are
 * taken. Between two ticks nobody takes as many; and no host comes further ahead of the others.
 */
const WAITING_EVENTS_MAX = 1_024

/** Publishes the events of all hosts in proportion to how many each of them has. */
export class ReplayPacer {
  readonly #logs: readonly PacedLog[]
  readonly #clock: Clock
  readonly #total: number
  /** What is let go in the end. */
  #target = 0
  /** What is let go by now. */
  #due = 0
  #pace: ReplayPace = 'at-once'
  #from = 0
  #sinceMs = 0
  #timer: Timer | null = null

  constructor(logs: readonly PacedLog[], clock: Clock) {
    this.#logs = logs
    this.#clock = clock
    this.#total = logs.reduce((sum, { lastSeq }) => sum + lastSeq, 0)
  }

  /**
   * Lets so many more events go, from now on at this pace; fewer when there are no more. What was
   * let go before and is still due comes first, at this pace too.
   *
   * @returns How many will have been published in the end, over all hosts. Hosts have whole
   *   events, so that this is a few less than what was asked for.
   */
  release(events: number, pace: ReplayPace): number {
    assert(events >= 0, 'events to let go')
    this.#timer?.cancel()
    this.#target = Math.min(this.#total, this.#target + events)
    this.#pace = pace
    this.#from = this.#due
    this.#sinceMs = this.#clock.monotonicMs()
    this.#tick()
    return this.#logs.reduce((sum, log) => sum + this.#shareOf(log, this.#target), 0)
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #tick(): void {
    this.#due = Math.min(this.#target, Math.max(this.#due, this.#allowed()))
    for (const log of this.#logs) {
      log.publish(Math.max(log.publishedSeq, this.#shareOf(log, this.#due)))
    }
    if (this.#due < this.#target) this.#timer = this.#clock.after(TICK_MS, () => this.#tick())
  }

  #allowed(): number {
    if (this.#pace === 'at-once') return this.#target
    if (this.#pace === 'taken') {
      return this.#logs.reduce((sum, { sentSeq }) => sum + sentSeq, WAITING_EVENTS_MAX)
    }
    const elapsedMs = this.#clock.monotonicMs() - this.#sinceMs
    return this.#from + Math.floor((elapsedMs / 1_000) * this.#pace)
  }

  #shareOf({ lastSeq }: PacedLog, due: number): number {
    return due === this.#total ? lastSeq : Math.floor((lastSeq * due) / this.#total)
  }
}
