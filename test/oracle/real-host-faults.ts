/** What strikes real hosts, their relay and their readers. */
import { formatDidKey } from '../../src/crypto/public-key.ts'
import { must } from '../../src/lib/assert.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { verifyRepoCar } from '@atproto/repo'
import { below, pickOf, shuffled } from '../../src/sim/distributions.ts'
import { World } from '../../src/sim/world.ts'
import { didOf, type ReceivedFrame } from '../support/relay-client.ts'
import { compareReplay } from './compare.ts'
import type { HostedAccount } from './hosted-account.ts'
import { readBlocks } from './real-host-events.ts'
import type { RealMoves } from './real-host-moves.ts'
import {
  applyWrites,
  createAccount,
  importRepo,
  type Operation,
  rotateKey,
  setStatus,
  updateHandle,
} from './real-host-operations.ts'
import { draftOf } from './real-host-writes.ts'
import type { RealHost } from './real-host.ts'
import type { Person, RealNetwork } from './real-network.ts'
import { callJson, openQuery } from './xrpc-call.ts'

const NSID = 'com.atproto.sync.'

/** A host has that long for calls that its end interrupts: some tens of them. */
const KILL_WITHIN_MS = 40

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => systemClock.after(ms, resolve))
}

/** A call that is made while its host dies, and what to do when it has not been done. */
interface RiskyCall {
  readonly operation: Operation
  readonly again?: () => Promise<void>
}

export class RealFaults {
  readonly #network: RealNetwork
  readonly #moves: RealMoves
  /** Calls whose host died before it answered: done, and not done. */
  readonly unanswered: { done: number; lost: number } = { done: 0, lost: 0 }

  constructor(network: RealNetwork, moves: RealMoves) {
    this.#network = network
    this.#moves = moves
  }

  // ---- Hosts

  /** Ends in order and opens again, with all that it said. */
  async restartHost(): Promise<boolean> {
    const network = this.#network
    const host = pickOf(network.random, network.hosts)
    await host.end('SIGTERM')
    await host.reopen()
    await network.settle(host)
    await this.compareReplayOf(host)
    return true
  }

  /** Is killed in the middle of calls. */
  async killHost(): Promise<boolean> {
    const network = this.#network
    await network.quiet()
    const host = pickOf(network.random, network.hosts)
    const here = this.#moves.active().filter(({ home }) => home === host.index)
    const chains: RiskyCall[][] = []
    for (const person of shuffled(network.random, here).slice(0, 5)) {
      chains.push(await this.#riskyCalls(person))
    }
    chains.push(this.#riskyCreation(host))
    const sent = chains.map((chain) =>
      chain.map((call) => ({ ...call, outcome: network.call(call.operation) })),
    )
    const all = sent.flat()
    await Promise.race([
      Promise.all(all.map(({ outcome }) => outcome)),
      pause(network.random.next() * KILL_WITHIN_MS),
    ])
    await host.end('SIGKILL')
    const open: RiskyCall[] = []
    for (const { outcome, ...call } of all) {
      const came = await outcome
      if (came.kind === 'unanswered') {
        network.wonder(call.operation)
        open.push(call)
      } else await network.acknowledge(call.operation, came)
    }
    await host.reopen()
    const happened = await network.settle(host)
    for (const call of open) {
      const isDone = happened.has(call.operation)
      this.unanswered[isDone ? 'done' : 'lost']++
      if (!isDone) await call.again?.()
    }
    await this.compareReplayOf(host)
    return true
  }

  #riskyCreation(host: RealHost): RiskyCall[] {
    const network = this.#network
    const { account } = network.addPerson(host.index)
    network.noteCreated(account)
    const operation = createAccount(account)
    return [{ operation, again: () => network.perform(createAccount(account)) }]
  }

  /** Mostly writes; else something else, alone. */
  async #riskyCalls(person: Person): Promise<RiskyCall[]> {
    const network = this.#network
    const account = network.account(person)
    const { random } = network
    const repeat = (make: () => Operation): RiskyCall[] => [
      { operation: make(), again: () => network.perform(make()) },
    ]
    switch (random.next() < 0.6 ? 5 : below(random, 5)) {
      case 0: {
        const key = network.nextKey(person)
        await network.tellDirectory(person, { key: key.publicKey })
        return repeat(() => rotateKey(account, key))
      }
      case 1: {
        person.handle = `${person.handle.split('.')[0] ?? ''}k.test`
        await network.tellDirectory(person, { handle: person.handle })
        network.world.change(person.did, { handle: person.handle })
        return repeat(() => updateHandle(account, person.handle))
      }
      case 2:
      case 3: {
        // The first one stays: it has the large repository.
        const status = random.next() < 0.5 ? 'deactivated' : 'deleted'
        return [{ operation: setStatus(account, person.number === 0 ? 'active' : status) }]
      }
      case 4: {
        const { url, did } = { url: network.host(account.host).endpoint, did: person.did }
        const car = new Uint8Array(await (await openQuery(url, `${NSID}getRepo`, { did })).bytes())
        const records = new Map(account.records)
        return [{ operation: importRepo(account, { op: 'importCar', did, car }, records) }]
      }
      default: {
        const draft = draftOf(account)
        return Array.from({ length: 4 + below(random, 20) }, () => {
          return { operation: applyWrites(account, this.#moves.maker.next(draft, account)) }
        })
      }
    }
  }

  /** What a host has published stays as it was, as far as it may be shown. */
  async compareReplayOf(host: RealHost): Promise<void> {
    const network = this.#network
    const { index } = host
    const world = new World('none')
    for (const { did, handle, status } of network.accountsOf(index)) {
      world.add({ did, host: index, handle, status, head: null }, new Map())
    }
    const again = await host.replay()
    const faults = compareReplay(
      world,
      ...withoutFormerLives(world, host.frames, again, ['deleted']),
    )
    network.faults.push(...faults.map((fault) => `host ${index}: ${fault}`))
  }

  // ---- The relay

  async restartRelay(): Promise<boolean> {
    const network = this.#network
    await network.restartRelay(async () => {
      await this.#moves.burst()
      await this.#moves.create()
    })
    return true
  }

  // ---- Readers

  /** Exports that are left in the middle, or read to the end long after; all of one state. */
  async slowReaders(): Promise<boolean> {
    const network = this.#network
    const person = must(network.people[0], 'the first')
    const account = network.account(person)
    const url = network.host(account.host).endpoint
    const revs = account.steps.length
    const reading = await Promise.all(
      [1, 2, 3].map(async () => {
        const end = new AbortController()
        const { did } = person
        const response = await openQuery(url, `${NSID}getRepo`, { did }, { signal: end.signal })
        const reader = must(response.body, 'body').getReader()
        return { end, reader, first: await reader.read() }
      }),
    )
    await this.#moves.write(person)
    const [aborted, ...others] = reading
    aborted?.end.abort()
    await this.#moves.bulk()
    for (const { reader, first } of others) {
      const pieces = [first.value ?? new Uint8Array(0)]
      for (;;) {
        const { done, value } = await reader.read()
        if (done) break
        pieces.push(value)
        if (pieces.length % 3 === 0) await this.#moves.write(person)
      }
      await this.#compareSnapshot(account, Buffer.concat(pieces), revs)
    }
    return true
  }

  /** Reads while it is being written: every answer is of one state. */
  async concurrentReaders(): Promise<boolean> {
    const network = this.#network
    const person = pickOf(network.random, this.#moves.active())
    const account = network.account(person)
    const url = network.host(account.host).endpoint
    const { did } = person
    const revs = account.steps.length
    const draft = draftOf(account)
    const operations = Array.from({ length: 6 }, () =>
      applyWrites(account, this.#moves.maker.next(draft, account)),
    )
    const sent = operations.map((operation) => ({ operation, outcome: network.call(operation) }))
    const exports = [1, 2, 3].map(async () => {
      const response = await openQuery(url, `${NSID}getRepo`, { did })
      return new Uint8Array(await response.arrayBuffer())
    })
    const heads = [1, 2, 3].map(() => callJson(url, `${NSID}getLatestCommit`, { did }))
    for (const { operation, outcome } of sent) await network.acknowledge(operation, await outcome)
    for (const car of exports) await this.#compareSnapshot(account, await car, revs)
    const known = new Set(
      account.steps.slice(Math.max(0, revs - 1)).map(({ rev, commit }) => `${commit} ${rev}`),
    )
    for (const head of heads) {
      const { cid, rev } = Object((await head).body) as Readonly<Record<string, string>>
      if (!known.has(`${cid} ${rev}`)) network.faults.push(`${did}: a head ${cid} ${rev}`)
    }
    return true
  }

  /** @param revs Steps that were made before: the state is that of the last of them, or later. */
  async #compareSnapshot(account: HostedAccount, car: Uint8Array, revs: number): Promise<void> {
    const { did } = account
    const { root } = readBlocks(car)
    const told = (fault: string): void => void this.#network.faults.push(`${did}: ${fault}`)
    const step = account.steps.slice(Math.max(0, revs - 1)).find(({ commit }) => commit === root)
    if (step === undefined) return told(`an export of ${root}, which is not of that time`)
    const { creates } = await verifyRepoCar(car, did, formatDidKey(account.key.publicKey))
    const found = creates.map((one) => `${one.collection}/${one.rkey} ${one.cid.toString()}`)
    const wanted = [...account.recordsAt(step.rev)].map(([path, { cid }]) => `${path} ${cid}`)
    if (found.toSorted().join() !== wanted.toSorted().join())
      told(`an export of ${step.rev} differs`)
  }
}

/**
 * Frames without those that were purged when their account was gone for a time: nothing is said of
 * whether they are replayed.
 *
 * @param purging Statuses that purge.
 */
export function withoutFormerLives(
  world: World,
  live: readonly ReceivedFrame[],
  again: readonly ReceivedFrame[],
  purging: readonly string[],
): [ReceivedFrame[], ReceivedFrame[]] {
  const goneUntil = new Map<string, number>()
  for (const frame of live) {
    const did = didOf(frame)
    const isGone = purging.includes(world.account(did)?.status ?? '')
    if (!isGone && purging.includes(String(frame.body['status']))) goneUntil.set(did, frame.seq)
  }
  const isOfNow = (frame: ReceivedFrame): boolean => frame.seq > (goneUntil.get(didOf(frame)) ?? 0)
  return [live.filter(isOfNow), again.filter(isOfNow)]
}
