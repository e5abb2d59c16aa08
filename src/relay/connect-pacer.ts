/**
 * How fast hosts are connected to for the first time since the start: a relay that comes up with
 * thousands of hosts must neither stall on their handshakes nor fill tables of routers on the way.
 * Later attempts are spread by each host's own backoff.
 */
import { TokenBucket } from '../identity/host-limits.ts'
import type { Clock, Timer } from '../lib/clock.ts'

/**
 * First connections begun a second, and at once after a pause. A handshake with TLS takes some 2 ms
 * of the only thread: a fifth of it at most, and 5,000 hosts are tried within a minute.
 */
export const STARTS_PER_SECOND = 100
/** First connections under way; the slow and the dead take up to 15 s each, and are in the way. */
export const STARTS_UNDER_WAY_MAX = 200

/** Begins things one after another. Owns a timer while something waits. */
export class ConnectPacer {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  /** By host, in the order in which they came. */
  readonly #waiting = new Map<number, () => void>()
  readonly #underWay = new Set<number>()
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
    this.#bucket = new TokenBucket(clock, STARTS_PER_SECOND, STARTS_PER_SECOND)
  }

  /** Hosts that wait for their first connection. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Calls `begin` as soon as it is the host's turn, which may be at once. */
  add(hostId: number, begin: () => void): void {
    this.#waiting.set(hostId, begin)
    this.#run()
  }

  /** The attempt has ended, well or badly. Hosts that are not under way are passed over. */
  ended(hostId: number): void {
    if (this.#underWay.delete(hostId)) this.#run()
  }

  /** The host is not to be begun with any more. */
  drop(hostId: number): void {
    this.#waiting.delete(hostId)
    this.ended(hostId)
  }

  /** Nothing is begun after this. */
  stop(): void {
    this.#timer?.cancel()
    this.#waiting.clear()
    this.#underWay.clear()
  }

  #run(): void {
    for (const [hostId, begin] of this.#waiting) {
      if (this.#underWay.size >= STARTS_UNDER_WAY_MAX) return
      const waitMs = this.#bucket.tryTake()
      if (waitMs > 0) {
        this.#wait(waitMs)
        return
      }
      this.#waiting.delete(hostId)
      this.#underWay.add(hostId)
      begin()
    }
  }

  #wait(waitMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(waitMs, () => this.#run())
  }
}
