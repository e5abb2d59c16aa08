/**
 * The oracle: a simulated network with liars and faults, a real relay that reads it, and a
 * comparison of what came out with what is true.
 */
import { must } from '../../src/lib/assert.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { GateCondition } from '../../src/sim/network-options.ts'
import { startNetwork, type SimNetwork } from '../../src/sim/network.ts'
import { JumpingClock } from '../support/jumping-clock.ts'
import { RelayClient, replay } from '../support/relay-client.ts'
import { TestRelay } from '../support/test-relay.ts'
import { within } from '../support/waiting.ts'
import { compareAccounts, compareDrops, compareEvents, compareReplay } from './compare.ts'

export interface OracleOptions {
  readonly seed: number
  /** Rounds of traffic, lies, one fault and one change. */
  readonly rounds: number
  /**
   * Whether an account that spoke before the directory knew it waits until the relay asks again
   * (the default) or goes on at once, which loses its events for five minutes.
   */
  readonly lateAccounts?: 'wait' | 'go-on'
}

export interface OracleReport {
  readonly seed: number
  /** What is wrong; empty when everything is as it must be. */
  readonly faults: readonly string[]
  readonly events: number
  readonly lies: number
  /** Reasons that lies were refused for. */
  readonly reasons: number
  /** How often each fault happened. */
  readonly fired: Readonly<Record<string, number>>
  /** Names of the lies that were told, and kinds of the changes that were made. */
  readonly told: ReadonlySet<string>
  readonly changed: ReadonlySet<string>
  /** Hash of all that the network sent: equal for equal options. */
  readonly digest: string
  readonly tookMs: number
}

/** Events that the relay may be behind: fewer than it lets wait for one account. */
const BEHIND_MAX = 50
const EVENTS_PER_ROUND = 20
/** Changes at the end for which the directory is asked; more if a fault waits for that. */
const LAST_CHANGES = 3
const LAST_TRIES = 20
const LIES_PER_ROUND = 7
/** The relay's durations pass so many times faster than those of the wall clock. */
const SPEED = 20
/** A fixed instant, so that the network's bytes follow from the seed alone. */
const START_MS = Date.UTC(2026, 0, 1)
const HOSTS = 4
/** Host 1 is an hour late, host 2 as early as is tolerated. */
const SKEWS_MS = [0, -3_600_000, 240_000]
/** How long catching up may take, ms, and how often it is looked at. */
const PATIENCE_MS = 30_000
const LOOK_MS = 3
/** Silence of a host is waited out by jumps of its relay's clock. */
const SILENCE_LOOKS = 30
const CRAWL_LOOKS = 20
const SILENCE_JUMP_MS = 31_000
/** A DID that was not found is not asked for again for five minutes. */
const MISSING_JUMPS = 10

/** A run in progress. */
class Run {
  readonly #network: SimNetwork
  readonly #relay: TestRelay
  readonly #client: RelayClient
  readonly #clock: JumpingClock
  readonly #lateAccounts: 'wait' | 'go-on'
  readonly told: Set<string> = new Set()
  readonly changed: Set<string> = new Set()

  constructor(parts: {
    readonly network: SimNetwork
    readonly relay: TestRelay
    readonly client: RelayClient
    readonly clock: JumpingClock
    readonly lateAccounts: 'wait' | 'go-on'
  }) {
    this.#network = parts.network
    this.#relay = parts.relay
    this.#client = parts.client
    this.#clock = parts.clock
    this.#lateAccounts = parts.lateAccounts
  }

  /** Waits until the relay is at most so many events behind on each host. */
  async untilBehind(most: number): Promise<void> {
    const untilMs = systemClock.monotonicMs() + PATIENCE_MS
    for (let look = 1; ; look++) {
      const behind = this.#behind()
      if (behind.every(({ events }) => events <= most)) return
      if (systemClock.monotonicMs() > untilMs) {
        const lines = this.#relay.lines.slice(-30).map((line) => JSON.stringify(line))
        throw new Error(
          `the relay does not catch up: ${JSON.stringify(behind)}\n${lines.join('\n')}`,
        )
      }
      if (look % SILENCE_LOOKS === 0) this.#endSilence()
      if (look % CRAWL_LOOKS === 0) await this.#askForCrawl()
      await pause(LOOK_MS)
    }
  }

  async gate(until: GateCondition): Promise<void> {
    await this.untilQuiet()
    if (until === 'read' || this.#lateAccounts === 'go-on') return
    for (let i = 0; i < MISSING_JUMPS; i++) {
      this.#clock.jump(SILENCE_JUMP_MS)
      await pause(LOOK_MS)
    }
  }

  /** Waits until the relay has decided everything, and the client has been sent what passed. */
  async untilQuiet(): Promise<void> {
    await this.untilBehind(0)
    const lastSeq = (await this.#relay.metric('skein_log_last_seq'))[''] ?? 0
    await this.#client.reached(lastSeq)
  }

  #behind(): { readonly host: string; readonly events: number }[] {
    const { hosts, simulation } = this.#network
    return hosts.map(({ hostname }, i) => {
      const seq = this.#relay.relay.host(hostname)?.seq ?? 0
      return { host: hostname, events: Math.abs(simulation.host(i).log.publishedSeq - seq) }
    })
  }

  /** Hosts that nobody reads ask to be read, as they do in the wild: back-off grows else. */
  async #askForCrawl(): Promise<void> {
    for (const { hostname, connections } of this.#network.hosts) {
      if (connections === 0) await this.#relay.relay.requestCrawl(hostname)
    }
  }

  /** When a host is silent, the relay's clock is all that stands in the way. */
  #endSilence(): void {
    if (this.#network.hosts.some(({ isSilent }) => isSilent)) this.#clock.jump(SILENCE_JUMP_MS)
  }

  /** Traffic, lies, a fault, a change; the relay is never far behind. */
  async round(): Promise<void> {
    const network = this.#network
    for (let i = 0; i < EVENTS_PER_ROUND; i++) {
      await network.run({ events: 1, pace: 'free' })
      if (i % 2 === 0 && i < LIES_PER_ROUND * 2) this.#lie()
      if (i === 5) await network.faultInTurn()
      await this.untilBehind(BEHIND_MAX)
    }
    this.changed.add((await network.changeInTurn()) ?? 'none')
    await this.untilBehind(BEHIND_MAX)
  }

  #lie(): void {
    const lie = this.#network.lie()
    if (lie !== null) this.told.add(lie.name)
  }

  /** Every account says something, so that the relay knows all of them. */
  async begin(): Promise<void> {
    const { simulation } = this.#network
    for (const account of simulation.accounts) simulation.commit(account, [])
    await this.untilQuiet()
  }

  /** Gives faults of the directory their occasion. Returns the digest of what was sent. */
  async end(): Promise<string> {
    const network = this.#network
    for (let i = 0; i < LAST_CHANGES; i++) await network.change('handle')
    await this.untilQuiet()
    const digest = network.simulation.digest()
    for (let i = 0; i < LAST_TRIES && network.faults.pending().length > 0; i++) {
      await network.change('handle')
      await this.untilQuiet()
    }
    return digest
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve))
}

/** Runs one network against one relay. Rejects when the relay stops keeping up. */
export async function runOracle(options: OracleOptions): Promise<OracleReport> {
  const { seed, rounds, lateAccounts = 'wait' } = options
  const startedMs = systemClock.monotonicMs()
  const made: { run: Run | null } = { run: null }
  await using network = await startNetwork({
    seed,
    hosts: HOSTS,
    accounts: 24,
    records: 80,
    rate: 50,
    changes: 0,
    startMs: START_MS,
    skewsMs: SKEWS_MS,
    history: 'kept',
    dns: 'simulated',
    gate: (until) => must(made.run, 'run').gate(until),
  })
  const clock = new JumpingClock({ speed: SPEED, nowMs: () => Math.floor(network.nowMs) })
  await using relay = await TestRelay.start(
    {
      // By its address, so that look-ups that fail are those of hosts. One that hangs takes 5 s of
      // the system's clock, minutes of the relay's, in which more events come than may wait.
      plc: [network.plc.url.replace('localhost', '127.0.0.1')],
      hosts: network.hosts.map(({ endpoint }) => endpoint),
      hostEventsPerSecond: 100_000,
      resolveAddresses: network.resolveAddresses,
    },
    clock,
  )
  await using client = await RelayClient.connect(relay.address)
  const run = new Run({ network, relay, client, clock, lateAccounts })
  made.run = run
  await within(Promise.race([run.begin(), failed(relay)]), 'the first events', PATIENCE_MS * 2)
  for (let round = 0; round < rounds; round++) await Promise.race([run.round(), failed(relay)])
  const digest = await run.end()
  const again = await replay(relay.address, client.lastSeq)
  const faults = [
    ...compareEvents(network, client.frames),
    ...compareDrops(network, await relay.drops(), client.frames),
    ...(await compareAccounts(network, relay)),
    ...compareReplay(network.world, client.frames, again),
    ...network.faults.pending().map((kind) => `fault ${kind} never happened`),
    ...relay.lines
      .filter(({ level }) => level === 'error' || level === 'fatal')
      .map((line) => `the relay logged ${JSON.stringify(line)}`),
  ]
  return {
    seed,
    faults,
    events: network.world.eventCount,
    lies: network.simulation.ledger.count,
    reasons: network.simulation.ledger.told().size,
    fired: Object.fromEntries(network.faults.fired()),
    told: run.told,
    changed: run.changed,
    digest,
    tookMs: systemClock.monotonicMs() - startedMs,
  }
}

async function failed(relay: TestRelay): Promise<never> {
  throw await relay.failed
}
