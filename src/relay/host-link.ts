/**
 * One host's connection: its socket, its place in the host's sequence, and how fast it may speak.
 * Frames are given out in order; what becomes of them is for the admission. Those that carry a
 * commit are only peeked at here: who verifies them parses them.
 */
import type { Clock, Timer } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { InvalidReason, Reason } from '../lib/reasons.ts'
import { TokenBucket } from '../identity/host-limits.ts'
import { parseFrame } from '../stream/frame.ts'
import type { ErrorFrame, MessageFrame, ParsedFrame } from '../stream/frame-types.ts'
import { type PeekedFrame, peekedOf, peekFrame } from '../stream/peek-frame.ts'
import { Subscriber, type SubscriberClose } from '../stream/subscriber.ts'
import type { BackoffState } from '../stream/subscriber-machine.ts'
import type { Transport } from '../stream/transport.ts'
import type { HostRow } from '../store/relay-store.ts'
import { HostSequence, type SequencePlace } from './host-sequence.ts'

/** Undecided events of one host beyond which it is held back, and where it is let go on. */
const PENDING_EVENTS_MAX = 5_000
const PENDING_EVENTS_RESUME = 2_500
/**
 * Bytes of its events that are being verified, likewise: what a thread verifies in some 25 ms, so
 * that its queue does not run dry and a host that floods fills no memory.
 */
const VERIFYING_BYTES_MAX = 1024 * 1024
const VERIFYING_BYTES_RESUME = 512 * 1024
/** Bytes of its events that wait for identities, likewise. */
const DEFERRED_BYTES_MAX = 16 * 1024 * 1024
const DEFERRED_BYTES_RESUME = 8 * 1024 * 1024
/** Seconds of its rate that a host may send at once: room for a reconnect's backlog. */
const BURST_SECONDS = 10
/** Bytes that count as one event against a host's rate: three times the average frame. */
const BYTES_PER_TOKEN = 16 * 1024

/** An event as the admission gets it: one of a repository has not been parsed. */
export type ArrivedFrame =
  | PeekedFrame
  | Extract<MessageFrame, { readonly type: '#identity' | '#account' }>

/** An event of a host that has not been decided. */
export interface Arrival {
  readonly link: HostLink
  readonly frame: ArrivedFrame
  readonly hostSeq: number
  readonly hostEpoch: number
  readonly receivedAtMs: number
}

/** What a link tells its owner. */
export interface HostLinkEvents {
  onArrival(arrival: Arrival): void
  onReceived(kind: string, bytes: number): void
  onDropped(reason: Reason, detail: string): void
  onConnection(outcome: 'opened' | 'failed' | 'closed', detail: string): void
  onBackoff(backoff: BackoffState): void
  /** Cursor or epoch may have moved: they are to be saved with the next batch. */
  onMoved(): void
  /** The host said something about its stream that an operator may want to know. */
  onNotice(notice: string, detail: string): void
}

export interface HostLinkOptions {
  readonly row: HostRow
  /** `wss://host`. */
  readonly webSocketUrl: string
  /** Where its sequence stands; newer than what the row says. */
  readonly place: SequencePlace
  /** Cursor for a host without one: 0 for its oldest event, null for live. */
  readonly firstCursor: number | null
  readonly eventsPerSecond: number
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly events: HostLinkEvents
}

/** Keeps one host connected and its sequence in order. */
export class HostLink {
  readonly id: number
  readonly hostname: string
  readonly endpoint: string
  readonly requested: boolean
  readonly #options: HostLinkOptions
  readonly #subscriber: Subscriber
  readonly #bucket: TokenBucket
  readonly #sequence: HostSequence
  #connected = false
  #lastEventAtMs: number | null
  #lastEventTime: string | null = null
  #rateTimer: Timer | null = null
  #deferredBytes = 0
  #verifyingBytes = 0
  /** DIDs that it is held back for. */
  #crowds = 0
  #heldByPending = false
  #heldByOwner = false
  /** The connection is being given up: what still comes on it is not wanted. */
  #abandoned = false

  constructor(options: HostLinkOptions) {
    const { row } = options
    this.id = row.id
    this.hostname = row.hostname
    this.endpoint = row.endpoint
    this.requested = row.requested
    this.#options = options
    this.#lastEventAtMs = row.lastEventAtMs
    this.#sequence = new HostSequence(options.place, options.firstCursor)
    const { eventsPerSecond, clock } = options
    this.#bucket = new TokenBucket(clock, eventsPerSecond, eventsPerSecond * BURST_SECONDS)
    this.#subscriber = new Subscriber({
      endpoint: options.webSocketUrl,
      cursor: () => this.#sequence.connect(),
      transport: options.transport,
      clock,
      random: options.random,
      backoff: { attempt: row.attempt, nextAttemptAtMs: row.nextAttemptAtMs },
      listener: {
        onOpen: () => this.#onOpen(),
        onFrame: (bytes) => this.#onFrame(bytes),
        onBadMessage: (reason) => this.#onBadMessage(reason),
        onClosed: (close) => this.#onClosed(close),
        onBackoff: (backoff) => options.events.onBackoff(backoff),
      },
    })
  }

  start(): void {
    this.#subscriber.start()
  }

  /** Connects at once if it is waiting to. */
  wake(): void {
    this.#subscriber.wakeNow()
  }

  async stop(): Promise<void> {
    this.#rateTimer?.cancel()
    await this.#subscriber.stop()
    this.#connected = false
  }

  get connected(): boolean {
    return this.#connected
  }

  get attempt(): number {
    return this.#subscriber.attempt
  }

  get epoch(): number {
    return this.#sequence.epoch
  }

  get cursor(): number | null {
    return this.#sequence.tracker.cursor
  }

  /** See CursorTracker. */
  get aheadFromSeq(): number | null {
    return this.#sequence.tracker.aheadFromSeq
  }

  /** Events received and not decided. */
  get pending(): number {
    return this.#sequence.tracker.pending
  }

  /** Bytes of its events that wait for identities. */
  get deferredBytes(): number {
    return this.#deferredBytes
  }

  get lastEventAtMs(): number | null {
    return this.#lastEventAtMs
  }

  /** How old the last event was when it arrived, ms. */
  get lagMs(): number | null {
    if (this.#lastEventTime === null || this.#lastEventAtMs === null) return null
    const eventMs = Date.parse(this.#lastEventTime)
    return Number.isNaN(eventMs) ? null : Math.max(0, this.#lastEventAtMs - eventMs)
  }

  /** True while it sends more than its rate allows. */
  get rateLimited(): boolean {
    return this.#rateTimer !== null
  }

  /** Holds the host back because others fill the relay's memory. */
  hold(): void {
    this.#heldByOwner = true
    this.#applyHold()
  }

  release(): void {
    this.#heldByOwner = false
    this.#applyHold()
  }

  /** An event of the host is being verified, or, with negative bytes, no longer is. */
  verifying(bytes: number): void {
    this.#verifyingBytes += bytes
    this.#weigh()
  }

  /** An event of the host waits for an identity. */
  defer(bytes: number): void {
    this.#deferredBytes += bytes
    this.#weigh()
  }

  /** Too many of its events wait for one DID, or no longer do. */
  crowd(what: 'begin' | 'end'): void {
    this.#crowds += what === 'begin' ? 1 : -1
    this.#applyHold()
  }

  /** It waits no longer. */
  undefer(bytes: number): void {
    this.#deferredBytes -= bytes
    this.#weigh()
  }

  /**
   * The event has its outcome, and the cursor may move past it.
   *
   * @param logSeq Our own seq of it, null when it was dropped.
   */
  settle(arrival: Arrival, logSeq: number | null): void {
    if (arrival.hostEpoch !== this.#sequence.epoch) return
    this.#sequence.tracker.done(arrival.hostSeq, logSeq)
    this.#options.events.onMoved()
    this.#weigh()
  }

  /** Holds the host back or lets it go on, by what of it is undecided. */
  #weigh(): void {
    const { pending } = this.#sequence.tracker
    const deferred = this.#deferredBytes
    const verifying = this.#verifyingBytes
    const isMuch = this.#heldByPending
      ? pending > PENDING_EVENTS_RESUME ||
        deferred > DEFERRED_BYTES_RESUME ||
        verifying > VERIFYING_BYTES_RESUME
      : pending >= PENDING_EVENTS_MAX ||
        deferred >= DEFERRED_BYTES_MAX ||
        verifying >= VERIFYING_BYTES_MAX
    if (isMuch === this.#heldByPending) return
    this.#heldByPending = isMuch
    this.#applyHold()
  }

  #onBadMessage(reason: InvalidReason): void {
    this.#options.events.onDropped(reason, `host ${this.hostname}`)
    this.#takeTokens(0)
    // While the host is held back, messages before the large one have not been seen: the next
    // attempt begins at the cursor and meets it again.
    if (reason !== 'frame-too-large' || this.#isHeld) return
    const last = this.#sequence.stepOver()
    if (last !== null) this.#options.events.onNotice('message stepped over', `after seq ${last}`)
  }

  #onOpen(): void {
    this.#connected = true
    this.#abandoned = false
    this.#sequence.opened()
    this.#options.events.onConnection('opened', `cursor ${String(this.#sequence.cursorSent)}`)
  }

  #onClosed(close: SubscriberClose): void {
    const outcome = this.#connected ? 'closed' : 'failed'
    this.#connected = false
    const detail = close.cause ?? `${close.code} ${close.reason}`
    this.#options.events.onConnection(outcome, detail)
  }

  #onFrame(bytes: Uint8Array): void {
    if (this.#abandoned) return
    const peeked = peekFrame(bytes)
    if (peeked === null) {
      this.#onOtherFrame(bytes)
      return
    }
    this.#options.events.onReceived(kindOf(peeked), bytes.length)
    this.#takeTokens(bytes.length)
    if (this.#inOrder(peeked.seq)) this.#arrive(peeked, peeked.time)
  }

  /** A frame that is small, rare or broken. */
  #onOtherFrame(bytes: Uint8Array): void {
    const { events } = this.#options
    const parsed = parseFrame(bytes)
    events.onReceived(parsed.ok ? kindOf(parsed.value) : 'malformed', bytes.length)
    this.#takeTokens(bytes.length)
    if (!parsed.ok) {
      events.onDropped(parsed.reason, parsed.detail)
      return
    }
    const frame = parsed.value
    if (frame.kind === 'error') this.#onErrorFrame(frame)
    else if (frame.kind === 'info') events.onNotice(`info ${frame.name}`, frame.message ?? '')
    else if (frame.kind === 'unknown') {
      events.onDropped('frame-unknown-type', frame.type)
      if (frame.seq !== undefined && this.#inOrder(frame.seq)) this.#skip(frame.seq)
    } else if (this.#inOrder(frame.seq)) this.#arrive(arrivedOf(frame), frame.body.time)
  }

  #arrive(frame: ArrivedFrame, time: string): void {
    const nowMs = this.#options.clock.nowMs()
    this.#lastEventAtMs = nowMs
    this.#lastEventTime = time
    // Known: it was decided before the connection or the process broke off.
    if (this.#sequence.tracker.begin(frame.seq) === 'known') {
      this.#options.events.onMoved()
      return
    }
    this.#weigh()
    this.#options.events.onArrival({
      link: this,
      frame,
      hostSeq: frame.seq,
      hostEpoch: this.#sequence.epoch,
      receivedAtMs: nowMs,
    })
  }

  #skip(seq: number): void {
    const { tracker } = this.#sequence
    if (tracker.begin(seq) === 'new') tracker.done(seq, null)
    this.#options.events.onMoved()
  }

  #inOrder(seq: number): boolean {
    const verdict = this.#sequence.arrive(seq, this.#options.clock.nowMs())
    if (verdict.kind === 'drop') this.#options.events.onDropped('seq-not-rising', verdict.detail)
    if (verdict.kind === 'restarted') this.#startOver(verdict.detail)
    return verdict.kind === 'next'
  }

  #onErrorFrame(frame: ErrorFrame): void {
    this.#options.events.onNotice(`error ${frame.error}`, frame.message ?? '')
    if (frame.error !== 'FutureCursor') return
    const verdict = this.#sequence.future(this.#options.clock.nowMs())
    if (verdict.kind === 'restarted') this.#startOver(verdict.detail)
  }

  /** The host counts anew: connects again, so that it sends everything it has. */
  #startOver(why: string): void {
    this.#options.events.onMoved()
    this.#options.events.onNotice('sequence restarted', why)
    this.#abandoned = true
    this.#weigh()
    this.#subscriber.reconnect()
  }

  /** Takes the event and its bytes out of what the host may send; holds it back when it is over. */
  #takeTokens(bytes: number): void {
    const waitMs = this.#bucket.reserve(Math.max(1, Math.ceil(bytes / BYTES_PER_TOKEN)))
    if (waitMs === 0 || this.#rateTimer !== null) return
    this.#rateTimer = this.#options.clock.after(waitMs, () => {
      this.#rateTimer = null
      this.#applyHold()
    })
    this.#applyHold()
  }

  get #isHeld(): boolean {
    return this.#heldByPending || this.#heldByOwner || this.#crowds > 0 || this.#rateTimer !== null
  }

  #applyHold(): void {
    if (this.#isHeld) this.#subscriber.pause()
    else this.#subscriber.resume()
  }
}

function arrivedOf(frame: MessageFrame): ArrivedFrame {
  return frame.type === '#commit' || frame.type === '#sync' ? peekedOf(frame) : frame
}

function kindOf(frame: ParsedFrame | PeekedFrame): string {
  return frame.kind === 'message' || frame.kind === 'peeked' ? frame.type.slice(1) : frame.kind
}
