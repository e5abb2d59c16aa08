/** Keeps one host's event stream connected, for ever. The rules are in ./subscriber-machine.ts. */
import { assert } from '../lib/assert.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { InvalidReason } from '../lib/reasons.ts'
import {
  type BackoffState,
  INITIAL_STATE,
  step,
  type SubscriberEffect,
  type SubscriberEvent,
  type SubscriberState,
} from './subscriber-machine.ts'
import type { Transport, TransportClose, TransportConnection } from './transport.ts'

/** Path of the endpoint on every host. */
export const SUBSCRIBE_REPOS_PATH = '/xrpc/com.atproto.sync.subscribeRepos'

/** The address to connect to. `endpoint` is `wss://host` or, for tests, `ws://host:port`. */
export function subscribeReposUrl(endpoint: string, cursor: number | null): string {
  const url = new URL(SUBSCRIBE_REPOS_PATH, endpoint)
  if (cursor !== null) url.searchParams.set('cursor', String(cursor))
  return url.href
}

/** How a connection, or an attempt at one, ended. */
export interface SubscriberClose extends TransportClose {
  /** True when a message arrived on this connection. */
  readonly hadProgress: boolean
  /** What this side found wrong; null when the host or the network ended it. */
  readonly cause: 'connect-timeout' | 'silent' | 'frame-too-large' | null
}

/** What the owner is told. Calls are synchronous, in order, and none comes after `stop`. */
export interface SubscriberListener {
  onConnecting?(attempt: number): void
  onOpen?(): void
  /**
   * One binary message, whatever is in it. The transport says who owns `bytes`. To hold the host
   * back, call `pause` here: no more frames come until `resume`.
   */
  onFrame(bytes: Uint8Array): void
  /**
   * A message that cannot be a frame: `frame-not-binary` (the connection goes on) or
   * `frame-too-large` (it ends, and the next one starts from the owner's cursor as ever).
   */
  onBadMessage?(reason: InvalidReason): void
  /** The host answered a ping: the connection lives. */
  onPong?(): void
  onClosed?(close: SubscriberClose): void
  /** Waiting for the next attempt, or (attempt 0) healthy again. To be kept across restarts. */
  onBackoff?(backoff: BackoffState): void
}

export interface SubscriberOptions {
  /** `wss://host`. */
  readonly endpoint: string
  /** Asked at every attempt: the last seq done with, or null for the live stream. */
  readonly cursor: () => number | null
  readonly listener: SubscriberListener
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  /** What `onBackoff` last reported, perhaps in an earlier process. */
  readonly backoff?: BackoffState
}

/** A point in a subscription's life, for display. */
export type SubscriberPhase = SubscriberState['phase']

/**
 * One subscription. It reconnects after every end, whatever the close code, at growing intervals,
 * and gives up only on `stop`. Frames are not parsed: an undecodable one is the owner's to count.
 *
 * While paused, silence of the host is not held against it.
 */
export class Subscriber {
  readonly #options: SubscriberOptions
  #state: SubscriberState = INITIAL_STATE
  #connection: TransportConnection | null = null
  #timer: Timer | null = null
  #paused = false
  #hadProgress = false
  #cause: SubscriberClose['cause'] = null
  #whenStopped: (() => void) | null = null

  constructor(options: SubscriberOptions) {
    this.#options = options
  }

  get phase(): SubscriberPhase {
    return this.#state.phase
  }

  /** Failed attempts since the host was last healthy. */
  get attempt(): number {
    return this.#state.attempt
  }

  /** Begins: at once, or when the restored backoff is due. */
  start(): void {
    assert(this.#state.phase === 'idle', 'a subscriber starts once')
    const restored = this.#options.backoff ?? { attempt: 0, nextAttemptAtMs: null }
    this.#dispatch({ kind: 'start', restored })
  }

  /** Cuts a wait short. Does nothing in any other phase. */
  wakeNow(): void {
    this.#dispatch({ kind: 'wake' })
  }

  /** Drops the connection, if there is one, and connects again after the shortest wait. */
  reconnect(): void {
    this.#connection?.terminate()
  }

  /** Sends a ping besides the regular ones, if the connection is open. */
  ping(): void {
    if (this.#state.phase === 'open') this.#connection?.ping()
  }

  /** Stops reading from the host; TCP holds it back. Lasts over reconnects. */
  pause(): void {
    this.#paused = true
    this.#connection?.pause()
    this.#dispatch({ kind: 'paused' })
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#dispatch({ kind: 'resumed' })
    this.#connection?.resume()
  }

  /** Ends for good. Resolves when the connection, if there is one, is gone (within seconds). */
  stop(): Promise<void> {
    this.#timer?.cancel()
    const gone =
      this.#connection === null
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            const before = this.#whenStopped
            this.#whenStopped = () => {
              before?.()
              resolve()
            }
          })
    this.#dispatch({ kind: 'stop' })
    return gone
  }

  #dispatch(event: SubscriberEvent): void {
    const { clock } = this.#options
    const at = { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
    const { state, effects } = step(this.#state, event, at)
    this.#state = state
    for (const effect of effects) this.#perform(effect)
  }

  #perform(effect: SubscriberEffect): void {
    switch (effect.kind) {
      case 'connect':
        this.#connect()
        return
      case 'ping':
        this.#connection?.ping()
        return
      case 'terminate':
        this.#cause = effect.cause
        this.#connection?.terminate()
        return
      case 'disconnect':
        this.#connection?.close()
        return
      case 'timer':
        this.#timer?.cancel()
        this.#timer = this.#options.clock.after(effect.delayMs, () =>
          this.#dispatch({ kind: 'tick' }),
        )
        return
      case 'backoff':
        this.#options.listener.onBackoff?.(effect.backoff)
    }
  }

  #connect(): void {
    const { listener, transport, endpoint, cursor } = this.#options
    this.#hadProgress = false
    this.#cause = null
    listener.onConnecting?.(this.#state.attempt + 1)
    if (this.#state.phase !== 'connecting') return
    this.#connection = transport.connect(subscribeReposUrl(endpoint, cursor()), {
      onOpen: () => this.#opened(),
      onMessage: (bytes) => this.#message(bytes),
      onText: () => this.#text(),
      onPong: () => this.#pong(),
      onTooLarge: () => this.#tooLarge(),
      onClose: (close) => this.#closed(close),
    })
  }

  #opened(): void {
    this.#dispatch({ kind: 'opened' })
    if (this.#state.phase !== 'open') return
    if (this.#paused) {
      this.#connection?.pause()
      this.#dispatch({ kind: 'paused' })
    }
    this.#options.listener.onOpen?.()
  }

  #message(bytes: Uint8Array): void {
    if (this.#state.phase !== 'open') return
    this.#hadProgress = true
    this.#dispatch({ kind: 'heard' })
    this.#options.listener.onFrame(bytes)
  }

  #text(): void {
    if (this.#state.phase !== 'open') return
    this.#dispatch({ kind: 'heard' })
    this.#options.listener.onBadMessage?.('frame-not-binary')
  }

  #pong(): void {
    if (this.#state.phase !== 'open') return
    this.#dispatch({ kind: 'heard' })
    this.#options.listener.onPong?.()
  }

  #tooLarge(): void {
    if (this.#state.phase !== 'open') return
    this.#cause = 'frame-too-large'
    this.#options.listener.onBadMessage?.('frame-too-large')
  }

  #closed(close: TransportClose): void {
    this.#connection = null
    this.#whenStopped?.()
    if (this.#state.phase === 'stopped') return
    const { listener, random } = this.#options
    listener.onClosed?.({ ...close, hadProgress: this.#hadProgress, cause: this.#cause })
    const { retryAfterMs } = close
    const isRenewal = close.renewal !== undefined
    this.#dispatch({ kind: 'closed', random: random.next(), retryAfterMs, isRenewal })
  }
}
