/** A whole relay in this process: storage, identities, hosts, subscribers, HTTP. */
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { loadVerifier } from '../crypto/verifier.ts'
import { startMetricsServer } from '../http/metrics-server.ts'
import { startRelayHttp } from '../http/relay-http.ts'
import type { ResolveAddresses } from '../identity/address-lookup.ts'
import { checkedConnectOptions } from '../identity/address-policy.ts'
import { createIdentityResolver } from '../identity/create-identity-resolver.ts'
import { createSafeFetch, type SafeFetch } from '../identity/safe-fetch.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { crashPoint } from '../lib/crash-point.ts'
import { SkeinError } from '../lib/errors.ts'
import { systemRandom } from '../lib/random.ts'
import { EventLog } from '../log/event-log.ts'
import type { LogOptions } from '../log/log-limits.ts'
import { RELAY_PRODUCT, VERSION } from '../ops/build-info.ts'
import { Lifecycle } from '../ops/lifecycle.ts'
import { type Logger, silentLogger } from '../ops/logger.ts'
import { MetricsRegistry } from '../ops/metrics.ts'
import { createRelayMetrics, sampleHosts, type RelayMetrics } from '../ops/relay-metrics.ts'
import { relayOptions, type RelayOptions } from '../ops/relay-options.ts'
import { TemporaryDirectory } from '../ops/temporary-directory.ts'
import { Relay } from '../relay/relay.ts'
import { Checkpointer } from '../store/checkpointer.ts'
import { openDatabase, type Connection } from '../store/database.ts'
import { IdentityRows } from '../store/identity-rows.ts'
import { RelayStore } from '../store/relay-store.ts'
import { RELAY_SCHEMA } from '../store/schemas.ts'
import { Broadcaster } from '../stream/broadcaster.ts'
import { WsTransport } from '../stream/ws-transport.ts'
import { openFrameVerifier } from './frame-verifier.ts'
import { PublishTimes } from './publish-times.ts'
import { SubscriberMeter } from './subscriber-meter.ts'

/** Options that only `skein relay` heeds: it makes the logger, and reports errors. */
type CommandOption = 'logLevel' | 'logFormat' | 'debug'

/**
 * Everything has a default, and the defaults are those of a test: see {@link startRelay}. What the
 * options mean is told in docs/generated/options.md.
 */
export interface StartRelayOptions extends Partial<Omit<RelayOptions, CommandOption>> {
  /** Directory to keep everything in; default a temporary one, which is removed at the end. */
  readonly data?: string
  /** Default: nothing is logged. */
  readonly logger?: Logger
  /** Where the metrics are registered, one relay in each; default a new one. */
  readonly registry?: MetricsRegistry
  readonly clock?: Clock
  /**
   * Looks up every name that the relay connects to: of directories, of did:web, of hosts over HTTP
   * and WebSocket. What it answers must still be allowed: with `allowPrivateNetwork: false` public
   * addresses only. Default: the system's look-up on private networks, else DNS.
   */
  readonly resolveAddresses?: ResolveAddresses
  /** The disk of the log, and the sizes of its files; default those of {@link EventLog}. */
  readonly logOptions?: Pick<LogOptions, 'storage' | 'segmentBytesMax' | 'tailBytesMax'>
  /** Called once, when log and state are open and nothing has been written to either. */
  readonly onOpen?: (parts: RelayStorage) => void
}

/** What a relay keeps things in: for tests that watch it or make it fail. The relay owns it. */
export interface RelayStorage {
  readonly log: EventLog
  readonly store: RelayStore
  readonly connection: Connection
}

/** A relay that serves. */
export interface RunningRelay extends AsyncDisposable {
  readonly relay: Relay
  /** Where it listens, `127.0.0.1:2470`. */
  readonly address: string
  /** `http://` and the address. */
  readonly url: string
  /** Where its metrics are; null when they are off. `registry` has them all the same. */
  readonly metricsAddress: string | null
  readonly registry: MetricsRegistry
  /** The directory that it keeps everything in. */
  readonly directory: string
  /** Which implementation verifies signatures, by curve. */
  readonly signatureBackends: Readonly<Record<string, string>>
  /** Resolves with the error when log or state cannot be written any more. */
  readonly failed: Promise<Error>
  /**
   * Drains: what was decided is written, subscribers are told to come back. The directory is free
   * when it resolves, and gone if it was temporary. Safe to call again.
   *
   * @throws SkeinError STOPPED, with the names of parts that did not close well.
   */
  stop(): Promise<void>
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

/** Where nobody answers: a test that names no directory is not to ask the public one unawares. */
const NO_DIRECTORY = 'http://127.0.0.1:1'
/** Rates and counts that no test reaches. */
const UNLIMITED = 1_000_000

/** What a test wants, where `skein relay` has what the operator of a public server wants. */
const TEST_DEFAULTS: StartRelayOptions = {
  bind: { host: '127.0.0.1', port: 0 },
  metricsBind: null,
  allowPrivateNetwork: true,
  plc: [NO_DIRECTORY],
  drainTimeout: 0,
  verifierThreads: 0,
  requestsPerMinute: UNLIMITED,
  subscribersPerAddressMax: 1_000,
  newHostsPerDay: UNLIMITED,
  hostAccountLimit: UNLIMITED,
  hostEventsPerSecond: UNLIMITED,
}

/** What every part of the composition is made of. */
interface Composition {
  readonly options: RelayOptions
  readonly lifecycle: Lifecycle
  readonly logger: Logger
  readonly clock: Clock
  readonly registry: MetricsRegistry
  readonly metrics: RelayMetrics
  /** Empty, or the one that was given. */
  readonly lookup: { readonly resolveAddresses?: ResolveAddresses }
  readonly given: Pick<StartRelayOptions, 'logOptions' | 'onOpen'>
}

/**
 * Starts a relay. When the promise resolves it is ready: its stream takes subscribers, and the
 * hosts are being connected to.
 *
 * ```ts
 * await using host = await startHost()
 * await using relay = await startRelay({ plc: ['http://localhost:2582'], hosts: [host.url] })
 * const stream = new WebSocket(`ws://${relay.address}/xrpc/com.atproto.sync.subscribeRepos`)
 * ```
 *
 * Unlike `skein relay`, it listens on a free port of 127.0.0.1, serves no metrics page, keeps
 * nothing, logs nothing, and stops at once; loopback and private addresses are allowed, no rate of
 * hosts or callers is limited, and did:plc is resolved only if a directory is named. For a server
 * that others can reach, give all options, which have the operator's defaults in `relayOptions`:
 *
 * ```ts
 * const options = relayOptions({ data: '/var/lib/skein', hosts: ['pds.example.com'] })
 * const relay = await startRelay({ ...options, logger })
 * ```
 *
 * @throws SkeinError when an option is not allowed, or the data directory, the database or an
 *   address cannot be had; nothing is left open or behind then.
 */
export async function startRelay(given: StartRelayOptions = {}): Promise<RunningRelay> {
  const { logger = silentLogger, clock = systemClock, resolveAddresses, ...rest } = given
  const { registry = new MetricsRegistry(), logOptions = {}, onOpen, ...chosen } = rest
  const checked = relayOptions({ ...TEST_DEFAULTS, ...chosen })
  const metrics = createRelayMetrics(registry)
  metrics.build.set(1, { version: VERSION, node: process.versions.node })
  const lifecycle = new Lifecycle({ clock, logger })
  const data = chosen.data ?? (await openTemporaryData(lifecycle))
  const lookup = resolveAddresses === undefined ? {} : { resolveAddresses }
  const options = { ...checked, data }
  const hooks = { logOptions, ...(onOpen === undefined ? {} : { onOpen }) }
  const composition = { options, lifecycle, logger, clock, registry, metrics, lookup, given: hooks }
  const failed = Promise.withResolvers<Error>()
  const { relay, log, signatureBackends } = await openRelay(composition, failed.resolve)
  crashPoint('start.relay-opened')
  const addresses = await openServers(composition, relay, log)
  crashPoint('start.serving')
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
  const stop = async (): Promise<void> => {
    const problems = await lifecycle.close()
    if (problems.length === 0) return
    const parts = problems.map(({ part }) => part).join(',')
    throw new SkeinError('STOPPED', 'stop relay: parts did not close well', { parts })
  }
  return {
    relay,
    ...addresses,
    url: `http://${addresses.address}`,
    registry,
    directory: data,
    signatureBackends,
    failed: failed.promise,
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function openTemporaryData(lifecycle: Lifecycle): Promise<string> {
  const directory = await lifecycle.open(
    'temporary directory',
    () => TemporaryDirectory.create('skein-relay-'),
    (part) => part[Symbol.asyncDispose](),
  )
  return directory.path
}

interface OpenRelay {
  readonly relay: Relay
  readonly log: EventLog
  readonly signatureBackends: Readonly<Record<string, string>>
}

/** Storage, identities, outbound HTTP, and the relay on top of them. */
async function openRelay(
  composition: Composition,
  onFailed: (error: Error) => void,
): Promise<OpenRelay> {
  const { options, lifecycle, logger, clock, metrics, lookup } = composition
  const verifier = await lifecycle.open(
    'signatures',
    () => loadVerifier(),
    () => undefined,
  )
  for (const [curve, backend] of Object.entries(verifier.backends)) {
    metrics.signatureBackend.set(1, { curve, backend })
  }
  logger.info('crypto: signature implementations', { ...verifier.backends })
  const log = await lifecycle.open(
    'log',
    () => openLog(composition),
    (part) => part.close(),
  )
  crashPoint('start.log-opened')
  const database = await lifecycle.open(
    'database',
    () => openDatabase(join(options.data, STATE_FILE), RELAY_SCHEMA),
    (part) => part.close(),
  )
  crashPoint('start.database-opened')
  const { connection } = database
  const checkpointer = await lifecycle.open(
    'checkpoints',
    () => openCheckpointer(composition, connection),
    (part) => part.close(),
  )
  const store = new RelayStore(connection, () => checkpointer.note())
  composition.given.onOpen?.({ log, store, connection })
  const identities = await lifecycle.open(
    'identities',
    () => openIdentities(composition, connection),
    (part) => part.close(),
  )
  const { allowPrivateNetwork } = options
  const http = await lifecycle.open(
    'outbound HTTP',
    () => createSafeFetch({ userAgent: RELAY_PRODUCT, clock, allowPrivateNetwork, ...lookup }),
    (part) => part.close(),
  )
  const frames = await openFrameVerifier(composition, verifier)
  const relay = await lifecycle.open(
    'relay',
    () =>
      Relay.start({
        settings: options,
        log,
        store,
        identities,
        verifier: frames,
        http,
        transport: openTransport(http, clock),
        clock,
        random: systemRandom,
        logger,
        metrics,
        onFailed,
      }),
    (part) => part.stop(),
    { closeTimeoutMs: STOP_TIMEOUT_MS },
  )
  return { relay, log, signatureBackends: verifier.backends }
}

/** How long writing out what was decided may take, ms. */
const STOP_TIMEOUT_MS = 30_000

function openLog({ options, clock, logger, given }: Composition): Promise<EventLog> {
  return EventLog.open(options.data, {
    ...given.logOptions,
    clock,
    retainMs: options.replayWindow,
    retainBytes: options.replayBytes === 0 ? Number.MAX_SAFE_INTEGER : options.replayBytes,
    onPurgeError: (error) => logger.warn('log: a purge failed and will be tried again', { error }),
  })
}

function openCheckpointer(
  { options, logger, metrics }: Composition,
  connection: Connection,
): Checkpointer {
  return new Checkpointer({
    file: join(options.data, STATE_FILE),
    connection,
    onPass: ({ pages, held }) => {
      metrics.checkpoints.add(1, { writers: held ? 'held' : 'free' })
      logger.debug('store: checkpoint', { pages, held })
    },
    onFailed: (error) => logger.warn('store: checkpoints now hold up the relay', { error }),
  })
}

function openIdentities(
  { options, clock, metrics, lookup }: Composition,
  connection: Connection,
): ReturnType<typeof createIdentityResolver> {
  return createIdentityResolver({
    userAgent: RELAY_PRODUCT,
    plcDirectories: options.plc,
    plcPerSecond: PLC_PER_SECOND,
    allowPrivateNetwork: options.allowPrivateNetwork,
    ...lookup,
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
  { options, lifecycle, clock, logger, metrics, registry }: Composition,
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
