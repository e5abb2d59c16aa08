/**
 * How old events are when they arrive. `time` is what hosts say, and some have wrong clocks or send
 * old events again, so single times mean little: the median of the last ones is used.
 */

/** Events that the median is over: odd, and enough that a few strangers do not move it. */
const EVENTS = 15

/** Times of the last events. Memory is fixed; an event costs one parse of its time. */
export class LagMeter {
  readonly #timesMs = new Float64Array(EVENTS)
  readonly #lagsMs = new Float64Array(EVENTS)
  #count = 0

  /** Events since the last reset, whose time could be read. */
  get count(): number {
    return this.#count
  }

  /** @param time The event's `time`; what is no datetime is left out. */
  add(time: string, nowMs: number): void {
    const timeMs = Date.parse(time)
    if (Number.isNaN(timeMs)) return
    const at = this.#count++ % EVENTS
    this.#timesMs[at] = timeMs
    this.#lagsMs[at] = nowMs - timeMs
  }

  /** Median age at arrival, ms, at least 0; null before the first event. */
  get lagMs(): number | null {
    const lag = median(this.#lagsMs.subarray(0, Math.min(this.#count, EVENTS)))
    return lag === null ? null : Math.max(0, lag)
  }

  /** Median time, ms since the epoch: how far in time the stream has been read. */
  get reachedMs(): number | null {
    return median(this.#timesMs.subarray(0, Math.min(this.#count, EVENTS)))
  }

  /** Forgets everything: what follows comes from another place of a stream. */
  reset(): void {
    this.#count = 0
  }
}

/** The middle value; of an even number the lower of the two. Null of none. */
export function median(values: Iterable<number>): number | null {
  const sorted = Float64Array.from(values).sort()
  return sorted[(sorted.length - 1) >> 1] ?? null
}
