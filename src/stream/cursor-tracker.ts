/**
 * How far a stream has been decided (I7): the cursor stands at the last seq before which, in order
 * of arrival, every event has an outcome: for a relay it is logged or dropped, for a consumer
 * handled.
 */

interface Entry {
  readonly seq: number
  done: boolean
  /** Our own seq of the event, where it was logged. */
  logSeq: number | null
}

/** One host's stream in one epoch. Pure bookkeeping; memory goes with the undecided events. */
export class CursorTracker {
  #cursor: number | null
  /** Entries over the cursor in rising order; the first one is undecided. */
  #entries: Entry[] = []
  #head = 0
  /** The same by seq: an event that is decided stays known until the cursor has passed it. */
  readonly #bySeq = new Map<number, Entry>()
  #pending = 0
  /** Decided in an earlier life of the process and not sent again yet, with our own seqs. */
  readonly #ahead: Map<number, number>

  /**
   * @param cursor Where the stream stands, null before its first event.
   * @param ahead Seqs over the cursor whose events the log holds from before a restart, each with
   *   our own seq.
   */
  constructor(cursor: number | null, ahead: ReadonlyMap<number, number> = new Map()) {
    this.#cursor = cursor
    this.#ahead = new Map(ahead)
  }

  /** The last seq up to which everything is decided, null before the first. */
  get cursor(): number | null {
    return this.#cursor
  }

  /** Events begun and not done. */
  get pending(): number {
    return this.#pending
  }

  /** Events over the cursor that are remembered, done or not. */
  get ahead(): number {
    return this.#bySeq.size
  }

  /** Where the cursor would stand if the event of `seq` were done. */
  cursorWith(seq: number): number | null {
    let cursor = this.#cursor
    for (let at = this.#head; at < this.#entries.length; at++) {
      const entry = this.#entries[at] as Entry
      if (!entry.done && entry.seq !== seq) break
      cursor = entry.seq
    }
    return cursor
  }

  /**
   * The least of our own seqs among events over the cursor that the log holds, or null: from there
   * the log must be searched after a restart for what has been decided already.
   */
  get aheadFromSeq(): number | null {
    let least: number | null = null
    for (const logSeq of this.#ahead.values()) least = Math.min(least ?? logSeq, logSeq)
    for (const { logSeq } of this.#bySeq.values()) {
      if (logSeq !== null) least = Math.min(least ?? logSeq, logSeq)
    }
    return least
  }

  /**
   * Takes note of an arrival.
   *
   * @returns `new` when it is to be decided; `known` when it has been decided or is being so.
   */
  begin(seq: number): 'new' | 'known' {
    // The stream is joined here; nothing before it is waited for.
    this.#cursor ??= seq - 1
    if (seq <= this.#cursor || this.#bySeq.has(seq)) return 'known'
    const logSeq = this.#ahead.get(seq) ?? null
    this.#ahead.delete(seq)
    const entry = { seq, done: logSeq !== null, logSeq }
    let at = this.#entries.length
    while (at > this.#head && (this.#entries[at - 1] as Entry).seq > seq) at--
    this.#entries.splice(at, 0, entry)
    this.#bySeq.set(seq, entry)
    if (!entry.done) {
      this.#pending++
      return 'new'
    }
    this.#settle()
    return 'known'
  }

  /**
   * The event has an outcome that need not be found again.
   *
   * @param logSeq Our own seq when it was logged; null when it was dropped.
   */
  done(seq: number, logSeq: number | null): void {
    const entry = this.#bySeq.get(seq)
    if (entry === undefined || entry.done) return
    entry.done = true
    entry.logSeq = logSeq
    this.#pending--
    this.#settle()
  }

  #settle(): void {
    for (;;) {
      const first = this.#entries[this.#head]
      if (first === undefined || !first.done) break
      this.#cursor = Math.max(this.#cursor ?? first.seq, first.seq)
      this.#bySeq.delete(first.seq)
      this.#head++
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
