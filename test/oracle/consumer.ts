/**
 * The oracle of consumers: a simulated network with liars and faults; one consumer that reads a
 * relay, and one for each host that reads it directly, lies and all. In the end what each was told
 * must be what is true, record by record.
 */
import { runConsumer } from '../../src/client/consumer/run-consumer.ts'
import type {
  ConsumerNotice,
  Delivery,
  RunningConsumer,
} from '../../src/client/consumer/consumer-types.ts'
import { Governor } from '../../src/client/calls/governor.ts'
import { loadVerifier, type SignatureVerifier } from '../../src/crypto/verifier.ts'
import { createIdentityResolver } from '../../src/identity/create-identity-resolver.ts'
import type { IdentityResolver } from '../../src/identity/identity-resolver.ts'
import { must } from '../../src/lib/assert.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { HTTP_FAULTS, QUIET_FAULTS, STREAM_FAULTS } from '../../src/sim/faults.ts'
import type { WorldAccount } from '../../src/sim/world.ts'
import { startNetwork, type SimNetwork } from '../../src/sim/network.ts'
import { MemoryStore } from '../../src/client/consumer/memory-store.ts'
import { JumpingClock } from '../support/jumping-clock.ts'
import { TestRelay } from '../support/test-relay.ts'

export interface ConsumerOracleOptions {
  readonly seed: number
  readonly rounds: number
}

export interface ConsumerOracleReport {
  readonly seed: number
  readonly faults: readonly string[]
  readonly events: number
  readonly lies: number
  readonly fired: Readonly<Record<string, number>>
  /** Over all consumers. */
  readonly delivered: number
  readonly repairs: number
  readonly refused: number
  readonly records: number
  readonly tookMs: number
}

const EVENTS_PER_ROUND = 20
const LIES_PER_ROUND = 5
const BEHIND_MAX = 50
const SPEED = 20
const START_MS = Date.UTC(2026, 0, 1)
const HOSTS = 3
const ACCOUNTS = 18
const PATIENCE_MS = 60_000
const LOOK_MS = 3
const JUMP_LOOKS = 25
const CRAWL_LOOKS = 20
const JUMP_MS = 31_000
/** A DID that was not found is not asked for again for five minutes. */
const MISSING_JUMPS = 10
const FAULTS_SHOWN_MAX = 20
const SETTLE_STEP_MS = 500

/** A consumer and what it was told. */
class Watched {
  readonly name: string
  /** The host that it reads; null for the relay. */
  readonly host: number | null
  readonly consumer: RunningConsumer
  readonly store: MemoryStore
  readonly records: Map<string, Map<string, string>> = new Map()
  readonly faults: string[] = []
  readonly notices: ConsumerNotice[] = []
  readonly #lastRev = new Map<string, string>()

  constructor(
    name: string,
    host: number | null,
    service: string,
    parts: {
      readonly identities: IdentityResolver
      readonly verifier: SignatureVerifier
      readonly clock: JumpingClock
    },
  ) {
    this.name = name
    this.host = host
    this.store = new MemoryStore()
    this.consumer = runConsumer({
      service,
      cursor: 'oldest',
      store: this.store,
      backfill: 'seen',
      ...parts,
      allowPrivateNetwork: true,
      governor: new Governor({ clock: parts.clock }),
      policies: { margin: 'passive', reconnectMaxMs: 5_000 },
      limits: { identityWaitMs: 10_000, repairPauseMsMax: 60_000 },
      onNotice: (notice) => void this.notices.push(notice),
      handler: async (delivery) => {
        // Handlers of several accounts overlap.
        await new Promise<void>((resolve) => setImmediate(resolve))
        this.#take(delivery)
      },
    })
  }

  #take(delivery: Delivery): void {
    if (delivery.kind === 'account' && delivery.status === 'deleted') {
      this.records.delete(delivery.did)
    }
    if (delivery.kind !== 'commit') return
    const { did, rev, cause, ops } = delivery
    const before = this.#lastRev.get(did) ?? ''
    if (cause === 'live' && rev <= before) this.faults.push(`${did}: rev ${rev} after ${before}`)
    this.#lastRev.set(did, rev)
    const records = this.records.get(did) ?? new Map<string, string>()
    this.records.set(did, records)
    for (const { action, path, cid } of ops) {
      const isKnown = records.has(path)
      if (isKnown === (action === 'create')) {
        this.faults.push(`${did}: ${cause} ${action} of ${path} at rev ${rev}`)
      }
      if (cid === null) records.delete(path)
      else records.set(path, cid)
    }
  }

  /** Events that were sent and have not been dealt with. */
  behind(lastSeq: number): number {
    const { waitingFrames } = this.consumer.stats
    const seq = this.consumer.state.source?.seq ?? 0
    return Math.max(waitingFrames, Math.abs(lastSeq - seq))
  }

  /** Accounts whose repositories are there and still to be fetched. */
  marked({ world }: SimNetwork): number {
    const rows = this.store.due(Number.POSITIVE_INFINITY, 1_000)
    return rows.filter(({ did }) => this.#reads(must(world.account(did), 'account'))).length
  }

  /** Whether an account is one that this consumer must know all of. */
  #reads({ status, host }: WorldAccount): boolean {
    return status === 'active' && (this.host === null || this.host === host)
  }

  /** What is still to be fetched, for people. */
  waiting(): string {
    const { repairs } = this.consumer.stats
    const shown = this.store.due(Number.POSITIVE_INFINITY, 3).map((row) => {
      const last = this.notices.filter((one) => 'did' in one && one.did === row.did).slice(-2)
      return `${JSON.stringify(row.mark)} ${JSON.stringify(last)}`
    })
    return `${this.name}: ${JSON.stringify(repairs)} ${shown.join(' ')}`
  }

  /** Holds what was told against what is true. */
  compare({ world }: SimNetwork): string[] {
    const faults = this.faults.map((fault) => `${this.name}: ${fault}`)
    for (const did of world.dids) {
      const account = must(world.account(did), 'account')
      if (account.status === 'deleted' && this.records.has(did) && this.host === null) {
        faults.push(`${this.name}: ${did} is deleted and has records`)
      }
      if (this.#reads(account)) faults.push(...this.#compareAccount(did, world.records(did)))
    }
    return faults
  }

  #compareAccount(did: string, truth: ReadonlyMap<string, string>): string[] {
    const told = this.records.get(did) ?? new Map<string, string>()
    const row = this.store.repo(did)
    const faults: string[] = []
    const wrong = [...truth].filter(([path, cid]) => told.get(path) !== cid).length
    const extra = [...told.keys()].filter((path) => !truth.has(path)).length
    if (wrong + extra > 0) {
      const state = JSON.stringify({ rev: row?.head?.rev, mark: row?.mark, in: row?.inactive })
      const last = this.notices.filter((notice) => 'did' in notice && notice.did === did).slice(-3)
      faults.push(
        `${this.name}: ${did}: ${wrong} records wrong or missing, ${extra} too many of ` +
          `${truth.size}; ${state} ${JSON.stringify(last)}`,
      )
    }
    return faults
  }
}

/** A run in progress. */
class Run {
  readonly #network: SimNetwork
  readonly #relay: TestRelay
  readonly #clock: JumpingClock
  readonly #watched: readonly Watched[]

  constructor(
    network: SimNetwork,
    relay: TestRelay,
    clock: JumpingClock,
    watched: readonly Watched[],
  ) {
    this.#network = network
    this.#relay = relay
    this.#clock = clock
    this.#watched = watched
  }

  async #behind(): Promise<number[]> {
    const { hosts, simulation } = this.#network
    const relaySeq = (await this.#relay.metric('skein_log_last_seq'))[''] ?? 0
    const sent = (host: number): number => simulation.host(host).log.publishedSeq
    return [
      ...hosts.map(({ hostname }, i) =>
        Math.abs(sent(i) - (this.#relay.relay.host(hostname)?.seq ?? 0)),
      ),
      ...this.#watched.map((watched) =>
        watched.behind(watched.host === null ? relaySeq : sent(watched.host)),
      ),
    ]
  }

  async untilBehind(most: number): Promise<void> {
    await this.#until(
      async () => Math.max(...(await this.#behind())) <= most,
      async () => `behind ${JSON.stringify(await this.#behind())}`,
    )
  }

  /** Waits, pushing the clock on when nothing moves. */
  async #until(look: () => Promise<boolean>, what: () => Promise<string>): Promise<void> {
    const untilMs = systemClock.monotonicMs() + PATIENCE_MS
    for (let looks = 1; ; looks++) {
      if (await look()) return
      for (const { name, consumer } of this.#watched) {
        const { failure } = consumer.state
        if (failure !== null) throw new Error(`${name} has failed`, { cause: failure })
      }
      if (systemClock.monotonicMs() > untilMs) throw new Error(`in vain: ${await what()}`)
      if (looks % JUMP_LOOKS === 0) this.#clock.jump(JUMP_MS)
      if (looks % CRAWL_LOOKS === 0) {
        for (const { hostname, connections } of this.#network.hosts) {
          if (connections < 2) await this.#relay.relay.requestCrawl(hostname)
        }
      }
      await pause(LOOK_MS)
    }
  }

  async gate(until: 'read' | 'forgotten'): Promise<void> {
    await this.untilBehind(0)
    if (until === 'read') return
    for (let i = 0; i < MISSING_JUMPS; i++) {
      this.#clock.jump(JUMP_MS)
      await pause(LOOK_MS)
    }
  }

  async round(): Promise<void> {
    const network = this.#network
    for (let i = 0; i < EVENTS_PER_ROUND; i++) {
      await network.run({ events: 1, pace: 'free' })
      if (i % 2 === 0 && i < LIES_PER_ROUND * 2) network.lie()
      if (i === 5) await network.faultInTurn()
      await this.untilBehind(BEHIND_MAX)
    }
    await network.changeInTurn()
    await this.untilBehind(BEHIND_MAX)
  }

  /** Every account says something, so that whoever missed something finds out. */
  async everybody(): Promise<void> {
    const { simulation } = this.#network
    for (const account of simulation.accounts) {
      if (account.status === 'active') simulation.commit(account, [])
    }
    await this.untilBehind(0)
  }

  async settle(): Promise<void> {
    const { simulation } = this.#network
    await this.#until(
      () => {
        // When to fetch again is told by the wall clock, which the network keeps.
        simulation.advanceTo(simulation.nowMs + SETTLE_STEP_MS)
        return Promise.resolve(
          this.#watched.every((watched) => watched.marked(this.#network) === 0),
        )
      },
      () => Promise.resolve(this.#watched.map((watched) => watched.waiting()).join('; ')),
    )
    for (const { consumer } of this.#watched) await consumer.stop()
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve))
}

/** Runs one network. Rejects when somebody stops keeping up. */
export async function runConsumerOracle(
  options: ConsumerOracleOptions,
): Promise<ConsumerOracleReport> {
  const { seed, rounds } = options
  const startedMs = systemClock.monotonicMs()
  const made: { run: Run | null } = { run: null }
  await using network = await startNetwork({
    seed,
    hosts: HOSTS,
    accounts: ACCOUNTS,
    records: 60,
    rate: 50,
    changes: 0,
    startMs: START_MS,
    faultKinds: [...STREAM_FAULTS, ...QUIET_FAULTS, ...HTTP_FAULTS],
    gate: (until) => must(made.run, 'run').gate(until),
  })
  const clock = new JumpingClock({ speed: SPEED, nowMs: () => Math.floor(network.nowMs) })
  const plc = [network.plc.url.replace('localhost', '127.0.0.1')]
  const endpoints = network.hosts.map(({ endpoint }) => endpoint)
  await using relay = await TestRelay.start(
    { plc, hosts: endpoints, hostEventsPerSecond: 100_000 },
    clock,
  )
  await using identities = createIdentityResolver({
    userAgent: 'skein-oracle',
    plcDirectories: plc,
    allowPrivateNetwork: true,
    clock,
  })
  const parts = { identities, verifier: await loadVerifier(), clock }
  const watched = [
    new Watched('relay', null, `http://${relay.address}`, parts),
    ...endpoints.map((endpoint, i) => new Watched(`host ${i}`, i, endpoint, parts)),
  ]
  const run = new Run(network, relay, clock, watched)
  made.run = run
  await run.everybody()
  for (let round = 0; round < rounds; round++) await run.round()
  await run.everybody()
  await run.settle()
  const sum = (of: (watched: Watched) => number): number =>
    watched.reduce((total, one) => total + of(one), 0)
  return {
    seed,
    faults: watched.flatMap((one) => one.compare(network)).slice(0, FAULTS_SHOWN_MAX),
    events: network.world.eventCount,
    lies: network.simulation.ledger.count,
    fired: Object.fromEntries(network.faults.fired()),
    delivered: sum(({ consumer }) => consumer.stats.delivered),
    repairs: sum(({ consumer }) => consumer.stats.repairs.done),
    refused: sum(({ consumer }) =>
      Object.values(consumer.stats.refused).reduce((total, times) => total + times, 0),
    ),
    records: sum(({ records }) => [...records.values()].reduce((n, { size }) => n + size, 0)),
    tookMs: systemClock.monotonicMs() - startedMs,
  }
}
