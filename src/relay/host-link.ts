/**
 * One host's connection: its socket, its place in the host's sequence, and how fast it may speak.
 * Frames are parsed here and given out in order; what becomes of them is for the admission.
 */
import type { Clock, Timer } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Reason } from '../lib/reasons.ts'
import { TokenBucket } from '../identity/host-limits.ts'
import { parseFrame } from '../stream/frame.ts'
import type { ErrorFrame, MessageFrame, ParsedFrame } from '../stream/frame-types.ts'
import { Subscriber, type SubscriberClose } from '../stream/subscriber.ts'
import type { BackoffState } from '../stream/subscriber-machine.ts'
import type { Transport } from '../stream/transport.ts'
import type { HostRow } from '../store/relay-store.ts'
import { CursorTracker } from './cursor-tracker.ts'

/** Undecided events of one host beyond which it is held back, and where it is let go on. */
const PENDING_EVENTS_MAX = 1_000
const PENDING_EVENTS_RESUME = 500
/** Seconds of its rate that a host may send at once: room for a reconnect's backlog. */
const BURST_SECONDS = 10
/** Falling seqs one after another, on one connection, after which the sequence counts as restarted. */
const SEQ_FALLS_MAX = 100
/** Sequence restarts of one host that are followed in a day; each may replay its whole window. */
const RESTARTS_PER_DAY_MAX = 24
const DAY_MS = 86_400_000

/** An event of a host that has not been decided. */
export interface Arrival {
  readonly link: HostLink
  readonly frame: MessageFrame
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
  /** Seqs over the cursor that the log already holds. */
  readonly ahead: Iterable<number>
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
  #tracker: CursorTracker
  #epoch: number
  #connected = false
  /** Seq of the last message on this connection; null right after it opened. */
  #lastSeq: number | null = null
  #cursorSent: number | null = null
  #seqFalls = 0
  #restarts: number[] = []
  #lastEventAtMs: number | null
  #lagMs: number | null = null
  #rateTimer: Timer | null = null
  #heldByPending = false
  #heldByOwner = false

  constructor(options: HostLinkOptions) {
    const { row } = options
    this.id = row.id
    this.hostname = row.hostname
    this.endpoint = row.endpoint
    this.requested = row.requested
    this.#options = options
    this.#epoch = row.epoch
    this.#lastEventAtMs = row.lastEventAtMs
    this.#tracker = new CursorTracker(row.cursor, options.ahead)
    const { eventsPerSecond, clock } = options
    this.#bucket = new TokenBucket(clock, eventsPerSecond, eventsPerSecond * BURST_SECONDS)
    this.#subscriber = new Subscriber({
      endpoint: options.webSocketUrl,
      cursor: () => this.#nextCursor(),
      transport: options.transport,
      clock,
      random: options.random,
      backoff: { attempt: row.attempt, nextAttemptAtMs: row.nextAttemptAtMs },
      listener: {
        onOpen: () => this.#onOpen(),
        onFrame: (bytes) => this.#onFrame(bytes),
        onBadMessage: (reason) => options.events.onDropped(reason, `host ${this.hostname}`),
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
    return this.#epoch
  }

  get cursor(): number | null {
    return this.#tracker.cursor
  }

  /** Events received and not decided. */
  get pending(): number {
    return this.#tracker.pending
  }

  get lastEventAtMs(): number | null {
    return this.#lastEventAtMs
  }

  /** How old the last event was when it arrived, ms. */
  get lagMs(): number | null {
    return this.#lagMs
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

  /** The event has its outcome, and the cursor may move past it. */
  settle(arrival: Arrival): void {
    if (arrival.hostEpoch !== this.#epoch) return
    this.#tracker.done(arrival.hostSeq)
    this.#options.events.onMoved()
    if (this.#heldByPending && this.#tracker.pending <= PENDING_EVENTS_RESUME) {
      this.#heldByPending = false
      this.#applyHold()
    }
  }

  #nextCursor(): number | null {
    const { firstCursor } = this.#options
    this.#cursorSent = this.#tracker.cursor ?? firstCursor
    return this.#cursorSent
  }

  #onOpen(): void {
    this.#connected = true
    this.#lastSeq = null
    this.#seqFalls = 0
    this.#options.events.onConnection('opened', `cursor ${String(this.#cursorSent)}`)
  }

  #onClosed(close: SubscriberClose): void {
    const outcome = this.#connected ? 'closed' : 'failed'
    this.#connected = false
    const detail = close.cause ?? `${close.code} ${close.reason}`
    this.#options.events.onConnection(outcome, detail)
  }

  #onFrame(bytes: Uint8Array): void {
    const { events, clock } = this.#options
    const parsed = parseFrame(bytes)
    events.onReceived(parsed.ok ? kindOf(parsed.value) : 'malformed', bytes.length)
    this.#takeToken()
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
    } else if (this.#inOrder(frame.seq)) this.#arrive(frame, clock.nowMs())
  }

  #arrive(frame: MessageFrame, nowMs: number): void {
    this.#lastEventAtMs = nowMs
    const eventMs = Date.parse(frame.body.time)
    this.#lagMs = Number.isNaN(eventMs) ? null : Math.max(0, nowMs - eventMs)
    // Known: it was decided before the connection or the process broke off.
    if (this.#tracker.begin(frame.seq) === 'known') {
      this.#options.events.onMoved()
      return
    }
    if (this.#tracker.pending >= PENDING_EVENTS_MAX) {
      this.#heldByPending = true
      this.#applyHold()
    }
    this.#options.events.onArrival({
      link: this,
      frame,
      hostSeq: frame.seq,
      hostEpoch: this.#epoch,
      receivedAtMs: nowMs,
    })
  }

  #skip(seq: number): void {
    if (this.#tracker.begin(seq) === 'new') this.#tracker.done(seq)
    this.#options.events.onMoved()
  }

  /** Checks that seqs rise on this connection; finds out when the host's sequence has restarted. */
  #inOrder(seq: number): boolean {
    const last = this.#lastSeq
    if (last === null && this.#cursorSent !== null && seq < this.#cursorSent) {
      // The first message after our cursor lies before it: the host counts anew.
      this.#restart(`seq ${seq} after cursor ${this.#cursorSent}`)
    } else if (last !== null && seq <= last) {
      this.#options.events.onDropped('seq-not-rising', `seq ${seq} after ${last}`)
      this.#seqFalls++
      if (this.#seqFalls === SEQ_FALLS_MAX) this.#restart(`${SEQ_FALLS_MAX} falling seqs`)
      else return false
    }
    this.#seqFalls = 0
    this.#lastSeq = seq
    return true
  }

  /**
   * Starts over in a new epoch: the host's sequence no longer means what it did. Repeated events are
   * told by their rev.
   */
  #restart(why: string): boolean {
    const nowMs = this.#options.clock.nowMs()
    this.#restarts = this.#restarts.filter((atMs) => nowMs - atMs < DAY_MS)
    if (this.#restarts.length >= RESTARTS_PER_DAY_MAX) {
      this.#options.events.onNotice('sequence restart ignored', `${why}; too many in a day`)
      return false
    }
    this.#restarts.push(nowMs)
    this.#epoch++
    this.#tracker = new CursorTracker(null)
    this.#lastSeq = null
    this.#heldByPending = false
    this.#applyHold()
    this.#options.events.onMoved()
    this.#options.events.onNotice('sequence restarted', why)
    return true
  }

  #onErrorFrame(frame: ErrorFrame): void {
    this.#options.events.onNotice(`error ${frame.error}`, frame.message ?? '')
    if (frame.error !== 'FutureCursor') return
    // The next attempt asks for everything the host still has.
    if (this.#restart(`FutureCursor at ${String(this.#cursorSent)}`))
      this.#tracker = new CursorTracker(0)
  }

  #takeToken(): void {
    const waitMs = this.#bucket.reserve()
    if (waitMs === 0 || this.#rateTimer !== null) return
    this.#rateTimer = this.#options.clock.after(waitMs, () => {
      this.#rateTimer = null
      this.#applyHold()
    })
    this.#applyHold()
  }

  #applyHold(): void {
    if (this.#heldByPending || this.#heldByOwner || this.#rateTimer !== null)
      this.#subscriber.pause()
    else this.#subscriber.resume()
  }
}

function kindOf(frame: ParsedFrame): string {
  return frame.kind === 'message' ? frame.type.slice(1) : frame.kind
}
