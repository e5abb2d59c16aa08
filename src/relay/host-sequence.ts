/**
 * A host's place in its own sequence: where connections begin, whether seqs rise, and when the host
 * has started over. Pure but for the times it is given.
 */
import { SEQ_MAX } from '../lib/limits.ts'
import { CursorTracker } from './cursor-tracker.ts'

/**
 * Falling seqs one after another, on one connection, after which the sequence counts as restarted.
 */
const SEQ_FALLS_MAX = 100
/** Sequence restarts of one host that are followed in a day; each may replay its whole window. */
const RESTARTS_PER_DAY_MAX = 24
const DAY_MS = 86_400_000
/**
 * Attempts that begin one seq further each, beyond messages that are too large to be received. They
 * are enough where seqs have no gaps; after them each attempt begins this much further than the
 * last.
 */
const SINGLE_STEPS_MAX = 2
const STEP_GROWTH = 4

/** What to do about a message with a seq. */
export type SequenceVerdict =
  | { readonly kind: 'next' }
  | { readonly kind: 'drop'; readonly detail: string }
  /** The host counts anew: connect again, from its beginning. */
  | { readonly kind: 'restarted'; readonly detail: string }

/** Where a stored sequence stands. */
export interface SequencePlace {
  readonly epoch: number
  readonly cursor: number | null
  /** Seqs over the cursor that the log holds, each with our own seq. */
  readonly ahead: ReadonlyMap<number, number>
}

/** One host's sequence over all its connections. */
export class HostSequence {
  readonly #firstCursor: number | null
  #tracker: CursorTracker
  #epoch: number
  /** Seq of the last message on this connection; null right after it opened. */
  #lastSeq: number | null = null
  #cursorSent: number | null = null
  /**
   * Where connections begin, instead of at the cursor, until a message has arrived: beyond one that
   * ended the connection, or, when the host has nothing beyond it yet, with what it sends next.
   */
  #beginAt: { readonly afterSeq: number | null } | null = null
  /** Attempts, one after another, that gave nothing but a message that is too large. */
  #barren = 0
  #falls = 0
  #restarts: number[] = []

  /** @param firstCursor Where a host without a cursor is joined: 0 oldest, null live. */
  constructor(place: SequencePlace, firstCursor: number | null) {
    this.#firstCursor = firstCursor
    this.#epoch = place.epoch
    this.#tracker = new CursorTracker(place.cursor, place.ahead)
  }

  get epoch(): number {
    return this.#epoch
  }

  /** What has been decided in this epoch. */
  get tracker(): CursorTracker {
    return this.#tracker
  }

  /** The cursor to connect with. */
  connect(): number | null {
    const { cursor } = this.#tracker
    this.#cursorSent =
      this.#beginAt === null ? (cursor ?? this.#firstCursor) : this.#beginAt.afterSeq
    return this.#cursorSent
  }

  /** What the connection that is open was asked for. */
  get cursorSent(): number | null {
    return this.#cursorSent
  }

  opened(): void {
    this.#lastSeq = null
    this.#falls = 0
  }

  /** Judges the seq of a message that has arrived. */
  arrive(seq: number, nowMs: number): SequenceVerdict {
    const last = this.#lastSeq
    if (last === null && this.#cursorSent !== null && seq < this.#cursorSent) {
      return this.#startOver(`seq ${seq} after cursor ${this.#cursorSent}`, nowMs)
    }
    if (last !== null && seq <= last) {
      this.#falls++
      const detail = `seq ${seq} after ${last}`
      if (this.#falls < SEQ_FALLS_MAX) return { kind: 'drop', detail }
      return this.#startOver(`${SEQ_FALLS_MAX} falling seqs, ${detail}`, nowMs)
    }
    this.#falls = 0
    this.#lastSeq = seq
    this.#beginAt = null
    this.#barren = 0
    return { kind: 'next' }
  }

  /** The host says that our cursor lies in its future. */
  future(nowMs: number): SequenceVerdict {
    if (this.#beginAt !== null) {
      this.#beginAt = { afterSeq: null }
      return { kind: 'drop', detail: 'nothing beyond a message that is too large' }
    }
    return this.#startOver(`FutureCursor at ${String(this.#cursorSent)}`, nowMs)
  }

  /**
   * A message was too large, ended the connection, and would be the first of the next one, for
   * ever. Its seq is not known; it lies beyond the last one seen. Returns that, or null when it has
   * to be left to the next attempt.
   */
  stepOver(): number | null {
    const last = this.#lastSeq ?? this.#cursorSent
    if (last === null) return null
    this.#barren = this.#lastSeq === null ? this.#barren + 1 : 0
    const beyond = Math.max(0, this.#barren - SINGLE_STEPS_MAX)
    this.#beginAt = { afterSeq: Math.min(last + STEP_GROWTH ** beyond, SEQ_MAX) }
    return last
  }

  /**
   * Begins a new epoch: the host's sequence no longer means what it did, and everything that it has
   * is asked for. What repeats is told by its rev.
   */
  #startOver(why: string, nowMs: number): SequenceVerdict {
    this.#restarts = this.#restarts.filter((atMs) => nowMs - atMs < DAY_MS)
    if (this.#restarts.length >= RESTARTS_PER_DAY_MAX) {
      return { kind: 'drop', detail: `${why}; too many restarts in a day` }
    }
    this.#restarts.push(nowMs)
    this.#epoch++
    this.#tracker = new CursorTracker(0)
    this.#lastSeq = null
    this.#falls = 0
    return { kind: 'restarted', detail: why }
  }
}
