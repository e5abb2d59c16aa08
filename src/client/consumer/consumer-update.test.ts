/** Repairs by what is new alone, and everything that makes them fetch the whole repository. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { randomWrites, type SignedRepo } from '../../../test/support/signed-repo.ts'
import { encodeCar } from '../../data/car-stream.ts'
import { CODEC_DAG_CBOR, cidOf } from '../../data/cid.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { sha256 } from '../../crypto/sha256.ts'
import { must } from '../../lib/assert.ts'
import { utf8 } from '../../lib/bytes.ts'
import { seededRandom } from '../../lib/random.ts'
import type { StoreChanges } from '../../store/consumer-state.ts'
import type { Delivery } from './consumer-types.ts'
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

const KEYS = Array.from({ length: 40 }, (_, i) => `k${i}`)

/** A consumer that has a whole repository, of which it was then not sent a commit. */
async function behind(kit: ConsumerKit, options: KitOptions = {}) {
  const store = new MemoryStore()
  const repo = kit.account('behind')
  kit.commit(
    repo,
    KEYS.map((key) => create(key)),
  )
  const run = await kit.run({ store, ...options })
  await caughtUp(run.consumer, 1)
  const rev = must(repo.head, 'head').rev
  repo.apply([update('k3', 'new'), remove('k5'), create('more')])
  return { ...run, store, repo, rev }
}

/** The next commit shows the gap. */
async function mend(
  kit: ConsumerKit,
  { consumer, repo, store }: Awaited<ReturnType<typeof behind>>,
) {
  await caughtUp(consumer, kit.commit(repo, [create('last')]))
  await repaired(store, [repo.did])
}

function operations(deliveries: readonly Delivery[]) {
  return deliveries.flatMap((delivery) =>
    delivery.kind === 'commit' && delivery.cause === 'repair'
      ? delivery.ops.map(({ action, path, prev, cid, record }) => [action, path, prev, cid, record])
      : [],
  )
}

/** What hosts send for a repair. */
async function bytesOf(updateRecordsMax: number): Promise<number> {
  await using kit = await ConsumerKit.start()
  const run = await behind(kit, { limits: { updateRecordsMax } })
  await mend(kit, run)
  assert.deepEqual(run.seen.records(run.repo.did), truthOf(run.repo))
  return kit.repos.bytesSent
}

describe('a repair by what is new', () => {
  it('delivers what the whole repository would have, and is far smaller', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await using kit = await ConsumerKit.start()
        const random = seededRandom(seed)
        const [store, wholeStore] = [new MemoryStore(), new MemoryStore()]
        const repo = kit.account(`history ${seed}`)
        kit.commit(repo, randomWrites(repo, random, 120))
        for (let i = 0; i < 3; i++) kit.commit(repo, randomWrites(repo, random, 40))
        const limits = { partOpsMax: 7 }
        const quick = await kit.run({ store, limits })
        const whole = await kit.run({
          store: wholeStore,
          limits: { ...limits, updateRecordsMax: 0 },
        })
        for (let round = 0; round < 3; round++) {
          for (let i = 0; i < 2; i++) repo.apply(randomWrites(repo, random, 8))
          const seq = kit.commit(repo, randomWrites(repo, random, 3))
          for (const { consumer } of [quick, whole]) await caughtUp(consumer, seq)
          await repaired(store, [repo.did])
          await repaired(wholeStore, [repo.did])
        }
        assert.deepEqual(quick.seen.records(repo.did), truthOf(repo))
        assert.deepEqual([...quick.seen.faults, ...whole.seen.faults], [])
        assert.deepEqual(operations(quick.seen.deliveries), operations(whole.seen.deliveries))
        assert.deepEqual(store.repo(repo.did), wholeStore.repo(repo.did))
        const { repairs } = quick.consumer.stats
        assert.deepEqual([repairs.update, repairs.whole, repairs.fellBack], [3, 0, {}])
        assert.equal(whole.consumer.stats.repairs.whole, 3)
        assert.deepEqual([kit.repos.updates.length, kit.repos.requests.length], [3, 3])
      }),
      { numRuns: 12, endOnFailure: true },
    )
  })

  it('asks for less', async () => {
    const [part, whole] = [await bytesOf(1_000), await bytesOf(0)]
    assert.ok(part * 2 < whole, `${part} of ${whole} bytes`)
  })

  it('is not tried where the index cannot be whole', async () => {
    for (const [name, options] of [
      ['filtered', { filter: { collections: ['org.example.note'] } }],
      ['too large', { limits: { updateRecordsMax: KEYS.length - 1 } }],
    ] as const satisfies readonly (readonly [string, KitOptions])[]) {
      await using kit = await ConsumerKit.start()
      const run = await behind(kit, options)
      await mend(kit, run)
      assert.deepEqual(run.seen.records(run.repo.did), truthOf(run.repo), name)
      assert.equal(kit.repos.updates.length, 0, name)
    }
  })

  it('is not tried where only a part was delivered', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('part')
    kit.commit(repo, [create('a')])
    const seq = kit.commit(repo, [create('b')])
    const store = new MemoryStore()
    const { consumer, seen } = await kit.run({ store, cursor: 1 })
    await caughtUp(consumer, seq)
    repo.apply([create('c')])
    await caughtUp(consumer, kit.commit(repo, [create('d')]))
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual([kit.repos.updates.length, kit.repos.requests.length], [0, 1])
  })
})

/** What is wrong with the answer to `since`, made when the repository is as it will be then. */
type Lie = (repo: SignedRepo, rev: string, kit: ConsumerKit) => RepoAnswer

function without(pick: (number: number, count: number) => boolean): Lie {
  return (repo, rev) => {
    const blocks = [...repo.exportBlocks(rev)]
    const kept = blocks.filter((_, i) => !pick(i, blocks.length))
    return { car: encodeCar([must(repo.head, 'head').commit], kept) }
  }
}

/** Each answer leads to the whole repository, for this reason. */
const LIES: Readonly<Record<string, readonly [Lie, string]>> = {
  'that lacks the commit': [without((i) => i === 0), 'car-root-missing'],
  'that lacks the root of the tree': [without((i) => i === 1), 'mst-block-missing'],
  'that lacks the last record': [without((i, count) => i === count - 1), 'op-record-missing'],
  'without any block': [without(() => true), 'car-root-missing'],
  'that is cut': [() => 'cut', 'car-malformed'],
  'with a flipped bit': [() => 'flipped', 'car-hash-mismatch'],
  'that is no CAR': [() => 'garbage', 'InvalidResponse'],
  'that fails': [() => '503', 'ServerError'],
  'that does not know the rev': [() => ({ error: 'InvalidRequest' }), 'InvalidRequest'],
  'of another account': [
    (_, __, kit) => {
      const other = kit.account('another')
      other.apply([create('a')])
      return { car: other.exportCar() }
    },
    'commit-did-mismatch',
  ],
  'signed by another key': [
    (repo) => {
      const stranger = new (repo.constructor as typeof SignedRepo)({ seed: 'x', did: repo.did })
      stranger.apply([create('forged')])
      return { car: stranger.exportCar() }
    },
    'signature-invalid',
  ],
}

describe('the whole repository is fetched after an answer', () => {
  for (const [name, [lie, reason]] of Object.entries(LIES)) {
    it(name, async () => {
      await using kit = await ConsumerKit.start()
      const run = await behind(kit)
      const { repo, rev, consumer, seen } = run
      const seqBody = repo.apply([create('last')])
      kit.repos.updateAnswers.set(repo.did, lie(repo, rev, kit))
      await caughtUp(consumer, kit.stream.send('#commit', seqBody))
      await repaired(run.store, [repo.did])
      assert.deepEqual(seen.records(repo.did), truthOf(repo))
      assert.deepEqual(seen.faults, [])
      const { update: updates, whole, fellBack } = consumer.stats.repairs
      assert.deepEqual([updates, whole, fellBack], [0, 1, { [reason]: 1 }])
      assert.equal(kit.repos.requests.length, 1)
    })
  }

  it('that is older than what was delivered', async () => {
    await using kit = await ConsumerKit.start()
    const store = new MemoryStore()
    const repo = kit.account('older')
    kit.commit(repo, [create('a')])
    const old = repo.exportCar()
    kit.commit(repo, [create('b')])
    const { consumer, seen } = await kit.run({ store })
    await caughtUp(consumer, 2)
    repo.apply([create('c')])
    kit.repos.updateAnswers.set(repo.did, { car: old })
    await caughtUp(consumer, kit.commit(repo, [create('d')]))
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(consumer.stats.repairs.fellBack, { 'rev-stale': 1 })
  })

  it('that is larger than is held', async () => {
    await using kit = await ConsumerKit.start()
    const run = await behind(kit, { limits: { updateBytesMax: 300 } })
    await mend(kit, run)
    assert.deepEqual(run.seen.records(run.repo.did), truthOf(run.repo))
    assert.deepEqual(run.consumer.stats.repairs.fellBack, { TooLarge: 1 })
  })

  it('that never comes, or never ends', async () => {
    await using kit = await ConsumerKit.start()
    const run = await behind(kit, { limits: { repairMs: 300 } })
    kit.repos.updateAnswers.set(run.repo.did, 'hang')
    await mend(kit, run)
    assert.deepEqual(run.seen.records(run.repo.did), truthOf(run.repo))
    const { update: updates, whole, failed } = run.consumer.stats.repairs
    assert.deepEqual([updates, whole, Object.keys(failed)], [0, 1, ['Timeout']])
    assert.equal(kit.repos.updates.length, 2, 'then the whole repository')
  })

  it('of a host that was down for long, it is not', async () => {
    await using kit = await ConsumerKit.start()
    const run = await behind(kit, { limits: { heldMs: 10 } })
    const { repo, consumer, store, seen } = run
    kit.repos.answers.set(repo.did, '503')
    await caughtUp(consumer, kit.commit(repo, [create('last')]))
    await eventually(
      () => ((consumer.stats.repairs.failed['ServerError'] ?? 0) >= 4 ? true : null),
      () => JSON.stringify(consumer.stats.repairs),
    )
    kit.repos.answers.set(repo.did, 'serve')
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual([consumer.stats.repairs.update, consumer.stats.repairs.whole], [1, 0])
  })

  it('of a host that sends everything all the same, it is not', async () => {
    await using kit = await ConsumerKit.start()
    const run = await behind(kit)
    const body = run.repo.apply([create('last')])
    kit.repos.updateAnswers.set(run.repo.did, { car: run.repo.exportCar() })
    await caughtUp(run.consumer, kit.stream.send('#commit', body))
    await repaired(run.store, [run.repo.did])
    assert.deepEqual(run.seen.records(run.repo.did), truthOf(run.repo))
    assert.equal(run.consumer.stats.repairs.update, 1)
  })

  it('when the index is not what was committed', async () => {
    await using kit = await ConsumerKit.start()
    const run = await behind(kit)
    const { repo, store, consumer, seen } = run
    const wrong = cidOf(CODEC_DAG_CBOR, sha256(utf8('another')))
    store.apply(onlyRecord(repo.did, 'org.example.note/k7', wrong))
    await mend(kit, run)
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(consumer.stats.repairs.fellBack, { 'index-differs': 1 })
    assert.equal(kit.repos.updates.length, 0, 'it was not asked for')
  })

  it('that the account is not active, it is not', async () => {
    await using kit = await ConsumerKit.start()
    const run = await behind(kit)
    kit.repos.answers.set(run.repo.did, { error: 'RepoDeactivated' })
    await caughtUp(run.consumer, kit.commit(run.repo, [create('last')]))
    assert.ok(kit.repos.updates.length > 0)
    assert.equal(kit.repos.requests.length, 0)
    assert.deepEqual(Object.keys(run.consumer.stats.repairs.failed), ['RepoDeactivated'])
    assert.deepEqual(run.consumer.stats.repairs.fellBack, {})
  })
})

function onlyRecord(did: string, path: string, cid: Uint8Array): StoreChanges {
  return {
    forgotten: [],
    records: [[did, new Map([[path, cid]])]],
    repos: [],
    quarantined: [],
    released: [],
    forgottenCursors: [],
    cursors: [],
  }
}

describe('a repair that breaks half-way', () => {
  it('at any block goes on from there: nothing twice, nothing left out', async () => {
    const writes = [create('k1x'), remove('k2'), update('k3', 'a'), create('k4x'), remove('k6')]
    const count = await blocksOf(writes)
    assert.ok(count > KEYS.length)
    const delivered = new Set<number>()
    for (let at = 0; at < count; at++) {
      await using kit = await ConsumerKit.start()
      const run = await behind(kit, { limits: { updateRecordsMax: 0, partOpsMax: 1 } })
      const { repo, seen, consumer, store } = run
      const body = repo.apply(writes)
      kit.repos.answers.set(repo.did, { car: cutAfter(repo, at) })
      await caughtUp(consumer, kit.stream.send('#commit', body))
      const tried = () => (consumer.stats.repairs.failed['Truncated'] ?? 0) > 0
      assert.ok(tried() || at === count, `cut after ${at} blocks`)
      delivered.add(operations(seen.deliveries).length)
      kit.repos.answers.set(repo.did, 'serve')
      await repaired(store, [repo.did])
      assert.deepEqual(seen.records(repo.did), truthOf(repo))
      assert.deepEqual(seen.faults, [])
      // Each change once, over all tries.
      assert.equal(operations(seen.deliveries).length, 3 + writes.length - 1)
    }
    assert.ok(delivered.size > 4, `parts came before the break: ${[...delivered].join()}`)
  })
})

async function blocksOf(writes: Parameters<SignedRepo['apply']>[0]): Promise<number> {
  await using kit = await ConsumerKit.start()
  const { repo } = await behind(kit)
  repo.apply(writes)
  return [...repo.exportBlocks()].length
}

function cutAfter(repo: SignedRepo, count: number): Uint8Array {
  return encodeCar([must(repo.head, 'head').commit], [...repo.exportBlocks()].slice(0, count))
}
