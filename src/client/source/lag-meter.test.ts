import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LagMeter, median } from './lag-meter.ts'

const NOW = 1_800_000_000_000
const time = (ms: number): string => new Date(ms).toISOString()

test('lag and reach are medians of the last fifteen events', () => {
  const meter = new LagMeter()
  assert.deepEqual([meter.lagMs, meter.reachedMs, meter.count], [null, null, 0])
  for (let i = 0; i < 100; i++) meter.add(time(NOW - 9_000_000), NOW)
  for (let i = 0; i < 15; i++) meter.add(time(NOW - i * 1_000), NOW)
  assert.equal(meter.lagMs, 7_000)
  assert.equal(meter.reachedMs, NOW - 7_000)
})

test('clocks that are wrong do not move it while they are few', () => {
  const meter = new LagMeter()
  for (let i = 0; i < 15; i++) meter.add(time(i < 7 ? NOW + 1e12 : NOW - 5_000), NOW)
  assert.equal(meter.lagMs, 5_000)
  for (let i = 0; i < 15; i++) meter.add(time(NOW + 60_000), NOW)
  assert.equal(meter.lagMs, 0, 'no event is younger than now')
})

test('times that are none are left out', () => {
  const meter = new LagMeter()
  meter.add('yesterday', NOW)
  assert.equal(meter.count, 0)
  meter.add(time(NOW - 1), NOW)
  meter.reset()
  assert.deepEqual([meter.lagMs, meter.count], [null, 0])
})

test('median', () => {
  assert.equal(median([]), null)
  assert.equal(median([3]), 3)
  assert.equal(median([9, 1]), 1)
  assert.equal(median([9, -1, 100]), 9)
})
