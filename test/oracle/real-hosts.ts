/**
 * The oracle of real hosts: hosts on disk in processes of their own, a relay that reads them, and a
 * model of what was acknowledged, with which streams, exports, proofs, blobs and listings are
 * compared by other libraries' readers.
 */
import { messageOf } from '../../src/lib/errors.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { pickOf, shuffled } from '../../src/sim/distributions.ts'
import { replay } from '../support/relay-client.ts'
import { compareHosted } from './compare-hosted.ts'
import { compareListRepos, compareUnknown } from './compare-hosted-lists.ts'
import { compareAccounts, compareEvents, compareReplay } from './compare.ts'
import { RealFaults, withoutFormerLives } from './real-host-faults.ts'
import { RealMoves } from './real-host-moves.ts'
import { RealNetwork } from './real-network.ts'

export interface RealHostsOptions {
  readonly seed: number
  /** Rounds of writes, one move and, every other time, one fault. */
  readonly rounds: number
}

export interface RealHostsReport {
  readonly seed: number
  /** What is wrong; empty when everything is as it must be. */
  readonly faults: readonly string[]
  readonly events: number
  readonly accounts: number
  /** How the relay let its subscriber go, each time that it did. */
  readonly interruptions: readonly string[]
  /** How often each move and fault was made. */
  readonly made: ReadonlyMap<string, number>
  /** Calls that were on their way when their host was killed: done, and not done. */
  readonly unanswered: { readonly done: number; readonly lost: number }
  readonly tookMs: number
}

const HOSTS = 3
const PEOPLE = 8
const WRITES_PER_ROUND = 8
const ROUNDS_PER_CHECK = 8
/** Accounts of each host that are looked at before the end. */
const CHECKED = 3

export const MOVES = [
  'burst',
  'bulk',
  'race',
  'empty',
  'refused',
  'upload',
  'collectGarbage',
  'create',
  'handle',
  'rotate',
  'deactivate',
  'suspend',
  'takedown',
  'changeStatus',
  'reactivate',
  'delete',
  'recreate',
  'restore',
  'migrate',
] as const

export const REAL_FAULTS = [
  'restartHost',
  'killHost',
  'restartRelay',
  'slowReaders',
  'concurrentReaders',
] as const

type Move = (typeof MOVES)[number]
type RealFault = (typeof REAL_FAULTS)[number]

/** Statuses for which a relay removes what it has for good. */
const PURGING = ['takendown', 'deleted']

const ENDS = { deactivate: 'deactivated', suspend: 'suspended', takedown: 'takendown' } as const

function isEnd(name: Move | RealFault): name is keyof typeof ENDS {
  return name in ENDS
}

function isFault(name: Move | RealFault): name is RealFault {
  const faults: readonly string[] = REAL_FAULTS
  return faults.includes(name)
}

class Run {
  readonly network: RealNetwork
  readonly moves: RealMoves
  readonly faults: RealFaults
  readonly made = new Map<string, number>()
  #movesLeft: Move[] = []
  /** Moves for which nobody was fit: the first of the next turn. */
  #unfit: Move[] = []
  #faultsLeft: RealFault[] = []

  constructor(network: RealNetwork) {
    this.network = network
    this.moves = new RealMoves(network)
    this.faults = new RealFaults(network, this.moves)
  }

  async begin(): Promise<void> {
    for (let i = 0; i < PEOPLE; i++) await this.moves.create()
    for (const person of this.network.people) await this.moves.upload(person)
    await this.moves.bulk()
  }

  /** Each has its turn before any has another; the order is by chance. */
  async round(number: number): Promise<void> {
    const { network, moves } = this
    for (let i = 0; i < WRITES_PER_ROUND; i++) {
      await moves.write(pickOf(network.random, moves.active()))
      if (i % 4 === 0) await moves.upload()
    }
    for (let i = 0; i < 2; i++) {
      if (this.#movesLeft.length === 0) {
        this.#movesLeft = [...shuffled(network.random, MOVES), ...this.#unfit]
        this.#unfit = []
      }
      const move = this.#movesLeft.pop() ?? 'burst'
      if (!(await this.#make(move))) this.#unfit.push(move)
    }
    if (this.#faultsLeft.length === 0) {
      this.#faultsLeft = shuffled(network.random, REAL_FAULTS)
    }
    if (number % 2 === 0) await this.#make(this.#faultsLeft.pop() ?? 'restartHost')
    if (number % ROUNDS_PER_CHECK === 0) await this.check(CHECKED)
  }

  async #make(name: Move | RealFault): Promise<boolean> {
    const isMade = await this.#run(name)
    if (isMade) this.made.set(name, (this.made.get(name) ?? 0) + 1)
    return isMade
  }

  #run(name: Move | RealFault): Promise<boolean> {
    if (isEnd(name)) return this.moves.end(ENDS[name])
    return isFault(name) ? this.faults[name]() : this.moves[name]()
  }

  /** Holds what hosts answer against the model. */
  async check(accountsMax: number): Promise<void> {
    const { network } = this
    await network.quiet()
    for (const { index, endpoint } of network.hosts) {
      const accounts = network.accountsOf(index)
      network.faults.push(...(await compareListRepos(endpoint, accounts)))
      network.faults.push(...(await compareUnknown(endpoint)))
      for (const account of shuffled(network.random, accounts).slice(0, accountsMax)) {
        network.faults.push(...(await compareHosted(endpoint, account, network.random)))
      }
    }
  }

  async end(): Promise<void> {
    const { network, faults } = this
    await this.check(Infinity)
    for (const host of network.hosts) await faults.compareReplayOf(host)
    const { received, relay, world } = network
    const again = await replay(relay.address, received.at(-1)?.seq ?? 0)
    network.faults.push(
      ...compareEvents(network, received),
      ...(await compareAccounts(network, relay)),
      ...compareReplay(world, ...withoutFormerLives(world, received, again, PURGING)),
    )
    if (received.length !== world.eventCount) {
      network.faults.push(`the relay said ${received.length} events, its hosts ${world.eventCount}`)
    }
    const { 'host-mismatch': mismatches = 0, ...others } = await network.drops()
    if (mismatches !== network.refusals) {
      network.faults.push(
        `${mismatches} events of hosts without the account, not ${network.refusals}`,
      )
    }
    for (const [reason, count] of Object.entries(others)) {
      network.faults.push(`the relay dropped ${count} for ${reason}`)
    }
  }
}

/** Runs one seed. What could not go on is a fault too. */
export async function runRealHosts({ seed, rounds }: RealHostsOptions): Promise<RealHostsReport> {
  const startedMs = systemClock.monotonicMs()
  await using network = await RealNetwork.start(seed, HOSTS)
  const run = new Run(network)
  const faults: string[] = []
  let last = 'begin'
  try {
    await run.begin()
    for (let round = 1; round <= rounds && network.faults.length === 0; round++) {
      last = `round ${round}`
      await run.round(round)
    }
    last = 'end'
    if (network.faults.length === 0) await run.end()
  } catch (error) {
    faults.push(`${last}: ${messageOf(error)}`)
  }
  return {
    seed,
    faults: [...network.faults, ...faults],
    events: network.world.eventCount,
    accounts: network.people.length,
    interruptions: network.interruptions,
    made: run.made,
    unanswered: run.faults.unanswered,
    tookMs: systemClock.monotonicMs() - startedMs,
  }
}
