/** What happens to accounts on real hosts, one thing at a time, with everything acknowledged. */
import { formatDidKey } from '../../src/crypto/public-key.ts'
import { must } from '../../src/lib/assert.ts'
import { below, pickOf, shuffled } from '../../src/sim/distributions.ts'
import { fromString } from '@atcute/cid'
import { HostedAccount } from './hosted-account.ts'
import { cidTextOf } from './real-host-events.ts'
import {
  applyWrites,
  createAccount,
  importRepo,
  type PlannedWrite,
  rotateKey,
  setStatus,
  updateHandle,
} from './real-host-operations.ts'
import { draftOf, nextBlob, recordOf, WriteMaker } from './real-host-writes.ts'
import type { Person, RealNetwork } from './real-network.ts'
import { answerOf, queryUrl } from './xrpc-call.ts'

const NSID = 'com.atproto.sync.'
const GRACE_AND_MORE_MS = 7 * 60 * 60_000
const INACTIVE = ['deactivated', 'suspended', 'takendown'] as const
/** People of whom so many stay active. */
const ACTIVE_MIN = 4

/** The moves, by name. Each returns false when nobody is fit for it. */
export class RealMoves {
  readonly #network: RealNetwork
  readonly maker: WriteMaker

  constructor(network: RealNetwork) {
    this.#network = network
    this.maker = new WriteMaker(network.random, () => network.someone())
  }

  active(): Person[] {
    const network = this.#network
    return network.people.filter((person) => network.account(person).status === 'active')
  }

  #pick(people: readonly Person[]): Person | null {
    return people.length === 0 ? null : pickOf(this.#network.random, people)
  }

  /** Somebody who may stop being active. */
  #expendable(): Person | null {
    const active = this.active()
    return active.length <= ACTIVE_MIN ? null : this.#pick(active.slice(1))
  }

  inactive(): Person[] {
    const statuses: readonly string[] = INACTIVE
    return this.#network.people.filter((person) =>
      statuses.includes(this.#network.account(person).status),
    )
  }

  // ---- Writing

  async write(person: Person): Promise<void> {
    const account = this.#network.account(person)
    const writes = this.maker.next(draftOf(account), account)
    await this.#network.perform(applyWrites(account, writes))
  }

  /** Several accounts at once, each with several calls of which none waits for the one before. */
  async burst(): Promise<boolean> {
    const network = this.#network
    const people = shuffled(network.random, this.active()).slice(0, 4)
    const chains = people.map((person) => {
      const account = network.account(person)
      const draft = draftOf(account)
      return Array.from({ length: 1 + below(network.random, 5) }, () =>
        applyWrites(account, this.maker.next(draft, account)),
      )
    })
    const sent = chains.map((chain) =>
      chain.map((operation) => ({ operation, outcome: network.call(operation) })),
    )
    for (const { operation, outcome } of sent.flat()) {
      await network.acknowledge(operation, await outcome)
    }
    return true
  }

  async bulk(): Promise<boolean> {
    const account = this.#network.account(must(this.#network.people[0], 'the first'))
    const count = 150 + below(this.#network.random, 51)
    await this.#network.perform(applyWrites(account, this.maker.bulk(count)))
    return true
  }

  /** Of two calls that expect the same commit, one is refused. */
  async race(): Promise<boolean> {
    const network = this.#network
    const account = network.account(must(this.#pick(this.active()), 'an active account'))
    const commit = fromString(must(account.head, 'head').commit).bytes
    const operations = [1, 2].map((n) => {
      const record = recordOf({ $type: 'org.example.race', n, at: account.steps.length })
      const path = `org.example.race/${n}-${account.steps.length}`
      return applyWrites(account, [{ action: 'create', path, record }], commit)
    })
    const outcomes = await Promise.all(operations.map((operation) => network.call(operation)))
    const done = outcomes.findIndex(({ kind }) => kind === 'done')
    const other = outcomes[1 - done]
    if (done < 0 || other?.kind !== 'refused' || other.reason !== 'InvalidSwap') {
      network.faults.push(`a race of two ended with ${JSON.stringify(outcomes)}`)
      return true
    }
    await network.acknowledge(must(operations[done], 'winner'), must(outcomes[done], 'outcome'))
    await network.refuse(must(operations[done], 'winner'), 'InvalidSwap')
    return true
  }

  /** Nothing to write, or nothing new: no commit. */
  async empty(): Promise<boolean> {
    const account = this.#network.account(must(this.#pick(this.active()), 'an active account'))
    await this.#network.perform(applyWrites(account, []))
    const record = recordOf({ $type: 'org.example.same', text: 'as it was' })
    const path = 'org.example.same/self'
    const action = account.records.has(path) ? 'update' : 'create'
    await this.#network.perform(applyWrites(account, [{ action, path, record }]))
    await this.#network.perform(applyWrites(account, [{ action: 'update', path, record }]))
    return true
  }

  /** One bad write among good ones: none is applied. */
  async refused(): Promise<boolean> {
    const network = this.#network
    const account = network.account(must(this.#pick(this.active()), 'an active account'))
    const good: PlannedWrite = {
      action: 'create',
      path: `org.example.refused/${account.steps.length}`,
      record: recordOf({ $type: 'org.example.refused' }),
    }
    const gone = { $type: 'blob', ref: { $link: recordOf({}).cid }, mimeType: 'a/b', size: 1 }
    const bad: [string, PlannedWrite][] = [
      ['PathRepeated', good],
      ['PathInvalid', { ...good, path: 'no-collection' }],
      ['RecordNotFound', { ...good, action: 'update', path: 'org.example.none/1' }],
      ['RecordNotFound', { action: 'delete', path: 'org.example.none/1', record: null }],
      ['BlobNotFound', { ...good, path: 'org.example.blob/1', record: recordOf({ gone }) }],
      ['RecordInvalid', { ...good, path: 'org.example.list/1', record: recordOf([1, 2]) }],
    ]
    const [known] = account.records.keys()
    if (known !== undefined) bad.push(['RecordExists', { ...good, path: known }])
    for (const [reason, write] of bad)
      await network.refuse(applyWrites(account, [good, write]), reason)
    await network.refuse(applyWrites(account, this.maker.bulk(201)), 'TooManyWrites')
    await network.refuse(createAccount(account), 'AccountExists')
    return true
  }

  // ---- Blobs

  async upload(person: Person | null = this.#pick(this.active())): Promise<boolean> {
    if (person === null) return false
    const network = this.#network
    const account = network.account(person)
    const blob = nextBlob(network.random, network.seed)
    const { did } = account
    const uploaded = await network.host(account.host).must({ op: 'uploadBlob', did, ...blob })
    account.uploads.set(cidTextOf((uploaded as { readonly cid: Uint8Array }).cid), blob)
    return true
  }

  async collectGarbage(): Promise<boolean> {
    const network = this.#network
    const host = pickOf(network.random, network.hosts)
    await host.must({ op: 'collectGarbage', aheadMs: GRACE_AND_MORE_MS })
    for (const account of network.accountsOf(host.index)) account.collect()
    return true
  }

  // ---- Accounts

  async create(): Promise<boolean> {
    const network = this.#network
    const { account } = network.addPerson(below(network.random, network.hosts.length))
    await network.perform(createAccount(account))
    network.noteCreated(account)
    return true
  }

  async handle(): Promise<boolean> {
    const person = must(this.#pick([...this.active(), ...this.inactive()]), 'somebody')
    person.handle = `${person.handle.split('.')[0] ?? ''}x.test`
    await this.#network.tellDirectory(person, { handle: person.handle })
    this.#network.world.change(person.did, { handle: person.handle })
    await this.#network.perform(updateHandle(this.#network.account(person), person.handle))
    return true
  }

  async rotate(): Promise<boolean> {
    const person = must(this.#pick([...this.active(), ...this.inactive()]), 'somebody')
    const key = this.#network.nextKey(person)
    await this.#network.tellDirectory(person, { key: key.publicKey })
    await this.#network.perform(rotateKey(this.#network.account(person), key))
    return true
  }

  /** What readers have not read by then is not replayed any more. */
  async #setStatus(account: HostedAccount, status: HostedAccount['status']): Promise<void> {
    await this.#network.quiet()
    await this.#network.perform(setStatus(account, status))
  }

  async end(status: (typeof INACTIVE)[number]): Promise<boolean> {
    const person = this.#expendable()
    if (person === null) return false
    const network = this.#network
    const account = network.account(person)
    await this.#setStatus(account, status)
    const writes = this.maker.next(draftOf(account), account)
    await network.refuse(applyWrites(account, writes), 'RepoInactive')
    if (status === 'deactivated') await this.upload(person)
    return true
  }

  /** From one status to another, neither of them active; and the same again, which says nothing. */
  async changeStatus(): Promise<boolean> {
    const person = this.#pick(this.inactive())
    if (person === null) return false
    const account = this.#network.account(person)
    await this.#network.perform(setStatus(account, account.status))
    await this.#setStatus(account, pickOf(this.#network.random, INACTIVE))
    return true
  }

  async reactivate(): Promise<boolean> {
    const person = this.#pick(this.inactive())
    if (person === null) return false
    await this.#setStatus(this.#network.account(person), 'active')
    await this.write(person)
    return true
  }

  async delete(): Promise<boolean> {
    const person = this.#expendable()
    if (person === null) return false
    await this.#setStatus(this.#network.account(person), 'deleted')
    return true
  }

  /** Somebody who was deleted begins again. */
  async recreate(): Promise<boolean> {
    const network = this.#network
    const deleted = network.people.filter((one) => network.account(one).status === 'deleted')
    const person = this.#pick(deleted)
    if (person === null) return false
    const account = network.account(person)
    account.key = network.nextKey(person)
    account.handle = person.handle
    await network.tellDirectory(person, { key: account.key.publicKey })
    await network.perform(createAccount(account))
    await this.write(person)
    return true
  }

  // ---- Repositories that come from elsewhere

  /** An old export takes the place of what is there. */
  async restore(): Promise<boolean> {
    const network = this.#network
    const person = this.#pick(this.active())
    if (person === null) return false
    const account = network.account(person)
    const { did } = account
    const { bytes: car } = await answerOf(network.host(account.host).endpoint, `${NSID}getRepo`, {
      did,
    })
    const records = new Map(account.records)
    for (let i = 0; i <= below(network.random, 3); i++) await this.write(person)
    await network.perform(importRepo(account, { op: 'importCar', did, car }, records))
    await this.write(person)
    return true
  }

  /** To another host; the one before ends the account, which nobody but its readers believes. */
  async migrate(): Promise<boolean> {
    const network = this.#network
    const person = this.#pick(this.active())
    if (person === null || network.hosts.length < 2) return false
    const from = network.account(person)
    const others = network.hosts.filter(({ index }) => index !== from.host)
    const { index: to, endpoint } = pickOf(network.random, others)
    await network.quiet()
    const target = await this.#prepare(person, from, to)
    await this.#moveBlobs(from, target)
    await network.tellDirectory(person, { key: target.key.publicKey, endpoint })
    person.home = to
    network.world.change(person.did, { host: to })
    await network.perform(setStatus(target, 'active'))
    await this.write(person)
    await network.perform(setStatus(from, network.random.next() < 0.7 ? 'deactivated' : 'deleted'))
    return true
  }

  /** The account on the other host, inactive, with the repository. */
  async #prepare(person: Person, from: HostedAccount, to: number): Promise<HostedAccount> {
    const network = this.#network
    const { did, handle } = person
    const key = network.nextKey(person)
    const known = person.at.get(to)
    const target = known ?? new HostedAccount(did, to, key, handle)
    if (known === undefined || known.status === 'deleted') {
      target.key = key
      target.handle = handle
      await network.perform(createAccount(target, 'deactivated'))
      person.at.set(to, target)
      network.noteCreated(target)
    } else {
      await network.perform(rotateKey(target, key))
      await network.perform(updateHandle(target, handle))
    }
    const url = queryUrl(network.host(from.host).endpoint, `${NSID}getRepo`, { did })
    const signedBy = formatDidKey(from.key.publicKey)
    const call = { op: 'importRepo', did, url, signedBy } as const
    await network.perform(importRepo(target, call, new Map(from.records)))
    if (target.head?.data !== from.head?.data) {
      network.faults.push(`${did}: host ${to} has another tree than host ${from.host}`)
    }
    return target
  }

  /** Fetches what is missing, as far as the host before has it. */
  async #moveBlobs(from: HostedAccount, target: HostedAccount): Promise<void> {
    const network = this.#network
    const { did } = target
    const host = network.host(target.host)
    const told = (await host.must({ op: 'missingBlobs', did })) as readonly Uint8Array[]
    const wanted = [...target.referredBlobs()].filter((cid) => !target.uploads.has(cid))
    const missing = told.map(cidTextOf)
    if (missing.toSorted().join() !== wanted.toSorted().join()) {
      network.faults.push(`${did}: missing are ${missing.join()}, not ${wanted.join()}`)
    }
    for (const cid of missing) {
      const blob = from.uploads.get(cid)
      if (blob === undefined) continue
      const url = queryUrl(network.host(from.host).endpoint, `${NSID}getBlob`, { did, cid })
      await host.must({ op: 'moveBlob', did, url })
      target.uploads.set(cid, blob)
    }
  }
}
