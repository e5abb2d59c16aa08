/** The stream of events over one connection: no reconnecting, no cursor kept, nothing verified. */
import type { Clock, Timer } from '../../lib/clock.ts'
import { SEQ_MAX } from '../../lib/limits.ts'
import {
  CONNECT_TIMEOUT_MS,
  PING_INTERVAL_MS,
  SILENCE_MS_MAX,
} from '../../stream/subscriber-machine.ts'
import { subscribeReposUrl } from '../../stream/subscriber.ts'
import type { Transport, TransportClose, TransportConnection } from '../../stream/transport.ts'
import { CallError, type CallErrorCode, type CallTarget, LEXICON_ERRORS } from './call-error.ts'
import { statusError } from './answer-errors.ts'
import { decodeEvent } from '../events/decode-event.ts'
import type { SyncEvent } from '../events/events.ts'

/** The call that this is, for errors. */
export const SUBSCRIBE_REPOS_NSID = 'com.atproto.sync.subscribeRepos'
/** Bytes that wait for the reader before the service is held back, and when it may go on. */
const WAITING_BYTES_HIGH = 4 * 1_024 * 1_024
const WAITING_BYTES_LOW = 1_024 * 1_024

export interface OneSubscription {
  readonly transport: Transport
  readonly clock: Clock
  readonly target: CallTarget
  /** `wss://host`. */
  readonly endpoint: string
  readonly cursor: number | undefined
  readonly signals: readonly (AbortSignal | undefined)[]
}

/** Events of one connection; see `SyncClient.subscribeRepos`. Each iteration connects anew. */
export async function* subscribeOnce(options: OneSubscription): AsyncGenerator<SyncEvent> {
  const { cursor, target } = options
  if (cursor !== undefined && !(Number.isSafeInteger(cursor) && cursor >= 0 && cursor <= SEQ_MAX)) {
    throw new CallError('InvalidRequest', target, 'cursor is not a seq')
  }
  const socket = new Socket(options)
  try {
    for (;;) {
      const bytes = await socket.next()
      if (bytes === null) return
      yield eventOf(bytes, target)
    }
  } finally {
    socket.end()
  }
}

function eventOf(bytes: Uint8Array, target: CallTarget): SyncEvent {
  const decoded = decodeEvent(bytes)
  if (!decoded.ok) {
    const { reason, detail } = decoded
    throw new CallError('InvalidResponse', target, detail, { reason })
  }
  const event = decoded.value
  if (event.type !== 'error') return event
  const { error, message } = event
  const code: CallErrorCode = Object.hasOwn(LEXICON_ERRORS, error)
    ? (error as keyof typeof LEXICON_ERRORS)
    : 'OtherError'
  throw new CallError(code, target, message === null ? error : `${error}: ${message}`, { error })
}

/** One connection whose messages are taken one by one. */
class Socket {
  readonly #options: OneSubscription
  readonly #connection: TransportConnection
  readonly #onAbort = (): void =>
    this.#finish(new CallError('Aborted', this.#options.target, 'aborted'))
  /** First in, first out. */
  readonly #waiting = new Set<{ readonly bytes: Uint8Array }>()
  #waitingBytes = 0
  #paused = false
  #opened = false
  #heardMs: number
  #outcome: { readonly error: CallError | null } | null = null
  #wake: (() => void) | null = null
  #timer: Timer

  constructor(options: OneSubscription) {
    this.#options = options
    const { transport, clock, endpoint, cursor, signals } = options
    this.#heardMs = clock.monotonicMs()
    this.#connection = transport.connect(subscribeReposUrl(endpoint, cursor ?? null), {
      onOpen: () => {
        this.#opened = true
        this.#timer.cancel()
        this.#heard()
        this.#watch()
      },
      onMessage: (bytes) => this.#message(bytes),
      onText: () => this.#fail('InvalidResponse', 'a text message'),
      onPong: () => this.#heard(),
      onTooLarge: () => this.#fail('TooLarge', 'a frame is too large'),
      onClose: (close) => this.#finish(this.#closed(close)),
    })
    this.#timer = clock.after(CONNECT_TIMEOUT_MS, () => this.#fail('Timeout', 'no connection'))
    for (const signal of signals) {
      if (signal?.aborted === true) this.#onAbort()
      signal?.addEventListener('abort', this.#onAbort, { once: true })
    }
  }

  /** The next message; null after a close that is none of an error. Throws a CallError. */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      for (const message of this.#waiting) {
        this.#waiting.delete(message)
        this.#waitingBytes -= message.bytes.length
        if (this.#paused && this.#waitingBytes <= WAITING_BYTES_LOW) this.#resume()
        return message.bytes
      }
      if (this.#outcome !== null) {
        if (this.#outcome.error !== null) throw this.#outcome.error
        return null
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Ends the connection, and all that waits. */
  end(): void {
    this.#finish(null)
    this.#waiting.clear()
  }

  #message(bytes: Uint8Array): void {
    this.#heard()
    if (this.#outcome !== null) return
    this.#waiting.add({ bytes })
    this.#waitingBytes += bytes.length
    if (!this.#paused && this.#waitingBytes > WAITING_BYTES_HIGH) {
      this.#paused = true
      this.#connection.pause()
    }
    this.#notify()
  }

  #resume(): void {
    this.#paused = false
    this.#heard()
    if (this.#outcome === null) this.#connection.resume()
  }

  #heard(): void {
    this.#heardMs = this.#options.clock.monotonicMs()
  }

  /** Pings, so that a connection that is dead without a word is noticed. */
  #watch(): void {
    if (this.#outcome !== null) return
    const { clock } = this.#options
    const silentMs = clock.monotonicMs() - this.#heardMs
    if (!this.#paused && silentMs > SILENCE_MS_MAX) {
      this.#fail('Timeout', `silent for ${Math.round(silentMs / 1_000)} s`)
      return
    }
    if (!this.#paused) this.#connection.ping()
    this.#timer = clock.after(PING_INTERVAL_MS, () => this.#watch())
  }

  #closed({ code, reason, httpStatus, retryAfterMs }: TransportClose): CallError | null {
    const { target } = this.#options
    const said = reason === '' ? `close code ${code}` : `close code ${code}: ${reason}`
    if (httpStatus !== null) {
      return statusError(target, httpStatus, { error: null, message: reason }, retryAfterMs)
    }
    if (!this.#opened) return new CallError('Unreachable', target, said, { retryAfterMs })
    // Said politely, or for a restart: what came was whole.
    if (code === 1000 || code === 1001 || code === 1005 || code === 1012) return null
    return new CallError('Truncated', target, said)
  }

  #fail(code: CallErrorCode, message: string): void {
    this.#finish(new CallError(code, this.#options.target, message))
  }

  /** The first outcome counts. */
  #finish(error: CallError | null): void {
    if (this.#outcome !== null) return
    this.#outcome = { error }
    this.#timer.cancel()
    for (const signal of this.#options.signals) {
      signal?.removeEventListener('abort', this.#onAbort)
    }
    this.#connection.terminate()
    this.#notify()
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = null
  }
}
