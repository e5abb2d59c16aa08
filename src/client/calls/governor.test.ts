import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createFakeClock, type FakeClock } from '../../identity/testing/fake-clock.ts'
import { Governor, type GovernorLimits, type Pass, type Refused } from './governor.ts'

const ORIGIN = 'https://pds.example'

function start(limits: Partial<GovernorLimits> = {}): { clock: FakeClock; governor: Governor } {
  const clock = createFakeClock()
  return { clock, governor: new Governor({ clock, limits }) }
}

function passOf(outcome: Pass | Refused): Pass {
  assert('leave' in outcome, JSON.stringify(outcome))
  return outcome
}

/** Takes a turn that must be free. */
async function enter(governor: Governor): Promise<Pass> {
  return passOf(await governor.enter(ORIGIN))
}

test('no more are under way than there is room for; the first to come is the first to go', async () => {
  const { governor } = start({ inFlightAtFirst: 2 })
  const first = await enter(governor)
  await enter(governor)
  const order: number[] = []
  const waiting = [1, 2].map(async (n) => {
    const pass = passOf(await governor.enter(ORIGIN))
    order.push(n)
    return pass
  })
  assert.deepEqual(governor.pace(ORIGIN), { inFlight: 2, inFlightMax: 2, waiting: 2, pausedMs: 0 })
  first.leave({ kind: 'failed' })
  const third = await (waiting[0] ?? assert.fail())
  assert.deepEqual(order, [1])
  third.leave({ kind: 'failed' })
  await waiting[1]
  assert.deepEqual(order, [1, 2])
  const other = await governor.enter('https://other.example')
  assert('leave' in other, 'another service is not held up')
})

test('good answers make room, one more for each round, up to the most', async () => {
  const { governor } = start({ inFlightAtFirst: 1, inFlightMax: 3 })
  const rooms: number[] = []
  for (let i = 0; i < 8; i++) {
    const pass = await enter(governor)
    pass.leave({ kind: 'good' })
    rooms.push(governor.pace(ORIGIN).inFlightMax)
  }
  assert.deepEqual(rooms, [2, 2, 2, 3, 3, 3, 3, 3])
})

test('a complaint halves the room once for all that were under way, and pauses', async () => {
  const { clock, governor } = start({ inFlightAtFirst: 8 })
  const passes = await Promise.all(Array.from({ length: 8 }, () => enter(governor)))
  clock.advance(10)
  for (const pass of passes) pass.leave({ kind: 'throttled', retryAfterMs: 5_000 })
  assert.deepEqual(governor.pace(ORIGIN), {
    inFlight: 0,
    inFlightMax: 4,
    waiting: 0,
    pausedMs: 5_000,
  })
  let entered = false
  const waiting = enter(governor).then((pass) => {
    entered = true
    return pass
  })
  clock.advance(4_999)
  await Promise.resolve()
  assert(!entered)
  clock.advance(1)
  const pass = await waiting
  pass.leave({ kind: 'throttled', retryAfterMs: null })
  assert.equal(governor.pace(ORIGIN).inFlightMax, 2)
  assert.equal(governor.pace(ORIGIN).pausedMs, 2_000, 'the second complaint in a row')
})

test('a limit that is used up pauses without a complaint', async () => {
  const { governor } = start()
  const pass = await enter(governor)
  pass.leave({ kind: 'good', pauseMs: 7_000 })
  assert.equal(governor.pace(ORIGIN).pausedMs, 7_000)
  assert.equal(governor.pace(ORIGIN).inFlightMax, 8)
})

test('waits are bounded in time and number, and end with the signal', async () => {
  const limits = { inFlightAtFirst: 1, waitingMax: 2, waitMsMax: 1_000, pauseMsMax: 60_000 }
  const { clock, governor } = start(limits)
  const holder = await enter(governor)
  const control = new AbortController()
  const timed = governor.enter(ORIGIN)
  const aborted = governor.enter(ORIGIN, control.signal)
  assert.equal(((await governor.enter(ORIGIN)) as Refused).why, 'busy')
  control.abort()
  assert.equal(((await aborted) as Refused).why, 'aborted')
  assert.equal(((await governor.enter(ORIGIN, control.signal)) as Refused).why, 'aborted')
  clock.advance(1_000)
  assert.equal(((await timed) as Refused).why, 'busy')
  assert.equal(governor.pace(ORIGIN).waiting, 0)
  holder.leave({ kind: 'throttled', retryAfterMs: 10 ** 12 })
  holder.leave({ kind: 'good' })
  assert.equal(governor.pace(ORIGIN).pausedMs, 60_000, 'no service silences us for ever')
  assert.equal(governor.pace(ORIGIN).inFlight, 0, 'leaving twice counts once')
  assert.deepEqual(await governor.enter(ORIGIN), { why: 'paused', retryAfterMs: 60_000 })
})
