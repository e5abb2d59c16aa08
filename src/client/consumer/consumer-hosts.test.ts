/** Where repositories are fetched: hosts that hang, and hosts that must not be asked. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SignedRepo } from '../../../test/support/signed-repo.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { MemoryStore } from './memory-store.ts'
import {
  ConsumerKit,
  type KitOptions,
  repaired,
  RepoServer,
  truthOf,
} from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

/** Accounts of hosts that never answer. */
async function hanging(kit: ConsumerKit, server: RepoServer, count: number): Promise<SignedRepo[]> {
  return Array.from({ length: count }, (_, i) => {
    const repo = kit.account(`hanging ${server.endpoint} ${i}`)
    kit.identities.set(repo, server.endpoint)
    server.add(repo)
    server.answers.set(repo.did, 'hang')
    repo.apply([create('a')])
    return repo
  })
}

/** Sends what shows that every repository is to be fetched. */
function show(kit: ConsumerKit, repos: readonly SignedRepo[]): void {
  for (const repo of repos) kit.commit(repo, [create('b')])
}

const SEEN: KitOptions = { backfill: 'seen' }

describe('hosts that hang', () => {
  it('take their own places only, however many accounts they have', async () => {
    await using kit = await ConsumerKit.start()
    await using server = await RepoServer.start()
    // More than may wait in memory for one host, and than wait in memory at all.
    const stuck = await hanging(kit, server, 120)
    const others = Array.from({ length: 20 }, (_, i) => kit.account(`good ${i}`))
    for (const repo of others) repo.apply([create('a')])
    show(kit, [...stuck, ...others])
    const store = new MemoryStore()
    const limits = { repairsMax: 4, repairsPerHostMax: 3, repairsWaitingMax: 80, heldMs: 10 }
    const { seen } = await kit.run({ ...SEEN, store, limits })
    await eventually(() => (server.requests.length >= 3 ? true : null), 'its places are taken')
    await repaired(
      store,
      others.map(({ did }) => did),
    )
    for (const repo of others) assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.equal(server.requests.length, 3)
  })

  it('and fill all places are given up in time, and asked with one fetch after that', async () => {
    await using kit = await ConsumerKit.start()
    await using first = await RepoServer.start()
    await using second = await RepoServer.start()
    const stuck = [...(await hanging(kit, first, 10)), ...(await hanging(kit, second, 10))]
    const good = kit.account('good')
    good.apply([create('a')])
    const store = new MemoryStore()
    const limits = { repairsMax: 4, repairsPerHostMax: 2, repairMs: 150, heldMs: 10 }
    const { consumer, seen } = await kit.run({ ...SEEN, store, limits })
    show(kit, stuck)
    await eventually(() => (consumer.stats.repairs.running === 4 ? true : null), 'all are taken')
    show(kit, [good])
    await repaired(store, [good.did])
    assert.deepEqual(seen.records(good.did), truthOf(good))
    await eventually(
      () => ((consumer.stats.repairs.failed['Timeout'] ?? 0) >= 8 ? true : null),
      () => JSON.stringify(consumer.stats.repairs),
    )
    assert.ok(consumer.stats.repairs.running <= 2, 'one of each')
    for (const repo of stuck)
      for (const host of [first, second]) host.answers.set(repo.did, 'serve')
    await repaired(
      store,
      stuck.map(({ did }) => did),
    )
    for (const repo of stuck) assert.deepEqual(seen.records(repo.did), truthOf(repo))
  })
})

describe('a host that a document names', () => {
  it('at a private address is not asked', async () => {
    await using kit = await ConsumerKit.start()
    const named = kit.account('named')
    const store = new MemoryStore()
    const { consumer } = await kit.run({ ...SEEN, store, allowPrivateNetwork: false })
    for (const repo of [named]) repo.apply([create('a')])
    show(kit, [named])
    await eventually(
      () => (Object.keys(consumer.stats.repairs.failed).length > 0 ? true : null),
      () => JSON.stringify(consumer.stats),
    )
    assert.deepEqual(Object.keys(consumer.stats.repairs.failed), ['Blocked'])
    assert.deepEqual([kit.repos.requests, kit.repos.updates], [[], []])
  })

  it('is passed over for one that the application names, which may be private', async () => {
    await using kit = await ConsumerKit.start()
    const named = kit.account('named')
    const store = new MemoryStore()
    named.apply([create('a')])
    kit.identities.set(named, 'http://127.0.0.1:1')
    const { consumer, seen } = await kit.run({
      ...SEEN,
      store,
      allowPrivateNetwork: false,
      fetchFrom: kit.repos.endpoint,
    })
    show(kit, [named])
    await eventually(
      () => (consumer.stats.repairs.done === 1 ? true : null),
      () => JSON.stringify(consumer.stats),
    )
    assert.deepEqual(seen.records(named.did), truthOf(named))
  })
})
