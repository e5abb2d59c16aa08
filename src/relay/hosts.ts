/** All hosts: their rows, their links, and what is to be saved of them. */
import { parseHostname, type HostAddress } from '../identity/hostname.ts'
import { must } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { HostProgress, HostRow, RelayStore } from '../store/relay-store.ts'
import type { Transport } from '../stream/transport.ts'
import { ConnectPacer } from './connect-pacer.ts'
import { HostLink, type HostLinkEvents } from './host-link.ts'
import { hostStatus } from './host-status.ts'
import type { SequencePlace } from './host-sequence.ts'
import type { HostStatus } from './relay-view.ts'

export interface HostsOptions {
  readonly store: RelayStore
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly eventsPerSecond: number
  readonly hostAccountLimit: number
  /** Where a host without a cursor is joined. */
  readonly newHostsFrom: 'oldest' | 'live'
  readonly activeAccounts: (hostId: number) => number
  /** What a link's events lead to, but for what is saved here. */
  readonly events: (hostname: string) => Omit<HostLinkEvents, 'onBackoff' | 'onMoved'>
  /** The store could not be written. */
  readonly onFailed: (error: unknown) => void
}

interface Host {
  readonly link: HostLink
  banned: boolean
}

/** A host as it is now, for listings and metrics. */
export interface HostFactsView {
  readonly hostname: string
  readonly status: HostStatus
  readonly cursor: number | null
  readonly accounts: number
  readonly pending: number
  readonly lagMs: number | null
}

/** Owns the links. Hosts are never forgotten: one that is away is tried for ever. */
export class Hosts {
  readonly #options: HostsOptions
  readonly #byId = new Map<number, Host>()
  readonly #byName = new Map<string, Host>()
  /** Hosts whose place may differ from what the store holds. */
  readonly #moved = new Set<number>()
  readonly #pacer: ConnectPacer
  #held = false

  constructor(options: HostsOptions) {
    this.#options = options
    this.#pacer = new ConnectPacer(options.clock)
  }

  /**
   * Takes up the hosts of the store, and connects to those that are not banned as fast as the pacer
   * lets it: those that spoke last come first, since most of the traffic is theirs.
   */
  start(rows: readonly HostRow[], places: ReadonlyMap<number, SequencePlace>): void {
    for (const row of rows) this.#open(row, must(places.get(row.id), 'place of a host'))
    const order = rows.toSorted((a, b) => (b.lastEventAtMs ?? 0) - (a.lastEventAtMs ?? 0))
    for (const row of order) if (!row.banned) this.#start(row)
  }

  /** Hosts that have not been tried since the start. */
  get toStart(): number {
    return this.#pacer.waiting
  }

  /** Adds a host that is not known, and connects to it. */
  add(address: HostAddress, origin: 'requested' | 'configured'): void {
    const { store, clock } = this.#options
    const row = store.addHost({
      hostname: address.hostname,
      endpoint: address.endpoint,
      createdAtMs: clock.nowMs(),
      requested: origin === 'requested',
    })
    this.#open(row, { epoch: 0, cursor: null, ahead: new Map() })
    this.#start(row)
  }

  has(hostname: string): boolean {
    return this.#byName.has(hostname)
  }

  /** Makes a waiting host connect at once. Null when it is not known. */
  wake(hostname: string): 'woken' | 'banned' | null {
    const host = this.#byName.get(hostname)
    if (host === undefined) return null
    if (host.banned) return 'banned'
    host.link.wake()
    return 'woken'
  }

  /** The link of a host by its number. */
  link(hostId: number): HostLink | null {
    return this.#byId.get(hostId)?.link ?? null
  }

  /** Ends the connection of a host for good, and refuses requests to crawl it. False if unknown. */
  async ban(hostname: string): Promise<boolean> {
    const host = this.#byName.get(hostname)
    if (host === undefined) return false
    host.banned = true
    this.#pacer.drop(host.link.id)
    this.#options.store.setBanned(host.link.id, 'banned')
    await host.link.stop()
    return true
  }

  isBanned(hostId: number): boolean {
    return this.#byId.get(hostId)?.banned ?? false
  }

  /** Holds back all hosts, those that are added later too. */
  hold(): void {
    this.#held = true
    for (const { link } of this.#byId.values()) link.hold()
  }

  release(): void {
    this.#held = false
    for (const { link } of this.#byId.values()) link.release()
  }

  async stop(): Promise<void> {
    this.#pacer.stop()
    await Promise.all([...this.#byId.values()].map(({ link }) => link.stop()))
  }

  /** Where the hosts stand that have moved since `markSaved`. */
  changedProgress(): HostProgress[] {
    const changed: HostProgress[] = []
    for (const id of this.#moved) {
      const link = must(this.link(id), 'host that moved')
      const { epoch, cursor, aheadFromSeq, lastEventAtMs } = link
      changed.push({ id, epoch, cursor, aheadFromSeq, lastEventAtMs })
    }
    return changed
  }

  /** Everything that `changedProgress` gave has been stored; nothing may have moved in between. */
  markSaved(): void {
    this.#moved.clear()
  }

  /** Every host with an id over `after`, by id. */
  *after(after: number): Generator<{ readonly id: number; readonly view: HostFactsView }> {
    for (const [id, host] of this.#byId) if (id > after) yield { id, view: this.#view(host) }
  }

  byName(hostname: string): HostFactsView | null {
    const host = this.#byName.get(hostname)
    return host === undefined ? null : this.#view(host)
  }

  #view({ link, banned }: Host): HostFactsView {
    const { clock, activeAccounts, hostAccountLimit } = this.#options
    const accounts = activeAccounts(link.id)
    const status = hostStatus({
      banned,
      connected: link.connected,
      attempt: link.attempt,
      silentMs: link.lastEventAtMs === null ? null : clock.nowMs() - link.lastEventAtMs,
      limited: link.rateLimited || (link.requested && accounts >= hostAccountLimit),
    })
    const { hostname, cursor, pending, lagMs } = link
    return { hostname, status, cursor, accounts, pending, lagMs }
  }

  #start({ id, nextAttemptAtMs }: HostRow): void {
    const link = must(this.link(id), 'link of a host')
    // One that waits out its backoff is not being connected to yet: nothing is to be paced.
    const isWaiting = nextAttemptAtMs !== null && nextAttemptAtMs > this.#options.clock.nowMs()
    if (isWaiting) link.start()
    else this.#pacer.add(id, () => link.start())
  }

  #open(row: HostRow, place: SequencePlace): Host {
    const { store, newHostsFrom, events, onFailed } = this.#options
    // The name was accepted when the host was added, under whatever policy held then.
    const parsed = parseHostname(row.endpoint, { allowPrivateNetwork: true })
    const address = must(parsed.ok ? parsed.value : null, 'endpoint of a stored host')
    const owner = events(row.hostname)
    const link = new HostLink({
      row,
      webSocketUrl: address.webSocketUrl,
      place,
      firstCursor: newHostsFrom === 'oldest' ? 0 : null,
      eventsPerSecond: this.#options.eventsPerSecond,
      transport: this.#options.transport,
      clock: this.#options.clock,
      random: this.#options.random,
      events: {
        ...owner,
        onConnection: (outcome, detail) => {
          this.#pacer.ended(row.id)
          owner.onConnection(outcome, detail)
        },
        onBackoff: ({ attempt, nextAttemptAtMs }) => {
          try {
            store.setBackoff(row.id, attempt, nextAttemptAtMs)
          } catch (error) {
            onFailed(error)
          }
        },
        onMoved: () => this.#moved.add(row.id),
      },
    })
    if (this.#held) link.hold()
    const host: Host = { link, banned: row.banned }
    this.#byId.set(row.id, host)
    this.#byName.set(row.hostname, host)
    return host
  }
}
