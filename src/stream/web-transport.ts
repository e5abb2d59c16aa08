/** The WebSocket client that browsers, workers, Deno, Bun and Node have built in. */
import { assert } from '../lib/assert.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { FRAME_BYTES_MAX } from '../lib/limits.ts'
import { HeldMessages } from './held-messages.ts'
import type { Transport, TransportConnection, TransportListener } from './transport.ts'

/** How long a polite close may take before the connection counts as gone. */
const CLOSE_GRACE_MS = 2_000
/** Longest reason or error text that is passed on, in UTF-16 units. */
const REASON_CHARS_MAX = 256
/**
 * Nothing for this long, and the connection is made anew: there is no ping to ask with. Shorter
 * than what subscribers wait before they take silence for a fault.
 */
const UNHEARD_MS_MAX = 60_000
/** Most bytes kept for a paused reader: some seconds of the whole network's stream. */
const HELD_BYTES_MAX = 16 * 1024 * 1024

/** What is used of the runtime's `WebSocket`. */
export interface WebSocketLike {
  binaryType: string
  addEventListener<T extends keyof WebSocketEvents>(
    type: T,
    listener: (event: WebSocketEvents[T]) => void,
  ): void
  close(code?: number): void
}

/** What is used of its events. */
export interface WebSocketEvents {
  readonly open: object
  readonly message: { readonly data: unknown }
  readonly error: object
  readonly close: { readonly code: number; readonly reason: string }
}

type SocketClass = new (url: string) => WebSocketLike

export interface WebTransportOptions {
  readonly clock: Clock
  /** Default: the runtime's own. */
  readonly WebSocket?: SocketClass
  /** Most bytes kept for a paused reader, at least one frame; default 16 MiB. */
  readonly heldBytesMax?: number
}

/**
 * Makes connections with the runtime's `WebSocket`, which can do less than `ws`:
 *
 * - It cannot ping. `ping` does nothing, and `onPong` never comes. When nothing was heard for a
 *   minute the connection ends with `renewal: 'unheard'`, and its owner connects again at its
 *   cursor; nothing is lost or repeated, and a dead service is found by the new attempt. (An owner
 *   without a cursor misses what is sent in between.)
 * - It cannot hold the peer back. Messages that arrive while paused are kept, up to `heldBytesMax`;
 *   one more, and the socket is closed. `onClose`, with `renewal: 'held-back'`, comes when the
 *   reader has resumed and taken what was kept, and its owner connects again at its cursor: memory
 *   is bounded, and the peer is not asked for anything before there is room for it.
 * - It takes in messages of any size and only then gives them out, and it lets the peer compress.
 *   What is over FRAME_BYTES_MAX is thrown away, with `onTooLarge`, but has been in memory once.
 * - Neither the HTTP status nor the cause of a failed attempt is told: `httpStatus` is null.
 *
 * Messages are the receiver's to keep.
 */
export class WebTransport implements Transport {
  readonly #options: WebTransportOptions

  constructor(options: WebTransportOptions) {
    const { heldBytesMax = HELD_BYTES_MAX } = options
    assert(heldBytesMax >= FRAME_BYTES_MAX, 'heldBytesMax takes a frame')
    this.#options = options
  }

  connect(url: string, listener: TransportListener): TransportConnection {
    const { clock, heldBytesMax = HELD_BYTES_MAX } = this.#options
    const connection = new WebConnection(listener, clock, heldBytesMax)
    try {
      const Socket = this.#options.WebSocket ?? globalThis.WebSocket
      connection.open(new Socket(url))
    } catch (thrown) {
      // The URL, or a page that may not make such connections.
      connection.fail(messageOf(thrown))
    }
    return connection
  }
}

class WebConnection implements TransportConnection {
  readonly #listener: TransportListener
  readonly #clock: Clock
  readonly #held: HeldMessages
  #socket: WebSocketLike | null = null
  #watch: Timer | null = null
  #heardMs = 0
  #error = ''
  /** No longer wanted, or over: nothing but `onClose` comes any more. */
  #ended = false
  /** The socket is gone because a paused reader was sent too much. */
  #heldBack = false

  constructor(listener: TransportListener, clock: Clock, heldBytesMax: number) {
    this.#listener = listener
    this.#clock = clock
    this.#held = new HeldMessages(heldBytesMax, (message) => {
      if (message === null) listener.onText()
      else listener.onMessage(message)
    })
  }

  open(socket: WebSocketLike): void {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    // What a socket does after it was let go is not looked at.
    const isOurs = (): boolean => this.#socket === socket
    socket.addEventListener('open', () => {
      if (isOurs()) this.#opened()
    })
    socket.addEventListener('message', ({ data }) => {
      if (isOurs()) this.#receive(data)
    })
    socket.addEventListener('error', (event) => {
      if ('message' in event && typeof event.message === 'string') this.#error = event.message
    })
    socket.addEventListener('close', ({ code, reason }) => {
      if (isOurs()) this.#finish(code, reason === '' ? this.#error : reason)
    })
  }

  /** Ends an attempt that could not be made. */
  fail(reason: string): void {
    this.#clock.after(0, () => this.#finish(1006, reason))
  }

  ping(): void {}

  pause(): void {
    this.#held.pause()
  }

  resume(): void {
    const isDrained = this.#held.resume()
    if (isDrained && this.#heldBack) {
      this.#finish(1006, 'more was sent than is kept for a paused reader', 'held-back')
    }
  }

  close(): void {
    if (this.#ended) return
    this.#held.drop()
    this.#socket?.close(1000)
    this.#clock.after(CLOSE_GRACE_MS, () => this.#finish(1006, 'the peer did not close'))
  }

  terminate(): void {
    if (this.#ended) return
    this.#held.drop()
    const reason = this.#error
    this.#release()
    // The owner may be in a call of this connection, and does not expect one of its own.
    this.#clock.after(0, () => this.#finish(1006, reason))
  }

  #opened(): void {
    this.#heardMs = this.#clock.monotonicMs()
    this.#watchFor(UNHEARD_MS_MAX)
    this.#listener.onOpen()
  }

  #receive(data: unknown): void {
    this.#heardMs = this.#clock.monotonicMs()
    if (data instanceof ArrayBuffer && data.byteLength > FRAME_BYTES_MAX) {
      this.#error = `message of ${data.byteLength} bytes`
      this.#listener.onTooLarge()
      this.terminate()
      return
    }
    const message = data instanceof ArrayBuffer ? new Uint8Array(data) : null
    if (this.#held.take(message)) return
    this.#heldBack = true
    this.#release()
  }

  #watchFor(delayMs: number): void {
    this.#watch = this.#clock.after(delayMs, () => {
      const restMs = this.#heardMs + UNHEARD_MS_MAX - this.#clock.monotonicMs()
      if (restMs > 0) {
        this.#watchFor(restMs)
        return
      }
      this.#release()
      this.#finish(1006, 'nothing was heard, and this runtime cannot ping', 'unheard')
    })
  }

  #release(): void {
    this.#watch?.cancel()
    const socket = this.#socket
    this.#socket = null
    socket?.close()
  }

  /** Once; the grace of a polite close may come after the peer's answer. */
  #finish(code: number, reason: string, renewal?: 'unheard' | 'held-back'): void {
    if (this.#ended) return
    this.#ended = true
    this.#held.drop()
    this.#release()
    this.#listener.onClose({
      code,
      reason: reason.slice(0, REASON_CHARS_MAX),
      httpStatus: null,
      retryAfterMs: null,
      ...(renewal === undefined ? {} : { renewal }),
    })
  }
}
