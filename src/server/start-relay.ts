/** A whole relay in this process: storage, identities, hosts, subscribers, HTTP. */
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { loadVerifier } from '../crypto/verifier.ts'
import { startMetricsServer } from '../http/metrics-server.ts'
import { startRelayHttp } from '../http/relay-http.ts'
import { checkedConnectOptions } from '../identity/address-policy.ts'
import { createIdentityResolver } from '../identity/create-identity-resolver.ts'
import { createSafeFetch, type SafeFetch } from '../identity/safe-fetch.ts'
import type { Clock } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { systemRandom } from '../lib/random.ts'
import { EventLog } from '../log/event-log.ts'
import { RELAY_PRODUCT } from '../ops/build-info.ts'
import { Lifecycle } from '../ops/lifecycle.ts'
import type { Logger } from '../ops/logger.ts'
import type { MetricsRegistry } from '../ops/metrics.ts'
import { sampleHosts, type RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayOptions } from '../ops/relay-options.ts'
import { Relay } from '../relay/relay.ts'
import { openDatabase, type Connection } from '../store/database.ts'
import { IdentityRows } from '../store/identity-rows.ts'
import { RelayStore } from '../store/relay-store.ts'
import { RELAY_SCHEMA } from '../store/schemas.ts'
import { Broadcaster } from '../stream/broadcaster.ts'
import { WsTransport } from '../stream/ws-transport.ts'
import { PublishTimes } from './publish-times.ts'
import { SubscriberMeter } from './subscriber-meter.ts'

/** What a relay is given besides its options. */
export interface RelayDependencies {
  readonly logger: Logger
  readonly registry: MetricsRegistry
  readonly metrics: RelayMetrics
  readonly clock: Clock
}

/** A relay that serves. */
export interface RunningRelay {
  /** Where it listens, `127.0.0.1:2470`. */
  readonly address: string
  /** Where its metrics are; null when they are off. */
  readonly metricsAddress: string | null
  /** Which implementation verifies signatures, by curve. */
  readonly signatureBackends: Readonly<Record<string, string>>
  readonly relay: Relay
  /** Drains: what was decided is written, subscribers are told to come back. */
  stop(): Promise<void>
  /** Resolves with the error when log or state cannot be written any more. */
  readonly failed: Promise<Error>
}

/** Time for TCP, TLS and the upgrade of a connection to a host, ms each. */
const HANDSHAKE_TIMEOUT_MS = 10_000
/**
 * A DID that could not be resolved is asked for again after this at the latest, ms: events that
 * wait for it must not miss that a directory is back.
 */
const UNRESOLVED_MS_MAX = 30_000
/** Requests a second to each directory: four times what any one host may cause. */
const PLC_PER_SECOND = 200
/** A DID that its directory does not know is not asked for again for this time, ms. */
const MISSING_MS = 60_000
/** One host may doubt a DID again after this, ms; how many DIDs it may doubt is limited besides. */
const REFRESH_INTERVAL_MS = 10_000
/** File of the state database within the data directory. */
const STATE_FILE = 'state.sqlite'

/**
 * Starts a relay; it is ready when the promise resolves.
 *
 * @throws SkeinError when the data directory, the database or an address cannot be had; nothing is
 *   left open then.
 */
export async function startRelay(
  options: RelayOptions,
  dependencies: RelayDependencies,
): Promise<RunningRelay> {
  const { logger, clock, metrics, registry } = dependencies
  const lifecycle = new Lifecycle({ clock, logger })
  const failed = Promise.withResolvers<Error>()
  const verifier = await loadVerifier()
  for (const [curve, backend] of Object.entries(verifier.backends)) {
    metrics.signatureBackend.set(1, { curve, backend })
  }
  logger.info('crypto: signature implementations', { ...verifier.backends })

  const log = await lifecycle.open(
    'log',
    () => openLog(options, dependencies),
    (part) => part.close(),
  )
  const database = await lifecycle.open(
    'database',
    () => openDatabase(join(options.data, STATE_FILE), RELAY_SCHEMA),
    (part) => part.close(),
  )
  const identities = await lifecycle.open(
    'identities',
    () => openIdentities(options, dependencies, database.connection),
    (part) => part.close(),
  )
  const http = await lifecycle.open(
    'outbound HTTP',
    () =>
      createSafeFetch({
        userAgent: RELAY_PRODUCT,
        clock,
        allowPrivateNetwork: options.allowPrivateNetwork,
      }),
    (part) => part.close(),
  )
  const relay = await lifecycle.open(
    'relay',
    () =>
      Relay.start({
        settings: options,
        log,
        store: new RelayStore(database.connection),
        identities,
        verifier,
        http,
        transport: openTransport(http, clock),
        clock,
        random: systemRandom,
        logger,
        metrics,
        onFailed: failed.resolve,
      }),
    (part) => part.stop(),
    { closeTimeoutMs: STOP_TIMEOUT_MS },
  )
  const addresses = await openServers(options, dependencies, lifecycle, relay, log)
  await lifecycle.open(
    'hosts',
    () => {
      for (const host of options.hosts) relay.addHost(host)
    },
    () => undefined,
  )
  registry.onScrape(() => {
    sampleHosts(metrics, relay.hostSamples())
    relay.sampleGauges()
  })
  return {
    ...addresses,
    signatureBackends: verifier.backends,
    relay,
    failed: failed.promise,
    async stop() {
      const problems = await lifecycle.close()
      if (problems.length === 0) return
      const parts = problems.map(({ part }) => part).join(',')
      throw new SkeinError('STOPPED', 'stop relay: parts did not close well', { parts })
    },
  }
}

/** How long writing out what was decided may take, ms. */
const STOP_TIMEOUT_MS = 30_000

function openLog(options: RelayOptions, { clock, logger }: RelayDependencies): Promise<EventLog> {
  return EventLog.open(options.data, {
    clock,
    retainMs: options.replayWindow,
    retainBytes: options.replayBytes === 0 ? Number.MAX_SAFE_INTEGER : options.replayBytes,
    onPurgeError: (error) => logger.warn('log: a purge failed and will be tried again', { error }),
  })
}

function openIdentities(
  options: RelayOptions,
  { clock, metrics }: RelayDependencies,
  connection: Connection,
): ReturnType<typeof createIdentityResolver> {
  return createIdentityResolver({
    userAgent: RELAY_PRODUCT,
    plcDirectories: options.plc,
    plcPerSecond: PLC_PER_SECOND,
    allowPrivateNetwork: options.allowPrivateNetwork,
    store: new IdentityRows(connection),
    limits: {
      memoryBytesMax: options.identityCacheBytes,
      refreshIntervalMs: REFRESH_INTERVAL_MS,
      unresolvedMsMax: UNRESOLVED_MS_MAX,
      missingMs: MISSING_MS,
    },
    clock,
    hooks: {
      onLookup: (source, outcome) => metrics.identityLookups.add(1, { source, outcome }),
      onOverflow: (limit) => metrics.identityOverflows.add(1, { limit }),
    },
  })
}

/** Connections to hosts keep to the same policy on addresses as all outbound requests. */
function openTransport(http: SafeFetch, clock: Clock): WsTransport {
  return new WsTransport({
    clock,
    userAgent: RELAY_PRODUCT,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    connectOptions(url) {
      const checked = checkedConnectOptions(url, http.policy)
      if (checked.ok) return checked.value.options
      throw new SkeinError('REQUEST_BLOCKED', `connect to host: ${checked.detail}`)
    },
  })
}

/** Subscribers, public HTTP and metrics; what faces users is opened last and closed first. */
async function openServers(
  options: RelayOptions,
  { clock, logger, metrics, registry }: RelayDependencies,
  lifecycle: Lifecycle,
  relay: Relay,
  log: EventLog,
): Promise<{ readonly address: string; readonly metricsAddress: string | null }> {
  const times = new PublishTimes(clock)
  const meter = new SubscriberMeter(metrics, times)
  const remotes = new WeakMap<IncomingMessage, string>()
  const broadcaster = await lifecycle.open(
    'broadcaster',
    () =>
      new Broadcaster({
        source: log,
        clock,
        serverHeader: RELAY_PRODUCT,
        subscribersMax: options.subscribersMax,
        subscribersPerAddressMax: options.subscribersPerAddressMax,
        remoteAddress: (request) => remotes.get(request) ?? 'unknown',
        onEnd: (view, reason) => meter.onEnd(view, reason),
      }),
    (part) => part.stop(),
  )
  log.onPublish(() => times.note(log.publishedSeq))
  registry.onScrape(() => meter.sample(broadcaster))
  const server = await lifecycle.open(
    'http',
    () =>
      startRelayHttp(options, {
        view: relay,
        accept(request, socket, head, address) {
          remotes.set(request, address)
          broadcaster.accept(request, socket, head)
        },
        metrics,
        clock,
        logger,
      }),
    async (part) => {
      part.closeGate()
      await broadcaster.stop()
      await part.stop(options.drainTimeout)
    },
    { closeTimeoutMs: options.drainTimeout + STOP_TIMEOUT_MS },
  )
  const { metricsBind: bind } = options
  if (bind === null) return { address: server.address, metricsAddress: null }
  const metricsServer = await lifecycle.open(
    'metrics',
    () => startMetricsServer({ registry, bind, clock, logger }),
    (part) => part.stop(0),
  )
  return { address: server.address, metricsAddress: metricsServer.address }
}
