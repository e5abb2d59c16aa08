/** Fetches repositories for repairs: from where, how many at once, and what a failure means. */
import { systemClock, type Clock } from '../lib/clock.ts'
import { createEntryCache } from '../lib/entry-cache.ts'
import type { UnverifiableReason } from '../lib/reasons.ts'
import { CallError, type CallErrorCode } from './call-error.ts'
import type { SyncClientOptions } from './client-options.ts'
import type { ConsumerIdentities } from './consumer-types.ts'
import { pauseAfter } from './repo-states.ts'
import { SyncClient } from './sync-client.ts'
import type { VerifiedRepo } from './verified-client.ts'

/** What went wrong, and when it is worth another try. */
export interface FetchFailure {
  readonly code: CallErrorCode | UnverifiableReason
  readonly detail: string
  /** Ms from now; null when the usual pause will do. */
  readonly retryAfterMs: number | null
  /** Set when the host says that the account is not active: why. */
  readonly inactive: string | null
}

/** Thrown by the fetch, and by the iteration of what it gives as its cause. */
export class FetchError extends Error {
  override readonly name = 'FetchError'
  readonly failure: FetchFailure

  constructor(failure: FetchFailure, cause?: unknown) {
    super(failure.detail, cause === undefined ? undefined : { cause })
    this.failure = failure
  }
}

/** Why the fetch was not tried now: the host has failed, or has enough to do. */
export class FetchBusy extends Error {
  override readonly name = 'FetchBusy'
  /** When to come again; null when `host` will tell. */
  readonly waitMs: number | null
  readonly #host: HostState

  constructor(host: HostState, waitMs: number | null) {
    super('the host is left alone for now')
    this.#host = host
    this.waitMs = waitMs
  }

  /** Calls `wake` when one of the host's fetches has ended. */
  whenFree(wake: () => void): void {
    this.#host.waiters.push(wake)
  }
}

export interface RepoFetcherOptions {
  readonly identities: ConsumerIdentities
  /** The service to fetch from; null for the host of each account. */
  readonly service: string | null
  readonly client: SyncClientOptions
  readonly collections: readonly string[] | null
  readonly perHostMax: number
  readonly pauseMs: number
  readonly pauseMsMax: number
  readonly random: () => number
}

/** A repository that is being read, and the place that its fetch takes up. */
export interface OpenFetch {
  readonly repo: VerifiedRepo
  /** To be called once: with the error that ended it, if there was one. */
  close(error: unknown): void
}

interface HostState {
  running: number
  failures: number
  untilMs: number
  /** As many as repositories wait in memory, over all hosts. */
  readonly waiters: (() => void)[]
}

/** Hosts that are remembered. */
const HOSTS_MAX = 10_000
const INACTIVE: ReadonlyMap<string, string> = new Map([
  ['RepoDeactivated', 'deactivated'],
  ['RepoSuspended', 'suspended'],
  ['RepoTakendown', 'takendown'],
])
/** Failures that are the host's rather than the account's. */
const OF_HOST: ReadonlySet<string> = new Set([
  'RateLimited',
  'ServerError',
  'Timeout',
  'Unreachable',
])

export class RepoFetcher {
  readonly #options: RepoFetcherOptions
  readonly #clock: Clock
  readonly #hosts = createEntryCache<string, HostState>(HOSTS_MAX)
  readonly #clients = createEntryCache<string, SyncClient>(HOSTS_MAX)

  constructor(options: RepoFetcherOptions) {
    this.#options = options
    this.#clock = options.client.clock ?? systemClock
  }

  /**
   * Opens an account's repository; its commit has been verified when this resolves.
   *
   * @throws FetchError, or FetchBusy when the host is left alone.
   */
  async open(did: string, signal: AbortSignal): Promise<OpenFetch> {
    const endpoint = this.#options.service ?? (await this.#hostOf(did, signal))
    const client = this.#client(endpoint)
    const host = this.#host(endpoint)
    const waitMs = host.untilMs - this.#clock.monotonicMs()
    if (waitMs > 0) throw new FetchBusy(host, Math.ceil(waitMs))
    if (host.running >= this.#options.perHostMax) throw new FetchBusy(host, null)
    host.running++
    const close = (error: unknown): void => {
      host.running--
      this.#learn(host, error)
      host.waiters.shift()?.()
    }
    try {
      const { collections } = this.#options
      const wanted = collections === null ? {} : { collections }
      const repo = await client.verified.getRepo({ did }, { signal, ...wanted })
      return { repo, close }
    } catch (error) {
      close(error)
      throw fetchErrorOf(error)
    }
  }

  async #hostOf(did: string, signal: AbortSignal): Promise<string> {
    const found = await this.#options.identities.resolve(did, { signal })
    const none = { inactive: null }
    if (!found.ok) {
      const { reason: code, detail, retryAfterMs } = found
      throw new FetchError({ code, detail, retryAfterMs, ...none })
    }
    const { pdsEndpoint } = found.identity
    if (pdsEndpoint !== null) return pdsEndpoint
    const detail = `${did} names no usable host`
    throw new FetchError({ code: 'identity-no-host', detail, retryAfterMs: null, ...none })
  }

  #host(endpoint: string): HostState {
    let host = this.#hosts.get(endpoint)
    if (host === undefined) {
      host = { running: 0, failures: 0, untilMs: Number.NEGATIVE_INFINITY, waiters: [] }
      this.#hosts.set(endpoint, host)
    }
    return host
  }

  #client(endpoint: string): SyncClient {
    let client = this.#clients.get(endpoint)
    if (client === undefined) {
      const { client: options, service } = this.#options
      // Hosts are named by strangers' documents; the service by whoever runs the program.
      const namedBy = service === null ? 'stranger' : 'user'
      try {
        client = new SyncClient(endpoint, { ...options, retry: 'never', namedBy })
      } catch (cause) {
        const detail = `${endpoint.slice(0, 128)} is no service`
        const failure = { detail, retryAfterMs: null, inactive: null }
        throw new FetchError({ code: 'identity-no-host', ...failure }, cause)
      }
      this.#clients.set(endpoint, client)
    }
    return client
  }

  #learn(host: HostState, error: unknown): void {
    if (!(error instanceof CallError) || !OF_HOST.has(error.code)) {
      if (error === null) host.failures = 0
      return
    }
    const { pauseMs: firstMs, pauseMsMax: mostMs, random } = this.#options
    const pauseMs = pauseAfter(host.failures, { firstMs, mostMs }, random())
    host.failures++
    host.untilMs = this.#clock.monotonicMs() + Math.max(pauseMs, error.retryAfterMs ?? 0)
  }
}

/** What is wrong in our words; errors that are not of a fetch pass through. */
export function fetchErrorOf(error: unknown): unknown {
  if (!(error instanceof CallError)) return error
  const { code, message, retryAfterMs } = error
  const inactive = INACTIVE.get(code) ?? null
  return new FetchError({ code, detail: message, retryAfterMs, inactive }, error)
}
