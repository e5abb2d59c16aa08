/** Deciding on requests to crawl a host. */
import type { HttpClient } from '../identity/http-client.ts'
import { parseHostname, type HostAddress } from '../identity/hostname.ts'
import type { Clock } from '../lib/clock.ts'
import type { RelayStore } from '../store/relay-store.ts'
import { probeHost } from './host-queries.ts'
import type { CrawlOutcome } from './relay-view.ts'

const DAY_MS = 86_400_000
/** Hosts being probed at once; a request beyond that is told to come again. */
const PROBES_MAX = 16

export interface CrawlOptions {
  readonly enabled: boolean
  readonly newHostsPerDay: number
  readonly allowPrivateNetwork: boolean
  readonly http: HttpClient
  readonly store: RelayStore
  readonly clock: Clock
  /** The state of a host that is known: woken by the call; null when it is not known. */
  readonly wake: (hostname: string) => 'woken' | 'banned' | null
  readonly add: (address: HostAddress) => void
}

/** Takes crawl requests. The daily limit is counted in the store and outlives the process. */
export class Crawl {
  readonly #options: CrawlOptions
  readonly #probes = new Map<string, Promise<CrawlOutcome>>()

  constructor(options: CrawlOptions) {
    this.#options = options
  }

  /** Never rejects. Concurrent requests for a host share one probe. */
  async request(text: string): Promise<CrawlOutcome> {
    const { enabled, allowPrivateNetwork, wake } = this.#options
    const parsed = parseHostname(text, { allowPrivateNetwork })
    if (!parsed.ok) return { kind: 'invalid-hostname', message: parsed.detail }
    const address = parsed.value
    const known = wake(address.hostname)
    if (known === 'banned') return { kind: 'banned', message: `host ${address.hostname} is banned` }
    if (known === 'woken') return { kind: 'accepted' }
    if (!enabled) return { kind: 'disabled', message: 'this relay takes no requests to crawl' }
    if (this.#isLimited()) return this.#limited()
    const running = this.#probes.get(address.hostname)
    if (running !== undefined) return running
    if (this.#probes.size >= PROBES_MAX) {
      return { kind: 'limited', message: 'too many hosts are being probed; try again in a minute' }
    }
    const probe = this.#probe(address).finally(() => this.#probes.delete(address.hostname))
    this.#probes.set(address.hostname, probe)
    return probe
  }

  async #probe(address: HostAddress): Promise<CrawlOutcome> {
    const { http, wake, add } = this.#options
    const outcome = await probeHost(http, address.endpoint)
    if (!outcome.ok) return { kind: 'unreachable', message: outcome.message }
    if (this.#isLimited()) return this.#limited()
    if (wake(address.hostname) === null) add(address)
    return { kind: 'accepted' }
  }

  #isLimited(): boolean {
    const { store, clock, newHostsPerDay } = this.#options
    return store.requestedHostsSince(clock.nowMs() - DAY_MS) >= newHostsPerDay
  }

  #limited(): CrawlOutcome {
    const { newHostsPerDay } = this.#options
    return { kind: 'limited', message: `${newHostsPerDay} hosts were added in 24 hours; try later` }
  }
}
