/** A whole repository host in this process: repositories, stream of events, HTTP. */
import type { IncomingMessage } from 'node:http'
import type { ServerDescription } from '../http/host-describe-server.ts'
import { startHostHttp } from '../http/host-http.ts'
import { startMetricsServer } from '../http/metrics-server.ts'
import { type Clock, systemClock, type Timer } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { VERSION } from '../ops/build-info.ts'
import { createHostMetrics, type HostMetrics } from '../ops/host-metrics.ts'
import { Lifecycle } from '../ops/lifecycle.ts'
import { type Logger, silentLogger } from '../ops/logger.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import { BLOB_BYTES_MAX, type RepoHostOptions } from '../repo-host/host-options.ts'
import { RepoHost } from '../repo-host/repo-host.ts'
import { Broadcaster } from '../stream/broadcaster.ts'
import { createHostMeter, type HostMeter } from './host-meter.ts'
import { PublishTimes } from './publish-times.ts'
import { SubscriberMeter } from './subscriber-meter.ts'

/** Everything has a default: `startHost()` is a host in memory on a free port of loopback. */
export interface HostOptions extends Partial<Omit<RepoHostOptions, 'onFailed' | 'observer'>> {
  /** Where to listen; default any free port of 127.0.0.1. */
  readonly bind?: ListenAddress
  /** The name by which the network knows this host, for `describeServer`; default `localhost`. */
  readonly hostname?: string
  /** Suffixes of handles, for `describeServer`; default `.` and the hostname. */
  readonly userDomains?: readonly string[]
  readonly logger?: Logger
  /** Where the metrics are registered, one host in each; default a new one. */
  readonly registry?: MetricsRegistry
  /** Where to serve `/metrics`; default nowhere. */
  readonly metricsBind?: ListenAddress
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
  /** Where its metrics are; null when they are off. `registry` has them all the same. */
  readonly metricsAddress: string | null
  readonly registry: MetricsRegistry
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
  const { registry = new MetricsRegistry() } = options
  const metrics = createHostMetrics(registry)
  metrics.build.set(1, { version: VERSION, node: process.versions.node })
  const meter = createHostMeter(metrics)
  const lifecycle = new Lifecycle({ clock, logger })
  const failed = Promise.withResolvers<unknown>()
  const host = await lifecycle.open(
    'host',
    () =>
      RepoHost.open({
        ...options,
        directory,
        clock,
        observer: meter.observer,
        onFailed: failed.resolve,
      }),
    (part) => part.close(),
    { closeTimeoutMs: STOP_TIMEOUT_MS },
  )
  await lifecycle.open(
    'upkeep',
    () => startUpkeep(host, clock, logger),
    (stop) => stop(),
  )
  registry.onScrape(() => meter.sample(host))
  const serving = { lifecycle, host, clock, logger, registry, metrics, meter }
  const address = await openServer(options, serving)
  const metricsAddress = await openMetrics(options.metricsBind ?? null, serving)
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
    metricsAddress,
    registry,
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
  readonly registry: MetricsRegistry
  readonly metrics: HostMetrics
  readonly meter: HostMeter
}

/** Subscribers and HTTP; opened last and closed first. */
async function openServer(options: HostOptions, parts: ServerParts): Promise<string> {
  const { lifecycle, host, clock, logger, registry, metrics, meter } = parts
  const { bind = { host: '127.0.0.1', port: 0 }, drainMs = 0 } = options
  const { subscribersMax = HOST_SUBSCRIBERS_MAX } = options
  const times = new PublishTimes(clock)
  const subscriberMeter = new SubscriberMeter(metrics, times)
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
        onEnd: (view, reason) => subscriberMeter.onEnd(view, reason),
      }),
    (part) => part.stop(),
  )
  host.log.onPublish(() => times.note(host.log.publishedSeq))
  registry.onScrape(() => subscriberMeter.sample(broadcaster))
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
        metrics,
        ...meter.hooks,
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

/** Metrics have an address of their own, which is not for strangers. */
async function openMetrics(
  bind: ListenAddress | null,
  { lifecycle, registry, clock, logger }: ServerParts,
): Promise<string | null> {
  if (bind === null) return null
  const server = await lifecycle.open(
    'metrics',
    () => startMetricsServer({ registry, bind, clock, logger }),
    (part) => part.stop(0),
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
      const { blobs, rows, files } = await host.collectGarbage()
      if (blobs + rows + files > 0) {
        logger.debug('host: collected garbage', { blobs, rows, files })
      }
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
