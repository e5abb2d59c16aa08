import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SourcePolicies } from './source-types.ts'
import { Driver, NOW } from '../testing/machine-driver.ts'

/** On the second service, healthy. */
function moved(policies: Partial<SourcePolicies> = {}): Driver {
  const driver = new Driver(2, policies)
  driver.send({ kind: 'start' })
  driver.ticksUntil('join 1', 70_000)
  driver.send({ kind: 'joined', place: { cursor: 5 } })
  driver.send({ kind: 'connecting' })
  driver.send({ kind: 'opened', asked: 'live' })
  for (let i = 0; i < 4; i++) {
    driver.tick(10_000)
    driver.send({ kind: 'pong' })
  }
  return driver
}

/** Ticks with pongs, so that the service in use stays healthy. */
function ticksWithPongs(driver: Driver, effect: string, withinMs: number): number {
  const startMs = driver.ms
  while (driver.ms - startMs < withinMs) {
    driver.send({ kind: 'pong' })
    if (driver.tick().includes(effect)) return driver.ms - startMs
  }
  return Infinity
}

describe('other services', () => {
  test('are taken in order, and rested when they fail', () => {
    const driver = new Driver(3)
    driver.send({ kind: 'start' })
    driver.ticksUntil('join 1', 70_000)
    assert.deepEqual(driver.send({ kind: 'joined', place: null }), [])
    assert.deepEqual(driver.tick(), ['join 2'])
    driver.send({ kind: 'joined', place: null })
    for (let i = 0; i < 55; i++) assert.deepEqual(driver.tick(), [])
    assert.equal(driver.view.service, 'https://s0.example')
    driver.ticksUntil('join 1', 10_000)
    driver.send({ kind: 'joined', place: { cursor: 0 } })
    driver.ticksUntil('join 2', 70_000)
  })

  test('the first one is gone back to when it has been well three times', () => {
    const driver = moved()
    const look = { kind: 'looked', purpose: 'health', service: 0, seen: null } as const
    const results = [true, true, false, true, true, true]
    for (const [i, healthy] of results.entries()) {
      assert(ticksWithPongs(driver, 'look health 0', 600_000) < 600_000, `look ${i}`)
      assert.deepEqual(driver.send({ ...look, healthy }), [])
    }
    assert.deepEqual(driver.tick(), ['join 0'])
    const effects = driver.send({ kind: 'joined', place: { cursor: 9 } })
    assert.deepEqual(effects, ['notice switched', 'subscribe 0'])
    assert.equal(driver.view.service, 'https://s0.example')
  })

  test('or never', () => {
    const driver = moved({ preferred: 'never' })
    assert.equal(ticksWithPongs(driver, 'look health 0', 3_600_000), Infinity)
  })

  test('one that fails again soon after the return is looked at less often', () => {
    const driver = moved()
    const waits: number[] = []
    for (let i = 0; i < 4; i++) {
      waits.push(ticksWithPongs(driver, 'look health 0', 30_000_000))
      const look = { kind: 'looked', purpose: 'health', service: 0, seen: null } as const
      driver.send({ ...look, healthy: true })
      for (let good = 1; good < 3; good++) {
        ticksWithPongs(driver, 'look health 0', 600_000)
        driver.send({ ...look, healthy: true })
      }
      ticksWithPongs(driver, 'join 0', 10_000)
      driver.send({ kind: 'joined', place: { cursor: 9 } })
      driver.ticksUntil('join 1', 70_000)
      driver.send({ kind: 'joined', place: { cursor: 9 } })
      driver.send({ kind: 'connecting' })
      driver.send({ kind: 'opened', asked: 'live' })
    }
    assert(
      waits.every((wait, i) => i === 0 || wait > (waits[i - 1] ?? 0) * 1.5),
      waits.join(),
    )
  })
})

describe('the margin to the retention floor', () => {
  test('is measured while behind, the newest event too, at a low rate', () => {
    const driver = new Driver(1, { margin: 'probe', marginLowMs: 0 }).open('replay')
    const HOUR_MS = 3_600_000
    driver.frames(10 * HOUR_MS).tick()
    assert.equal(driver.view.marginMs, null)
    driver.frames(10 * HOUR_MS)
    assert.equal(driver.ticksUntil('look floor 0', 20_000), 10_000)
    const seen = { seq: 1, timeMs: NOW + driver.ms - 12 * HOUR_MS }
    driver.send({ kind: 'looked', purpose: 'floor', service: 0, healthy: true, seen })
    assert.deepEqual(driver.frames(10 * HOUR_MS).tick(), ['look tip 0'])
    const tip = { seq: 10_000, timeMs: NOW }
    driver.send({ kind: 'looked', purpose: 'tip', service: 0, healthy: true, seen: tip })
    assert.equal(driver.view.eventsBehind, 10_000 - (driver.view.seq ?? 0))
    // As read at the tick before, within a second.
    assert(Math.abs((driver.view.marginMs ?? 0) - 2 * HOUR_MS) < 2_000)
    let looks = 0
    for (let i = 0; i < 1_900; i++) {
      for (const effect of driver.frames(10 * HOUR_MS).tick()) {
        if (!effect.startsWith('look')) continue
        looks++
        const purpose = effect === 'look floor 0' ? 'floor' : 'tip'
        // What cannot be measured is not asked for more often.
        driver.send({ kind: 'looked', purpose, service: 0, healthy: false, seen: null })
      }
    }
    assert.equal(looks, 6, 'three pairs in half an hour')
  })

  test('is warned of once, while behind, and again after it had recovered', () => {
    const driver = new Driver(1, { marginLowMs: 3_600_000 }).open('replay')
    const warnings = (lagMs: number, floorAgeMs: number): number => {
      driver.send({ kind: 'floor', timeMs: NOW + driver.ms - floorAgeMs })
      const effects = [...driver.frames(lagMs).tick(), ...driver.tick()]
      return effects.filter((effect) => effect === 'notice margin-low').length
    }
    assert.equal(warnings(1_000_000, 9_000_000), 0)
    assert.equal(warnings(8_000_000, 9_000_000), 1)
    assert.equal(warnings(8_500_000, 9_000_000), 0)
    assert.equal(warnings(1_000_000, 9_000_000), 0)
    assert.equal(warnings(8_000_000, 9_000_000), 1)
  })

  test('shrinks while the reader holds the stream back or the service is away', () => {
    const driver = new Driver(1, { marginLowMs: 3_600_000 }).open('replay')
    driver.send({ kind: 'floor', timeMs: NOW - 4_000_000 })
    driver.frames(100_000).tick()
    driver.send({ kind: 'held' })
    const atMs = driver.ticksUntil('notice margin-low', 600_000)
    assert(Math.abs(atMs - 301_000) < 2_000, String(atMs))
    driver.close('lost')
    const before = driver.view.marginMs ?? 0
    driver.tick(60_000)
    assert.equal(driver.view.marginMs, before - 60_000)
  })

  test('of a live stream is what the service keeps, and no reason to warn', () => {
    const driver = new Driver(1, { marginLowMs: 3_600_000 }).open('live')
    driver.send({ kind: 'floor', timeMs: NOW - 60_000 })
    driver.frames(0)
    for (let i = 0; i < 100; i++) {
      assert.deepEqual(driver.tick(), [])
      driver.send({ kind: 'pong' })
    }
    assert.equal(driver.view.marginMs, 60_000)
  })
})
