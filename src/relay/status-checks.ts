/** Asking hosts again about accounts that they called inactive and still send events for. */
import type { HttpClient } from '../identity/http-client.ts'
import type { Clock } from '../lib/clock.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import { askRepoStatus, type RemoteStatus } from './host-queries.ts'

/** An account is asked about once in this time, ms, however many events contradict its status. */
const ASK_AGAIN_MS = 60_000
/** Accounts whose last question is remembered. */
const ASKED_MAX = 100_000

/** Bounded questions about accounts; requests to a host are limited by the HTTP client besides. */
export class StatusChecks {
  readonly #http: HttpClient
  readonly #clock: Clock
  readonly #askedAtMs = createEntryCache<string, number>(ASKED_MAX)

  constructor(http: HttpClient, clock: Clock) {
    this.#http = http
    this.#clock = clock
  }

  /** What the host says of the account now; null when it was asked too recently or did not say. */
  async ask(endpoint: string, did: string): Promise<RemoteStatus | null> {
    const nowMs = this.#clock.monotonicMs()
    const askedAtMs = this.#askedAtMs.get(did)
    if (askedAtMs !== undefined && nowMs - askedAtMs < ASK_AGAIN_MS) return null
    this.#askedAtMs.set(did, nowMs)
    return askRepoStatus(this.#http, endpoint, did)
  }
}
