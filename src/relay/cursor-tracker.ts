/**
 * How far a host's stream has been decided (I7): the cursor stands at the last seq before which, in
 * order of arrival, every event has an outcome.
 */

interface Entry {
  readonly seq: number
  done: boolean
}

/** One host's stream in one epoch. Pure bookkeeping; memory goes with the undecided events. */
export class CursorTracker {
  #cursor: number | null
  /** Undecided and decided entries in rising order; the first one is undecided. */
  #entries: Entry[] = []
  #head = 0
  readonly #bySeq = new Map<number, Entry>()
  /** Decided in an earlier life of the process, after the cursor. */
  readonly #ahead: Set<number>

  /**
   * @param cursor Where the stream stands, null before its first event.
   * @param ahead Seqs over the cursor whose events were decided before a restart.
   */
  constructor(cursor: number | null, ahead: Iterable<number> = []) {
    this.#cursor = cursor
    this.#ahead = new Set(ahead)
  }

  /** The last seq up to which everything is decided, null before the first. */
  get cursor(): number | null {
    return this.#cursor
  }

  /** Events begun and not done. */
  get pending(): number {
    return this.#bySeq.size
  }

  /**
   * Takes note of an arrival.
   *
   * @returns `new` when it is to be decided; `known` when it has been decided or is being so.
   */
  begin(seq: number): 'new' | 'known' {
    if ((this.#cursor !== null && seq <= this.#cursor) || this.#bySeq.has(seq)) return 'known'
    const entry = { seq, done: this.#ahead.delete(seq) }
    let at = this.#entries.length
    while (at > this.#head && (this.#entries[at - 1] as Entry).seq > seq) at--
    this.#entries.splice(at, 0, entry)
    if (!entry.done) {
      this.#bySeq.set(seq, entry)
      return 'new'
    }
    this.#settle()
    return 'known'
  }

  /** The event has an outcome that need not be found again. */
  done(seq: number): void {
    const entry = this.#bySeq.get(seq)
    if (entry === undefined) return
    entry.done = true
    this.#bySeq.delete(seq)
    this.#settle()
  }

  #settle(): void {
    for (;;) {
      const first = this.#entries[this.#head]
      if (first === undefined || !first.done) break
      this.#cursor = Math.max(this.#cursor ?? first.seq, first.seq)
      this.#head++
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
