/** The WebSocket client of Node, on `ws`. */
import { WebSocket, type ClientOptions } from 'ws'
import { assert } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { FRAME_BYTES_MAX } from '../lib/limits.ts'
import { retryAfterMs } from './backoff.ts'
import { HeldMessages } from './held-messages.ts'
import type { Transport, TransportConnection, TransportListener } from './transport.ts'

/** How long a polite close may take before the socket is destroyed. */
const CLOSE_GRACE_MS = 2_000
/**
 * Known to ws 8.23, not to its types: how long it waits for the peer to end a closing connection.
 */
const CLOSE_OPTIONS = { closeTimeout: CLOSE_GRACE_MS }
/** Longest reason or error text that is passed on, in UTF-16 units. */
const REASON_CHARS_MAX = 256
/**
 * Most bytes of messages that may arrive after a pause: what `ws` had already read when it was
 * told, which is one socket read of 64 KiB, or the end of one large message and what shared its
 * last read.
 */
const HELD_BYTES_MAX = FRAME_BYTES_MAX + 1024 * 1024

export interface WsTransportOptions {
  readonly clock: Clock
  readonly userAgent: string
  /** Time for TCP, TLS and the HTTP answer, each of them silent. */
  readonly handshakeTimeoutMs: number
  /**
   * Options of the outgoing connection: this is where the policy on addresses stands (`lookup`,
   * `agent`, `createConnection`). Throws to refuse an address; the attempt then fails with that
   * text. What the transport itself decides (redirects, compression, sizes) cannot be overridden.
   */
  readonly connectOptions: (url: URL) => ClientOptions
}

/**
 * Makes WebSocket connections without compression, without redirects, with messages of at most
 * FRAME_BYTES_MAX.
 *
 * Messages are handed over without a copy. They are never written to again, so they may be kept,
 * but one may be a view of a larger read: keeping a small message for long can pin 64 KiB; copy
 * those.
 */
export class WsTransport implements Transport {
  readonly #options: WsTransportOptions

  constructor(options: WsTransportOptions) {
    this.#options = options
  }

  connect(url: string, listener: TransportListener): TransportConnection {
    const { clock, userAgent, handshakeTimeoutMs, connectOptions } = this.#options
    try {
      const target = new URL(url)
      const chosen = connectOptions(target)
      const socket = new WebSocket(target, {
        ...chosen,
        headers: { ...chosen.headers, 'User-Agent': userAgent },
        perMessageDeflate: false,
        followRedirects: false,
        maxPayload: FRAME_BYTES_MAX,
        handshakeTimeout: handshakeTimeoutMs,
        ...CLOSE_OPTIONS,
      })
      return new WsConnection(socket, listener, clock)
    } catch (thrown) {
      const reason = messageOf(thrown).slice(0, REASON_CHARS_MAX)
      clock.after(0, () =>
        listener.onClose({ code: 1006, reason, httpStatus: null, retryAfterMs: null }),
      )
      return { ping: nothing, pause: nothing, resume: nothing, close: nothing, terminate: nothing }
    }
  }
}

function nothing(): void {}

class WsConnection implements TransportConnection {
  readonly #socket: WebSocket
  readonly #listener: TransportListener
  readonly #clock: Clock
  readonly #held: HeldMessages
  #closed = false
  #error = ''
  #brokeProtocol = false
  #httpStatus: number | null = null
  #retryAfterMs: number | null = null

  constructor(socket: WebSocket, listener: TransportListener, clock: Clock) {
    this.#socket = socket
    this.#listener = listener
    this.#clock = clock
    this.#held = new HeldMessages(HELD_BYTES_MAX, (message) => {
      if (message === null) listener.onText()
      else listener.onMessage(message)
    })
    socket.on('open', () => listener.onOpen())
    socket.on('pong', () => listener.onPong())
    socket.on('message', (data, isBinary) => this.#receive(isBinary ? data : null))
    socket.on('error', (error: Error & { code?: unknown }) => this.#fail(error))
    socket.on('close', (code, reason) => this.#finish(code, reason.toString('utf8')))
    socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0
      this.#httpStatus = status
      this.#retryAfterMs = retryAfterMs(response.headers['retry-after'], clock.nowMs())
      this.#error = `HTTP status ${status}`
      socket.terminate()
    })
  }

  ping(): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping()
  }

  pause(): void {
    this.#held.pause()
    this.#socket.pause()
  }

  resume(): void {
    if (this.#held.resume()) this.#socket.resume()
  }

  close(): void {
    if (this.#closed) return
    this.#drop()
    // A paused socket would never read the peer's close frame.
    this.#socket.resume()
    this.#socket.close(1000)
    this.#clock.after(CLOSE_GRACE_MS, () => this.#socket.terminate())
  }

  terminate(): void {
    this.#drop()
    this.#socket.terminate()
  }

  /** From here on no message is wanted. */
  #drop(): void {
    this.#closed = true
    this.#held.drop()
  }

  /** `data` is null for a text message. */
  #receive(data: WebSocket.RawData | null): void {
    if (this.#closed) return
    assert(data === null || data instanceof Uint8Array, 'ws delivers nodebuffer messages')
    if (this.#held.take(data)) return
    this.#error = 'messages kept arriving on a paused socket'
    this.terminate()
  }

  #fail(error: Error & { code?: unknown }): void {
    if (this.#error === '') this.#error = error.message
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#listener.onTooLarge()
    else if (String(error.code).startsWith('WS_ERR_')) this.#brokeProtocol = true
  }

  #finish(code: number, reason: string): void {
    this.#drop()
    this.#listener.onClose({
      // What we tell a peer whose bytes are no WebSocket frame, where it says nothing itself.
      code: code === 1006 && this.#brokeProtocol ? 1002 : code,
      reason: (reason === '' ? this.#error : reason).slice(0, REASON_CHARS_MAX),
      httpStatus: this.#httpStatus,
      retryAfterMs: this.#retryAfterMs,
    })
  }
}
