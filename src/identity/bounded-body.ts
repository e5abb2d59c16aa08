/** The body of a response as it comes in: bounded in bytes, in silence and in slowness. */

import type { Clock } from '../lib/clock.ts'
import { requestError } from './http-client.ts'

/** A body as the runtime gives it. Nothing else reads it. */
export interface BodySource {
  next(): Promise<Uint8Array | null>
  /** Ends it at once, whatever `next` is waiting for. May be called again. */
  cancel(): void
}

export interface BodyBounds {
  readonly clock: Clock
  /** Longest wait for one piece, ms. */
  readonly idleTimeoutMs: number
  readonly bytesMax: number
  /** What the headers announce, if that is to be compared. */
  readonly contentLength: number | null
  readonly host: string
  /** The error for what `next` rejected with; the body has begun by then. */
  readonly classify: (error: unknown) => Error
  /** Called once, when nothing will be read any more. */
  readonly onEnd: () => void
}

/**
 * A body that drips has to bring this much in this much time of waiting for it; what its reader
 * takes to make use of it does not count. The slowest modems were ten times as fast.
 */
export const SLOWEST_WINDOW_MS = 60_000
export const SLOWEST_WINDOW_BYTES: number = 16 * 1_024

/** A body that can be read once. Leaving the loop, or `discard`, ends its connection. */
export class BoundedBody implements AsyncIterable<Uint8Array> {
  readonly #source: BodySource
  readonly #bounds: BodyBounds
  #received = 0
  #windowMs = 0
  #windowBytes = 0
  #taken = false
  #ended = false

  constructor(source: BodySource, bounds: BodyBounds) {
    this.#source = source
    this.#bounds = bounds
  }

  discard(): void {
    if (this.#ended) return
    this.#ended = true
    this.#source.cancel()
    this.#bounds.onEnd()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const { host, contentLength } = this.#bounds
    if (this.#taken) throw requestError('network', 'response: body was read before', { host })
    this.#taken = true
    try {
      for (;;) {
        const piece = await this.#next()
        if (piece === null) break
        if (piece.length > 0) yield piece
      }
      if (contentLength !== null && this.#received < contentLength) {
        const fields = { host, received: this.#received, announced: contentLength }
        throw requestError('truncated', 'response: ended early', fields)
      }
    } finally {
      this.discard()
    }
  }

  async #next(): Promise<Uint8Array | null> {
    const { clock, idleTimeoutMs, bytesMax, host, classify } = this.#bounds
    if (this.#ended) throw requestError('aborted', 'response: given up', { host })
    const startedMs = clock.monotonicMs()
    let timedOut = false
    const timer = clock.after(idleTimeoutMs, () => {
      timedOut = true
      this.#source.cancel()
    })
    let piece: Uint8Array | null
    try {
      piece = await this.#source.next()
    } catch (error) {
      if (timedOut) throw requestError('timeout', 'response: fell silent', { host }, error)
      throw classify(error)
    } finally {
      timer.cancel()
    }
    if (timedOut) throw requestError('timeout', 'response: fell silent', { host })
    if (piece === null) return null
    this.#received += piece.length
    if (this.#received > bytesMax) {
      throw requestError('too-large', 'response: too large', { host, bytesMax })
    }
    this.#checkPace(clock.monotonicMs() - startedMs, piece.length)
    return piece
  }

  #checkPace(waitedMs: number, bytes: number): void {
    this.#windowMs += waitedMs
    this.#windowBytes += bytes
    if (this.#windowMs < SLOWEST_WINDOW_MS) return
    const { host } = this.#bounds
    if (this.#windowBytes < SLOWEST_WINDOW_BYTES) {
      throw requestError('timeout', 'response: too slow', { host, received: this.#received })
    }
    this.#windowMs = 0
    this.#windowBytes = 0
  }
}
