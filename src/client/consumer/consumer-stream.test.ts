/** What a consumer makes of what its stream does: old cursors, and frames in large reads. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeHost, frameOf } from '../../../test/support/fake-host.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { systemClock } from '../../lib/clock.ts'
import { createTransport } from '../../stream/runtime-transport.ts'
import type { Transport } from '../../stream/transport.ts'
import type { CommitDelivery } from './consumer-types.ts'
import { MemoryStore } from './memory-store.ts'
import { caughtUp, ConsumerKit, repaired, truthOf } from '../testing/consumer-kit.ts'
import { create, remove } from '../testing/consumer-writes.ts'

const outdated = frameOf({ op: 1, t: '#info' }, { name: 'OutdatedCursor', message: 'too old' })

describe('a service that no longer holds what the cursor asks for', () => {
  for (const verify of ['full', 'none'] as const) {
    it(`is read on from what it holds, and the gap is told (verify ${verify})`, async () => {
      await using kit = await ConsumerKit.start()
      const store = new MemoryStore()
      const [changed, quiet] = [kit.account('changed'), kit.account('quiet')]
      kit.commit(changed, [create('a'), create('b')])
      kit.commit(quiet, [create('a')])
      const first = await kit.run({ store, verify })
      await caughtUp(first.consumer, 2)
      await first.consumer.stop()
      const rows = [changed, quiet].map(({ did }) => store.repo(did))

      // While nobody listens, events come and go out of the backlog.
      kit.commit(changed, [remove('b')])
      kit.commit(changed, [create('c')])
      kit.stream.resetSequence(9)
      kit.stream.sendRaw(outdated)
      const seq = kit.commit(changed, [create('d')])
      const { consumer, seen, notices } = await kit.run({ store, verify })
      // What was delivered before.
      for (const delivery of first.seen.deliveries) seen.take(delivery)
      await caughtUp(consumer, seq)
      const { endpoint: service } = kit.stream
      const gaps = notices.filter(({ kind }) => kind === 'outdated-cursor')
      assert.deepEqual(gaps, [{ kind: 'outdated-cursor', service, afterSeq: 2, firstSeq: seq }])
      assert.equal(seen.kinds().filter((kind) => kind === 'info').length, 1)
      if (verify === 'none') {
        // The gap of the account shows only to those who remember its revs: this is a new process.
        assert.equal(Object.keys(seen.records(changed.did)).length, 3)
        assert.deepEqual(rows, [null, null])
        return
      }
      await repaired(store, [changed.did])
      assert.deepEqual(seen.records(changed.did), truthOf(changed))
      assert.deepEqual(seen.faults, [])
      assert.deepEqual(store.repo(quiet.did), rows[1], 'it goes on from its head')
      assert.equal(consumer.stats.repairs.done, 1)
    })
  }

  it('ends the consumer where the policy says so', async () => {
    await using kit = await ConsumerKit.start()
    const repo = kit.account('failing')
    const store = new MemoryStore()
    kit.commit(repo, [create('a')])
    const first = await kit.run({ store })
    await caughtUp(first.consumer, 1)
    await first.consumer.stop()
    kit.stream.resetSequence(9)
    kit.stream.sendRaw(outdated)
    kit.commit(repo, [create('b')])
    const policies = { margin: 'passive', reconnectMaxMs: 50, outdatedCursor: 'fail' } as const
    const { consumer, seen } = await kit.run({ store, policies })
    await assert.rejects(consumer.finished, /outdated-cursor/)
    assert.equal(seen.deliveries.filter(({ kind }) => kind === 'commit').length, 0)
    assert.equal(store.cursors()[0]?.seq, 1)
  })
})

/** Bytes of the read that each message is a view of. */
const READ_BYTES = 64 * 1_024

/** Gives every message out as a view of a large read. */
function inLargeReads(transport: Transport): Transport {
  return {
    connect: (url, listener) =>
      transport.connect(url, {
        onOpen: () => listener.onOpen(),
        onText: () => listener.onText(),
        onPong: () => listener.onPong(),
        onTooLarge: () => listener.onTooLarge(),
        onClose: (close) => listener.onClose(close),
        onMessage: (bytes) => {
          const read = new Uint8Array(READ_BYTES)
          read.set(bytes, 100)
          listener.onMessage(read.subarray(100, 100 + bytes.length))
        },
      }),
  }
}

/** Memory that the record of a delivery keeps. */
function keptBy({ ops }: CommitDelivery): number {
  return ops[0]?.recordBytes?.buffer.byteLength ?? 0
}

describe('small frames of large reads', () => {
  it('are copied when they have to wait, and only then', async () => {
    await using kit = await ConsumerKit.start()
    await using stream = await FakeHost.start()
    const [busy, other] = [kit.account('busy'), kit.account('other')]
    const release = Promise.withResolvers<void>()
    const kept: number[] = []
    const { consumer, seen } = await kit.run({
      services: [stream.endpoint],
      transport: inLargeReads(createTransport(systemClock)),
      handler: (delivery) => {
        assert.ok(delivery.kind === 'commit')
        kept.push(keptBy(delivery))
        return release.promise
      },
    })
    let seq = 0
    for (let i = 0; i < 10; i++) seq = stream.send('#commit', busy.apply([create(`k${i}`)]))
    await eventually(() => (consumer.stats.waitingFrames === 10 ? true : null), 'they wait')
    // What is handed over at once is not copied.
    seq = stream.send('#commit', other.apply([create('a')]))
    await eventually(() => (kept.length === 2 ? true : null), 'the other account')
    assert.deepEqual(kept, [READ_BYTES, READ_BYTES])
    release.resolve()
    await caughtUp(consumer, seq)
    for (const bytes of kept.slice(2)) assert.ok(bytes < 4_096, `${bytes} bytes are kept`)
    assert.equal(kept.length, 11)
    assert.deepEqual(seen.records(busy.did), truthOf(busy))
  })

  it('are copied when every handler is at work', async () => {
    await using kit = await ConsumerKit.start()
    await using stream = await FakeHost.start()
    const repos = Array.from({ length: 6 }, (_, i) => kit.account(`waiting ${i}`))
    const release = Promise.withResolvers<void>()
    const kept: number[] = []
    const { consumer } = await kit.run({
      services: [stream.endpoint],
      transport: inLargeReads(createTransport(systemClock)),
      concurrency: 1,
      handler: (delivery) => {
        assert.ok(delivery.kind === 'commit')
        kept.push(keptBy(delivery))
        return release.promise
      },
    })
    const [first, ...others] = repos
    stream.send('#commit', first?.apply([create('a')]) ?? {})
    await eventually(() => (kept.length === 1 ? true : null), 'it is at work')
    let seq = 0
    for (const repo of others) seq = stream.send('#commit', repo.apply([create('a')]))
    await eventually(() => (consumer.stats.waitingFrames === 6 ? true : null), 'they wait')
    release.resolve()
    await caughtUp(consumer, seq)
    assert.equal(kept[0], READ_BYTES)
    for (const bytes of kept.slice(1)) assert.ok(bytes < 4_096, `${bytes} bytes are kept`)
    assert.equal(kept.length, 6)
  })
})
