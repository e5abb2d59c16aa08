/**
 * A whole network on loopback: a PLC directory, hosts, accounts that write; and, if asked for,
 * liars and faults. Everything that is sent follows from the seed.
 */
import type { ResolveAddresses } from '../identity/address-lookup.ts'
import { assert, must } from '../lib/assert.ts'
import { type Clock, sleep, systemClock } from '../lib/clock.ts'
import type { Random } from '../lib/random.ts'
import type { Reason } from '../lib/reasons.ts'
import type { ListenAddress } from '../ops/option-table.ts'
import {
  becomeKnown,
  type ChangeKind,
  changeAccount,
  CHANGES_OF_A_TURN,
  speakTooEarly,
} from './account-changes.ts'
import { below, pickOf, streamOf } from './distributions.ts'
import {
  DNS_FAULTS,
  FaultCounters,
  type FaultKind,
  type HttpFault,
  isDnsFault,
  QUIET_FAULTS,
  STREAM_FAULTS,
} from './faults.ts'
import { HostFront } from './host-front.ts'
import { type Lie, Liar } from './lies.ts'
import { frameOf } from './messages.ts'
import type { GateCondition, NetworkOptions, RunOptions } from './network-options.ts'
import { PlcFront } from './plc-front.ts'
import type { SimAccount } from './sim-account.ts'
import { SimResolver } from './sim-resolver.ts'
import { Simulation, type SimulationOptions } from './simulation.ts'
import { Turns } from './turns.ts'
import type { World } from './world.ts'

const DEFAULT_CHANGES = 1 / 200
/** Events between two turns of the event loop. */
const EVENTS_PER_TURN = 20
/** How far the slowest subscriber may be behind at a free pace, events. */
const BEHIND_MAX = 2_000
/** The default gate: how long it waits at most for sockets, and then for good measure, ms. */
const GATE_STEP_MS = 20
const GATE_STEPS_MAX = 100
const GATE_REST_MS = 500
/** Messages that a host loses in a regression; at least a few are sent before. */
const REGRESSION_MAX = 30
const REGRESSION_MIN = 5
/** How late and how early a clock may be set, ms; revs over 5 minutes ahead are refused. */
const CLOCK_LATE_MS = 3_600_000
const CLOCK_EARLY_MS = 240_000
const OVERSIZED: Uint8Array = new Uint8Array(5_000_001)

/**
 * Starts a network; it serves when the promise resolves, and sends nothing before `run` or `step`.
 *
 * @throws SkeinError ADDRESS_UNAVAILABLE when a port is taken.
 * @example
 * await using network = await startNetwork({ seed: 7, hosts: 2, accounts: 10 })
 * await network.run({ events: 100, pace: 'free' })
 */
export async function startNetwork(options: NetworkOptions = {}): Promise<SimNetwork> {
  const { hosts = 3, clock = systemClock, port = 0, address = '127.0.0.1' } = options
  faultKindsOf(options)
  await using stack = new AsyncDisposableStack()
  const counters = new FaultCounters()
  const resolver = stack.use(new SimResolver(address, counters))
  const at = (offset: number): ListenAddress => ({
    host: address,
    port: port === 0 ? 0 : port + offset,
  })
  const plc = stack.use(await PlcFront.listen({ bind: at(0), clock, counters }))
  const fronts: HostFront[] = []
  for (let i = 0; i < hosts; i++) {
    fronts.push(stack.use(await HostFront.listen({ bind: at(i + 1), clock, counters })))
  }
  const simulation = new Simulation(simulationOptions(options, fronts, clock))
  plc.serve(simulation.directory)
  for (const [i, front] of fronts.entries()) front.serve(simulation, i)
  const parts = { simulation, plc, fronts, resolver, counters, clock }
  return new SimNetwork(options, { ...parts, stack: stack.move() })
}

function simulationOptions(
  options: NetworkOptions,
  fronts: readonly HostFront[],
  clock: Clock,
): SimulationOptions {
  const { seed = 1, accounts = 100, records = 3_000, rate = 20, startMs } = options
  const { skewsMs, history, backlogBytesMax, blobBytes } = options
  return {
    seed,
    accounts,
    records,
    rate,
    endpoints: fronts.map(({ endpoint }) => endpoint),
    startMs: startMs ?? clock.nowMs(),
    ...(skewsMs === undefined ? {} : { skewsMs }),
    ...(history === undefined ? {} : { history }),
    ...(blobBytes === undefined ? {} : { blobBytes }),
    ...(backlogBytesMax === undefined ? {} : { backlogBytesMax }),
  }
}

interface Parts {
  readonly simulation: Simulation
  readonly plc: PlcFront
  readonly fronts: readonly HostFront[]
  readonly resolver: SimResolver
  readonly counters: FaultCounters
  readonly clock: Clock
  readonly stack: AsyncDisposableStack
}

/** A running network. Make one with {@link startNetwork}. */
export class SimNetwork implements AsyncDisposable {
  readonly simulation: Simulation
  readonly plc: PlcFront
  readonly hosts: readonly HostFront[]
  readonly faults: FaultCounters
  readonly #resolver: SimResolver
  readonly #options: NetworkOptions
  readonly #clock: Clock
  readonly #stack: AsyncDisposableStack
  readonly #chaos: Random
  readonly #changing: Random
  readonly #liar: Liar
  readonly #changes: Turns<ChangeKind>
  readonly #faults: Turns<FaultKind>
  #replayed = false

  constructor(options: NetworkOptions, parts: Parts) {
    this.#options = options
    this.simulation = parts.simulation
    this.plc = parts.plc
    this.hosts = parts.fronts
    this.faults = parts.counters
    this.#resolver = parts.resolver
    this.#clock = parts.clock
    this.#stack = parts.stack
    const { seed } = parts.simulation.options
    this.#chaos = streamOf(seed, 'faults')
    this.#changing = streamOf(seed, 'changes')
    this.#liar = new Liar(streamOf(seed, 'lies'))
    this.#changes = new Turns(streamOf(seed, 'order of changes'), CHANGES_OF_A_TURN)
    this.#faults = new Turns(streamOf(seed, 'order of faults'), faultKindsOf(options))
  }

  get world(): World {
    return this.simulation.world
  }

  /** Looks names up for readers in this process: with `dns: 'simulated'`, all have to use it. */
  get resolveAddresses(): ResolveAddresses {
    return this.#resolver.resolve
  }

  /** The network's own time, ms since the epoch. */
  get nowMs(): number {
    return this.simulation.nowMs
  }

  /**
   * Reasons for which a reader refuses honest messages too, because a fault has sent them again:
   * how often is known for `seq-not-rising` alone.
   */
  expectedNoise(): ReadonlyMap<Reason, number> {
    const duplicates = this.hosts.reduce((sum, front) => sum + front.duplicates, 0)
    const noise = new Map<Reason, number>()
    if (duplicates > 0) noise.set('seq-not-rising', duplicates)
    if (!this.#replayed) return noise
    for (const reason of REPLAY_REASONS) noise.set(reason, Infinity)
    return noise
  }

  /** Sends events until there have been enough or the signal aborts. */
  async run({ events = Infinity, pace, signal }: RunOptions): Promise<void> {
    const aheadMs = this.nowMs - this.#clock.nowMs()
    for (let i = 0; i < events; i++) {
      const dueMs = this.simulation.nextArrivalMs()
      const waitMs = pace === 'clock' ? dueMs - aheadMs - this.#clock.nowMs() : 0
      if (waitMs > 0) await sleep(this.#clock, waitMs, signal)
      if (signal?.aborted === true) return
      this.simulation.advanceTo(dueMs)
      await this.step()
      if (i % EVENTS_PER_TURN === EVENTS_PER_TURN - 1) await this.#breathe(pace, signal)
    }
  }

  /** One event of traffic, and what comes besides by chance. */
  async step(): Promise<void> {
    const { lies = 0, faults = 0, changes = DEFAULT_CHANGES } = this.#options
    this.simulation.traffic()
    if (this.#changing.next() < changes) await this.changeInTurn()
    if (this.#chaos.next() < lies) this.lie()
    if (this.#chaos.next() < faults) await this.faultInTurn()
  }

  /** The next kind of change, so that each has its turn; null when no account is fit for it. */
  async changeInTurn(): Promise<ChangeKind | null> {
    const kind = this.#changes.next()
    return (await this.change(kind)) ? kind : null
  }

  /** The next kind of fault, so that each has its turn. */
  async faultInTurn(): Promise<FaultKind> {
    const kind = this.#faults.next()
    await this.fault(kind)
    return kind
  }

  /** Tells the next lie; null when nobody can. */
  lie(): Lie | null {
    return this.#liar.tell(this.simulation)
  }

  /** Changes an account. False when none is fit for it. */
  async change(kind: ChangeKind): Promise<boolean> {
    await this.gate()
    return changeAccount(this.simulation, this.#changing, kind)
  }

  /** Waits until what was sent has been read, as far as can be known. */
  async gate(until: GateCondition = 'read'): Promise<void> {
    if (this.#options.gate !== undefined) {
      await this.#options.gate(until)
      return
    }
    for (let i = 0; i < GATE_STEPS_MAX && this.#behind() > 0; i++) {
      await sleep(this.#clock, GATE_STEP_MS)
    }
    await sleep(this.#clock, GATE_REST_MS)
  }

  /** Lets a fault strike a host chosen by chance, at once or at the next occasion. */
  async fault(kind: FaultKind): Promise<void> {
    const front = pickOf(this.#chaos, this.hosts)
    const index = this.hosts.indexOf(front)
    if (isOfHost(kind)) {
      front.inject(kind)
      return
    }
    switch (kind) {
      case 'seq-regression':
      case 'seq-reset':
        await this.#restore(kind, index)
        break
      case 'late-directory':
        await this.#lateDirectory(index)
        break
      case 'silent':
        await this.gate()
        front.inject(kind)
        break
      case 'plc-404':
      case 'plc-503':
      case 'plc-hang':
        this.plc.inject(kind)
        break
      case 'dns-not-found':
      case 'dns-try-again':
      case 'dns-hang':
        assert(this.#options.dns === 'simulated', 'DNS faults strike somebody')
        this.#resolver.inject(kind)
        // Nobody looks a name up while the connections last.
        front.cutAll()
        break
      case 'clock-jump':
        this.#jumpClock(index)
        break
      case 'garbage-frame':
      case 'unknown-type':
      case 'oversized-frame':
      case 'swallowed-frame':
        this.#sendBad(kind, index)
        break
    }
  }

  /** Stops all servers. Safe to call again. */
  async stop(): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Events that the slowest open connection has not been sent. */
  #behind(): number {
    return Math.max(
      0,
      ...this.hosts.map((front, i) =>
        front.servedSeq === null || front.isSilent
          ? 0
          : this.simulation.host(i).log.publishedSeq - front.servedSeq,
      ),
    )
  }

  async #breathe(pace: 'clock' | 'free', signal: AbortSignal | undefined): Promise<void> {
    await sleep(this.#clock, 0, signal)
    if (pace === 'clock') return
    for (;;) {
      if (signal?.aborted === true || this.#behind() <= BEHIND_MAX) return
      await sleep(this.#clock, 1, signal)
    }
  }

  /** A message that is no event, after an honest one and before another. */
  #sendBad(
    kind: 'garbage-frame' | 'unknown-type' | 'oversized-frame' | 'swallowed-frame',
    index: number,
  ): void {
    const account = this.#somebodyAt(index)
    if (account === null) return
    const sim = this.simulation
    const { log } = sim.host(index)
    this.faults.plan(kind)
    sim.commit(account, [])
    if (kind === 'swallowed-frame') {
      sim.write(account, [])
      log.append(null, { fault: kind })
    } else {
      const [reason, data] = badMessage(kind, log.nextSeq)
      const told = { lie: `${reason}: ${kind}`, reason, host: index, hostSeq: log.nextSeq }
      const entry = sim.ledger.tell({ ...told, did: account.did })
      log.append(data, { lie: entry, fault: kind })
      entry.sibling = sim.commit(account, [])
    }
    if (kind === 'swallowed-frame') sim.commit(account, [])
  }

  /** An active account of a host, whose next commit is of its own making. */
  #somebodyAt(host: number): SimAccount | null {
    const fit = this.simulation.accounts.filter(
      (account) => account.host === host && account.status === 'active',
    )
    return fit.length === 0 ? null : pickOf(this.#chaos, fit)
  }

  /** A clock is set, and somebody writes by it. */
  #jumpClock(index: number): void {
    const account = this.#somebodyAt(index)
    if (account === null) return
    this.faults.plan('clock-jump')
    const range = CLOCK_LATE_MS + CLOCK_EARLY_MS
    this.simulation.host(index).skewMs = below(this.#chaos, range + 1) - CLOCK_LATE_MS
    this.simulation.commit(account, [])
    this.faults.fire('clock-jump')
  }

  /** A host loses its newest events, or all, and comes back. */
  async #restore(kind: 'seq-regression' | 'seq-reset', index: number): Promise<void> {
    const front = must(this.hosts[index], 'front')
    const { log } = this.simulation.host(index)
    const account = this.#somebodyAt(index)
    if (account === null) return
    for (let i = 0; i < REGRESSION_MIN; i++) this.simulation.commit(account, [])
    await this.gate()
    this.faults.plan(kind)
    const hadReaders = front.connections > 0
    front.cutAll()
    if (kind === 'seq-reset') log.reset()
    else log.fallBack(log.withoutStatus(REGRESSION_MAX))
    this.#replayed = true
    this.faults.fire(kind)
    // Readers have to see that the seqs have fallen before they rise beyond where they were.
    if (hadReaders) await front.connected()
    await this.gate()
  }

  async #lateDirectory(index: number): Promise<void> {
    this.faults.plan('late-directory')
    const account = speakTooEarly(this.simulation, index)
    await this.gate('forgotten')
    becomeKnown(this.simulation, account)
    this.faults.fire('late-directory')
  }
}

type HostFault =
  | HttpFault
  | Extract<FaultKind, 'disconnect' | 'duplicate' | 'error-frame' | `upgrade-${string}`>

/** Those that wait at a host for whoever comes. */
function isOfHost(kind: FaultKind): kind is HostFault {
  return /^(?:(?:http|repo|upgrade)-.*|disconnect|duplicate|error-frame)$/.test(kind)
}

function faultKindsOf({ dns, faultKinds }: NetworkOptions): readonly FaultKind[] {
  const isSimulated = dns === 'simulated'
  const all = [...STREAM_FAULTS, ...QUIET_FAULTS, ...(isSimulated ? DNS_FAULTS : [])]
  const kinds = faultKinds ?? all
  assert(isSimulated || !kinds.some(isDnsFault), 'DNS faults strike somebody')
  return kinds
}

/**
 * What becomes of honest events that a host sends again under other seqs. They come all at once:
 * more of one account than may wait while its identity is looked up.
 */
const REPLAY_REASONS: readonly Reason[] = [
  'deferred-overflow',
  'rev-stale',
  'seq-not-rising',
  'account-inactive',
  'host-mismatch',
  'signature-invalid',
]

function badMessage(
  kind: 'garbage-frame' | 'unknown-type' | 'oversized-frame',
  seq: number,
): [Reason, Uint8Array] {
  if (kind === 'garbage-frame') return ['frame-malformed', new Uint8Array(64).fill(0xff)]
  return kind === 'unknown-type'
    ? ['frame-unknown-type', frameOf({ op: 1, t: '#tomorrow' }, { seq })]
    : ['frame-too-large', OVERSIZED]
}
