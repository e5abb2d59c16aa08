/**
 * A look at one place of a stream: a second connection that ends after its first few events. It
 * tells where the sequence begins (cursor 0), where it is now (no cursor), or what time a seq is
 * of; and that the service answers at all.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import { parseFrame } from '../../stream/frame.ts'
import { subscribeReposUrl } from '../../stream/subscriber.ts'
import type { Transport, TransportConnection } from '../../stream/transport.ts'
import type { Sighting } from './cursor-search.ts'
import { median } from './lag-meter.ts'

/** Events whose median time counts, so that one odd clock does not mislead. */
const EVENTS = 5
/** Messages of any kind after which a probe has seen enough. */
const MESSAGES_MAX = 25
/** From the start of the attempt to its end, whatever comes. */
export const PROBE_TIMEOUT_MS = 10_000
/**
 * After the first event no more than this is waited for others: on a quiet network there may be
 * none.
 */
const MORE_EVENTS_MS = 1_000

export interface ProbeResult {
  /** Whether the service took the connection, and ended it neither by an error nor at once. */
  readonly healthy: boolean
  /** The first seq that came, with the time there; null when no event came. */
  readonly seen: Sighting | null
}

export interface ProbeOptions {
  readonly transport: Transport
  readonly clock: Clock
  /** `wss://host`. */
  readonly endpoint: string
  readonly cursor: number | null
}

/** One probe. `done` is called once, later than the constructor, unless `cancel` was. */
export class StreamProbe {
  readonly #connection: TransportConnection
  readonly #clock: Clock
  #timer: Timer
  #done: ((result: ProbeResult) => void) | null
  #opened = false
  #messages = 0
  #firstSeq: number | null = null
  readonly #timesMs: number[] = []

  constructor(options: ProbeOptions, done: (result: ProbeResult) => void) {
    const { transport, clock, endpoint, cursor } = options
    this.#clock = clock
    this.#done = done
    this.#connection = transport.connect(subscribeReposUrl(endpoint, cursor), {
      onOpen: () => void (this.#opened = true),
      onMessage: (bytes) => this.#message(bytes),
      onText: () => this.#count(),
      onPong: () => undefined,
      onTooLarge: () => undefined,
      onClose: () => this.#lost(),
    })
    this.#timer = clock.after(PROBE_TIMEOUT_MS, () => this.#end())
  }

  /** Ends it without a result. */
  cancel(): void {
    this.#done = null
    this.#end()
  }

  #message(bytes: Uint8Array): void {
    if (this.#done === null) return
    const parsed = parseFrame(bytes)
    if (parsed.ok && parsed.value.kind === 'error') {
      this.#lost()
      return
    }
    if (parsed.ok && parsed.value.kind === 'message') {
      const timeMs = Date.parse(parsed.value.body.time)
      if (!Number.isNaN(timeMs)) {
        if (this.#firstSeq === null) {
          this.#firstSeq = parsed.value.seq
          this.#timer.cancel()
          this.#timer = this.#clock.after(MORE_EVENTS_MS, () => this.#end())
        }
        this.#timesMs.push(timeMs)
      }
    }
    this.#count()
  }

  #count(): void {
    this.#messages++
    if (this.#timesMs.length >= EVENTS || this.#messages >= MESSAGES_MAX) this.#end()
  }

  /** The service ended it. */
  #lost(): void {
    if (this.#firstSeq === null) this.#opened = false
    this.#end()
  }

  #end(): void {
    this.#timer.cancel()
    const done = this.#done
    this.#done = null
    this.#connection.terminate()
    const timeMs = median(this.#timesMs)
    const seen = this.#firstSeq === null || timeMs === null ? null : { seq: this.#firstSeq, timeMs }
    done?.({ healthy: this.#opened, seen })
  }
}
