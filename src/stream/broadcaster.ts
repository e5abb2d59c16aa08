/**
 * Serves the event stream: takes upgraded connections and feeds each from the log at its own pace.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Clock, type Timer } from '../lib/clock.ts'
import { cursorParameters, resolveCursor } from './cursor.ts'
import type { LogChunk, LogSource } from './log-source.ts'
import { addressGroup, refuse } from './refusal.ts'
import { type EndReason, Session, type SessionView } from './session.ts'
import { CHUNK_BYTES_MAX, SESSION_LIMITS, type SessionLimits } from './session-rules.ts'

/**
 * Most subscribers at once. Each may hold half a mebibyte in its socket, so that 1,000 who all
 * stand still cost 512 MiB until they are dropped; live delivery to 1,000 takes about 1 ms of CPU
 * an event.
 */
export const SUBSCRIBERS_MAX = 1_000
/**
 * Most subscribers from one address: several consumers behind one NAT, not all the places there
 * are.
 */
export const SUBSCRIBERS_PER_ADDRESS_MAX = 50

/** Largest message that a client may send; there is nothing for it to say. */
const INBOUND_MESSAGE_BYTES_MAX = 4 * 1024
const USER_AGENT_CHARS_MAX = 128
/**
 * What is published is handed out so long after the last time, ms for each subscriber, at most
 * HAND_OUT_MS_MAX. A write to a socket costs some 3 µs, be it one event or a dozen: each of a
 * crowd gets several at once, and a few subscribers get all as it comes.
 */
const HAND_OUT_MS_EACH = 0.2
/** As long as a packet takes across a continent. */
const HAND_OUT_MS_MAX = 50

/** How often every session is looked at. */
const TICK_MS = 1_000
const RETRY_AFTER_SECONDS = 30

/** Why an upgrade was answered with an HTTP error. Stable: these are metric labels. */
export type RefusalReason = 'full' | 'address-full' | 'stopping' | 'handshake'

export interface BroadcasterOptions {
  readonly source: LogSource
  readonly clock: Clock
  /** Default {@link SUBSCRIBERS_MAX}. */
  readonly subscribersMax?: number
  /** Default {@link SUBSCRIBERS_PER_ADDRESS_MAX}. */
  readonly subscribersPerAddressMax?: number
  readonly limits?: SessionLimits
  /** Header `Server` of accepted upgrades, by which relays know one another; default none. */
  readonly serverHeader?: string
  /**
   * Who is asking, for limits and display: behind a proxy, from its header. Default: the socket.
   */
  readonly remoteAddress?: (request: IncomingMessage) => string
  /** Called when a session's end is decided, for logs. */
  readonly onEnd?: (view: SessionView, reason: EndReason) => void
}

/** Totals since the start, for metrics. */
export interface BroadcasterStats {
  readonly subscribers: number
  readonly accepted: number
  readonly refused: Readonly<Record<RefusalReason, number>>
  readonly ended: Readonly<Partial<Record<EndReason, number>>>
}

/**
 * The server half of `com.atproto.sync.subscribeRepos`.
 *
 * There is no queue per subscriber and no seam between replay and live: each is a position in the
 * log that reads on when its socket has room. At the tip all of them share the bytes of one read.
 */
export class Broadcaster {
  readonly #options: BroadcasterOptions
  readonly #limits: SessionLimits
  readonly #server: WebSocketServer
  readonly #sessions = new Map<Session, string>()
  readonly #perAddress = new Map<string, number>()
  readonly #ended = new Map<EndReason, number>()
  readonly #refused = { full: 0, 'address-full': 0, stopping: 0, handshake: 0 }
  readonly #unsubscribe: () => void
  #accepted = 0
  #timer: Timer | null = null
  #handedOutAtMs = Number.NEGATIVE_INFINITY
  #handOut: Timer | null = null
  #stopping = false
  #whenEmpty: (() => void)[] = []
  /** The reads of the publication being handed out, by where they start. */
  #shared: Map<number, LogChunk | null> | null = null

  constructor(options: BroadcasterOptions) {
    this.#options = options
    this.#limits = options.limits ?? SESSION_LIMITS
    // Known to ws 8.23, not to its types: how long it waits for a client that broke the protocol.
    const closeOptions = { closeTimeout: this.#limits.closeGraceMs }
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: INBOUND_MESSAGE_BYTES_MAX,
      ...closeOptions,
    })
    this.#server.on('wsClientError', (error, socket) => {
      this.#refused.handshake++
      refuse(socket, { status: 400, error: 'InvalidRequest', message: error.message })
    })
    const { serverHeader } = options
    if (serverHeader !== undefined) {
      this.#server.on('headers', (headers) => headers.push(`Server: ${serverHeader}`))
    }
    this.#unsubscribe = options.source.onPublish(() => this.#published())
  }

  /**
   * Takes an upgrade request for subscribeRepos; the caller has matched the path. Answers it in
   * every case. Errors about `cursor` are sent in the stream, after a successful upgrade, as the
   * reference does.
   */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const remote = this.#remoteOf(request)
    const group = addressGroup(remote)
    if (request.method !== 'GET') {
      this.#refused.handshake++
      refuse(socket, { status: 405, error: 'InvalidRequest', message: 'expected GET' })
      return
    }
    const full = this.#whyFull(group)
    if (full !== null) {
      this.#refuseFull(socket, full)
      return
    }
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      this.#admit(request, socket, webSocket, remote, group)
    })
  }

  /** Every subscriber, oldest first. */
  sessions(): SessionView[] {
    const { publishedSeq } = this.#options.source
    return [...this.#sessions.keys()].map((session) => session.view(publishedSeq))
  }

  stats(): BroadcasterStats {
    return {
      subscribers: this.#sessions.size,
      accepted: this.#accepted,
      refused: { ...this.#refused },
      ended: Object.fromEntries(this.#ended),
    }
  }

  /**
   * Closes every connection with 1012, which tells clients to come back, and destroys what is left
   * after the grace. Resolves when all are gone. New requests get 503. Safe to call again.
   */
  stop(): Promise<void> {
    this.#stopping = true
    this.#unsubscribe()
    if (this.#handOut !== null) this.#handOutNow()
    for (const session of this.#sessions.keys()) session.end('stopping')
    if (this.#sessions.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.push(resolve))
  }

  #remoteOf(request: IncomingMessage): string {
    const { remoteAddress } = this.#options
    return remoteAddress?.(request) ?? request.socket.remoteAddress ?? 'unknown'
  }

  #whyFull(group: string): 'stopping' | 'full' | 'address-full' | null {
    const { subscribersMax, subscribersPerAddressMax } = this.#options
    if (this.#stopping) return 'stopping'
    if (this.#sessions.size >= (subscribersMax ?? SUBSCRIBERS_MAX)) return 'full'
    const most = subscribersPerAddressMax ?? SUBSCRIBERS_PER_ADDRESS_MAX
    return (this.#perAddress.get(group) ?? 0) >= most ? 'address-full' : null
  }

  #refuseFull(socket: Duplex, reason: 'stopping' | 'full' | 'address-full'): void {
    this.#refused[reason]++
    const retryAfterSeconds = RETRY_AFTER_SECONDS
    if (reason === 'address-full') {
      const message = 'Too many subscriptions from this address'
      refuse(socket, { status: 429, error: 'RateLimitExceeded', message, retryAfterSeconds })
      return
    }
    const message = reason === 'full' ? 'Too many subscriptions' : 'The server is restarting'
    refuse(socket, { status: 503, error: 'NotEnoughResources', message, retryAfterSeconds })
  }

  #admit(
    request: IncomingMessage,
    socket: Duplex,
    webSocket: WebSocket,
    remote: string,
    group: string,
  ): void {
    const { source, clock } = this.#options
    const session = new Session({
      id: ++this.#accepted,
      remote,
      userAgent: printable(request.headers['user-agent'] ?? ''),
      socket,
      webSocket,
      clock,
      limits: this.#limits,
      read: (afterSeq) => this.#read(afterSeq),
      firstSeq: () => source.firstSeq,
      onEnd: (ended, reason) => this.#onEnd(ended, reason),
      onGone: (gone) => this.#onGone(gone),
    })
    this.#sessions.set(session, group)
    this.#perAddress.set(group, (this.#perAddress.get(group) ?? 0) + 1)
    if (this.#timer === null) this.#schedule()
    session.start(resolveCursor(cursorParameters(request.url ?? ''), source))
  }

  #read(afterSeq: number): LogChunk | Promise<LogChunk> | null {
    const { source } = this.#options
    const shared = this.#shared?.get(afterSeq)
    if (shared !== undefined) return shared
    const chunk = source.read(afterSeq, CHUNK_BYTES_MAX)
    if (!(chunk instanceof Promise)) this.#shared?.set(afterSeq, chunk)
    return chunk
  }

  /** The first publication after a pause is handed out at once; what follows waits its time. */
  #published(): void {
    if (this.#handOut !== null) return
    const { clock } = this.#options
    const intervalMs = Math.min(this.#sessions.size * HAND_OUT_MS_EACH, HAND_OUT_MS_MAX)
    const waitMs = this.#handedOutAtMs + intervalMs - clock.monotonicMs()
    // A timer takes a millisecond at least.
    if (waitMs < 1) this.#handOutNow()
    else this.#handOut = clock.after(waitMs, () => this.#handOutNow())
  }

  #handOutNow(): void {
    this.#handOut?.cancel()
    this.#handOut = null
    this.#handedOutAtMs = this.#options.clock.monotonicMs()
    this.#shared = new Map()
    for (const session of this.#sessions.keys()) session.published()
    this.#shared = null
  }

  #schedule(): void {
    this.#timer = this.#options.clock.after(TICK_MS, () => {
      for (const session of this.#sessions.keys()) session.tick()
      if (this.#sessions.size > 0) this.#schedule()
      else this.#timer = null
    })
  }

  #onEnd(session: Session, reason: EndReason): void {
    this.#ended.set(reason, (this.#ended.get(reason) ?? 0) + 1)
    this.#options.onEnd?.(session.view(this.#options.source.publishedSeq), reason)
  }

  #onGone(session: Session): void {
    const group = this.#sessions.get(session)
    if (group === undefined) return
    this.#sessions.delete(session)
    const left = (this.#perAddress.get(group) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(group)
    else this.#perAddress.set(group, left)
    if (this.#sessions.size > 0) return
    this.#timer?.cancel()
    this.#timer = null
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
  }
}

/** A stranger's text, cut and without control characters, fit for logs. */
function printable(text: string): string {
  return text.slice(0, USER_AGENT_CHARS_MAX).replaceAll(/[^\x20-\x7e]/g, '?')
}
