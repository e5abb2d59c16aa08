/**
 * How hard each service is asked, by all clients of the process together: requests under way rise
 * by one for each round of good answers and are halved when the service complains, and what it says
 * of its limits is obeyed. (Additive increase, multiplicative decrease.)
 */
import { createEntryCache } from '../../lib/entry-cache.ts'
import { type Clock, systemClock, type Timer } from '../../lib/clock.ts'

export interface GovernorLimits {
  /** Requests under way to a service that is not known yet. */
  readonly inFlightAtFirst: number
  readonly inFlightMax: number
  /** Requests that wait for one service; one more is refused. */
  readonly waitingMax: number
  /** The longest that a request waits for its turn, ms. */
  readonly waitMsMax: number
  /** The longest that a service is left alone, whatever it says, ms. */
  readonly pauseMsMax: number
}

export const GOVERNOR_LIMITS: GovernorLimits = {
  inFlightAtFirst: 8,
  // Reading the whole network goes to thousands of services; no single one needs more.
  inFlightMax: 32,
  waitingMax: 10_000,
  waitMsMax: 120_000,
  // Windows of rate limits are of minutes; what lies beyond is a slip.
  pauseMsMax: 900_000,
}

/** Services that are remembered; one that nobody asks is forgotten before one that is in use. */
const SERVICES_MAX = 20_000
/** The pause after a complaint that does not say how long, ms; doubles while it goes on. */
const PAUSE_MS = 1_000
const PAUSE_DOUBLINGS_MAX = 6

/** What became of a request, as far as pacing goes. */
export type Answered =
  | { readonly kind: 'good' | 'failed'; readonly pauseMs?: number }
  /** 429, or 503 with a word on when to come again; `retryAfterMs` null when there is none. */
  | { readonly kind: 'throttled'; readonly retryAfterMs: number | null }

/** Leave to send one request. */
export interface Pass {
  /** To be called once, when the head of the answer is there or nothing came. */
  leave(answered: Answered): void
}

/** Why there is no leave: the wait is longer, or has become longer, than is waited for. */
export interface Refused {
  readonly why: 'busy' | 'paused' | 'aborted'
  /** When it is worth another try, ms. */
  readonly retryAfterMs: number
}

/** How a service stands, for people. */
export interface Pace {
  readonly inFlight: number
  readonly inFlightMax: number
  readonly waiting: number
  readonly pausedMs: number
}

/** Paces requests by origin. Share one in the process: see {@link sharedGovernor}. */
export class Governor {
  readonly #clock: Clock
  readonly #limits: GovernorLimits
  readonly #services = createEntryCache<string, Lane>(SERVICES_MAX)

  constructor(options: { readonly clock?: Clock; readonly limits?: Partial<GovernorLimits> } = {}) {
    this.#clock = options.clock ?? systemClock
    this.#limits = { ...GOVERNOR_LIMITS, ...options.limits }
  }

  /** Waits for leave to send a request to `origin`; first come, first served. Never rejects. */
  enter(origin: string, signal?: AbortSignal): Promise<Pass | Refused> {
    return this.#lane(origin).enter(signal)
  }

  /** How a service stands. */
  pace(origin: string): Pace {
    return this.#lane(origin).pace()
  }

  #lane(origin: string): Lane {
    let lane = this.#services.get(origin)
    if (lane === undefined) {
      lane = new Lane(this.#clock, this.#limits)
      this.#services.set(origin, lane)
    }
    return lane
  }
}

/** The governor of clients that are not given one. */
export const sharedGovernor: Governor = new Governor()

/** One that waits: `proceed` is called when it is its turn. */
interface Waiter {
  readonly proceed: () => void
}

/** One service. */
class Lane {
  readonly #clock: Clock
  readonly #limits: GovernorLimits
  /** First in, first out. */
  readonly #waiters = new Set<Waiter>()
  #inFlight = 0
  /** How many may be under way; grows by fractions. */
  #room: number
  #pausedUntilMs = Number.NEGATIVE_INFINITY
  #loweredAtMs = Number.NEGATIVE_INFINITY
  #complaints = 0
  #wake: Timer | null = null

  constructor(clock: Clock, limits: GovernorLimits) {
    this.#clock = clock
    this.#limits = limits
    this.#room = Math.min(limits.inFlightAtFirst, limits.inFlightMax)
  }

  pace(): Pace {
    return {
      inFlight: this.#inFlight,
      inFlightMax: Math.floor(this.#room),
      waiting: this.#waiters.size,
      pausedMs: Math.max(0, this.#pausedUntilMs - this.#clock.monotonicMs()),
    }
  }

  enter(signal: AbortSignal | undefined): Promise<Pass | Refused> {
    const { waitingMax, waitMsMax } = this.#limits
    const { pausedMs } = this.pace()
    if (signal?.aborted === true) return Promise.resolve({ why: 'aborted', retryAfterMs: 0 })
    if (pausedMs > waitMsMax) return Promise.resolve({ why: 'paused', retryAfterMs: pausedMs })
    if (pausedMs === 0 && this.#waiters.size === 0 && this.#hasRoom()) {
      return Promise.resolve(this.#pass())
    }
    if (this.#waiters.size >= waitingMax) {
      return Promise.resolve({ why: 'busy', retryAfterMs: PAUSE_MS })
    }
    return new Promise((resolve) => {
      const finish = (outcome: Pass | Refused): void => {
        this.#waiters.delete(waiter)
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        resolve(outcome)
      }
      const waiter: Waiter = { proceed: () => finish(this.#pass()) }
      const onAbort = (): void => finish({ why: 'aborted', retryAfterMs: 0 })
      const timer = this.#clock.after(waitMsMax, () => {
        const why = this.pace().pausedMs > 0 ? 'paused' : 'busy'
        finish({ why, retryAfterMs: Math.max(PAUSE_MS, this.pace().pausedMs) })
      })
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      this.#advance()
    })
  }

  #hasRoom(): boolean {
    return this.#inFlight < Math.floor(this.#room)
  }

  #pass(): Pass {
    this.#inFlight++
    const startedMs = this.#clock.monotonicMs()
    let left = false
    return {
      leave: (answered) => {
        if (left) return
        left = true
        this.#inFlight--
        this.#learn(answered, startedMs)
        this.#advance()
      },
    }
  }

  #learn(answered: Answered, startedMs: number): void {
    const now = this.#clock.monotonicMs()
    if (answered.kind === 'throttled') {
      // Answers to requests that were under way together are one complaint.
      if (startedMs > this.#loweredAtMs) {
        this.#room = Math.max(1, this.#room / 2)
        this.#complaints = Math.min(this.#complaints + 1, PAUSE_DOUBLINGS_MAX)
        this.#loweredAtMs = now
      }
      this.#pause(answered.retryAfterMs ?? PAUSE_MS * 2 ** (this.#complaints - 1))
      return
    }
    if (answered.kind === 'good') {
      this.#complaints = 0
      this.#room = Math.min(this.#limits.inFlightMax, this.#room + 1 / this.#room)
    }
    if (answered.pauseMs !== undefined) this.#pause(answered.pauseMs)
  }

  #pause(ms: number): void {
    const until = this.#clock.monotonicMs() + Math.min(ms, this.#limits.pauseMsMax)
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, until)
  }

  /** Lets those proceed for whom there is room, now or when the pause ends. */
  #advance(): void {
    this.#wake?.cancel()
    this.#wake = null
    if (this.#waiters.size === 0) return
    const { pausedMs } = this.pace()
    if (pausedMs > 0) {
      this.#wake = this.#clock.after(Math.ceil(pausedMs), () => this.#advance())
      return
    }
    for (const waiter of this.#waiters) {
      if (!this.#hasRoom()) return
      waiter.proceed()
    }
  }
}
