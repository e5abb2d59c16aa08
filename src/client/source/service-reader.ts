/**
 * Reads the stream of one service, connection after connection: parses frames, gives out those in
 * order, says what is wrong with the others, and finds out when the sequence is another one.
 */
import type { Clock } from '../../lib/clock.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import { parseFrame } from '../../stream/frame.ts'
import type { ErrorFrame, InfoFrame, MessageFrame, UnknownFrame } from '../../stream/frame-types.ts'
import type { SubscriberClose } from '../../stream/subscriber.ts'
import { errorOf, judgeClose, mayBeOneMessage } from './close-kind.ts'
import { LagMeter } from './lag-meter.ts'
import type { Arrival, ServicePosition } from './service-position.ts'
import type { Seen, SourceEvent } from './source-model.ts'
import type {
  BadFrameReason,
  SourceListener,
  SourceNotice,
  SourcePolicies,
  SourceStats,
} from './source-types.ts'

/** Connections that end at the same place by what may be one message, before it is stepped over. */
export const SAME_END_MAX = 3

/** {@link SourceStats} that can be added to. */
export type SourceCounts = {
  -readonly [K in keyof Omit<SourceStats, 'badFrames'>]: SourceStats[K]
} & { readonly badFrames: Partial<Record<BadFrameReason, number>> }

export interface ServiceReaderOptions {
  readonly position: ServicePosition
  readonly listener: SourceListener
  readonly clock: Clock
  readonly policies: Pick<SourcePolicies, 'futureCursor' | 'outdatedCursor'>
  readonly counts: SourceCounts
  /** Tells the machine. */
  readonly dispatch: (event: SourceEvent) => void
  /** Drops the connection, so that the next one begins where the position says. */
  readonly reconnect: () => void
}

export class ServiceReader {
  readonly #options: ServiceReaderOptions
  readonly #position: ServicePosition
  readonly #meter = new LagMeter()
  /** Frames on this connection. */
  #frames = 0
  #held = false
  /** The connection, or everything, is given up: what still comes is not wanted. */
  #abandoned = false
  #closed = false
  #errorFrame: string | null = null
  /** Where connections ended by what may be one message, and how often in a row. */
  #sameEnd: { readonly seq: number; readonly times: number } | null = null

  constructor(options: ServiceReaderOptions) {
    this.#options = options
    this.#position = options.position
  }

  /** What the machine wants to know at a tick. */
  get seen(): Seen {
    return {
      frames: this.#frames,
      events: this.#meter.count,
      seq: this.#position.seq,
      lagMs: this.#meter.lagMs,
      reachedMs: this.#meter.reachedMs,
    }
  }

  /** While held, messages before a bad one may not have been seen: it proves nothing. */
  hold(held: 'held' | 'released'): void {
    this.#held = held === 'held'
  }

  /** Nothing is given out any more. */
  close(): void {
    this.#closed = true
  }

  connecting(): void {
    this.#abandoned = false
    this.#errorFrame = null
    this.#options.counts.connections++
    this.#options.dispatch({ kind: 'connecting' })
  }

  opened(): void {
    this.#frames = 0
    this.#meter.reset()
    this.#position.opened()
    const asked = this.#position.cursorSent === null ? 'live' : 'replay'
    this.#options.dispatch({ kind: 'opened', asked })
  }

  closed(close: SubscriberClose): void {
    const error = errorOf(close, this.#errorFrame)
    if (error === 'FutureCursor' && this.#errorFrame === null) this.#future(close.reason)
    if (mayBeOneMessage(close)) this.#weighEnd()
    if (this.#closed) return
    const atMs = this.#options.clock.nowMs()
    this.#options.dispatch({ kind: 'closed', close: judgeClose(close, this.#errorFrame, atMs) })
  }

  frame(bytes: Uint8Array): void {
    if (this.#abandoned || this.#closed) return
    const { counts } = this.#options
    this.#frames++
    counts.frames++
    counts.bytes += bytes.length
    const parsed = parseFrame(bytes)
    if (!parsed.ok) this.#bad(parsed.reason, parsed.detail)
    else if (parsed.value.kind === 'error') this.#error(parsed.value)
    else if (parsed.value.kind === 'info') this.#info(bytes, parsed.value)
    else this.#message(bytes, parsed.value)
  }

  /** A message that is no frame at all. */
  badMessage(reason: InvalidReason): void {
    if (this.#abandoned || this.#closed) return
    this.#frames++
    this.#bad(reason, `service ${this.#position.service}`)
    if (reason === 'frame-too-large') this.#stepOver('a message over the limit')
  }

  #notice(notice: SourceNotice): void {
    this.#options.listener.onNotice?.(notice)
  }

  #bad(reason: BadFrameReason, detail: string): void {
    const { badFrames } = this.#options.counts
    badFrames[reason] = (badFrames[reason] ?? 0) + 1
    this.#options.listener.onBadFrame?.(reason, detail, this.#position.lastSeq)
  }

  /** Lets the next connection begin beyond a message that no connection gets past. */
  #stepOver(what: string): void {
    if (this.#held) return
    const afterSeq = this.#position.stepOver()
    if (afterSeq === null) return
    this.#options.counts.steppedOver++
    const { service } = this.#position
    this.#notice({ kind: 'gap', service, cause: 'stepped-over', afterSeq, detail: what })
  }

  /** The same message may have ended several connections: codes alone do not prove it. */
  #weighEnd(): void {
    const seq = this.#position.lastSeq ?? this.#position.cursorSent
    if (seq === null || this.#held) return
    const times = this.#sameEnd?.seq === seq ? this.#sameEnd.times + 1 : 1
    this.#sameEnd = { seq, times }
    if (times < SAME_END_MAX) return
    this.#sameEnd = null
    this.#stepOver(`${times} connections ended after it`)
  }

  #error(frame: ErrorFrame): void {
    const { service } = this.#position
    const detail = frame.message ?? ''
    this.#errorFrame = frame.error
    if (frame.error === 'FutureCursor') this.#future(detail)
    else if (frame.error === 'ConsumerTooSlow') {
      this.#notice({ kind: 'consumer-too-slow', service, detail })
    } else this.#notice({ kind: 'error-frame', service, error: frame.error, detail })
    if (!this.#closed) this.#options.dispatch({ kind: 'error-frame', name: frame.error })
  }

  #future(detail: string): void {
    const arrival = this.#position.future(this.#options.clock.nowMs())
    if (arrival.kind === 'restarted') this.#restarted('future-cursor', arrival)
    else {
      const { service } = this.#position
      const text = detail === '' ? arrival.detail : `${arrival.detail}: ${detail}`
      this.#notice({ kind: 'error-frame', service, error: 'FutureCursor', detail: text })
    }
  }

  /** The cursor was of another sequence. What still comes is of the new one and is asked for. */
  #restarted(
    kind: 'future-cursor' | 'sequence-restarted',
    arrival: Extract<Arrival, { readonly kind: 'restarted' }>,
  ): void {
    const { service, epoch } = this.#position
    this.#abandoned = true
    this.#notice({ kind, service, epoch, cursor: arrival.cursor, detail: arrival.detail })
    if (this.#options.policies.futureCursor === 'fail') this.#fail('future-cursor')
    else this.#options.reconnect()
  }

  #fail(failure: 'future-cursor' | 'outdated-cursor'): void {
    if (!this.#closed) this.#options.dispatch({ kind: 'fail', failure })
  }

  #info(bytes: Uint8Array, frame: InfoFrame): void {
    const { listener, policies } = this.#options
    const { service, cursorSent } = this.#position
    const isLoss = frame.name === 'OutdatedCursor' && this.#position.outdated()
    if (isLoss && policies.outdatedCursor === 'fail') {
      this.#notice({ kind: 'outdated-cursor', service, afterSeq: cursorSent ?? 0, firstSeq: null })
      this.#fail('outdated-cursor')
    } else listener.onFrame(bytes, frame, null)
  }

  #message(bytes: Uint8Array, frame: MessageFrame | UnknownFrame): void {
    const { listener, clock } = this.#options
    if (frame.seq === undefined) {
      listener.onFrame(bytes, frame, null)
      return
    }
    const nowMs = clock.nowMs()
    const arrival = this.#position.arrive(frame.seq, nowMs)
    if (arrival.kind === 'drop') this.#bad('seq-not-rising', arrival.detail)
    else if (arrival.kind === 'restarted') this.#restarted('sequence-restarted', arrival)
    else {
      if (frame.kind === 'message') this.#meter.add(frame.body.time, nowMs)
      if (arrival.lostAfterSeq !== null) this.#lost(arrival.lostAfterSeq, frame.seq, frame)
      if (!this.#closed) listener.onFrame(bytes, frame, arrival.place)
    }
  }

  /** The first event after a loss is the oldest that the service has. */
  #lost(afterSeq: number, firstSeq: number, frame: MessageFrame | UnknownFrame): void {
    const { service } = this.#position
    this.#notice({ kind: 'outdated-cursor', service, afterSeq, firstSeq })
    const timeMs = frame.kind === 'message' ? Date.parse(frame.body.time) : NaN
    if (!Number.isNaN(timeMs) && !this.#closed) this.#options.dispatch({ kind: 'floor', timeMs })
  }
}
