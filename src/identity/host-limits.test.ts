import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HostLimits, TokenBucket } from './host-limits.ts'
import { LookupQueue } from './lookup-queue.ts'
import { createFakeClock } from './testing/fake-clock.ts'

test('a bucket gives its burst, then its rate, and never saves up more', () => {
  const clock = createFakeClock()
  const bucket = new TokenBucket(clock, 8, 3)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.tryTake()),
    [0, 0, 0, 125],
  )
  clock.advance(100)
  assert.equal(bucket.tryTake(), 25)
  clock.advance(25)
  assert.equal(bucket.tryTake(), 0)
  clock.advance(3_600_000)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.tryTake()),
    [0, 0, 0, 125],
  )
})

test('reserved tokens queue up behind one another', () => {
  const bucket = new TokenBucket(createFakeClock(), 10, 1)
  assert.deepEqual(
    [1, 2, 3].map(() => bucket.reserve()),
    [0, 100, 200],
  )
})

function limits(clock = createFakeClock()): HostLimits {
  return new HostLimits({
    clock,
    inFlightMax: 3,
    inFlightPerHostMax: 2,
    perHostPerSecond: 1,
    perHostBurst: 4,
  })
}

test('requests under way are bounded per host and in all', () => {
  const hosts = limits()
  const first = hosts.enter('a')
  assert.ok(first.ok)
  assert.ok(hosts.enter('a').ok)
  assert.ok(!hosts.enter('a').ok)
  assert.ok(hosts.enter('b').ok)
  assert.ok(!hosts.enter('c').ok)
  first.leave()
  assert.ok(hosts.enter('c').ok)
})

test('the rate of one host is its own', () => {
  const clock = createFakeClock()
  const hosts = limits(clock)
  for (let i = 0; i < 4; i++) {
    const admission = hosts.enter('a')
    assert.ok(admission.ok)
    admission.leave()
  }
  const refused = hosts.enter('a')
  assert.ok(!refused.ok)
  assert.equal(refused.retryAfterMs, 1_000)
  assert.ok(hosts.enter('b').ok)
  clock.advance(1_000)
  assert.ok(hosts.enter('a').ok)
})

test('a queue runs so many, holds so many in order, and refuses the rest at once', async () => {
  const queue = new LookupQueue({ concurrencyMax: 2, waitingMax: 2 })
  const started: number[] = []
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<number>())
  const runs = gates.map((gate, i) =>
    queue.run(() => {
      started.push(i)
      return gate.promise
    }),
  )
  assert.equal(runs[4], null)
  assert.deepEqual(started, [0, 1])
  assert.equal(queue.waiting, 2)
  gates[1]?.resolve(11)
  assert.equal(await runs[1], 11)
  assert.deepEqual(started, [0, 1, 2])
  for (const gate of gates) gate.resolve(0)
  await Promise.all(runs.filter((run) => run !== null))
  assert.deepEqual(started, [0, 1, 2, 3])
  assert.equal(await queue.run(async () => 7), 7)
})
