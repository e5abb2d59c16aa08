/** Repositories that broke, hosts that do not help, and events that are not true. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { randomWrites } from '../../../test/support/signed-repo.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { must } from '../../lib/assert.ts'
import { seededRandom } from '../../lib/random.ts'
import { MemoryStore } from './memory-store.ts'
import {
  caughtUp,
  ConsumerKit,
  type KitOptions,
  type RepoAnswer,
  repaired,
  truthOf,
} from '../testing/consumer-kit.ts'
import { create, remove, update } from '../testing/consumer-writes.ts'

/** A repository whose second commit nobody was sent, and a consumer that finds out. */
async function brokenRepo(kit: ConsumerKit, options: KitOptions = {}) {
  const store = new MemoryStore()
  const repo = kit.account('broken')
  kit.commit(repo, [create('a'), create('b')])
  const run = await kit.run({ store, ...options })
  await caughtUp(run.consumer, 1)
  repo.apply([update('a', 'new'), remove('b'), create('c')])
  return { ...run, store, repo }
}

/** Requests for repositories, whole or in part. */
function askedOf({ repos }: ConsumerKit): number {
  return repos.requests.length + repos.updates.length
}

function failures({ consumer }: Awaited<ReturnType<typeof brokenRepo>>, code: string) {
  return eventually(
    () => ((consumer.stats.repairs.failed[code] ?? 0) > 0 ? true : null),
    () => `${code}: ${JSON.stringify(consumer.stats.repairs)}`,
  )
}

describe('a repair', () => {
  it('delivers exactly the difference, whatever was missed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await using kit = await ConsumerKit.start()
        const random = seededRandom(seed)
        const store = new MemoryStore()
        const repo = kit.account(`difference ${seed}`)
        kit.commit(repo, randomWrites(repo, random, 30))
        const { consumer, seen } = await kit.run({ store, limits: { partOpsMax: 7 } })
        await caughtUp(consumer, 1)
        const before = truthOf(repo)
        for (let i = 0; i < 4; i++) repo.apply(randomWrites(repo, random, 12))
        await caughtUp(consumer, kit.commit(repo, randomWrites(repo, random, 3)))
        await repaired(store, [repo.did])
        const after = truthOf(repo)
        assert.deepEqual(seen.records(repo.did), after)
        assert.deepEqual(seen.faults, [])
        // The model: what differs between two maps.
        const paths = new Set([...Object.keys(before), ...Object.keys(after)])
        const differing = [...paths].filter((path) => before[path] !== after[path])
        const told = seen.deliveries
          .filter((delivery) => delivery.kind === 'commit' && delivery.cause === 'repair')
          .flatMap((delivery) => (delivery.kind === 'commit' ? delivery.ops : []))
        assert.deepEqual(
          told.map(({ path, prev, cid }) => [path, prev, cid]),
          differing.toSorted().map((path) => [path, before[path] ?? null, after[path] ?? null]),
        )
      }),
      { numRuns: 15, endOnFailure: true },
    )
  })

  for (const [name, answer, code] of [
    ['down', '503', 'ServerError'],
    ['cut', 'cut', 'Truncated'],
    ['lying', 'flipped', 'Unverified'],
    ['no host at all', 'garbage', 'InvalidResponse'],
    ['without the repository', { error: 'RepoNotFound' }, 'RepoNotFound'],
  ] as const satisfies readonly (readonly [string, RepoAnswer, string])[]) {
    it(`waits for a host that is ${name}, while others and the cursor go on`, async () => {
      await using kit = await ConsumerKit.start()
      kit.repos.answers.set(kit.account('broken').did, answer)
      const broken = await brokenRepo(kit, { limits: { heldMs: 20 } })
      const { consumer, repo, seen, store } = broken
      kit.commit(repo, [create('d')])
      const other = kit.account('other')
      const seq = kit.commit(other, [create('a')])
      await caughtUp(consumer, seq)
      await failures(broken, code)
      assert.deepEqual(seen.records(other.did), truthOf(other))
      const before = Object.keys(seen.records(repo.did))
      assert.ok(before.length >= 2, 'what was told stands')
      kit.repos.answers.set(repo.did, 'serve')
      await repaired(store, [repo.did])
      assert.deepEqual(seen.records(repo.did), truthOf(repo))
      assert.deepEqual(seen.faults, [])
    })
  }

  it('of a deactivated account waits for its return', async () => {
    await using kit = await ConsumerKit.start()
    kit.repos.answers.set(kit.account('broken').did, { error: 'RepoDeactivated' })
    const { consumer, repo, seen, store } = await brokenRepo(kit)
    await caughtUp(consumer, kit.commit(repo, [create('d')]))
    // The event may come when the first try is over, and then brings another about.
    const row = await eventually(() => {
      const now = store.repo(repo.did)
      return now?.inactive === 'deactivated' && now.mark?.nextTryMs === null ? now : null
    }, 'noted, and not to be tried again')
    assert.equal(row.mark?.nextTryMs, null)
    const asked = askedOf(kit)
    kit.repos.answers.set(repo.did, 'serve')
    const time = new Date().toISOString()
    kit.stream.send('#account', { did: repo.did, time, active: true })
    await repaired(store, [repo.did])
    assert.equal(askedOf(kit), asked + 1)
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
  })

  it('from an older state of the host is refused', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('older')
    kit.commit(repo, [create('a')])
    const old = repo.exportCar()
    kit.commit(repo, [create('b')])
    const { consumer, seen } = await kit.run({ store })
    await caughtUp(consumer, 2)
    repo.apply([create('c')])
    kit.repos.answers.set(repo.did, { car: old })
    await caughtUp(consumer, kit.commit(repo, [create('d')]))
    await eventually(
      () => ((consumer.stats.repairs.failed['rev-stale'] ?? 0) > 0 ? true : null),
      'refused',
    )
    assert.deepEqual(Object.keys(seen.records(repo.did)), [
      'org.example.note/a',
      'org.example.note/b',
    ])
    kit.repos.answers.set(repo.did, 'serve')
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
  })

  it('from a host that stays older becomes rare, is told, and heals with the next event', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('restored')
    kit.commit(repo, [create('a')])
    const old = repo.exportCar()
    kit.commit(repo, [create('b')])
    const limits = { behindTriesMax: 3, repairPauseMsMax: 3_600_000, heldMs: 20 }
    const { consumer, seen, notices } = await kit.run({ store, limits })
    await caughtUp(consumer, 2)
    repo.apply([create('c')])
    kit.repos.answers.set(repo.did, { car: old })
    await caughtUp(consumer, kit.commit(repo, [create('d')]))
    const mark = await eventually(() => {
      const row = store.repo(repo.did)?.mark ?? null
      return row?.reason === 'host-behind' ? row : null
    }, 'told')
    assert.equal(mark.tries, 3)
    assert.ok(must(mark.nextTryMs, 'a try') > Date.now() + 3_000_000, 'it is tried rarely')
    const told = notices.flatMap((notice) => (notice.kind === 'repair-failed' ? [notice.code] : []))
    assert.deepEqual(told, ['rev-stale', 'rev-stale', 'host-behind'])
    const before = Object.keys(seen.records(repo.did))
    assert.deepEqual(before, ['org.example.note/a', 'org.example.note/b'], 'what was told stands')
    const asked = askedOf(kit)
    kit.repos.answers.set(repo.did, 'serve')
    const time = new Date().toISOString()
    await caughtUp(consumer, kit.stream.send('#identity', { did: repo.did, time }))
    await repaired(store, [repo.did])
    assert.ok(askedOf(kit) > asked, 'an #identity brings a try about')
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(seen.faults, [])
  })

  for (const type of ['#commit', '#sync'] as const) {
    it(`from a host that was restored is mended by its next ${type}`, async () => {
      await using kit = await ConsumerKit.start()
      const store = new MemoryStore()
      const repo = kit.account('continued')
      kit.commit(repo, [create('a')])
      const old = repo.exportCar()
      kit.commit(repo, [create('b')])
      const limits = { behindTriesMax: 1, repairPauseMsMax: 3_600_000, heldMs: 20 }
      const { consumer, seen } = await kit.run({ store, limits })
      await caughtUp(consumer, 2)
      repo.apply([create('c')])
      kit.repos.answers.set(repo.did, { car: old })
      await caughtUp(consumer, kit.commit(repo, [remove('b')]))
      await eventually(
        () => (store.repo(repo.did)?.mark?.reason === 'host-behind' ? true : null),
        'told',
      )
      kit.repos.answers.set(repo.did, 'serve')
      const body = repo.apply([create('d')])
      kit.stream.send(type, type === '#commit' ? body : repo.sync())
      await repaired(store, [repo.did])
      assert.deepEqual(seen.records(repo.did), truthOf(repo))
    })
  }

  it('is made good when events were let go that the host did not have yet', async () => {
    await using kit = await ConsumerKit.start()
    const answer = Promise.withResolvers<void>()
    const { consumer, repo, seen, store } = await brokenRepo(kit, {
      limits: { heldMs: 1 },
      // The first part of the repair is held up, so that events come meanwhile.
      handler: ({ kind, ...rest }) =>
        kind === 'commit' && 'cause' in rest && rest.cause === 'repair'
          ? answer.promise
          : undefined,
    })
    kit.commit(repo, [create('d')])
    const seq = kit.commit(repo, [create('e')])
    kit.repos.answers.set(repo.did, { car: repo.exportCar() })
    const last = kit.commit(repo, [create('f')])
    await caughtUp(consumer, last).catch(() => undefined)
    assert.ok(seq < last)
    answer.resolve()
    kit.repos.answers.set(repo.did, 'serve')
    await caughtUp(consumer, last)
    await eventually(
      () => (Object.keys(seen.records(repo.did)).length === 5 ? true : null),
      () => JSON.stringify(seen.records(repo.did)),
    )
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
  })

  it('follows a #sync that brings news, and none that brings nothing', async () => {
    await using kit = await ConsumerKit.start()
    const { consumer, repo, seen, store } = await brokenRepo(kit)
    await caughtUp(consumer, kit.stream.send('#sync', repo.sync()))
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(seen.kinds(), ['commit live', 'sync', 'commit repair', 'repo-complete'])
    await caughtUp(consumer, kit.stream.send('#sync', repo.sync()))
    assert.deepEqual(seen.kinds().slice(4), ['sync'])
    assert.deepEqual([kit.repos.updates.length, kit.repos.requests.length], [1, 0])
  })
})

describe('events that are not true', () => {
  it('are refused with a reason, and healed by the next true one', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('true')
    const other = kit.account('stranger')
    kit.commit(repo, [create('a')])
    const { consumer, seen, notices } = await kit.run({ store })
    await caughtUp(consumer, 1)
    // Signed by another's key.
    other.apply([create('w')])
    const forged = other.apply([create('x')])
    await caughtUp(consumer, kit.stream.send('#commit', { ...forged, repo: repo.did }))
    const body = repo.apply([create('b')])
    await caughtUp(consumer, kit.stream.send('#commit', { ...body, ops: [] }))
    assert.deepEqual(consumer.stats.refused, { 'commit-did-mismatch': 1, 'inversion-mismatch': 1 })
    assert.equal(notices.filter(({ kind }) => kind === 'refused').length, 2)
    assert.equal(seen.deliveries.length, 1)
    await caughtUp(consumer, kit.commit(repo, [create('c')]))
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
  })

  it('by a key that has changed are verified with the new one', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('rotated')
    kit.commit(repo, [create('a')])
    const { consumer, seen } = await kit.run()
    await caughtUp(consumer, 1)
    repo.rotateKey('another key')
    kit.identities.setKey(repo)
    await caughtUp(consumer, kit.commit(repo, [create('b')]))
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(kit.identities.refreshes, [repo.did])
    assert.equal(kit.repos.requests.length, 0)
  })

  it('come twice and are delivered once', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('twice')
    const body = repo.apply([create('a')])
    kit.stream.send('#commit', body)
    kit.stream.send('#commit', body)
    const { consumer, seen } = await kit.run()
    await caughtUp(consumer, 2)
    assert.equal(seen.deliveries.length, 1)
    assert.equal(consumer.stats.skipped.stale, 1)
  })
})

describe('an identity that nobody can look up', () => {
  it('holds up only its account, and then waits in the store', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const known = kit.account('known')
    const unknown = kit.account('unknown')
    kit.commit(known, [create('a')])
    const { consumer, seen } = await kit.run({ store, limits: { identityWaitMs: 50 } })
    await caughtUp(consumer, 1)
    kit.identities.mode = 'silent'
    kit.commit(unknown, [create('a')])
    const seq = kit.commit(known, [create('b')])
    await caughtUp(consumer, seq)
    assert.deepEqual(seen.records(known.did), truthOf(known))
    assert.equal(store.repo(unknown.did)?.mark?.reason, 'identity-unresolved')
    kit.identities.mode = 'answer'
    await repaired(store, [unknown.did])
    assert.deepEqual(seen.records(unknown.did), truthOf(unknown))
  })

  it('leaves nothing behind when it does not exist', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('nobody')
    kit.identities.remove(repo.did)
    kit.commit(repo, [create('a')])
    const { consumer, seen } = await kit.run({ store })
    await caughtUp(consumer, 1)
    assert.equal(seen.deliveries.length, 0)
    assert.equal(store.repo(repo.did), null)
    assert.deepEqual(consumer.stats.unverifiable, { 'identity-missing': 1 })
  })
})
