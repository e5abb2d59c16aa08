/**
 * The relay: hosts in, one verified and durable stream out. This file joins the parts; each rule
 * stands in the part that its name tells.
 */
import { parseHostname } from '../identity/hostname.ts'
import type { HttpClient } from '../identity/http-client.ts'
import type { IdentityResolver } from '../identity/identity-resolver.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import { messageOf, SkeinError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { EventLog } from '../log/event-log.ts'
import type { Logger } from '../ops/logger.ts'
import type { HostSample, RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayStore } from '../store/relay-store.ts'
import type { Transport } from '../stream/transport.ts'
import { Accounts } from './accounts.ts'
import { Admission } from './admission.ts'
import { Crawl } from './crawl.ts'
import type { Arrival, HostLinkEvents } from './host-link.ts'
import { Hosts } from './hosts.ts'
import { Judge } from './judge.ts'
import { catchUpState, hostPlaces } from './recovery.ts'
import { Outflow } from './outflow.ts'
import { ownStatus } from './own-events.ts'
import { RelayPages } from './relay-pages.ts'
import type { AccountView, CrawlOutcome, HostView, Page, RelayView } from './relay-view.ts'
import { StatusChecks } from './status-checks.ts'
import type { FrameVerifier } from './verifiers/frame-verifier.ts'

/** What the operator decides. */
export interface RelaySettings {
  readonly requestCrawl: boolean
  readonly newHostsPerDay: number
  readonly newHostsFrom: 'oldest' | 'live'
  readonly hostAccountLimit: number
  readonly hostEventsPerSecond: number
  readonly accountCacheBytes: number
  readonly allowPrivateNetwork: boolean
}

export interface RelayOptions {
  readonly settings: RelaySettings
  readonly log: EventLog
  readonly store: RelayStore
  readonly identities: IdentityResolver
  readonly verifier: FrameVerifier
  readonly http: HttpClient
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: RelayMetrics
  /** Called once, when log or state cannot be written any more. Stop the relay then. */
  readonly onFailed: (error: Error) => void
}

/** Bytes of undecided and unwritten events beyond which all hosts are held back, and let go on. */
const BACKLOG_BYTES_MAX = 256 * 1024 * 1024
const BACKLOG_BYTES_RESUME = 128 * 1024 * 1024
/** How often cursors are saved when nothing else is written, and bounds are looked at, ms. */
const TICK_MS = 1_000
/** How often old segments are looked for, ms. */
const RETAIN_MS = 60_000
/** How long `locate` waits for an identity, ms. */
const LOCATE_TIMEOUT_MS = 5_000

/** A running relay. Make one with {@link Relay.start}. */
export class Relay implements RelayView {
  readonly #options: RelayOptions
  readonly #accounts: Accounts
  readonly #hosts: Hosts
  readonly #outflow: Outflow
  readonly #judge: Judge
  readonly #admission: Admission
  readonly #statusChecks: StatusChecks
  readonly #crawl: Crawl
  readonly #pages: RelayPages
  #timer: Timer | null = null
  #retainedAtMs: number
  #retaining: Promise<void> = Promise.resolve()
  #held = false
  /** Look-ups of accounts that the metrics have. */
  #counted = { memory: 0, disk: 0 }
  #failure: Error | null = null
  #stopping: Promise<void> | null = null

  private constructor(options: RelayOptions, accounts: Accounts) {
    const { settings, log, store, http, clock } = options
    this.#options = options
    this.#accounts = accounts
    this.#retainedAtMs = clock.monotonicMs()
    this.#hosts = new Hosts({
      store,
      transport: options.transport,
      clock,
      random: options.random,
      eventsPerSecond: settings.hostEventsPerSecond,
      hostAccountLimit: settings.hostAccountLimit,
      newHostsFrom: settings.newHostsFrom,
      activeAccounts: (hostId) => accounts.activeOf(hostId),
      events: (hostname) => this.#linkEvents(hostname),
      onFailed: (error) => this.#fail(error),
    })
    this.#outflow = new Outflow({
      log,
      store,
      accounts,
      hosts: this.#hosts,
      clock,
      metrics: options.metrics,
      onPublished: () => this.#releaseIfDrained(),
      onFailed: (error) => this.#fail(error),
    })
    this.#statusChecks = new StatusChecks(http, clock)
    this.#judge = new Judge({ accounts, hostAccountLimit: settings.hostAccountLimit })
    this.#admission = this.#createAdmission()
    this.#pages = new RelayPages(store, accounts, this.#hosts)
    this.#crawl = new Crawl({
      enabled: settings.requestCrawl,
      newHostsPerDay: settings.newHostsPerDay,
      allowPrivateNetwork: settings.allowPrivateNetwork,
      http,
      store,
      clock,
      wake: (hostname) => this.#hosts.wake(hostname),
      add: (address) => this.#hosts.add(address, 'requested'),
    })
  }

  /** Brings state up to the log, and connects to every known host. */
  static async start(options: RelayOptions): Promise<Relay> {
    const { log, store, logger } = options
    const rows = store.hosts()
    checkBelonging(log, rows.length)
    const appliedSeq = store.appliedSeq()
    const accounts = new Accounts(store, options.settings.accountCacheBytes)
    const recovered = await catchUpState(log, store, accounts)
    if (recovered > 0) logger.info('relay: caught up from the log', { events: recovered })
    const places = await hostPlaces(log, rows, appliedSeq)
    const relay = new Relay(options, accounts)
    relay.#outflow.hideInactive(store.inactiveSince(log.firstSeq))
    relay.#hosts.start(rows, places)
    relay.#tick()
    return relay
  }

  // ---- Hosts and accounts, as the operator and callers see them

  /** Adds a host that the operator names, if it is not known. Throws nothing on a known one. */
  addHost(text: string): void {
    const { allowPrivateNetwork } = this.#options.settings
    const parsed = parseHostname(text, { allowPrivateNetwork })
    if (!parsed.ok) {
      throw new SkeinError('OPTION_INVALID', `add host: ${parsed.detail}`, { host: text })
    }
    if (!this.#hosts.has(parsed.value.hostname)) this.#hosts.add(parsed.value, 'configured')
  }

  requestCrawl(hostname: string): Promise<CrawlOutcome> {
    return this.#crawl.request(hostname)
  }

  /** Disconnects a host for good. False when it is not known. */
  banHost(hostname: string): Promise<boolean> {
    return this.#hosts.ban(hostname)
  }

  /**
   * Takes an account down here, whatever its host says: its events are refused, and those in the
   * log are purged from replay. False when the account is not known.
   */
  takedown(did: string): boolean {
    const account = this.#accounts.get(did)
    if (account === null) return false
    if (account.takendown) return true
    this.#outflow.tell('takedown', account, ownStatus('takedown', account))
    return true
  }

  /** Ends a takedown; the account's status is again what its host says. False when not known. */
  reverseTakedown(did: string): boolean {
    const account = this.#accounts.get(did)
    if (account === null) return false
    if (!account.takendown) return true
    this.#outflow.tell('reversal', account, ownStatus('reversal', account))
    return true
  }

  listHosts(limit: number, cursor: string | null): Page<HostView> | 'invalid-cursor' {
    return this.#pages.hosts(limit, cursor)
  }

  host(hostname: string): HostView | null {
    return this.#pages.host(hostname)
  }

  listAccounts(limit: number, cursor: string | null): Page<AccountView> | 'invalid-cursor' {
    return this.#pages.accounts(limit, cursor)
  }

  account(did: string): AccountView | null {
    return this.#pages.account(did)
  }

  async locate(did: string): Promise<string | null> {
    const { identities, clock } = this.#options
    const abort = new AbortController()
    const timer = clock.after(LOCATE_TIMEOUT_MS, () => abort.abort())
    const resolution = await identities.resolve(did, { signal: abort.signal })
    timer.cancel()
    return resolution.ok ? resolution.identity.pdsEndpoint : null
  }

  health(): { readonly ok: boolean; readonly detail?: string } {
    if (this.#failure !== null) return { ok: false, detail: this.#failure.message }
    return this.#stopping === null ? { ok: true } : { ok: false, detail: 'stopping' }
  }

  /** Each host for the metrics. */
  *hostSamples(): Generator<HostSample> {
    for (const { view } of this.#hosts.after(0)) {
      const lagSeconds = view.lagMs === null ? null : view.lagMs / 1_000
      yield { hostname: view.hostname, status: view.status, lagSeconds, queuedEvents: view.pending }
    }
  }

  /** Sets the gauges that are read off at a scrape. */
  sampleGauges(): void {
    const { metrics, log, verifier, identities } = this.#options
    const deferred = this.#admission.deferred
    metrics.deferredEvents.set(deferred.events)
    metrics.deferredBytes.set(deferred.bytes)
    metrics.verifierQueue.set(verifier.backlog.events)
    metrics.verifierQueueBytes.set(verifier.backlog.bytes)
    metrics.sequencerQueue.set(this.#outflow.queued.events)
    const { active, inactive } = this.#accounts.counts()
    metrics.accounts.set(active, { state: 'active' })
    metrics.accounts.set(inactive, { state: 'inactive' })
    metrics.accountCacheBytes.set(this.#accounts.cacheBytes)
    metrics.identityCacheBytes.set(identities.cacheBytes)
    metrics.hostsToStart.set(this.#hosts.toStart)
    const { memory, disk } = this.#accounts.lookups
    metrics.accountLookups.add(memory - this.#counted.memory, { source: 'memory' })
    metrics.accountLookups.add(disk - this.#counted.disk, { source: 'disk' })
    this.#counted = { memory, disk }
    const { firstSeq, publishedSeq, bytes, segments } = log.stats
    metrics.logFirstSeq.set(firstSeq)
    metrics.logLastSeq.set(publishedSeq)
    metrics.logBytes.set(bytes)
    metrics.logSegments.set(segments)
  }

  /**
   * Disconnects from the hosts, writes out what has been decided and saves cursors. What waits for
   * an identity is left to its host, which sends it again.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#timer?.cancel()
    await this.#hosts.stop()
    await this.#admission.close()
    await this.#outflow.drain()
    await this.#retaining
    if (this.#failure === null) this.#saveProgress()
  }

  // ---- The way of an event

  #createAdmission(): Admission {
    const { identities, verifier, clock, metrics } = this.#options
    return new Admission({
      judge: this.#judge,
      verifier,
      identities,
      clock,
      recheckStatus: (arrival, did) => this.#recheckStatus(arrival, did),
      onPass: (arrival, did, { account, remarks }) => {
        for (const { reason } of remarks) metrics.eventsWarned.add(1, { reason })
        this.#outflow.pass(arrival, did, account)
      },
      onDrop: (arrival, reason, detail) => {
        this.#onDropped(arrival.link.hostname, reason, detail)
        arrival.link.settle(arrival, null)
      },
      onDeferred: (reason) => metrics.eventsDeferred.add(1, { reason }),
      onVerifyMs: (ms) => metrics.verifySeconds.observe(ms / 1_000),
      onDefect: (error) => this.#options.logger.error('relay: a defect in deciding', { error }),
      onFailed: (error) => this.#fail(error),
    })
  }

  #linkEvents(hostname: string): Omit<HostLinkEvents, 'onBackoff' | 'onMoved'> {
    const { metrics, logger } = this.#options
    return {
      onArrival: (arrival) => {
        if (this.#failure === null) this.#admission.submit(arrival)
        this.#holdIfFull()
      },
      onReceived: (kind, bytes) => {
        metrics.eventsReceived.add(1, { kind })
        metrics.bytesReceived.add(bytes)
      },
      onDropped: (reason, detail) => this.#onDropped(hostname, reason, detail),
      onConnection: (outcome, detail) => {
        metrics.hostConnections.add(1, { outcome })
        logger.debug(`host: connection ${outcome}`, { host: hostname, detail })
      },
      onNotice: (notice, detail) => logger.debug(`host: ${notice}`, { host: hostname, detail }),
    }
  }

  #onDropped(
    host: string,
    reason: Parameters<HostLinkEvents['onDropped']>[0],
    detail: string,
  ): void {
    const { metrics, logger } = this.#options
    metrics.eventsDropped.add(1, { reason })
    logger.debug('event: dropped', { host, reason, detail })
  }

  /**
   * Asks an account's host whether it is active after all. If so, subscribers are told first: to
   * them the account is still inactive.
   */
  async #recheckStatus(arrival: Arrival, did: string): Promise<boolean> {
    const remote = await this.#statusChecks.ask(arrival.link.endpoint, did)
    const known = this.#accounts.get(did)
    if (known === null || known.active) return known !== null
    // The operator may have taken it down while the host was thinking.
    if (remote?.active !== true || known.takendown) return false
    // It may have moved: the DID document was held against this host before the question came up.
    const account = { ...known, hostId: arrival.link.id }
    if (!this.#judge.hasRoomFor(account, arrival.link)) return false
    this.#outflow.tell('correction', account, { active: true })
    return true
  }

  // ---- Bounds and upkeep

  get #backlogBytes(): number {
    const { verifier } = this.#options
    const undecided = this.#admission.deferred.bytes + verifier.backlog.bytes
    return undecided + this.#outflow.queued.bytes
  }

  #holdIfFull(): void {
    if (this.#held || this.#backlogBytes < BACKLOG_BYTES_MAX) return
    this.#held = true
    this.#options.logger.warn('relay: holding all hosts back', { bytes: this.#backlogBytes })
    this.#hosts.hold()
  }

  #releaseIfDrained(): void {
    if (!this.#held || this.#backlogBytes > BACKLOG_BYTES_RESUME) return
    this.#held = false
    this.#hosts.release()
  }

  #tick(): void {
    this.#timer = this.#options.clock.after(TICK_MS, () => {
      if (this.#failure !== null || this.#stopping !== null) return
      try {
        if (this.#outflow.queued.events === 0) this.#saveProgress()
        this.#releaseIfDrained()
        this.#retainIfDue()
      } catch (error) {
        this.#fail(error)
        return
      }
      this.#tick()
    })
  }

  #saveProgress(): void {
    const { store } = this.#options
    const hosts = this.#hosts.changedProgress()
    if (hosts.length === 0) return
    store.apply({ accounts: [], hosts, appliedSeq: store.appliedSeq() })
    this.#hosts.markSaved()
  }

  #retainIfDue(): void {
    const { clock, log } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - this.#retainedAtMs < RETAIN_MS) return
    this.#retainedAtMs = nowMs
    this.#outflow.purge()
    this.#retaining = log.retain().catch((error: unknown) => this.#fail(error))
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return
    const failure =
      error instanceof Error ? error : new SkeinError('STORE_FAILED', messageOf(error))
    this.#failure = failure
    this.#options.onFailed(failure)
  }
}

/**
 * A log names hosts by the numbers that the state database gave them. With another database they
 * would come to mean other hosts, and events of those would be taken for known.
 */
function checkBelonging(log: EventLog, knownHosts: number): void {
  if (knownHosts > 0 || log.durableSeq < log.firstSeq) return
  const fields = { logSeq: log.durableSeq }
  throw new SkeinError(
    'STORE_FAILED',
    'start relay: the log holds events but the state database is empty; restore state.sqlite',
    fields,
  )
}
