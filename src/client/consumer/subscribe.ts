/** A consumer as an async iterable. */
import { SkeinError } from '../../lib/errors.ts'
import { Consumer, type Sink } from './consumer.ts'
import type {
  ConsumerState,
  ConsumerStats,
  Delivery,
  SubscribeOptions,
  Subscription,
  SubscriptionDelivery,
} from './consumer-types.ts'
import type { Outcome } from './repairs.ts'

/** Deliveries that may be open at once, unless the options say otherwise. */
const CONCURRENCY = 256

/**
 * Reads a stream for ever, verified, as an iterable: by default a delivery is finished when the
 * next one is asked for, and who does not ask holds the service back. Leaving the loop stops the
 * consumer. It begins with the first delivery that is asked for, and can be iterated once.
 *
 * ```ts
 * for await (const delivery of subscribe({ service: 'https://relay.example' })) {
 *   if (delivery.kind === 'commit') console.log(delivery.did, delivery.rev, delivery.ops.length)
 * }
 * ```
 *
 * @throws SkeinError OPTION_INVALID.
 */
export function subscribe(options: SubscribeOptions): Subscription {
  return new IteratedConsumer(options)
}

const FINISHED: Outcome = { kind: 'finished' }
const STOPPED: Outcome = { kind: 'stopped' }

interface Open {
  readonly delivery: SubscriptionDelivery
  readonly finish: (outcome: Outcome) => void
}

class IteratedConsumer implements Subscription, Sink {
  readonly #consumer: Consumer
  readonly #acknowledge: 'next' | 'explicit'
  /** Deliveries that nobody has asked for yet; bounded by the concurrency. */
  readonly #ready: Open[] = []
  readonly #open = new Set<Open>()
  #current: Open | null = null
  #wake: (() => void) | null = null
  #isTaken = false
  #isOver = false

  constructor(options: SubscribeOptions) {
    this.#acknowledge = options.acknowledge ?? 'next'
    this.#consumer = new Consumer(options, this, options.concurrency ?? CONCURRENCY)
    const end = (): void => {
      this.#isOver = true
      this.#wake?.()
    }
    this.#consumer.ended.then(end, end)
    this.#consumer.signal.addEventListener('abort', () => this.#giveUp(), { once: true })
  }

  get state(): ConsumerState {
    return this.#consumer.state
  }

  get stats(): ConsumerStats {
    return this.#consumer.stats
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

  deliver(delivery: Delivery): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    const open: Open = {
      // The checkpoint is looked up when it is asked for: it must not be copied.
      delivery: Object.defineProperty(delivery, 'done', {
        value: () => open.finish(FINISHED),
      }) as SubscriptionDelivery,
      finish: (outcome) => {
        this.#open.delete(open)
        resolve(outcome)
      },
    }
    this.#open.add(open)
    this.#ready.push(open)
    this.#wake?.()
    return promise
  }

  [Symbol.asyncIterator](): AsyncIterator<SubscriptionDelivery> {
    if (this.#isTaken) throw new SkeinError('STOPPED', 'subscription: it is iterated once')
    this.#isTaken = true
    this.#consumer.start()
    return {
      next: () => this.#next(),
      return: async () => {
        // What was given out and not finished comes again; the last one may have failed.
        await this.stop()
        return { done: true, value: undefined }
      },
    }
  }

  async #next(): Promise<IteratorResult<SubscriptionDelivery>> {
    if (this.#acknowledge === 'next') this.#current?.finish(FINISHED)
    this.#current = null
    for (;;) {
      const open = this.#isOver ? undefined : this.#ready.shift()
      if (open !== undefined && this.#open.has(open)) {
        this.#current = open
        return { done: false, value: open.delivery }
      }
      if (this.#isOver) {
        await this.#consumer.ended
        return { done: true, value: undefined }
      }
      if (open === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = null
      }
    }
  }

  /** The consumer stops: what is open comes again. */
  #giveUp(): void {
    this.#ready.length = 0
    for (const open of this.#open) open.finish(STOPPED)
    this.#wake?.()
  }
}
