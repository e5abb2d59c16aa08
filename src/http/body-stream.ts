/**
 * Long bodies: bytes that are read only as fast as the client takes them, and given up when it
 * leaves, stands still or trickles. A body that cannot be finished ends its connection, so that
 * what arrived is seen to be cut.
 */

import type { Clock, Timer } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { newPace, observe, SESSION_LIMITS, type SessionLimits } from '../stream/session-rules.ts'
import type { XrpcCall } from './endpoint.ts'
import {
  BODY_BYTES_PER_SECOND_MIN,
  BODY_CHECK_INTERVAL_MS,
  BODY_SLOW_WINDOW_MS,
  BODY_STALL_TIMEOUT_MS,
} from './http-limits.ts'

/** How a body ended: all of it was given out; the client left, or was too slow; we failed. */
export type BodyEnd = 'complete' | 'left' | 'slow' | 'failed'

/** How slow a reader may be; see http-limits.ts. */
export interface PaceLimits {
  readonly checkIntervalMs: number
  readonly stallTimeoutMs: number
  readonly slowWindowMs: number
  readonly bytesPerSecondMin: number
}

const PACE_LIMITS: PaceLimits = {
  checkIntervalMs: BODY_CHECK_INTERVAL_MS,
  stallTimeoutMs: BODY_STALL_TIMEOUT_MS,
  slowWindowMs: BODY_SLOW_WINDOW_MS,
  bytesPerSecondMin: BODY_BYTES_PER_SECOND_MIN,
}

/** Bytes to be sent. */
export interface BodySource {
  readonly chunks: AsyncIterable<Uint8Array>
  /** What was announced as content-length; null when nothing was. */
  readonly length: number | null
  /** Gives back what the bytes are read from. Called once, whatever becomes of the body. */
  close(): void
}

/** What all bodies of one server have in common. */
export interface BodyStreams {
  readonly clock: Clock
  readonly limits?: PaceLimits | undefined
  /** Told once of each body how it ended; `error` is there when we failed. */
  readonly onEnd: (nsid: string, end: BodyEnd, bytes: number, error?: unknown) => void
}

/** Whose body it is. */
export interface BodyCall extends Pick<XrpcCall, 'cut'> {
  readonly nsid: string
}

/**
 * Opens a body. The first bytes are read before this resolves: what goes wrong until then is
 * thrown, and can still become an answer of its own.
 */
export async function streamBody(
  source: BodySource,
  call: BodyCall,
  streams: BodyStreams,
): Promise<ReadableStream<Uint8Array>> {
  const iterator = source.chunks[Symbol.asyncIterator]()
  let first: IteratorResult<Uint8Array>
  try {
    first = await iterator.next()
  } catch (error) {
    source.close()
    throw error
  }
  // Nothing is read ahead: each read of the adapter, which waits for the socket, asks for a piece.
  const body = new Body({ source, iterator, first, call, streams })
  return new ReadableStream(body, { highWaterMark: 0 })
}

interface BodyParts {
  readonly source: BodySource
  readonly iterator: AsyncIterator<Uint8Array>
  readonly first: IteratorResult<Uint8Array>
  readonly call: BodyCall
  readonly streams: BodyStreams
}

/** One body on its way. Owns its source from the first piece to the end. */
class Body {
  readonly #parts: BodyParts
  readonly #limits: PaceLimits
  #first: IteratorResult<Uint8Array> | null
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null
  #timer: Timer | null = null
  #pace: ReturnType<typeof newPace>
  #givenBytes = 0
  /** Given out and, as far as is known, not taken: the last piece, until the next is asked for. */
  #pendingBytes = 0
  #ended = false

  constructor(parts: BodyParts) {
    this.#parts = parts
    this.#first = parts.first
    this.#limits = parts.streams.limits ?? PACE_LIMITS
    this.#pace = newPace(parts.streams.clock.monotonicMs())
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller
    // A body may never be asked for: its connection may have gone before its head was written.
    this.#pendingBytes = 1
    this.#schedule()
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#pendingBytes = 0
    try {
      const next = this.#first ?? (await this.#parts.iterator.next())
      this.#first = null
      if (this.#ended) return
      if (next.done === true) this.#complete(controller)
      else this.#give(controller, next.value)
    } catch (error) {
      this.#abort('failed', error)
    }
  }

  cancel(): void {
    this.#end('left')
  }

  #give(controller: ReadableStreamDefaultController<Uint8Array>, piece: Uint8Array): void {
    const { length } = this.#parts.source
    this.#givenBytes += piece.length
    if (length !== null && this.#givenBytes > length) throw this.#wrongLength(length)
    this.#pendingBytes = piece.length
    controller.enqueue(piece)
  }

  #complete(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { length } = this.#parts.source
    if (length !== null && this.#givenBytes !== length) throw this.#wrongLength(length)
    this.#end('complete')
    controller.close()
  }

  #wrongLength(announced: number): SkeinError {
    const bytes = this.#givenBytes
    return new SkeinError('STORE_FAILED', 'send body: not as long as announced', {
      announced,
      bytes,
    })
  }

  #schedule(): void {
    const { clock } = this.#parts.streams
    this.#timer = clock.after(this.#limits.checkIntervalMs, () => {
      if (this.#isTooSlow(clock.monotonicMs())) this.#abort('slow')
      else this.#schedule()
    })
  }

  /** The rules are those for subscribers; only what is said about waiting bytes is of use here. */
  #isTooSlow(nowMs: number): boolean {
    const sample = {
      nowMs,
      submittedBytes: this.#givenBytes,
      pendingBytes: this.#pendingBytes,
      queueBytes: 0,
    }
    const limits: SessionLimits = {
      ...SESSION_LIMITS,
      stallTimeoutMs: this.#limits.stallTimeoutMs,
      slowWindowMs: this.#limits.slowWindowMs,
      slowBytesPerSecondMin: this.#limits.bytesPerSecondMin,
    }
    const { pace, verdict } = observe(this.#pace, sample, limits)
    this.#pace = pace
    return verdict === 'stalled' || verdict === 'trickling'
  }

  #abort(end: 'slow' | 'failed', error?: unknown): void {
    if (this.#ended) return
    this.#end(end, error)
    // With the connection gone, the adapter cancels the stream: no error reaches its console.
    if (!this.#parts.call.cut())
      this.#controller?.error(error ?? new Error('the reader is too slow'))
  }

  #end(end: BodyEnd, error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer?.cancel()
    const { source, iterator, call, streams } = this.#parts
    source.close()
    // Runs what the source does at its end; waits for a piece that is being read.
    if (end !== 'complete') iterator.return?.().catch(() => {})
    streams.onEnd(call.nsid, end, this.#givenBytes, error)
  }
}
