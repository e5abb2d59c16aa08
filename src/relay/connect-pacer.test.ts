import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeClock } from '../identity/testing/fake-clock.ts'
import { ConnectPacer, STARTS_PER_SECOND, STARTS_UNDER_WAY_MAX } from './connect-pacer.ts'

test('I9: thousands of hosts are begun at a rate, in order, each once', () => {
  const clock = createFakeClock()
  const pacer = new ConnectPacer(clock)
  const begun: number[] = []
  for (let id = 1; id <= 5_000; id++) {
    pacer.add(id, () => {
      begun.push(id)
      // It is refused at once.
      pacer.ended(id)
    })
  }
  assert.equal(begun.length, STARTS_PER_SECOND, 'a first second’s worth')
  let seconds = 0
  while (begun.length < 5_000) {
    const before = begun.length
    clock.advance(1_000)
    seconds++
    assert.ok(begun.length - before <= STARTS_PER_SECOND + 1)
    assert.ok(seconds < 60, `${begun.length} after a minute`)
  }
  assert.deepEqual(
    begun,
    Array.from({ length: 5_000 }, (_, i) => i + 1),
  )
  assert.equal(pacer.waiting, 0)
})

test('I9: only so many are under way, however long they take', () => {
  const clock = createFakeClock()
  const pacer = new ConnectPacer(clock)
  const begun: number[] = []
  for (let id = 1; id <= 1_000; id++) pacer.add(id, () => begun.push(id))
  clock.advance(60_000)
  assert.equal(begun.length, STARTS_UNDER_WAY_MAX)
  for (const id of begun.slice(0, 10)) pacer.ended(id)
  assert.equal(begun.length, STARTS_UNDER_WAY_MAX + 10)
  pacer.ended(1)
  pacer.ended(999)
  assert.equal(
    begun.length,
    STARTS_UNDER_WAY_MAX + 10,
    'what has ended, or never began, is no news',
  )
  assert.equal(pacer.waiting, 1_000 - STARTS_UNDER_WAY_MAX - 10)
})

test('a host that is dropped is not begun, and nobody is after the stop', () => {
  const clock = createFakeClock()
  const pacer = new ConnectPacer(clock)
  const begun: number[] = []
  for (let id = 1; id <= STARTS_PER_SECOND + 50; id++) pacer.add(id, () => begun.push(id))
  const dropped = STARTS_PER_SECOND + 1
  pacer.drop(dropped)
  clock.advance(100)
  assert.ok(begun.length > STARTS_PER_SECOND && !begun.includes(dropped))
  pacer.stop()
  const { length } = begun
  clock.advance(60_000)
  assert.equal(begun.length, length)
})
