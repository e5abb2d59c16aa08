/** The iterable, filters, backfill, accounts, services that change. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeHost } from '../../../test/support/fake-host.ts'
import { eventually } from '../../../test/support/waiting.ts'
import type { ConsumerNotice } from './consumer-types.ts'
import { MemoryStore } from './memory-store.ts'
import { subscribe } from './subscribe.ts'
import { caughtUp, ConsumerKit, repaired, truthOf } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

describe('subscribe', () => {
  it('finishes a delivery when the next one is asked for, and stops with the loop', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('loop')
    for (let i = 0; i < 6; i++) kit.commit(repo, [create(`k${i}`)])
    const store = new MemoryStore()
    const subscription = subscribe({ ...(await kit.options()), store })
    const seqs: (number | undefined)[] = []
    for await (const delivery of subscription) {
      seqs.push(delivery.place?.seq)
      if (seqs.length === 4) break
    }
    assert.deepEqual(seqs, [1, 2, 3, 4])
    assert.equal(subscription.state.phase, 'stopped')
    assert.equal(store.cursors()[0]?.seq, 3, 'the one that was left is not finished')
    const again: (number | undefined)[] = []
    for await (const { place } of subscribe({ ...(await kit.options()), store })) {
      again.push(place?.seq)
      if (again.length === 3) break
    }
    assert.deepEqual(again, [4, 5, 6])
  })

  it('leaves finishing to the application when it wants to', async () => {
    await using kit = await ConsumerKit.start()
    for (let i = 0; i < 5; i++) kit.commit(kit.account(`batch ${i}`), [create('a')])
    const store = new MemoryStore()
    const options = { ...(await kit.options()), store, acknowledge: 'explicit' } as const
    const subscription = subscribe(options)
    const batch = []
    for await (const delivery of subscription) {
      batch.push(delivery)
      if (batch.length === 5) break
    }
    await subscription.stop()
    assert.equal(store.cursors().length, 0, 'nothing is finished')
    const second = subscribe(options)
    let count = 0
    for await (const delivery of second) {
      delivery.done()
      if (++count < 5) continue
      await eventually(() => (store.cursors()[0]?.seq === 5 ? true : null), 'saved')
      break
    }
    assert.equal(count, 5)
  })

  it('throws what stopped it', async () => {
    await using kit = await ConsumerKit.start()
    kit.commit(kit.account('broken store'), [create('a')])
    const store = new MemoryStore()
    store.apply = () => {
      throw new Error('the disk is full')
    }
    const subscription = subscribe({ ...(await kit.options()), store })
    await assert.rejects(async () => {
      for await (const _ of subscription) continue
    }, /the disk is full/)
    assert.equal(subscription.state.phase, 'stopped')
  })

  it('stops by its signal', async () => {
    await using kit = await ConsumerKit.start()
    const controller = new AbortController()
    const subscription = subscribe({ ...(await kit.options()), signal: controller.signal })
    setImmediate(() => controller.abort())
    for await (const _ of subscription) assert.fail('nothing was sent')
    assert.equal(subscription.state.phase, 'stopped')
  })
})

describe('what is wanted', () => {
  it('by collection: other commits move the head, and repairs bring no other records', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('filter')
    kit.commit(repo, [create('a'), create('x', 'org.other.thing')])
    kit.commit(repo, [create('y', 'org.other.thing')])
    const { consumer, seen } = await kit.run({ store, filter: { collections: ['org.example.*'] } })
    await caughtUp(consumer, 2)
    assert.equal(seen.deliveries.length, 1)
    repo.apply([create('b'), create('z', 'org.other.thing')])
    await caughtUp(consumer, kit.commit(repo, [create('c')]))
    await repaired(store, [repo.did])
    assert.deepEqual(
      Object.keys(seen.records(repo.did)),
      ['a', 'b', 'c'].map((key) => `org.example.note/${key}`),
    )
    assert.equal(consumer.stats.desynchronized['since-mismatch'], 1)
  })

  it('by account, and accounts are followed and left', async () => {
    await using kit = await ConsumerKit.start()
    const [one, two] = [kit.account('one'), kit.account('two')]
    kit.commit(one, [create('a')])
    kit.commit(two, [create('a')])
    const store = new MemoryStore()
    const { consumer, seen } = await kit.run({ store, filter: { dids: [one.did] } })
    await caughtUp(consumer, 2)
    assert.deepEqual(seen.records(two.did), {})
    await consumer.follow(two.did)
    await repaired(store, [two.did])
    assert.deepEqual(seen.records(two.did), truthOf(two))
    await consumer.unfollow(one.did)
    kit.commit(one, [create('b')])
    await caughtUp(consumer, kit.commit(two, [create('b')]))
    assert.deepEqual(seen.records(two.did), truthOf(two))
    assert.deepEqual(Object.keys(seen.records(one.did)), ['org.example.note/a'])
    assert.equal(store.repo(one.did), null)
  })

  it('with what was there before: a repository that is first seen is fetched whole', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('seen')
    repo.apply([create('old')])
    kit.commit(repo, [create('a')])
    const fresh = kit.account('fresh')
    kit.commit(fresh, [])
    kit.commit(fresh, [create('a')])
    const { consumer, seen } = await kit.run({ store, backfill: 'seen' })
    await caughtUp(consumer, 3)
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(kit.repos.requests, [repo.did], 'the fresh one is known from its first commit')
    assert.ok(seen.kinds().includes('repo-complete'))
    await caughtUp(consumer, kit.commit(repo, [create('b')]))
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(seen.faults, [])
  })

  it('with a list of repositories, each fetched once in a store’s life', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repos = Array.from({ length: 30 }, (_, i) => kit.account(`list ${i}`))
    for (const repo of repos) repo.apply([create('a')])
    const backfill = repos.map(({ did }) => did)
    const limits = { repairsMax: 3, repairsWaitingMax: 6 }
    const first = await kit.run({ store, backfill, limits })
    await eventually(() => (first.consumer.stats.repairs.done === 30 ? true : null), 'all fetched')
    for (const repo of repos) assert.deepEqual(first.seen.records(repo.did), truthOf(repo))
    await first.consumer.stop()
    const second = await kit.run({ store, backfill, limits })
    await caughtUp(second.consumer, kit.commit(kit.account('last'), [create('a')]))
    assert.equal(kit.repos.requests.length, 30)
  })

  it('unverified: as decoded, without any look-up', async () => {
    await using kit = await ConsumerKit.start()
    kit.identities.mode = 'silent'
    const repo = kit.account('unverified')
    kit.commit(repo, [create('a')])
    const { consumer, seen } = await kit.run({ verify: 'none' })
    await caughtUp(consumer, 1)
    const [delivery] = seen.deliveries
    assert.ok(delivery?.kind === 'commit' && delivery.verdict === 'unverified')
  })
})

describe('accounts', () => {
  for (const deletion of ['event', 'records'] as const) {
    it(`that are deleted leave nothing (${deletion})`, async () => {
      await using kit = await ConsumerKit.start()
      const store = new MemoryStore()
      const repo = kit.account('deleted')
      const body = repo.apply([create('a'), create('b')])
      kit.stream.send('#commit', body)
      const { consumer, seen } = await kit.run({ store, deletion })
      await caughtUp(consumer, 1)
      const time = new Date().toISOString()
      const gone = { did: repo.did, time, active: false, status: 'deleted' }
      await caughtUp(consumer, kit.stream.send('#account', gone))
      assert.deepEqual(store.records(repo.did, '', 10), [])
      const deletes = seen.deliveries.flatMap((d) =>
        d.kind === 'commit' ? d.ops.filter(({ action }) => action === 'delete') : [],
      )
      assert.equal(deletes.length, deletion === 'records' ? 2 : 0)
      assert.equal(seen.deliveries.at(-1)?.kind, 'account')
      // An old event that comes again brings nothing back.
      await caughtUp(consumer, kit.stream.send('#commit', body))
      assert.deepEqual(seen.records(repo.did), {})
    })
  }
})

describe('services', () => {
  it('that fail are replaced; what comes again is not delivered again', async () => {
    await using kit = await ConsumerKit.start()
    const first = await FakeHost.start()
    const { endpoint } = first
    await using second = await FakeHost.start()
    const repo = kit.account('switch')
    const bodies = [repo.apply([create('a')]), repo.apply([create('b')]), repo.apply([create('c')])]
    for (const body of bodies.slice(0, 2)) first.send('#commit', body)
    second.skipTo(100)
    for (const body of bodies) second.send('#commit', body)
    const { service: _, ...options } = await kit.options()
    const store = new MemoryStore()
    const seen: string[] = []
    const notices: ConsumerNotice[] = []
    const subscription = subscribe({
      ...options,
      store,
      services: [endpoint, second.endpoint],
      policies: { margin: 'passive', reconnectMaxMs: 20, switchAfterMs: 100 },
      onNotice: (notice) => void notices.push(notice),
    })
    for await (const delivery of subscription) {
      if (delivery.kind === 'commit') seen.push(delivery.rev)
      if (seen.length === 2) await first[Symbol.asyncDispose]()
      if (seen.length === 3) break
    }
    assert.deepEqual(
      seen,
      bodies.map(({ rev }) => rev),
    )
    assert.ok(notices.some(({ kind }) => kind === 'switched'))
    assert.ok(subscription.stats.skipped.stale >= 2)
    const services = store.cursors().map(({ service }) => service)
    assert.deepEqual(services, [second.endpoint, endpoint])
  })

  it('that begin anew: the stored cursor goes, and nothing is delivered twice', async () => {
    await using kit = await ConsumerKit.start()
    kit.stream.futureCursor = 'refuse'
    const repo = kit.account('anew')
    const bodies = Array.from({ length: 4 }, (_, i) => repo.apply([create(`k${i}`)]))
    for (const body of bodies) kit.stream.send('#commit', body)
    const store = new MemoryStore()
    const first = await kit.run({ store })
    await caughtUp(first.consumer, 4)
    await first.consumer.stop()
    kit.stream.resetSequence(0)
    kit.stream.send('#commit', bodies[3] as object)
    kit.stream.send('#commit', repo.apply([create('new')]))
    const { consumer, seen, notices } = await kit.run({ store })
    await caughtUp(consumer, 2)
    assert.equal(seen.deliveries.length, 1)
    assert.ok(notices.some(({ kind }) => kind === 'future-cursor'))
    assert.equal(store.cursors()[0]?.seq, 2)
  })
})

describe('the cursor of the application', () => {
  it('may be ahead of the state kept here: events are taken in, not delivered', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('ahead')
    const store = new MemoryStore()
    for (let i = 0; i < 2; i++) kit.commit(repo, [create(`k${i}`)])
    const first = await kit.run({ store })
    await caughtUp(first.consumer, 2)
    await first.consumer.stop()
    for (let i = 2; i < 6; i++) kit.commit(repo, [create(`k${i}`)])
    const cursor = { service: kit.stream.endpoint, seq: 4, timeMs: null }
    const saved: number[] = []
    const cursorStore = {
      load: () => cursor,
      save: ({ seq }: { seq: number }) => void saved.push(seq),
    }
    const { consumer, seen } = await kit.run({ store, cursorStore })
    await caughtUp(consumer, 6)
    assert.deepEqual(
      seen.deliveries.map(({ place }) => place?.seq),
      [5, 6],
    )
    assert.equal(consumer.stats.skipped.finished, 2)
    assert.equal(consumer.stats.repairs.done, 0)
  })
})
