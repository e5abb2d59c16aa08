/** Records a stream as raw frames over a plain WebSocket. */

import { WebSocket } from 'ws'

import { sleep, waitUntil } from '../net/wait.ts'
import type { StreamEvent, StreamNotice } from './frame.ts'
import { readFrame } from './frame.ts'

/** Pause before a recorder dials again, ms. */
const RECONNECT_DELAY_MS = 100

/** How a connection ended, as the peer said it (1006 when it said nothing). */
export interface CloseRecord {
  readonly code: number
  readonly reason: string
}

export interface RecorderSettings {
  /** Null subscribes to live events only. */
  readonly cursor: number | null
  /** `always` dials again after every close, with the last seq as its cursor. */
  readonly reconnect: 'never' | 'always'
}

export class Recorder {
  /** Every event in order of arrival. */
  readonly events: StreamEvent[] = []
  readonly notices: StreamNotice[] = []
  readonly closes: CloseRecord[] = []
  /** What broke the rules of a stream: a seq that did not rise, a frame that could not be read. */
  readonly faults: string[] = []
  /** Events by fingerprint, in order of arrival. */
  readonly byFingerprint: Map<string, StreamEvent[]> = new Map()
  readonly #origin: string
  readonly #settings: RecorderSettings
  #socket: WebSocket | null = null
  #lastSeq: number
  #opens = 0
  #stopped = false

  /** Connects at once to the stream of the service at `origin` (`http://…`). */
  constructor(origin: string, settings: RecorderSettings) {
    this.#origin = origin
    this.#settings = settings
    this.#lastSeq = settings.cursor ?? 0
    this.#connect(settings.cursor)
  }

  /** The highest seq received; the cursor it began with, or 0, before that. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  /** How often a connection has been established. */
  get opens(): number {
    return this.#opens
  }

  /** Closes for good. */
  async stop(): Promise<void> {
    this.#stopped = true
    const socket = this.#socket
    if (socket === null || socket.readyState === WebSocket.CLOSED) return
    socket.close()
    await waitUntil(() => socket.readyState === WebSocket.CLOSED, 1_000)
    socket.terminate()
  }

  #connect(cursor: number | null): void {
    const url = new URL('/xrpc/com.atproto.sync.subscribeRepos', this.#origin)
    url.protocol = 'ws:'
    if (cursor !== null) url.searchParams.set('cursor', String(cursor))
    const socket = new WebSocket(url)
    this.#socket = socket
    socket.on('open', () => {
      this.#opens += 1
    })
    socket.on('message', (data: Buffer) => {
      this.#take(new Uint8Array(data))
    })
    // A close follows every error and carries all that is needed.
    socket.on('error', () => undefined)
    socket.on('close', (code, reason) => {
      this.closes.push({ code, reason: reason.toString() })
      if (!this.#stopped && this.#settings.reconnect === 'always') void this.#connectLater()
    })
  }

  async #connectLater(): Promise<void> {
    await sleep(RECONNECT_DELAY_MS)
    if (!this.#stopped)
      this.#connect(this.events.length > 0 ? this.#lastSeq : this.#settings.cursor)
  }

  #take(bytes: Uint8Array): void {
    let reading
    try {
      reading = readFrame(bytes)
    } catch (error) {
      this.faults.push(`an unreadable frame of ${bytes.length} bytes: ${String(error)}`)
      return
    }
    if ('notice' in reading) {
      this.notices.push(reading.notice)
      return
    }
    const { event } = reading
    if (!(event.seq > this.#lastSeq)) {
      this.faults.push(`seq ${event.seq} came after seq ${this.#lastSeq}`)
    }
    this.#lastSeq = Math.max(this.#lastSeq, event.seq)
    this.events.push(event)
    const same = this.byFingerprint.get(event.fingerprint)
    if (same === undefined) this.byFingerprint.set(event.fingerprint, [event])
    else same.push(event)
  }
}
