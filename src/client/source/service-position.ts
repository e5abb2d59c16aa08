/**
 * Where the stream of one service goes on, and with which of its sequences. A cursor is used only
 * with the service and the epoch that it was given by. Pure but for the times it is given.
 */
import { SequenceWatch } from '../../stream/sequence-watch.ts'
import type { Place, SourcePolicies } from './source-types.ts'

/** What has to be known of a message with a seq. */
export type Arrival =
  | {
      readonly kind: 'next'
      readonly place: Place
      /** Set when this is the first event after a loss that the service admits. */
      readonly lostAfterSeq: number | null
    }
  | { readonly kind: 'drop'; readonly detail: string }
  | { readonly kind: 'restarted'; readonly cursor: number | null; readonly detail: string }

export interface ServicePositionOptions {
  readonly service: string
  /** See {@link StreamSourceOptions.cursor}. */
  readonly finished: (service: string, epoch: number) => number | null
  /** Where a sequence is joined that replaces one whose cursor was foreign. */
  readonly futureCursor: SourcePolicies['futureCursor']
}

/** One service's place over all its connections. */
export class ServicePosition {
  readonly service: string
  readonly #options: ServicePositionOptions
  readonly #watch = new SequenceWatch()
  #epoch = 0
  /** Where this epoch is joined: after a seq, 0 at the oldest event, null at the next. */
  #joinAt: number | null = null
  /** The seq before the first that came in this epoch. */
  #beforeFirst: number | null = null
  #seq: number | null = null
  /** The cursor that the service called outdated, until its first event has come. */
  #outdatedAfter: number | null = null

  constructor(options: ServicePositionOptions) {
    this.service = options.service
    this.#options = options
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Seq of the last event that came in this epoch. */
  get seq(): number | null {
    return this.#seq
  }

  /** Seq of the last event on this connection. */
  get lastSeq(): number | null {
    return this.#watch.lastSeq
  }

  /** What the connection was asked for. */
  get cursorSent(): number | null {
    return this.#watch.cursorSent
  }

  /** The finished seq of this epoch, null when there is none. */
  get finished(): number | null {
    return this.#options.finished(this.service, this.#epoch)
  }

  /** Decides where the service is joined: no earlier than here, and here without a cursor. */
  join(cursor: number | null): void {
    this.#joinAt = cursor
  }

  /**
   * The cursor to connect with. Events that have come and are not finished come again: they are
   * known to whoever finishes them.
   */
  connect(): number | null {
    const { finished } = this
    // A stream that was joined live goes on where it was joined.
    const from = finished ?? this.#beforeFirst
    const join = this.#joinAt
    this.#outdatedAfter = null
    return this.#watch.connect(
      from === null || join === null ? (from ?? join) : Math.max(from, join),
    )
  }

  opened(): void {
    this.#watch.opened()
  }

  arrive(seq: number, nowMs: number): Arrival {
    const verdict = this.#watch.arrive(seq, nowMs)
    if (verdict.kind === 'drop') return verdict
    if (verdict.kind === 'restarted') return this.#restarted(verdict.detail)
    this.#beforeFirst ??= seq - 1
    this.#seq = seq
    const lostAfterSeq = this.#outdatedAfter
    this.#outdatedAfter = null
    const place = { service: this.service, epoch: this.#epoch, seq }
    return { kind: 'next', place, lostAfterSeq }
  }

  /** The service says that our cursor lies in its future. */
  future(nowMs: number): Exclude<Arrival, { readonly kind: 'next' }> {
    const { cursorSent } = this.#watch
    if (cursorSent === null || cursorSent === 0) {
      return { kind: 'drop', detail: `FutureCursor at ${String(cursorSent)}` }
    }
    const verdict = this.#watch.future(nowMs)
    if (verdict.kind !== 'restarted') {
      return { kind: 'drop', detail: verdict.kind === 'drop' ? verdict.detail : '' }
    }
    return this.#restarted(verdict.detail)
  }

  /**
   * The service says that it no longer holds what follows our cursor. False when nothing of ours
   * was asked for: a service that is read from its oldest event says so too.
   */
  outdated(): boolean {
    const { cursorSent } = this.#watch
    if (cursorSent === null || cursorSent === 0) return false
    this.#outdatedAfter = cursorSent
    return true
  }

  /** See {@link SequenceWatch.stepOver}. */
  stepOver(): number | null {
    return this.#watch.stepOver()
  }

  /** Begins another epoch: what is known of the sequence belongs to one that is gone. */
  restart(joinAt: number | null): void {
    this.#epoch++
    this.#joinAt = joinAt
    this.#beforeFirst = null
    this.#seq = null
    this.#outdatedAfter = null
  }

  #restarted(detail: string): Exclude<Arrival, { readonly kind: 'next' | 'drop' }> {
    const cursor = this.#watch.cursorSent
    this.restart(this.#options.futureCursor === 'live' ? null : 0)
    return { kind: 'restarted', cursor, detail }
  }
}
