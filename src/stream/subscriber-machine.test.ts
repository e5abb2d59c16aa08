import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BACKOFF_MAX_MS, backoffMs, retryAfterMs } from './backoff.ts'
import {
  CONNECT_TIMEOUT_MS,
  INITIAL_STATE,
  NO_BACKOFF,
  step,
  type SubscriberEffect,
  type SubscriberEvent,
  type SubscriberState,
} from './subscriber-machine.ts'

const NOW = 1_800_000_000_000

/** Drives the machine by hand; wall and monotonic time move together. */
class Driver {
  state: SubscriberState = INITIAL_STATE
  ms = 0

  send(event: SubscriberEvent | 'opened' | 'heard' | 'tick' | 'wake' | 'stop'): string[] {
    const full = typeof event === 'string' ? { kind: event } : event
    const at = { nowMs: NOW + this.ms, monotonicMs: this.ms }
    const { state, effects } = step(this.state, full, at)
    this.state = state
    return effects.map((effect) => show(effect))
  }

  later(ms: number, event: Parameters<Driver['send']>[0]): string[] {
    this.ms += ms
    return this.send(event)
  }

  closed(random = 0, askedMs: number | null = null): string[] {
    return this.send({ kind: 'closed', random, retryAfterMs: askedMs, isRenewal: false })
  }
}

function show(effect: SubscriberEffect): string {
  if (effect.kind === 'timer') return `timer ${effect.delayMs}`
  if (effect.kind === 'terminate') return `terminate ${effect.cause}`
  if (effect.kind !== 'backoff') return effect.kind
  const { attempt, nextAttemptAtMs } = effect.backoff
  return `backoff ${attempt} ${nextAttemptAtMs === null ? '-' : nextAttemptAtMs - NOW}`
}

function openDriver(attempt = 0): Driver {
  const driver = new Driver()
  driver.send({ kind: 'start', restored: { attempt, nextAttemptAtMs: null } })
  driver.send('opened')
  return driver
}

test('a connection that its transport renews is made again at once, and counts for nothing', () => {
  const renewal = { kind: 'closed', random: 0, retryAfterMs: null, isRenewal: true } as const
  for (const attempt of [0, 3]) {
    const driver = openDriver(attempt)
    assert.deepEqual(driver.send(renewal), ['timer 15000', 'connect'])
    assert.equal(driver.state.attempt, attempt)
    driver.send('opened')
    assert.deepEqual(driver.closed(), [
      `backoff ${attempt + 1} ${driver.ms + 1_000 * 2 ** attempt}`,
      `timer ${1_000 * 2 ** attempt}`,
    ])
  }
})

describe('backoff', () => {
  test('grows from 1 to 2 s to half an hour to an hour, and stays there', () => {
    const least = [1, 2, 3, 4, 5, 10, 11, 12, 13, 50, 5_000].map((n) => backoffMs(n, 0))
    assert.deepEqual(
      least,
      [1, 2, 4, 8, 16, 512, 1_024, 1_800, 1_800, 1_800, 1_800].map((s) => s * 1_000),
    )
    const most = [1, 2, 11, 12, 5_000].map((n) => backoffMs(n, 0.999_999_999))
    assert.deepEqual(most, [2_000, 4_000, 2_048_000, 3_600_000, 3_600_000])
    assert.equal(backoffMs(0, 0), 1_000)
  })

  test('retryAfterMs reads seconds and dates, within the cap', () => {
    const cases: [string | undefined, number | null][] = [
      [undefined, null],
      ['', null],
      ['120', 120_000],
      [' 5 ', 5_000],
      ['0', 0],
      ['99999999', BACKOFF_MAX_MS],
      ['99999999999', null],
      ['-5', null],
      ['1.5', null],
      ['soon', null],
      ['2027', 2_027_000],
      [new Date(NOW + 90_000).toUTCString(), 90_000],
      [new Date(NOW - 90_000).toUTCString(), 0],
      [new Date(NOW + 1e12).toUTCString(), BACKOFF_MAX_MS],
      ['Fri, 99 Foo 2027', null],
    ]
    for (const [header, expected] of cases)
      assert.equal(retryAfterMs(header, NOW), expected, header)
  })
})

describe('connecting', () => {
  test('at once when there is nothing to wait for', () => {
    const driver = new Driver()
    const effects = driver.send({ kind: 'start', restored: NO_BACKOFF })
    assert.deepEqual(effects, [`timer ${CONNECT_TIMEOUT_MS}`, 'connect'])
    assert.deepEqual(driver.send({ kind: 'start', restored: NO_BACKOFF }), [])
  })

  test('when a restored wait is over', () => {
    const driver = new Driver()
    const restored = { attempt: 5, nextAttemptAtMs: NOW + 20_000 }
    assert.deepEqual(driver.send({ kind: 'start', restored }), ['timer 20000'])
    assert.deepEqual(driver.later(19_999, 'tick'), ['timer 1'])
    assert.deepEqual(driver.later(1, 'tick'), [`timer ${CONNECT_TIMEOUT_MS}`, 'connect'])
    assert.deepEqual(driver.closed(), ['backoff 6 52000', 'timer 32000'])
  })

  test('within an hour, whatever a wrong clock stored', () => {
    const driver = new Driver()
    const restored = { attempt: 1, nextAttemptAtMs: NOW + 1e12 }
    assert.deepEqual(driver.send({ kind: 'start', restored }), [`timer ${BACKOFF_MAX_MS}`])
  })

  test('is given up after its time, and counts as a failure', () => {
    const driver = new Driver()
    driver.send({ kind: 'start', restored: NO_BACKOFF })
    assert.deepEqual(driver.later(CONNECT_TIMEOUT_MS - 1, 'tick'), ['timer 1'])
    assert.deepEqual(driver.later(1, 'tick'), ['terminate connect-timeout'])
    assert.deepEqual(driver.closed(0.5), ['backoff 1 16500', 'timer 1500'])
  })

  test('waits longer when the host asks for it, and not shorter', () => {
    const driver = new Driver()
    driver.send({ kind: 'start', restored: NO_BACKOFF })
    assert.deepEqual(driver.closed(0, 60_000), ['backoff 1 60000', 'timer 60000'])
    driver.later(60_000, 'tick')
    assert.deepEqual(driver.closed(0, 10), ['backoff 2 62000', 'timer 2000'])
  })
})

describe('an open connection', () => {
  test('is pinged every 30 s and lives as long as pongs come', () => {
    const driver = openDriver()
    for (let minute = 0; minute < 120; minute++) {
      assert.deepEqual(driver.later(30_000, 'tick'), ['ping', 'timer 30000'])
      assert.deepEqual(driver.later(10, 'heard'), [])
      driver.ms -= 10
    }
    assert.equal(driver.state.phase, 'open')
  })

  test('is dead 90 s after it was last heard', () => {
    const driver = openDriver()
    driver.later(10_000, 'heard')
    assert.deepEqual(driver.later(20_000, 'tick'), ['ping', 'timer 30000'])
    assert.deepEqual(driver.later(30_000, 'tick'), ['ping', 'timer 30000'])
    assert.deepEqual(driver.later(30_000, 'tick'), ['ping', 'timer 10000'])
    assert.deepEqual(driver.later(9_999, 'tick'), ['timer 1'])
    assert.deepEqual(driver.later(1, 'tick'), ['terminate silent'])
  })

  test('is not blamed for silence while it is held back', () => {
    const driver = openDriver()
    driver.send({ kind: 'paused' })
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(driver.later(30_000, 'tick'), ['ping', 'timer 30000'])
    }
    driver.send({ kind: 'resumed' })
    driver.later(60_000, 'tick')
    assert.equal(driver.state.phase, 'open')
    assert.deepEqual(driver.later(30_000, 'tick'), ['terminate silent'])
  })
})

describe('the backoff is cleared', () => {
  test('only by being heard 30 s after opening', () => {
    const driver = openDriver(7)
    assert.deepEqual(driver.later(29_999, 'heard'), [])
    assert.deepEqual(driver.later(1, 'heard'), ['backoff 0 -'])
    assert.deepEqual(driver.later(5, 'heard'), [])
    assert.deepEqual(driver.closed(), ['backoff 1 31005', 'timer 1000'])
  })

  test('not by opening, talking and closing again and again', () => {
    const driver = openDriver()
    const delays: number[] = []
    for (let i = 0; i < 14; i++) {
      driver.send('heard')
      const timer = driver.closed(0)[1] ?? ''
      const delayMs = Number(timer.split(' ')[1])
      delays.push(delayMs / 1_000)
      driver.later(delayMs, 'tick')
      driver.send('opened')
      driver.later(5_000, 'heard')
    }
    assert.deepEqual(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 1_800, 1_800, 1_800])
  })

  test('not by being open and silent', () => {
    const driver = openDriver(3)
    driver.later(30_000, 'tick')
    driver.later(30_000, 'tick')
    assert.deepEqual(driver.closed(0), ['backoff 4 68000', 'timer 8000'])
  })
})

describe('waking', () => {
  test('cuts a wait short, but leaves a second between attempts', () => {
    const driver = openDriver(9)
    assert.deepEqual(driver.closed(0), ['backoff 10 512000', 'timer 512000'])
    assert.deepEqual(driver.later(400, 'wake'), ['timer 600'])
    assert.deepEqual(driver.later(100, 'wake'), ['timer 500'])
    assert.deepEqual(driver.later(500, 'tick'), [`timer ${CONNECT_TIMEOUT_MS}`, 'connect'])
    driver.closed(0)
    assert.deepEqual(driver.later(5_000, 'wake'), [`timer ${CONNECT_TIMEOUT_MS}`, 'connect'])
    assert.equal(driver.state.attempt, 11)
  })

  test('does nothing elsewhere', () => {
    const driver = openDriver()
    assert.deepEqual(driver.send('wake'), [])
    assert.deepEqual(new Driver().send('wake'), [])
  })
})

describe('stopping', () => {
  test('is final from every phase', () => {
    const waiting = openDriver()
    waiting.closed()
    for (const driver of [new Driver(), openDriver(), waiting]) {
      assert.deepEqual(driver.send('stop'), ['disconnect'])
      assert.deepEqual(driver.closed(), [])
      for (const event of ['tick', 'wake', 'opened', 'heard', 'stop'] as const) {
        assert.deepEqual(driver.later(1e7, event), [])
      }
    }
  })

  test('events that make no sense in a phase change nothing', () => {
    const idle = new Driver()
    for (const event of ['tick', 'wake', 'opened', 'heard'] as const) {
      assert.deepEqual(idle.send(event), [])
      assert.equal(idle.state.phase, 'idle')
    }
    assert.deepEqual(idle.closed(), [])
  })
})
