import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeClock } from '../identity/testing/fake-clock.ts'
import { PublishTimes } from './publish-times.ts'

test('a lag is the age of the next event, to the second', () => {
  const clock = createFakeClock()
  const times = new PublishTimes(clock)
  assert.equal(times.lagSeconds(0), 0, 'nothing has been published')
  times.note(10)
  clock.advance(500)
  times.note(20)
  clock.advance(9_500)
  times.note(30)
  assert.equal(times.lagSeconds(0), 10)
  assert.equal(times.lagSeconds(15), 10, 'of the same second')
  assert.equal(times.lagSeconds(20), 0)
  clock.advance(3_000)
  assert.equal(times.lagSeconds(29), 3)
  assert.equal(times.lagSeconds(30), 0, 'at the tip there is none')
  assert.equal(times.lagSeconds(31), 0)
})

test('I9: memory is bounded, and who is behind it all shows the oldest age known', () => {
  const clock = createFakeClock()
  const times = new PublishTimes(clock)
  for (let seq = 1; seq <= 150_001; seq++) {
    times.note(seq)
    clock.advance(1_000)
  }
  assert.equal(times.lagSeconds(150_000), 1)
  assert.equal(times.lagSeconds(149_000), 1_001)
  const oldest = times.lagSeconds(0)
  assert.ok(oldest >= 50_000 && oldest <= 100_001, `shows ${oldest} s`)
})
