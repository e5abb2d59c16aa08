import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { HEALTHY_AFTER_MS, REFUSED_WAIT_MS } from './source-machine.ts'
import type { SourceEvent } from './source-model.ts'
import { type CloseKind, SOURCE_POLICIES, type SourcePhase } from './source-types.ts'
import { CLOSE, Driver, NOW } from '../testing/machine-driver.ts'

const KINDS: readonly CloseKind[] = [
  'ended',
  'lost',
  'overloaded',
  'failed',
  'refused',
  'frame-too-large',
]

describe('every end of a connection has a next state', () => {
  for (const kind of KINDS) {
    test(`${kind}: with one service it reconnects, and shows the end`, () => {
      const driver = new Driver(1).open()
      assert.deepEqual(driver.close(kind), [])
      const { phase, lastClose, attempt } = driver.view
      assert.deepEqual([phase, lastClose?.kind, attempt], ['reconnecting', kind, 1])
      driver.send({ kind: 'connecting' })
      assert.equal(driver.view.phase, 'reconnecting')
      driver.send({ kind: 'opened', asked: 'live' })
      assert.equal(driver.view.phase, 'live')
    })

    test(`${kind}: with another service it is left at once or after a bounded time`, () => {
      const driver = new Driver(2)
      driver.send({ kind: 'start' })
      driver.send({ kind: 'connecting' })
      driver.close(kind)
      const atMs = driver.ticksUntil('join 1', SOURCE_POLICIES.switchAfterMs + 1_000)
      assert.equal(atMs < 2_000, kind === 'refused')
      const effects = driver.send({ kind: 'joined', place: { cursor: 7 } })
      assert.deepEqual(effects, ['notice switched', 'subscribe 1'])
      assert.equal(driver.view.service, 'https://s1.example')
      assert.equal(driver.view.phase, 'connecting')
    })

    test(`${kind}: no wait is longer than the policy says`, () => {
      const driver = new Driver(1, { reconnectMaxMs: 20_000 }).open()
      driver.close(kind, 3_600_000)
      const mostMs = kind === 'refused' ? REFUSED_WAIT_MS : 20_000
      assert.equal(driver.view.nextAttemptAtMs, NOW + mostMs)
      assert.equal(driver.ticksUntil('wake', mostMs + 1_000), mostMs)
      assert.deepEqual(driver.tick(), [], 'once')
    })
  }

  test('what the service asks for is waited for', () => {
    const driver = new Driver(1, { reconnectMaxMs: 20_000 }).open()
    driver.close('overloaded', 120_000, 120_000)
    assert.equal(driver.view.nextAttemptAtMs, NOW + 120_000)
    assert.equal(driver.ticksUntil('wake', 121_000), 120_000)
  })

  test('refusal ends it by policy, when no service is left', () => {
    const driver = new Driver(2, { refused: 'fail' })
    driver.open()
    assert.deepEqual(driver.close('refused', 5_000), [])
    assert.deepEqual(driver.tick(), ['join 1'])
    driver.send({ kind: 'joined', place: { cursor: null } })
    driver.send({ kind: 'connecting' })
    assert.deepEqual(driver.close('refused'), ['leave'])
    assert.deepEqual([driver.view.phase, driver.view.failure], ['stopped', 'refused'])
  })
})

describe('an error frame', () => {
  test('leaves the service a moment to end the connection', () => {
    const driver = new Driver(1).open()
    driver.send({ kind: 'error-frame', name: 'ConsumerTooSlow' })
    assert.equal(driver.ticksUntil('reconnect', 6_000), 5_000)
    assert.deepEqual(driver.tick(), [])
  })
})

describe('liveness', () => {
  test('a stream without traffic is live for ever while pongs come', () => {
    const driver = new Driver(2).open()
    for (let i = 0; i < 24 * 60 * 2; i++) {
      for (let second = 0; second < 30; second++) assert.deepEqual(driver.tick(), [])
      driver.send({ kind: 'pong' })
      assert.equal(driver.view.phase, 'live')
    }
  })

  test('silence is shown as stalled, and another service is taken', () => {
    const driver = new Driver(2).open()
    for (let i = 0; i < 30; i++) driver.tick()
    driver.send({ kind: 'pong' })
    const phases: SourcePhase[] = []
    const effects: string[][] = []
    for (let i = 0; i < 70; i++) {
      effects.push(driver.tick())
      phases.push(driver.view.phase)
    }
    assert.equal(phases.indexOf('stalled'), 64)
    assert.equal(driver.view.stall, 'silent')
    assert.deepEqual(
      effects.flatMap((each, i) => each.map((effect) => `${i} ${effect}`)),
      ['64 join 1'],
    )
    driver.send({ kind: 'pong' })
    assert.equal(driver.view.phase, 'live', 'it may come back while the other one is looked at')
  })

  test('a connection that is made anew for want of pings is live all the while', () => {
    const driver = new Driver(2).open('replay')
    const phases = new Set<SourcePhase>()
    for (let minute = 0; minute < 60; minute++) {
      for (let i = 0; i < 60; i++) {
        driver.tick()
        if (minute > 0) phases.add(driver.view.phase)
      }
      const close = { ...CLOSE, renewal: 'unheard' as const }
      const end = { kind: 'renewed' as const, detail: 'unheard', close, atMs: NOW + driver.ms }
      assert.deepEqual(driver.send({ kind: 'closed', close: end }), [])
      phases.add(driver.view.phase)
      driver.send({ kind: 'connecting' })
      assert.deepEqual(driver.tick(), [])
      driver.send({ kind: 'opened', asked: 'replay' })
    }
    assert.deepEqual([...phases], ['live'])
    assert.equal(driver.view.service, 'https://s0.example')
    assert.equal(driver.view.lastClose, null)
  })

  test('a service that takes connections and drops them is failing all the while', () => {
    const driver = new Driver(2).open()
    const startMs = driver.ms
    let effects: string[] = []
    while (!effects.includes('join 1')) {
      assert(driver.ms - startMs < 100_000)
      effects = [...driver.close('ended'), ...driver.tick(2_000)]
      driver.send({ kind: 'connecting' })
      driver.send({ kind: 'opened', asked: 'replay' })
      driver.frames(0)
    }
    assert(driver.ms - startMs >= 60_000)
  })

  test('so is one whose connections last for some seconds', () => {
    const driver = new Driver(2).open()
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 20; i++) {
        driver.frames(0)
        if (driver.model.moving === null) driver.tick()
      }
      driver.close('lost')
      driver.tick()
      driver.send({ kind: 'connecting' })
      driver.send({ kind: 'opened', asked: 'replay' })
    }
    assert.equal(driver.model.moving?.to, 1)
  })

  test('a connection that is heard for half a minute clears what was held against it', () => {
    const driver = new Driver(2).open()
    driver.close('lost')
    driver.tick(50_000)
    driver.send({ kind: 'connecting' })
    driver.send({ kind: 'opened', asked: 'live' })
    for (let ms = 0; ms < HEALTHY_AFTER_MS; ms += 1_000) {
      assert.deepEqual(driver.tick(), [], 'a minute is over, but it may be well')
    }
    driver.send({ kind: 'pong' })
    assert.deepEqual(driver.tick(), [])
    assert.equal(driver.model.failingSinceMs, null)
  })
})

describe('replaying', () => {
  test('ends with recent events, not before there are some', () => {
    const driver = new Driver(1).open('replay')
    driver.frames(3_600_000).tick()
    assert.deepEqual([driver.view.phase, driver.view.lagMs], ['replaying', 3_600_000])
    driver.seen = { ...driver.seen, frames: 41, events: 3, lagMs: 0 }
    driver.tick()
    assert.equal(driver.view.phase, 'replaying')
    driver.frames(9_000).tick()
    assert.equal(driver.view.phase, 'live')
    driver.frames(3_600_000).tick()
    assert.equal(driver.view.phase, 'live', 'a host that comes back sends old events')
    assert.equal(driver.view.lagMs, 3_600_000)
  })

  test('ends with a pong that no event came before', () => {
    const driver = new Driver(1).open('replay')
    driver.frames(3_600_000).tick()
    assert.deepEqual(driver.send({ kind: 'pong' }), [])
    assert.equal(driver.view.phase, 'replaying', 'nobody asked')
    assert.equal(driver.ticksUntil('ping', 3_000), 3_000)
    driver.frames(3_600_000).tick()
    driver.send({ kind: 'pong' })
    assert.equal(driver.view.phase, 'replaying', 'an event came in between')
    driver.ticksUntil('ping', 3_000)
    driver.send({ kind: 'pong' })
    assert.deepEqual([driver.view.phase, driver.view.lagMs], ['live', 0])
  })

  test('is not thought over while the reader holds the stream back', () => {
    const driver = new Driver(1).open('replay')
    driver.frames(3_600_000).tick()
    driver.ticksUntil('ping', 3_000)
    driver.send({ kind: 'held' })
    driver.send({ kind: 'pong' })
    for (let i = 0; i < 20; i++) assert.deepEqual(driver.tick(), [])
    assert.equal(driver.view.phase, 'replaying')
    for (let i = 0; i < 20; i++) driver.tick()
    assert.deepEqual([driver.view.phase, driver.view.stall], ['stalled', 'held'])
    driver.send({ kind: 'released' })
    assert.equal(driver.view.phase, 'replaying')
  })

  test('begins again after the reader has held a live stream back for long', () => {
    const driver = new Driver(1).open('live')
    driver.send({ kind: 'held' })
    driver.tick(90_000)
    driver.send({ kind: 'released' })
    driver.frames(89_000).tick()
    assert.equal(driver.view.phase, 'replaying')
  })
})

describe('whatever happens', () => {
  const kind = fc.constantFrom<CloseKind>(...KINDS)
  const event: fc.Arbitrary<(driver: Driver) => SourceEvent> = fc.oneof(
    fc
      .constantFrom('start' as const, 'connecting' as const, 'pong' as const, 'held' as const)
      .map((name) => () => ({ kind: name }) as const),
    fc
      .constantFrom('live' as const, 'replay' as const)
      .map((asked) => () => ({ kind: 'opened', asked }) as const),
    fc
      .tuple(kind, fc.option(fc.nat(4_000_000)))
      .map(([closeKind, retryAfterMs]) => (driver: Driver) => ({
        kind: 'closed' as const,
        close: {
          kind: closeKind,
          detail: '',
          close: { ...CLOSE, retryAfterMs },
          atMs: NOW + driver.ms,
        },
      })),
    fc.tuple(fc.nat(9), fc.nat(4_000_000)).map(([attempt, waitMs]) => (driver: Driver) => ({
      kind: 'backoff' as const,
      backoff: { attempt, nextAttemptAtMs: attempt === 0 ? null : NOW + driver.ms + waitMs },
    })),
    fc.constant(() => ({ kind: 'error-frame', name: 'Odd' }) as const),
    fc.constant(() => ({ kind: 'released' }) as const),
    fc
      .record({
        frames: fc.nat(50),
        events: fc.nat(50),
        seq: fc.option(fc.nat()),
        lagMs: fc.option(fc.nat(100_000_000)),
        reachedMs: fc.option(fc.integer({ min: NOW - 100_000_000, max: NOW })),
      })
      .map((seen) => () => ({ kind: 'tick', seen }) as const),
    fc
      .record({
        purpose: fc.constantFrom('floor' as const, 'tip' as const, 'health' as const),
        service: fc.nat(2),
        healthy: fc.boolean(),
        seen: fc.option(fc.record({ seq: fc.nat(), timeMs: fc.nat(NOW) })),
      })
      .map((looked) => () => ({ kind: 'looked', ...looked }) as const),
    fc
      .option(fc.record({ cursor: fc.option(fc.nat()) }))
      .map((place) => () => ({ kind: 'joined', place }) as const),
  )

  test('effects make sense, one look and one move at a time, and stopping is final', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.array(fc.tuple(event, fc.nat(100_000)), { maxLength: 120 }),
        (services, events) => {
          const driver = new Driver(services, { margin: 'probe' })
          for (const [make, afterMs] of events) {
            driver.ms += afterMs
            const before = driver.model
            const effects = driver.send(make(driver))
            const { model, view } = driver
            if (effects.some((effect) => effect.startsWith('look'))) {
              assert.equal(before.looking, null)
              assert.notEqual(model.looking, null)
            }
            if (effects.some((effect) => effect.startsWith('join'))) {
              assert.equal(before.moving, null)
              assert.notEqual(model.moving?.to, model.index)
            }
            if (effects.includes('wake')) assert.equal(before.link.kind, 'waiting')
            if (effects.includes('ping')) assert.equal(before.link.kind, 'open')
            assert(model.index >= 0 && model.index < services)
            assert.notEqual(view.phase, 'stopped')
            assert.equal(view.stall === null, view.phase !== 'stalled')
          }
          assert.deepEqual(driver.send({ kind: 'stop' }), ['leave'])
          for (const [make] of events) assert.deepEqual(driver.send(make(driver)), [])
          assert.equal(driver.view.phase, 'stopped')
        },
      ),
      { numRuns: 300 },
    )
  })
})
