/** One lifecycle for a composition of parts: opened in dependency order, closed in reverse. */

import type { Clock } from '../lib/clock.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { Logger } from './logger.ts'

/** How long one part may take to close before the next one is closed anyway. */
const CLOSE_TIMEOUT_MS = 10_000

export interface LifecycleOptions {
  readonly clock: Clock
  readonly logger: Logger
}

export interface PartOptions {
  /** How long closing may take, ms. */
  readonly closeTimeoutMs?: number
}

/** A part that did not close well. `cause` is null when it ran out of time. */
export interface CloseProblem {
  readonly part: string
  readonly cause: unknown
}

interface OpenPart {
  readonly name: string
  readonly close: () => void | Promise<void>
  readonly closeTimeoutMs: number
}

/**
 * Holds the open parts of a composition. Parts that face users are opened last, so that they drain
 * first.
 *
 * @example
 * const log = await lifecycle.open('log', () => EventLog.open(dir), (log) => log.close())
 */
export class Lifecycle implements AsyncDisposable {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #parts: OpenPart[] = []
  #closing: Promise<readonly CloseProblem[]> | null = null

  constructor(options: LifecycleOptions) {
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /**
   * Opens a part and remembers how to close it. When `open` fails, everything opened before is
   * closed and the failure is thrown on.
   *
   * @throws SkeinError `STOPPED` when closing has begun; a part that opened meanwhile is closed.
   */
  async open<T>(
    name: string,
    open: () => T | Promise<T>,
    close: (part: T) => void | Promise<void>,
    options: PartOptions = {},
  ): Promise<T> {
    if (this.#closing !== null) throw stopped(name)
    let part: T
    try {
      part = await open()
    } catch (error) {
      await this.close()
      throw error
    }
    const entry = {
      name,
      close: () => close(part),
      closeTimeoutMs: options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS,
    }
    // `close` may have been called while `open` was waiting.
    if (this.#closing !== null) {
      await this.#closePart(entry)
      throw stopped(name)
    }
    this.#parts.push(entry)
    return part
  }

  /** Closes every part, the last opened first. Later calls return the first one's promise. */
  close(): Promise<readonly CloseProblem[]> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #closeAll(): Promise<readonly CloseProblem[]> {
    const problems: CloseProblem[] = []
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      const problem = await this.#closePart(part)
      if (problem !== null) problems.push(problem)
    }
    return problems
  }

  async #closePart(part: OpenPart): Promise<CloseProblem | null> {
    const startMs = this.#clock.monotonicMs()
    const { promise: timedOut, resolve } = Promise.withResolvers<'timeout'>()
    const timer = this.#clock.after(part.closeTimeoutMs, () => resolve('timeout'))
    try {
      const outcome = await Promise.race([Promise.resolve().then(part.close), timedOut])
      const tookMs = Math.round(this.#clock.monotonicMs() - startMs)
      if (outcome === 'timeout') {
        this.#logger.warn('lifecycle: a part did not close in time', { part: part.name, tookMs })
        return { part: part.name, cause: null }
      }
      this.#logger.debug('lifecycle: closed', { part: part.name, tookMs })
      return null
    } catch (error) {
      this.#logger.error(`lifecycle: closing failed: ${messageOf(error)}`, {
        part: part.name,
        error,
      })
      return { part: part.name, cause: error }
    } finally {
      timer.cancel()
    }
  }
}

function stopped(part: string): SkeinError {
  return new SkeinError('STOPPED', 'lifecycle: opening a part after the stop', { part })
}
