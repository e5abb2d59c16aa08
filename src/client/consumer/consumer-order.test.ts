/** Order within an account, the cursor's promise, back-pressure: whatever handlers do. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { eventually, turn } from '../../../test/support/waiting.ts'
import { seededRandom } from '../../lib/random.ts'
import type { StoredCursor } from '../../store/consumer-state.ts'
import type { CursorStore } from './consumer-types.ts'
import { MemoryStore } from './memory-store.ts'
import { caughtUp, Collected, ConsumerKit, truthOf } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

/** A few turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

describe('order', () => {
  it('is kept within each account while many are at work, at any delays', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 20 }), async (seed, concurrency) => {
        await using kit = await ConsumerKit.start()
        const random = seededRandom(seed)
        const repos = Array.from({ length: 12 }, (_, i) => kit.account(`order ${i}`))
        const sent = new Map<string, string[]>()
        for (let i = 0; i < 80; i++) {
          const repo = repos[Math.floor(random.next() ** 2 * repos.length)] as (typeof repos)[0]
          const body = repo.apply([create(`k${i}`)])
          kit.stream.send('#commit', body)
          sent.set(repo.did, [...(sent.get(repo.did) ?? []), body.rev])
        }
        const open = new Map<string, number>()
        let most = 0
        const { consumer, seen } = await kit.run({
          concurrency,
          handler: async (delivery) => {
            assert.ok(delivery.kind === 'commit')
            open.set(delivery.did, (open.get(delivery.did) ?? 0) + 1)
            assert.equal(open.get(delivery.did), 1, 'one at a time')
            most = Math.max(most, [...open.values()].filter((n) => n > 0).length)
            await turns(Math.floor(random.next() * 6))
            open.set(delivery.did, 0)
          },
        })
        await caughtUp(consumer, 80)
        assert.deepEqual(seen.faults, [])
        assert.equal(consumer.stats.handlerFailures, 0)
        assert.ok(most <= concurrency, `${most} at once`)
        for (const [did, revs] of sent) assert.deepEqual(seen.revs(did), revs)
      }),
      { numRuns: 12, endOnFailure: true },
    )
  })

  it('lets many accounts be at work at once', async () => {
    await using kit = await ConsumerKit.start()
    for (let i = 0; i < 8; i++) kit.commit(kit.account(`many ${i}`), [create('a')])
    let open = 0
    const all = Promise.withResolvers<void>()
    const { consumer } = await kit.run({
      concurrency: 8,
      handler: () => {
        if (++open === 8) all.resolve()
        return all.promise
      },
    })
    await caughtUp(consumer, 8)
    assert.equal(open, 8)
  })
})

/** What survives a crash: what was in the store and the saved cursor at that moment. */
class Durable implements CursorStore {
  cursor: StoredCursor | null = null
  readonly store: MemoryStore = new MemoryStore()
  isDead = false

  load(): StoredCursor | null {
    return this.cursor
  }

  save(cursor: StoredCursor): void {
    if (this.isDead) throw new Error('dead')
    assert.ok(cursor.seq >= (this.cursor?.seq ?? 0), 'a cursor never goes back')
    this.cursor = cursor
  }
}

describe('the cursor', () => {
  it('never passes what is not finished: nothing is lost, whenever the process dies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await using kit = await ConsumerKit.start()
        const random = seededRandom(seed)
        const repos = Array.from({ length: 5 }, (_, i) => kit.account(`crash ${i}`))
        const EVENTS = 60
        for (let i = 0; i < EVENTS; i++) {
          const repo = repos[Math.floor(random.next() * repos.length)] as (typeof repos)[0]
          kit.commit(repo, [create(`k${i}`)])
        }
        const durable = new Durable()
        // What the handler has made durable by itself; the model knows nothing else.
        const finished = new Set<string>()
        const records = new Collected()
        for (let life = 0; life < 5; life++) {
          const isLast = life === 4
          const dieAfter = isLast ? Infinity : Math.floor(random.next() * 30)
          let handled = 0
          const died = Promise.withResolvers<void>()
          const { consumer } = await kit.run({
            cursorStore: durable,
            store: lifeOf(durable.store, () => handled > dieAfter),
            concurrency: 4,
            limits: {
              stopMs: 5,
              handlerTriesMax: 1_000,
              saveEvents: 1 + Math.floor(random.next() * 8),
            },
            handler: async (delivery) => {
              await turns(Math.floor(random.next() * 4))
              if (!isLast && handled > dieAfter) {
                died.resolve()
                return new Promise<never>(() => undefined)
              }
              if (random.next() < 0.1) throw new Error('at times')
              assert.ok(delivery.kind === 'commit')
              handled++
              const id = `${delivery.did} ${delivery.rev}`
              if (!finished.has(id)) records.take(delivery)
              finished.add(id)
              return undefined
            },
          })
          if (isLast) {
            await caughtUp(consumer, EVENTS)
            break
          }
          await Promise.race([died.promise, caughtUp(consumer, EVENTS).catch(() => undefined)])
          durable.isDead = handled > dieAfter
          await consumer.stop()
          durable.isDead = false
        }
        assert.deepEqual(records.faults, [])
        for (const repo of repos) assert.deepEqual(records.records(repo.did), truthOf(repo))
      }),
      { numRuns: 15, endOnFailure: true },
    )
  })

  it('is given to handlers as a checkpoint that covers only what is finished', async () => {
    await using kit = await ConsumerKit.start()
    const [slow, quick] = [kit.account('slow'), kit.account('quick')]
    kit.commit(quick, [create('a')])
    kit.commit(slow, [create('a')])
    kit.commit(quick, [create('b')])
    kit.commit(quick, [create('c')])
    const release = Promise.withResolvers<void>()
    const checkpoints: string[] = []
    const { consumer } = await kit.run({
      handler: (delivery) => {
        assert.ok(delivery.kind === 'commit')
        const note = (): void => {
          checkpoints.push(`${delivery.place?.seq} ${delivery.checkpoint?.seq}`)
        }
        if (delivery.did !== slow.did) return note()
        return release.promise.then(note)
      },
    })
    await eventually(() => (checkpoints.length === 3 ? true : null), 'three handled')
    release.resolve()
    await caughtUp(consumer, 4)
    assert.deepEqual(checkpoints, ['1 1', '3 1', '4 1', '2 4'])
  })
})

/** The store of one life: it takes nothing in once the process is dead. */
function lifeOf(store: MemoryStore, isDead: () => boolean): MemoryStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'apply' && isDead()) {
        return () => {
          throw new Error('dead')
        }
      }
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

describe('back-pressure', () => {
  it('holds the source back when a handler never finishes, within the named limits', async () => {
    await using kit = await ConsumerKit.start()
    const repos = Array.from({ length: 4 }, (_, i) => kit.account(`stuck ${i}`))
    const limits = { waitingFramesMax: 20, aheadMax: 1_000, stopMs: 1 }
    const { consumer } = await kit.run({
      limits,
      concurrency: 2,
      handler: () => new Promise<never>(() => undefined),
    })
    for (let i = 0; i < 200; i++) {
      kit.commit(repos[i % 4] as (typeof repos)[0], [create(`k${i}`)])
      if (i % 10 === 0) await turn()
    }
    await eventually(() => (consumer.state.isHeld ? true : null), 'held')
    await turns(50)
    assert.ok(consumer.stats.received <= 22, `${consumer.stats.received} received`)
    assert.ok(consumer.stats.waitingFrames <= 22)
    assert.equal(consumer.stats.saved?.seq ?? 0, 0)
  })

  it('counts what is finished beyond one that is not', async () => {
    await using kit = await ConsumerKit.start()
    const [stuck, other] = [kit.account('stuck'), kit.account('other')]
    kit.commit(stuck, [create('a')])
    for (let i = 0; i < 100; i++) kit.commit(other, [create(`k${i}`)])
    const release = Promise.withResolvers<void>()
    const { consumer, seen } = await kit.run({
      limits: { aheadMax: 30 },
      handler: ({ kind, ...delivery }) =>
        kind === 'commit' && 'did' in delivery && delivery.did === stuck.did
          ? release.promise
          : undefined,
    })
    await eventually(() => (consumer.state.isHeld ? true : null), 'held')
    assert.ok(seen.deliveries.length <= 32)
    release.resolve()
    await caughtUp(consumer, 101)
    assert.equal(consumer.state.isHeld, false)
    assert.deepEqual(seen.records(other.did), truthOf(other))
  })
})
