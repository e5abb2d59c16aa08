import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  exponential,
  geometric,
  logNormal,
  shuffled,
  streamOf,
  weighted,
  Zipf,
} from './distributions.ts'

const DRAWS = 20_000

function mean(draw: () => number): number {
  let sum = 0
  for (let i = 0; i < DRAWS; i++) sum += draw()
  return sum / DRAWS
}

function draws(salt: string): number[] {
  const random = streamOf(7, salt)
  return Array.from({ length: 5 }, () => random.next())
}

test('streams of one seed are their own, and the same every time', () => {
  assert.deepEqual(draws('traffic'), draws('traffic'))
  assert.notDeepEqual(draws('traffic'), draws('faults'))
  assert.notDeepEqual(streamOf(8, 'traffic').next(), streamOf(7, 'traffic').next())
})

test('means are those of the distributions', () => {
  const random = streamOf(1, 'means')
  assert.ok(Math.abs(mean(() => exponential(random, 50)) - 50) < 2)
  // (1 - p) / p
  assert.ok(Math.abs(mean(() => geometric(random, 0.7)) - 0.3 / 0.7) < 0.03)
  const shape = { median: 100, sigma: 0.5, min: 0, max: 1e9 }
  // exp(sigma^2 / 2) above the median
  assert.ok(Math.abs(mean(() => logNormal(random, shape)) - 100 * Math.exp(0.125)) < 3)
  const cut = { median: 100, sigma: 2, min: 90, max: 110 }
  for (let i = 0; i < 100; i++) {
    const value = logNormal(random, cut)
    assert.ok(value >= 90 && value <= 110)
  }
})

test('a weight of 0 is never drawn, the others in proportion', () => {
  const random = streamOf(1, 'weights')
  const counts = { a: 0, b: 0, none: 0 }
  for (let i = 0; i < DRAWS; i++) counts[weighted(random, { a: 3, none: 0, b: 1 })]++
  assert.equal(counts.none, 0)
  assert.ok(Math.abs(counts.a / DRAWS - 0.75) < 0.02)
})

test('Zipf: rank k comes in proportion to 1 / k^s', () => {
  const random = streamOf(1, 'zipf')
  const counts = Array.from({ length: 100 }, () => 0)
  const zipf = new Zipf(100, 1.07)
  for (let i = 0; i < DRAWS; i++) {
    const rank = zipf.pick(random)
    counts[rank] = (counts[rank] ?? 0) + 1
  }
  const ratio = (counts[0] ?? 0) / (counts[9] ?? 1)
  assert.ok(Math.abs(ratio - 10 ** 1.07) < 2.5, `first to tenth: ${ratio}`)
  assert.equal(new Zipf(1, 1.07).pick(random), 0)
})

test('shuffling keeps every value', () => {
  const values = Array.from({ length: 50 }, (_, i) => i)
  const mixed = shuffled(streamOf(1, 'order'), values)
  assert.notDeepEqual(mixed, values)
  assert.deepEqual(
    mixed.toSorted((a, b) => a - b),
    values,
  )
})
