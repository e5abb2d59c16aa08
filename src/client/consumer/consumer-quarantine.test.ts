/** Messages that the handler cannot take. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Delivery } from './consumer-types.ts'
import { MemoryStore } from './memory-store.ts'
import { runConsumer } from './run-consumer.ts'
import { caughtUp, ConsumerKit, repaired, truthOf } from '../testing/consumer-kit.ts'
import { create } from '../testing/consumer-writes.ts'

/** Fails on commits with a record of this key, while it is told to. */
class Poison {
  isOn = true
  tries = 0
  readonly handler = (delivery: Delivery): void => {
    if (delivery.kind !== 'commit') return
    if (!this.isOn || delivery.ops.every(({ rkey }) => rkey !== 'poison')) return
    this.tries++
    throw new Error('cannot take it')
  }
}

async function poisoned(kit: ConsumerKit, limits: Record<string, number> = {}) {
  const poison = new Poison()
  const store = new MemoryStore()
  const repo = kit.account('poisoned')
  kit.commit(repo, [create('a')])
  kit.commit(repo, [create('poison')])
  kit.commit(repo, [create('b')])
  const other = kit.account('other')
  const seq = kit.commit(other, [create('a')])
  const { handler } = poison
  const run = await kit.run({ store, handler, limits: { handlerTriesMax: 3, ...limits } })
  await caughtUp(run.consumer, seq)
  return { ...run, poison, store, repo, other }
}

describe('quarantine', () => {
  it('takes in what fails and what follows of its account, and others go on', async () => {
    await using kit = await ConsumerKit.start()
    const { consumer, seen, poison, repo, other, notices } = await poisoned(kit)
    assert.equal(poison.tries, 3)
    assert.deepEqual(Object.keys(seen.records(repo.did)), ['org.example.note/a'])
    assert.deepEqual(seen.records(other.did), truthOf(other))
    const messages = await consumer.quarantine.list()
    assert.deepEqual(
      messages.map(({ did, error, tries, place, verdict }) => [
        did === repo.did,
        error,
        tries,
        place?.seq,
        verdict,
      ]),
      [
        [true, 'cannot take it', 3, 2, 'verified'],
        [true, null, 0, 3, 'verified'],
      ],
    )
    assert.equal(notices.filter(({ kind }) => kind === 'quarantined').length, 1)
    assert.equal(consumer.stats.quarantined, 2)
  })

  it('is replayed in order, and the account goes on', async () => {
    await using kit = await ConsumerKit.start()
    const { consumer, seen, poison, repo } = await poisoned(kit)
    assert.equal(await consumer.quarantine.replay(repo.did), 2, 'it still fails')
    poison.isOn = false
    assert.equal(await consumer.quarantine.replay(repo.did), 0)
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(await consumer.quarantine.list(), [])
    await caughtUp(consumer, kit.commit(repo, [create('c')]))
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(seen.faults, [])
    const mine = seen.deliveries.filter((d) => d.kind === 'commit' && d.did === repo.did)
    assert.deepEqual(
      mine.map((d) => (d.kind === 'commit' ? d.cause : '')),
      ['live', 'replay', 'replay', 'live'],
    )
    assert.equal(kit.repos.requests.length, 0, 'nothing had to be fetched')
  })

  it('outlives the process with its account', async () => {
    await using kit = await ConsumerKit.start()
    const { consumer, poison, repo, store } = await poisoned(kit)
    await consumer.stop()
    poison.isOn = false
    const again = await kit.run({ store })
    await caughtUp(again.consumer, kit.commit(repo, [create('c')]))
    assert.equal(again.seen.deliveries.length, 0)
    assert.equal((await again.consumer.quarantine.list({ did: repo.did })).length, 3)
    assert.equal(await again.consumer.quarantine.replay(repo.did), 0)
    assert.deepEqual(Object.keys(again.seen.records(repo.did)), [
      'org.example.note/b',
      'org.example.note/c',
      'org.example.note/poison',
    ])
  })

  it('is discarded, and the account goes on without', async () => {
    await using kit = await ConsumerKit.start()
    const { consumer, seen, repo } = await poisoned(kit)
    assert.equal(await consumer.quarantine.discard(repo.did), 2)
    await caughtUp(consumer, kit.commit(repo, [create('c')]))
    assert.deepEqual(Object.keys(seen.records(repo.did)), [
      'org.example.note/a',
      'org.example.note/c',
    ])
    assert.equal(consumer.stats.quarantined, 0)
  })

  it('keeps so many messages of an account and no more: the rest is repaired', async () => {
    await using kit = await ConsumerKit.start()
    const { consumer, seen, poison, repo, store } = await poisoned(kit, { quarantineMax: 4 })
    let seq = 0
    for (let i = 0; i < 10; i++) seq = kit.commit(repo, [create(`k${i}`)])
    await caughtUp(consumer, seq)
    assert.equal((await consumer.quarantine.list()).length, 4)
    assert.equal(store.repo(repo.did)?.mark?.reason, 'quarantine-overflow')
    poison.isOn = false
    assert.equal(await consumer.quarantine.replay(repo.did), 0)
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
    assert.deepEqual(seen.faults, [])
  })

  it('takes in a repair that the handler would not have', async () => {
    await using kit = await ConsumerKit.start()
    const poison = new Poison()
    const store = new MemoryStore()
    const repo = kit.account('repair')
    kit.commit(repo, [create('a')])
    const { handler } = poison
    const { consumer, seen } = await kit.run({ store, handler, limits: { handlerTriesMax: 2 } })
    await caughtUp(consumer, 1)
    repo.apply([create('poison')])
    await caughtUp(consumer, kit.commit(repo, [create('b')]))
    const [message] = await consumer.quarantine.list()
    assert.equal(message?.frame, null)
    assert.equal(store.repo(repo.did)?.mark?.reason, 'handler-failed')
    poison.isOn = false
    assert.equal(await consumer.quarantine.replay(repo.did), 0)
    await repaired(store, [repo.did])
    assert.deepEqual(seen.records(repo.did), truthOf(repo))
  })
})

describe('a handler that never returns', () => {
  it('is tried again, then its message waits in quarantine, and others go on', async () => {
    await using kit = await ConsumerKit.start()
    const [stuck, other] = [kit.account('stuck'), kit.account('other')]
    kit.commit(stuck, [create('poison')])
    kit.commit(stuck, [create('b')])
    const seq = kit.commit(other, [create('a')])
    const late: (() => void)[] = []
    const signals: AbortSignal[] = []
    const handled: string[] = []
    await using consumer = runConsumer({
      ...(await kit.options()),
      limits: { handlerTriesMax: 2, handlerPauseMs: 1, saveMs: 5, stopMs: 100 },
      handlerTimeoutMs: 30,
      handler(delivery, { signal }) {
        assert.ok(delivery.kind === 'commit')
        if (delivery.ops[0]?.rkey !== 'poison' || delivery.cause === 'replay') {
          handled.push(`${delivery.did} ${delivery.ops[0]?.rkey}`)
          return undefined
        }
        signals.push(signal)
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        late.push(late.length === 0 ? resolve : () => reject(new Error('too late')))
        return promise
      },
    })
    await caughtUp(consumer, seq)
    assert.deepEqual(handled, [`${other.did} a`])
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    )
    const messages = await consumer.quarantine.list()
    assert.deepEqual(
      messages.map(({ error, tries }) => [error, tries]),
      [
        ['the handler took over 30 ms', 2],
        [null, 0],
      ],
    )
    // What it says now is of no account, whether it is good or bad.
    for (const finish of late) finish()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal((await consumer.quarantine.list()).length, 2)
    assert.equal(consumer.stats.handlerFailures, 2)
    assert.equal(await consumer.quarantine.replay(stuck.did), 0)
    assert.deepEqual(handled.slice(1), [`${stuck.did} poison`, `${stuck.did} b`])
    assert.equal(consumer.state.failure, null)
  })

  it('is not hurried by a stop: its signal aborts, and its event comes again', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('stopped')
    kit.commit(repo, [create('a')])
    const store = new MemoryStore()
    const begun = Promise.withResolvers<AbortSignal>()
    const options = { ...(await kit.options()), store }
    const consumer = runConsumer({
      ...options,
      limits: { stopMs: 20 },
      handlerTimeoutMs: 60_000,
      handler: (_, { signal }) => {
        begun.resolve(signal)
        return new Promise<never>(() => undefined)
      },
    })
    const signal = await begun.promise
    await consumer.stop()
    assert.equal(signal.aborted, true)
    assert.equal(consumer.stats.handlerFailures, 0)
    const again = await kit.run({ store })
    await caughtUp(again.consumer, 1)
    assert.equal(again.seen.deliveries.length, 1)
  })

  it('needs a time that is one', async () => {
    await using kit = await ConsumerKit.start()
    const options = await kit.options()
    for (const handlerTimeoutMs of [0, -1, Number.NaN]) {
      assert.throws(() => runConsumer({ ...options, handlerTimeoutMs, handler: () => undefined }), {
        code: 'OPTION_INVALID',
      })
    }
  })
})
