/** A consumer that drives a handler. */
import { sleep } from '../../lib/clock.ts'
import { createDeadline, type Deadline } from '../../lib/deadline.ts'
import { messageOf, SkeinError } from '../../lib/errors.ts'
import { systemRandom } from '../../lib/random.ts'
import { Consumer, type Sink } from './consumer.ts'
import type { StoredCursor } from '../../store/consumer-state.ts'
import type {
  ConsumerState,
  ConsumerStats,
  Delivery,
  HandlerContext,
  Quarantine,
  RunConsumerOptions,
  RunningConsumer,
} from './consumer-types.ts'
import { isPromise, type MaybePromise } from './maybe-promise.ts'
import { QuarantineDesk } from './quarantine.ts'
import type { Outcome } from './repairs.ts'
import { pauseAfter } from './repo-states.ts'

/** Handlers at work at once, unless the options say otherwise. */
const CONCURRENCY = 16
/** Longest text of a handler's error that is kept, in UTF-16 units. */
const ERROR_CHARS_MAX = 1_000

/**
 * Reads a stream for ever, verified, and gives each commit to a handler: those of one account in
 * order and one at a time, many accounts at once. What the handler throws on is tried again with
 * pauses, then put into quarantine with what follows of its account; others go on.
 *
 * A crash or stop at any moment loses nothing: what was not finished comes again, at least once.
 *
 * ```ts
 * const consumer = runConsumer({
 *   service: 'https://relay.example',
 *   store: await openConsumerStore('consumer.sqlite'),
 *   filter: { collections: ['org.example.note'] },
 *   async handler(delivery) {
 *     if (delivery.kind !== 'commit') return
 *     for (const { action, path, record } of delivery.ops) await save(action, path, record)
 *   },
 * })
 * await consumer.finished
 * ```
 *
 * @throws SkeinError OPTION_INVALID.
 */
export function runConsumer(options: RunConsumerOptions): RunningConsumer {
  return new HandlerConsumer(options)
}

const FINISHED: Outcome = { kind: 'finished' }
const STOPPED: Outcome = { kind: 'stopped' }

class HandlerConsumer implements RunningConsumer, Sink {
  readonly #options: RunConsumerOptions
  readonly #consumer: Consumer
  readonly quarantine: Quarantine

  constructor(options: RunConsumerOptions) {
    const { handlerTimeoutMs } = options
    if (handlerTimeoutMs !== undefined && !(handlerTimeoutMs > 0)) {
      throw new SkeinError('OPTION_INVALID', 'consumer: handlerTimeoutMs is no time')
    }
    this.#options = options
    this.#consumer = new Consumer(options, this, options.concurrency ?? CONCURRENCY)
    this.quarantine = new QuarantineDesk(this.#consumer)
    this.#consumer.start()
  }

  get state(): ConsumerState {
    return this.#consumer.state
  }

  get stats(): ConsumerStats {
    return this.#consumer.stats
  }

  get finished(): Promise<void> {
    return this.#consumer.ended
  }

  stop(): Promise<void> {
    return this.#consumer.stop()
  }

  async follow(did: string): Promise<void> {
    await this.#consumer.follow(did)
  }

  async unfollow(did: string): Promise<void> {
    await this.#consumer.unfollow(did)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  deliver(delivery: Delivery, signal: AbortSignal): MaybePromise<Outcome> {
    try {
      const handled = this.#try(delivery, signal, 1)
      if (!isPromise(handled)) return FINISHED
      return handled.then(
        () => FINISHED,
        (error: unknown) => this.#again(delivery, signal, error),
      )
    } catch (error) {
      return this.#again(delivery, signal, error)
    }
  }

  /** Throws or rejects when the handler does, or has not finished in time. */
  #try(delivery: Delivery, signal: AbortSignal, attempt: number): MaybePromise<void> {
    const { handler, handlerTimeoutMs } = this.#options
    if (handlerTimeoutMs === undefined) {
      const handled = handler(delivery, new Context(delivery, signal, attempt))
      // A thenable need not give what a promise does.
      return isPromise(handled) ? Promise.resolve(handled) : undefined
    }
    const deadline = createDeadline(this.#consumer.clock, handlerTimeoutMs, [signal])
    let handled: MaybePromise<void>
    try {
      handled = handler(delivery, new Context(delivery, deadline.signal, attempt))
    } catch (error) {
      deadline.clear()
      throw error
    }
    if (!isPromise(handled)) {
      deadline.clear()
      return undefined
    }
    return inTime(handled, deadline, handlerTimeoutMs)
  }

  /** Tries again, with pauses. */
  async #again(delivery: Delivery, signal: AbortSignal, first: unknown): Promise<Outcome> {
    const { limits, clock } = this.#consumer
    const { handlerTriesMax, handlerPauseMs: firstMs, handlerPauseMsMax: mostMs } = limits
    const random = this.#options.random ?? systemRandom
    let error = first
    for (let tries = 1; ; tries++) {
      this.#consumer.countFailure()
      if (signal.aborted) return STOPPED
      if (tries >= handlerTriesMax) {
        const text = messageOf(error).slice(0, ERROR_CHARS_MAX)
        return { kind: 'failed', error: text, tries }
      }
      await sleep(clock, pauseAfter(tries - 1, { firstMs, mostMs }, random.next()), signal)
      if (signal.aborted) return STOPPED
      try {
        await this.#try(delivery, signal, tries + 1)
        return FINISHED
      } catch (thrown) {
        error = thrown
      }
    }
  }
}

/** The handler's promise, or a failure when the time is over: what comes later is ignored. */
async function inTime(
  handled: Promise<void>,
  deadline: Deadline,
  timeoutMs: number,
): Promise<void> {
  const { promise: over, reject } = Promise.withResolvers<never>()
  const expire = (): void => {
    // When the consumer stops, the handler is waited for like any other.
    if (deadline.hasExpired()) reject(new Error(`the handler took over ${timeoutMs} ms`))
  }
  deadline.signal.addEventListener('abort', expire, { once: true })
  try {
    await Promise.race([handled, over])
  } finally {
    deadline.signal.removeEventListener('abort', expire)
    deadline.clear()
  }
}

/** The checkpoint is looked up when it is asked for. */
class Context implements HandlerContext {
  readonly signal: AbortSignal
  readonly attempt: number
  readonly #delivery: Delivery

  constructor(delivery: Delivery, signal: AbortSignal, attempt: number) {
    this.signal = signal
    this.attempt = attempt
    this.#delivery = delivery
  }

  get checkpoint(): StoredCursor | null {
    return this.#delivery.checkpoint
  }
}
