/**
 * One subscriber's socket: writes what its position asks for, and ends it by the rules of
 * ./session-rules.ts.
 *
 * `ws` does the handshake, reads, and writes control frames; the data frames are ready-made and go
 * straight to the socket. Both write whole frames in one turn (`ws` corks header and payload), so
 * that neither can land inside the other's, and nothing is written once closing has begun.
 */
import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { assert } from '../lib/assert.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import { type CursorStart, OUTDATED_CURSOR_MESSAGE } from './cursor.ts'
import type { LogChunk } from './log-source.ts'
import { encodeErrorFrame, encodeInfoFrame } from './own-frames.ts'
import {
  countInbound,
  type Inbound,
  newPace,
  nextMove,
  observe,
  type Pace,
  type Position,
  type SessionLimits,
} from './session-rules.ts'
import { wrapFrame } from './wire-frame.ts'

/** Why a subscriber's connection ended. Stable: these are metric labels. */
export type EndReason =
  | 'client-closed'
  | 'connection-lost'
  | 'client-invalid'
  | 'client-flood'
  | 'client-silent'
  | 'cursor-invalid'
  | 'cursor-future'
  | 'slow-stalled'
  | 'slow-trickling'
  | 'slow-overtaken'
  | 'source-failed'
  | 'stopping'

interface Farewell {
  readonly code: number
  readonly text: string
  /** Error frame before the close frame: name and message. */
  readonly error?: readonly [string, string]
}

function tooSlow(message: string): Farewell {
  return { code: 1008, text: 'ConsumerTooSlow', error: ['ConsumerTooSlow', message] }
}

/** How each ending is said. 1000 is never used: the reference client takes it for a final end. */
const FAREWELLS: Partial<Record<EndReason, Farewell>> = {
  'client-flood': { code: 1008, text: 'too many client messages' },
  'client-silent': { code: 1001, text: 'no pong' },
  'slow-stalled': tooSlow('No data was taken for too long'),
  'slow-trickling': tooSlow('Data is taken too slowly'),
  'slow-overtaken': tooSlow('The events to be sent next are no longer kept'),
  'source-failed': { code: 1011, text: 'internal error' },
  stopping: { code: 1012, text: 'restarting' },
}

/** A subscriber as operators see it. */
export interface SessionView {
  readonly id: number
  readonly remote: string
  readonly userAgent: string
  /** Wall time. */
  readonly connectedAtMs: number
  /** Everything up to this seq has been handed to the socket. */
  readonly cursor: number
  /** How far that is behind the newest published seq; includes numbers that were never used. */
  readonly lagEvents: number
  readonly eventsSent: number
  readonly bytesSent: number
  /** Handed to the socket, not yet taken by the kernel. */
  readonly pendingBytes: number
}

export interface SessionOptions {
  readonly id: number
  readonly remote: string
  readonly userAgent: string
  readonly socket: Duplex
  readonly webSocket: WebSocket
  readonly clock: Clock
  readonly limits: SessionLimits
  /** Reads the log; may throw or reject when it is damaged. */
  readonly read: (afterSeq: number) => LogChunk | Promise<LogChunk> | null
  readonly firstSeq: () => number
  /** Told once when the end is decided, and once when the socket is gone. */
  readonly onEnd: (session: Session, reason: EndReason) => void
  readonly onGone: (session: Session) => void
}

/**
 * Most bytes written in one turn of the event loop, so that a fast reader does not starve the rest.
 */
const TURN_BYTES_MAX = 2 * 1024 * 1024
/** What a chunk counts at least, so that a long run of hidden frames also ends a turn. */
const CHUNK_COST_MIN = 64 * 1024

export class Session {
  readonly #options: SessionOptions
  readonly #connectedAtMs: number
  #position: Position = { afterSeq: 0, atTip: false }
  #pace: Pace
  #inbound: Inbound
  /** True while a read or a later turn is under way: it will go on by itself. */
  #busy = false
  #ended = false
  #grace: Timer | null = null
  #submittedBytes = 0
  #eventsSent = 0

  constructor(options: SessionOptions) {
    const { clock, webSocket, socket } = options
    this.#options = options
    this.#connectedAtMs = clock.nowMs()
    const nowMs = clock.monotonicMs()
    this.#pace = newPace(nowMs)
    this.#inbound = { sinceMs: nowMs, count: 0, bytes: 0 }
    socket.on('drain', () => this.#pump())
    webSocket.on('message', (data) => this.#hear(byteCount(data)))
    webSocket.on('ping', (data) => this.#hear(data.length))
    webSocket.on('pong', (data) => this.#hear(data.length))
    // After an error ws closes with the fitting code by itself.
    webSocket.on('error', () => this.#end('client-invalid', null))
    webSocket.on('close', (code) => this.#gone(code))
  }

  /** Starts the stream, or says why not. Call once. */
  start(cursor: CursorStart): void {
    if (cursor.kind === 'refused') {
      const { error, message } = cursor
      const reason = error === 'FutureCursor' ? 'cursor-future' : 'cursor-invalid'
      this.#end(reason, { code: 1008, text: error, error: [error, message] })
      return
    }
    this.#position = { afterSeq: cursor.afterSeq, atTip: cursor.kind === 'live' }
    if (cursor.kind === 'replay' && cursor.outdated) {
      this.#write(wrapFrame(encodeInfoFrame('OutdatedCursor', OUTDATED_CURSOR_MESSAGE)))
    }
    this.#pump()
  }

  /** Something was published. Cheap for those who still have older events to send. */
  published(): void {
    if (this.#position.atTip) this.#pump()
  }

  /** Looks after the connection; called about once a second. */
  tick(): void {
    if (this.#ended) return
    const { clock, socket, limits, webSocket } = this.#options
    const sample = {
      nowMs: clock.monotonicMs(),
      submittedBytes: this.#submittedBytes,
      pendingBytes: socket.writableLength,
      queueBytes: queueBytesOf(socket),
    }
    const { pace, verdict } = observe(this.#pace, sample, limits)
    this.#pace = pace
    if (verdict === 'ping' && webSocket.readyState === webSocket.OPEN) webSocket.ping()
    else if (verdict === 'stalled') this.end('slow-stalled')
    else if (verdict === 'trickling') this.end('slow-trickling')
    else if (verdict === 'silent') this.end('client-silent')
  }

  /**
   * Says farewell, closes, and destroys the socket after the grace. Does nothing the second time.
   */
  end(reason: EndReason): void {
    this.#end(reason, FAREWELLS[reason] ?? null)
  }

  view(publishedSeq: number): SessionView {
    const { id, remote, userAgent, socket } = this.#options
    const cursor = this.#position.afterSeq
    return {
      id,
      remote,
      userAgent,
      connectedAtMs: this.#connectedAtMs,
      cursor,
      lagEvents: Math.max(0, publishedSeq - cursor),
      eventsSent: this.#eventsSent,
      bytesSent: this.#submittedBytes,
      pendingBytes: socket.writableLength,
    }
  }

  #pump(): void {
    if (this.#busy) return
    const { socket, read, firstSeq } = this.#options
    let turnBytes = 0
    while (this.#writable()) {
      const move = nextMove(this.#position, firstSeq(), socket.writableLength)
      if (move === 'overtaken') this.end('slow-overtaken')
      if (move === 'wait') {
        // `drain` comes when the socket is empty: the high mark is above the socket's own.
        this.#position = { ...this.#position, atTip: false }
      }
      if (move !== 'read') return
      if (turnBytes >= TURN_BYTES_MAX) {
        this.#later()
        return
      }
      let chunk: LogChunk | Promise<LogChunk> | null
      try {
        chunk = read(this.#position.afterSeq)
      } catch {
        this.end('source-failed')
        return
      }
      if (chunk === null) {
        this.#position = { ...this.#position, atTip: true }
        return
      }
      this.#position = { ...this.#position, atTip: false }
      if (chunk instanceof Promise) {
        void this.#await(chunk)
        return
      }
      turnBytes += Math.max(chunk.bytes.length, CHUNK_COST_MIN)
      this.#take(chunk)
    }
  }

  #later(): void {
    this.#busy = true
    this.#options.clock.after(0, () => {
      this.#busy = false
      this.#pump()
    })
  }

  async #await(pending: Promise<LogChunk>): Promise<void> {
    this.#busy = true
    let chunk: LogChunk
    try {
      chunk = await pending
    } catch {
      this.end('source-failed')
      return
    } finally {
      this.#busy = false
    }
    if (!this.#writable()) return
    // Retention may have dropped what was asked for while it was read.
    if (nextMove(this.#position, this.#options.firstSeq(), 0) === 'overtaken') {
      this.end('slow-overtaken')
      return
    }
    this.#take(chunk)
    this.#pump()
  }

  #take(chunk: LogChunk): void {
    const { afterSeq } = this.#position
    assert(chunk.lastSeq > afterSeq, () => `log went back: after=${afterSeq} to=${chunk.lastSeq}`)
    this.#position = { afterSeq: chunk.lastSeq, atTip: false }
    this.#eventsSent += chunk.count
    if (chunk.bytes.length > 0) this.#write(chunk.bytes)
  }

  #writable(): boolean {
    const { webSocket, socket } = this.#options
    return !this.#ended && webSocket.readyState === webSocket.OPEN && socket.writable
  }

  #write(frames: Uint8Array): void {
    if (!this.#writable()) return
    this.#submittedBytes += frames.length
    this.#options.socket.write(frames)
  }

  #hear(bytes: number): void {
    const { clock, limits } = this.#options
    const nowMs = clock.monotonicMs()
    this.#pace = { ...this.#pace, heardMs: nowMs }
    const { inbound, excessive } = countInbound(this.#inbound, bytes, nowMs, limits)
    this.#inbound = inbound
    if (excessive) this.end('client-flood')
  }

  #end(reason: EndReason, farewell: Farewell | null): void {
    if (this.#ended) return
    const { webSocket, clock, limits, onEnd } = this.#options
    if (farewell !== null) {
      if (farewell.error !== undefined) {
        const [error, message] = farewell.error
        this.#write(wrapFrame(encodeErrorFrame(error, message)))
      }
      webSocket.close(farewell.code, farewell.text)
    }
    this.#ended = true
    this.#grace = clock.after(limits.closeGraceMs, () => webSocket.terminate())
    onEnd(this, reason)
  }

  #gone(code: number): void {
    this.#end(code === 1006 ? 'connection-lost' : 'client-closed', null)
    this.#grace?.cancel()
    this.#options.onGone(this)
  }
}

function byteCount(data: RawData): number {
  if (!Array.isArray(data)) return data.byteLength
  return data.reduce((total, part) => total + part.length, 0)
}

/**
 * Bytes of the write in progress that the kernel has not taken, from the socket's handle. That is
 * not part of Node's documented interface; without it progress is seen a whole write at a time.
 */
function queueBytesOf(socket: Duplex): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null || !('writeQueueSize' in handle)) return 0
  return typeof handle.writeQueueSize === 'number' ? handle.writeQueueSize : 0
}
