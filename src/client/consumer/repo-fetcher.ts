/** Fetches repositories for repairs: from where, how many at once, and what a failure means. */
import { systemClock, type Clock } from '../../lib/clock.ts'
import { createEntryCache } from '../../lib/entry-cache.ts'
import type { UnverifiableReason } from '../../lib/reasons.ts'
import { CallError, type CallErrorCode, isCallError } from '../calls/call-error.ts'
import type { SyncClientOptions } from '../calls/client-options.ts'
import type { ConsumerIdentities } from './consumer-types.ts'
import { pauseAfter } from './repo-states.ts'
import type { RepoUpdate } from '../../repo/repo-update.ts'
import { SyncClient } from '../calls/sync-client.ts'
import type { VerifiedRepo } from '../calls/verified-client.ts'

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

/** The host was still at it when the time for a repository was over. */
export class HostLate extends Error {}

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

/** A place at the host of an account. Both calls throw CallError. */
export interface OpenFetch {
  /** The whole repository; its commit has been verified when this resolves. */
  whole(): Promise<VerifiedRepo>
  /** Whether the host is worth asking for what is new: it did not let that run into nothing. */
  readonly givesUpdates: boolean
  /** What is new since a rev; its commit has been verified when this resolves. */
  update(since: string, bytesMax: number): Promise<RepoUpdate>
  /** Gives the place up; to be called once: with the error that ended it, if there was one. */
  close(error: unknown): void
}

interface HostState {
  running: number
  failures: number
  untilMs: number
  /** Questions for what is new that it did not answer in time, since it did answer one. */
  lateUpdates: number
  /** No more than {@link WAITERS_MAX}. */
  readonly waiters: (() => void)[]
}

/** Repositories of one host that wait for it in memory; more would keep those of others out. */
const WAITERS_MAX = 64
/** When those come again that find no place to wait, in first pauses. */
const CROWDED_PAUSES = 4
/** Late answers after which a host is asked for whole repositories, until one has come. */
const LATE_UPDATES_MAX = 2
const NEW_HOST = { running: 0, failures: 0, untilMs: Number.NEGATIVE_INFINITY, lateUpdates: 0 }
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
   * Takes a place at an account's host. One that has just failed has a single place until it has
   * answered well, so that hosts that hang leave room for others.
   *
   * @throws FetchError, or FetchBusy when the host is left alone.
   */
  async open(did: string, signal: AbortSignal): Promise<OpenFetch> {
    const endpoint = this.#options.service ?? (await this.#hostOf(did, signal))
    const { verified } = this.#client(endpoint)
    const host = this.#host(endpoint)
    const waitMs = host.untilMs - this.#clock.monotonicMs()
    if (waitMs > 0) throw new FetchBusy(host, Math.ceil(waitMs))
    if (host.running >= this.#placesOf(host)) throw new FetchBusy(host, this.#crowdedMs(host))
    host.running++
    const { collections } = this.#options
    const wanted = collections === null ? {} : { collections }
    return {
      whole: () => verified.getRepo({ did }, { signal, ...wanted }),
      givesUpdates: host.lateUpdates < LATE_UPDATES_MAX,
      update: async (since, bytesMax) => {
        try {
          const update = await verified.getRepoUpdate({ did, since }, { signal, bytesMax })
          host.lateUpdates = 0
          return update
        } catch (error) {
          if (isCallError(error, 'Timeout', 'Aborted')) host.lateUpdates++
          throw error
        }
      },
      close: (error) => {
        host.running--
        this.#learn(host, error)
        const free = Math.max(1, this.#placesOf(host) - host.running)
        for (const wake of host.waiters.splice(0, free)) wake()
      },
    }
  }

  #placesOf({ failures }: HostState): number {
    return failures > 0 ? 1 : this.#options.perHostMax
  }

  /** Null when there is room to wait for the host. */
  #crowdedMs({ waiters }: HostState): number | null {
    const { pauseMs, random } = this.#options
    if (waiters.length < WAITERS_MAX) return null
    return Math.ceil(pauseMs * CROWDED_PAUSES * (0.5 + random()))
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
      host = { ...NEW_HOST, waiters: [] }
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
    if (error === null) {
      host.failures = 0
      host.lateUpdates = Math.min(host.lateUpdates, LATE_UPDATES_MAX - 1)
    }
    const isOfHost = error instanceof CallError && OF_HOST.has(error.code)
    if (!isOfHost && !(error instanceof HostLate)) return
    const { pauseMs: firstMs, pauseMsMax: mostMs, random } = this.#options
    const pauseMs = pauseAfter(host.failures, { firstMs, mostMs }, random())
    const askedMs = isOfHost ? Math.min(error.retryAfterMs ?? 0, mostMs) : 0
    host.failures++
    host.untilMs = this.#clock.monotonicMs() + Math.max(pauseMs, askedMs)
  }
}

/** What is wrong in our words; errors that are not of a fetch pass through. */
export function fetchErrorOf(error: unknown): unknown {
  if (!(error instanceof CallError)) return error
  const { code, message, retryAfterMs } = error
  const inactive = INACTIVE.get(code) ?? null
  return new FetchError({ code, detail: message, retryAfterMs, inactive }, error)
}
