/** A whole repository host in this process: repositories, stream of events, HTTP. */
import type { IncomingMessage } from 'node:http'
import type { ServerDescription } from '../http/host-describe-server.ts'
import { startHostHttp } from '../http/host-http.ts'
import type { HttpMetrics } from '../http/http-metrics.ts'
import { type Clock, systemClock, type Timer } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { Lifecycle } from '../ops/lifecycle.ts'
import { type Logger, silentLogger } from '../ops/logger.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { detachedRelayMetrics } from '../ops/relay-metrics.ts'
import { BLOB_BYTES_MAX, type RepoHostOptions } from '../repo-host/host-options.ts'
import { RepoHost } from '../repo-host/repo-host.ts'
import { Broadcaster } from '../stream/broadcaster.ts'

/** Everything has a default: `startHost()` is a host in memory on a free port of loopback. */
export interface HostOptions extends Partial<Omit<RepoHostOptions, 'onFailed'>> {
  /** Where to listen; default any free port of 127.0.0.1. */
  readonly bind?: ListenAddress
  /** The name by which the network knows this host, for `describeServer`; default `localhost`. */
  readonly hostname?: string
  /** Suffixes of handles, for `describeServer`; default `.` and the hostname. */
  readonly userDomains?: readonly string[]
  readonly logger?: Logger
  /** Where requests are counted; default nowhere that anybody sees. */
  readonly metrics?: HttpMetrics
  /** Addresses and networks whose X-Forwarded-For is believed; default none. */
  readonly trustedProxies?: readonly string[]
  /** Requests a minute from one address; default {@link REQUESTS_PER_MINUTE}. */
  readonly requestsPerMinute?: number
  /** Most subscribers; default {@link HOST_SUBSCRIBERS_MAX}. */
  readonly subscribersMax?: number
  /** How long requests may take to finish at the end, ms; default 0. */
  readonly drainMs?: number
}

/** Requests a minute from one address: a relay that backfills asks for some dozens a second. */
export const REQUESTS_PER_MINUTE = 6_000
/** Most subscribers: the relays that crawl one host are few. */
export const HOST_SUBSCRIBERS_MAX = 200
/** How often old events and garbage are looked for, ms. */
const UPKEEP_MS = 10 * 60_000
/** How long writing out what was called may take, ms. */
const STOP_TIMEOUT_MS = 30_000

/** A host that serves. */
export interface RunningHost extends AsyncDisposable {
  /** The repositories: writes go through here. */
  readonly host: RepoHost
  /** Where it listens, `127.0.0.1:2583`. */
  readonly address: string
  /** `http://` and the address. */
  readonly url: string
  /** Resolves with the error when log or state cannot be written any more. */
  readonly failed: Promise<unknown>
  /** Drains, then closes. The directory is free when it resolves. */
  stop(): Promise<void>
}

/**
 * Starts a host; it is ready when the promise resolves.
 *
 * ```ts
 * await using running = await startHost()
 * await running.host.createAccount({ did, key, handle: 'alice.test' })
 * ```
 *
 * @throws SkeinError when the directory or the address cannot be had; nothing is left open then.
 */
export async function startHost(options: HostOptions = {}): Promise<RunningHost> {
  const { clock = systemClock, logger = silentLogger, directory = null } = options
  const lifecycle = new Lifecycle({ clock, logger })
  const failed = Promise.withResolvers<unknown>()
  const host = await lifecycle.open(
    'host',
    () => RepoHost.open({ ...options, directory, clock, onFailed: failed.resolve }),
    (part) => part.close(),
    { closeTimeoutMs: STOP_TIMEOUT_MS },
  )
  await lifecycle.open(
    'upkeep',
    () => startUpkeep(host, clock, logger),
    (stop) => stop(),
  )
  const address = await openServer(options, { lifecycle, host, clock, logger })
  const stop = async (): Promise<void> => {
    const problems = await lifecycle.close()
    if (problems.length === 0) return
    const parts = problems.map(({ part }) => part).join(',')
    throw new SkeinError('STOPPED', 'stop host: parts did not close well', { parts })
  }
  return {
    host,
    address,
    url: `http://${address}`,
    failed: failed.promise,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

interface ServerParts {
  readonly lifecycle: Lifecycle
  readonly host: RepoHost
  readonly clock: Clock
  readonly logger: Logger
}

/** Subscribers and HTTP; opened last and closed first. */
async function openServer(options: HostOptions, parts: ServerParts): Promise<string> {
  const { lifecycle, host, clock, logger } = parts
  const { bind = { host: '127.0.0.1', port: 0 }, drainMs = 0 } = options
  const { subscribersMax = HOST_SUBSCRIBERS_MAX } = options
  const remotes = new WeakMap<IncomingMessage, string>()
  const broadcaster = await lifecycle.open(
    'broadcaster',
    () =>
      new Broadcaster({
        source: host.log,
        clock,
        subscribersMax,
        subscribersPerAddressMax: subscribersMax,
        remoteAddress: (request) => remotes.get(request) ?? 'unknown',
      }),
    (part) => part.stop(),
  )
  const limits = {
    bind,
    trustedProxies: options.trustedProxies ?? [],
    requestsPerMinute: options.requestsPerMinute ?? REQUESTS_PER_MINUTE,
    subscribersMax,
  }
  const server = await lifecycle.open(
    'http',
    () =>
      startHostHttp(limits, {
        view: host,
        description: descriptionOf(options),
        accept(request, socket, head, address) {
          remotes.set(request, address)
          broadcaster.accept(request, socket, head)
        },
        metrics: options.metrics ?? detachedRelayMetrics(),
        clock,
        logger,
      }),
    async (part) => {
      part.closeGate()
      await broadcaster.stop()
      await part.stop(drainMs)
    },
    { closeTimeoutMs: drainMs + STOP_TIMEOUT_MS },
  )
  return server.address
}

function descriptionOf(options: HostOptions): ServerDescription {
  const { hostname = 'localhost' } = options
  return {
    did: `did:web:${hostname.replace(':', '%3A')}`,
    availableUserDomains: options.userDomains ?? [`.${hostname}`],
    inviteCodeRequired: false,
    blobUploadLimit: options.blobBytesMax ?? BLOB_BYTES_MAX,
  }
}

/** Looks after the host from time to time; returns what ends that. */
function startUpkeep(host: RepoHost, clock: Clock, logger: Logger): () => Promise<void> {
  let timer: Timer
  let running: Promise<void> = Promise.resolve()
  const upkeep = async (): Promise<void> => {
    try {
      await host.log.retain()
      const { blobs, rows } = await host.collectGarbage()
      if (blobs + rows > 0) logger.debug('host: collected garbage', { blobs, rows })
    } catch (error) {
      logger.warn('host: upkeep failed and will be tried again', { error })
    }
  }
  const schedule = (): void => {
    timer = clock.after(UPKEEP_MS, () => {
      running = upkeep()
      schedule()
    })
  }
  schedule()
  return () => {
    timer.cancel()
    return running
  }
}
