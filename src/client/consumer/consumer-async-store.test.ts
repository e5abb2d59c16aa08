/** Stores whose calls take their time: an application's own database, reached over a network. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { randomWrites } from '../../../test/support/signed-repo.ts'
import { turn } from '../../../test/support/waiting.ts'
import { must } from '../../lib/assert.ts'
import { seededRandom } from '../../lib/random.ts'
import type { ConsumerStore, StoreChanges, StoredCursor } from '../../store/consumer-state.ts'
import type { CursorStore } from './consumer-types.ts'
import { MemoryStore } from './memory-store.ts'
import { caughtUp, ConsumerKit, repaired, truthOf } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

/**
 * Answers after a few turns, and finds fault with a second call while one writes, and with a cursor
 * that is saved before the state that it relies on (I7).
 */
class SlowStore implements ConsumerStore, CursorStore {
  readonly inner: MemoryStore = new MemoryStore()
  readonly faults: string[] = []
  readonly #turns: () => number
  #isWriting = false
  loaded: StoredCursor | null = null
  fails = false

  constructor(howMany: () => number) {
    this.#turns = howMany
  }

  async #later<T>(value: () => T): Promise<T> {
    await turns(this.#turns())
    return value()
  }

  repo(did: string) {
    return this.#later(() => this.inner.repo(did))
  }

  due(nowMs: number, limit: number) {
    return this.#later(() => this.inner.due(nowMs, limit))
  }

  records(did: string, after: string, limit: number) {
    return this.#later(() => this.inner.records(did, after, limit))
  }

  quarantine(did: string | null, after: number, limit: number) {
    return this.#later(() => this.inner.quarantine(did, after, limit))
  }

  cursors() {
    return this.#later(() => this.inner.cursors())
  }

  async apply(changes: StoreChanges): Promise<void> {
    if (this.#isWriting) this.faults.push('two writes at once')
    this.#isWriting = true
    await turns(this.#turns())
    if (this.fails) throw new Error('the database is gone')
    this.inner.apply(changes)
    this.#isWriting = false
  }

  load() {
    return this.#later(() => this.loaded)
  }

  async save(cursor: StoredCursor): Promise<void> {
    const state = this.inner.cursors().find(({ service }) => service === cursor.service)
    if ((state?.seq ?? 0) < cursor.seq) this.faults.push('a cursor before its state')
    await turns(this.#turns())
    if (this.loaded !== null && cursor.seq < this.loaded.seq) this.faults.push('a cursor went back')
    this.loaded = cursor
  }
}

describe('I7: a store that takes its time', () => {
  it('keeps what a quick one keeps, through gaps, quarantine and a new start', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        await using kit = await ConsumerKit.start()
        const random = seededRandom(seed)
        const store = new SlowStore(() => Math.floor(random.next() * 4))
        const repos = Array.from({ length: 4 }, (_, i) => kit.account(`${seed} ${i}`))
        for (const repo of repos) kit.commit(repo, [create('first')])
        const poison = must(repos[0], 'repo')
        let isPoisoned = true
        const options = {
          store,
          cursorStore: store,
          limits: { handlerTriesMax: 2, saveEvents: 3, cachedReposMax: 2 },
          handler: (delivery: { kind: string; did?: string }) => {
            if (isPoisoned && delivery.kind === 'commit' && delivery.did === poison.did) {
              throw new Error('poison')
            }
          },
        }
        const run = await kit.run(options)
        let seq = 0
        const write = (count: number): void => {
          for (let i = 0; i < count; i++) {
            const repo = must(repos[Math.floor(random.next() * repos.length)], 'repo')
            // Now and then one that nobody is sent.
            if (random.next() < 0.1) repo.apply(randomWrites(repo, random, 4))
            seq = kit.commit(repo, randomWrites(repo, random, 4))
          }
        }
        write(30)
        // So that every account has an event that shows its gap.
        for (const repo of repos) seq = kit.commit(repo, [create('z')])
        await caughtUp(run.consumer, seq)
        isPoisoned = false
        await run.consumer.quarantine.replay(poison.did)
        await run.consumer.stop()
        assert.equal(store.loaded?.seq, seq)
        write(20)
        const again = await kit.run(options)
        const { seen } = again
        // What the first life was told.
        for (const delivery of run.seen.deliveries) seen.take(delivery)
        for (const repo of repos) seq = kit.commit(repo, [create('zz')])
        await caughtUp(again.consumer, seq)
        assert.equal(await again.consumer.quarantine.replay(poison.did), 0)
        await repaired(
          store,
          repos.map(({ did }) => did),
        )
        for (const repo of repos) assert.deepEqual(seen.records(repo.did), truthOf(repo))
        assert.deepEqual([...seen.faults, ...store.faults], [])
      }),
      { numRuns: 12, endOnFailure: true },
    )
  })

  it('that fails stops the consumer, and what it did not take comes again', async () => {
    await using kit = await ConsumerKit.start()
    const store = new SlowStore(() => 1)
    const repo = kit.account('failing')
    kit.commit(repo, [create('a')])
    const { consumer } = await kit.run({ store })
    await caughtUp(consumer, 1)
    store.fails = true
    kit.commit(repo, [create('b')])
    await assert.rejects(consumer.finished, /the database is gone/)
    const next = new SlowStore(() => 1)
    next.inner.apply({
      ...NOTHING,
      repos: [must(store.inner.repo(repo.did), 'row')],
      cursors: store.inner.cursors(),
    })
    const again = await kit.run({ store: next })
    await caughtUp(again.consumer, 2)
    assert.deepEqual(again.seen.revs(repo.did), [repo.head?.rev])
  })
})

const NOTHING: StoreChanges = {
  forgotten: [],
  records: [],
  repos: [],
  quarantined: [],
  released: [],
  forgottenCursors: [],
  cursors: [],
}
