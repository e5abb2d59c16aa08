/**
 * What can be told from the seqs of one service: whether they rise, when it has started over, and
 * how to get past a message that ends every connection. Pure but for the times it is given.
 *
 * Seqs need not be contiguous, so nothing here takes a jump for a loss.
 */
import { SEQ_MAX } from '../lib/limits.ts'

/**
 * Falling seqs one after another, on one connection, after which the sequence counts as restarted.
 */
const SEQ_FALLS_MAX = 100
/** Restarts of one sequence that are followed in a day; each may replay its whole window. */
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
  /** The service counts anew: its cursors mean nothing any more. Connect again. */
  | { readonly kind: 'restarted'; readonly detail: string }

/** A place beyond a message that ended the connection. */
interface Step {
  /** What to ask for; null when the service has nothing beyond yet: what it sends next. */
  readonly afterSeq: number | null
  /** Last seq known before it. */
  readonly fromSeq: number
}

/** One service's sequence over all its connections. */
export class SequenceWatch {
  /** Seq of the last message on this connection; null right after it opened. */
  #lastSeq: number | null = null
  #cursorSent: number | null = null
  /** Where connections begin instead of at the cursor, until a message has arrived. */
  #step: Step | null = null
  /** Attempts, one after another, that gave nothing but a message that is too large. */
  #barren = 0
  #falls = 0
  #restarts: number[] = []

  /** @returns What to connect with: `cursor`, or the place beyond what is being stepped over. */
  connect(cursor: number | null): number | null {
    this.#cursorSent = this.#step === null ? cursor : this.#step.afterSeq
    return this.#cursorSent
  }

  /** What the connection that is open was asked for. */
  get cursorSent(): number | null {
    return this.#cursorSent
  }

  /** Seq of the last message on this connection; null before the first. */
  get lastSeq(): number | null {
    return this.#lastSeq
  }

  opened(): void {
    this.#lastSeq = null
    this.#falls = 0
  }

  /** Judges the seq of a message that has arrived. */
  arrive(seq: number, nowMs: number): SequenceVerdict {
    const last = this.#lastSeq
    // Stepping over may have gone beyond the newest event, which proves nothing.
    const leastSeq = this.#step === null ? this.#cursorSent : this.#step.fromSeq
    if (last === null && leastSeq !== null && seq < leastSeq) {
      return this.#startOver(`seq ${seq} after cursor ${leastSeq}`, nowMs)
    }
    if (last !== null && seq <= last) {
      this.#falls++
      const detail = `seq ${seq} after ${last}`
      if (this.#falls < SEQ_FALLS_MAX) return { kind: 'drop', detail }
      return this.#startOver(`${SEQ_FALLS_MAX} falling seqs, ${detail}`, nowMs)
    }
    this.#falls = 0
    this.#lastSeq = seq
    this.#step = null
    this.#barren = 0
    return { kind: 'next' }
  }

  /** The service says that our cursor lies in its future. */
  future(nowMs: number): SequenceVerdict {
    if (this.#step !== null) {
      this.#step = { ...this.#step, afterSeq: null }
      return { kind: 'drop', detail: 'nothing beyond a message that is too large' }
    }
    return this.#startOver(`FutureCursor at ${String(this.#cursorSent)}`, nowMs)
  }

  /**
   * A message ended the connection, and would be the first of the next one, for ever. Its seq is
   * not known; it lies beyond the last one seen. Returns that, or null when it has to be left to
   * the next attempt.
   */
  stepOver(): number | null {
    const last = this.#lastSeq ?? this.#cursorSent
    if (last === null) return null
    this.#barren = this.#lastSeq === null ? this.#barren + 1 : 0
    const beyond = Math.max(0, this.#barren - SINGLE_STEPS_MAX)
    const afterSeq = Math.min(last + STEP_GROWTH ** beyond, SEQ_MAX)
    this.#step = { afterSeq, fromSeq: this.#lastSeq ?? this.#step?.fromSeq ?? last }
    return last
  }

  #startOver(why: string, nowMs: number): SequenceVerdict {
    this.#restarts = this.#restarts.filter((atMs) => nowMs - atMs < DAY_MS)
    if (this.#restarts.length >= RESTARTS_PER_DAY_MAX) {
      return { kind: 'drop', detail: `${why}; too many restarts in a day` }
    }
    this.#restarts.push(nowMs)
    this.#lastSeq = null
    this.#falls = 0
    this.#step = null
    this.#barren = 0
    return { kind: 'restarted', detail: why }
  }
}
