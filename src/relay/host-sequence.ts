/**
 * A host's place in its own sequence: what of it has been decided, and in which epoch. When the
 * host has started over is told by src/stream/sequence-watch.ts. Pure but for the times it is
 * given.
 */
import { CursorTracker } from '../stream/cursor-tracker.ts'
import { SequenceWatch, type SequenceVerdict } from '../stream/sequence-watch.ts'

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
  readonly #watch = new SequenceWatch()
  #tracker: CursorTracker
  #epoch: number

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
    return this.#watch.connect(this.#tracker.cursor ?? this.#firstCursor)
  }

  /** What the connection that is open was asked for. */
  get cursorSent(): number | null {
    return this.#watch.cursorSent
  }

  opened(): void {
    this.#watch.opened()
  }

  /** Judges the seq of a message that has arrived. */
  arrive(seq: number, nowMs: number): SequenceVerdict {
    return this.#follow(this.#watch.arrive(seq, nowMs))
  }

  /** The host says that our cursor lies in its future. */
  future(nowMs: number): SequenceVerdict {
    return this.#follow(this.#watch.future(nowMs))
  }

  /** See {@link SequenceWatch.stepOver}. */
  stepOver(): number | null {
    return this.#watch.stepOver()
  }

  /**
   * A restart begins a new epoch: the host's sequence no longer means what it did, and everything
   * that it has is asked for. What repeats is told by its rev.
   */
  #follow(verdict: SequenceVerdict): SequenceVerdict {
    if (verdict.kind === 'restarted') {
      this.#epoch++
      this.#tracker = new CursorTracker(0)
    }
    return verdict
  }
}
