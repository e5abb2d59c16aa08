import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { HostQueues } from './host-queues.ts'
import type { VerifyJob } from './frame-verifier.ts'

interface TestJob extends VerifyJob {
  readonly number: number
}

function job(number: number, hostId: number, length: number): TestJob {
  const frame = { bytes: new Uint8Array(length) }
  return { number, hostId, frame } as unknown as TestJob
}

test('a host that floods does not keep others waiting', () => {
  const queues = new HostQueues<TestJob>()
  for (let i = 0; i < 1_000; i++) queues.push(job(i, 1, 5_000))
  queues.push(job(1_000, 2, 5_000))
  queues.push(job(1_001, 3, 5_000))
  const batch = queues.take({ eventsMax: 64, bytesMax: 512 * 1024 })
  const others = batch.filter(({ hostId }) => hostId !== 1)
  assert.equal(others.length, 2, 'the others are in the first batch')
  assert.ok(batch.length <= 64)
})

test('nothing is lost or repeated, each host keeps its order, and bounds hold', () => {
  const events = fc.array(
    fc.record({
      hostId: fc.integer({ min: 1, max: 5 }),
      length: fc.integer({ min: 1, max: 90_000 }),
    }),
    { maxLength: 200 },
  )
  const bounds = fc.record({
    eventsMax: fc.integer({ min: 1, max: 20 }),
    bytesMax: fc.integer({ min: 1, max: 200_000 }),
  })
  fc.assert(
    fc.property(events, bounds, fc.integer({ min: 1, max: 10 }), (list, bound, every) => {
      const queues = new HostQueues<TestJob>()
      const taken: TestJob[] = []
      const take = (): number => {
        const batch = queues.take(bound)
        const bytes = batch.reduce((sum, { frame }) => sum + frame.bytes.length, 0)
        assert.ok(batch.length <= bound.eventsMax)
        assert.ok(bytes <= bound.bytesMax || batch.length === 1)
        taken.push(...batch)
        return batch.length
      }
      for (const [number, { hostId, length }] of list.entries()) {
        queues.push(job(number, hostId, length))
        if (number % every === 0) assert.ok(take() > 0, 'something is there')
      }
      assert.equal(queues.size, list.length - taken.length)
      while (queues.size > 0) assert.ok(take() > 0)
      assert.equal(take(), 0)
      for (const hostId of [1, 2, 3, 4, 5]) {
        const numbers = taken.filter((each) => each.hostId === hostId).map(({ number }) => number)
        const sent = [...list.keys()].filter((number) => list[number]?.hostId === hostId)
        assert.deepEqual(numbers, sent)
      }
    }),
    { numRuns: 300 },
  )
})
