import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  countInbound,
  INBOUND_WINDOW_MS,
  newPace,
  nextMove,
  observe,
  type PaceVerdict,
  PENDING_BYTES_HIGH,
  type Position,
  SESSION_LIMITS,
} from './session-rules.ts'

interface Look {
  readonly submitted?: number
  readonly pending?: number
  readonly queue?: number
}

/**
 * Looks once a second at what `look` says of that second; returns the first verdict but fine and
 * ping.
 */
function watch(look: (second: number) => Look, seconds: number): [number, PaceVerdict] | null {
  let pace = newPace(0)
  for (let second = 1; second <= seconds; second++) {
    const { submitted = 0, pending = 0, queue = 0 } = look(second)
    const result = observe(
      pace,
      {
        nowMs: second * 1_000,
        submittedBytes: submitted,
        pendingBytes: pending,
        queueBytes: queue,
      },
      SESSION_LIMITS,
    )
    pace = result.pace
    if (result.verdict !== 'fine' && result.verdict !== 'ping') return [second, result.verdict]
  }
  return null
}

function behind(afterSeq: number): Position {
  return { afterSeq, atTip: false }
}

/** The verdict on a reader that takes the same number of bytes every second. */
function atRate(bytes: number): [number, PaceVerdict] | null {
  return watch((second) => ({ submitted: 500_000 + second * bytes, pending: 500_000 }), 600)
}

/** Fast for 100 seconds, then a byte a second. */
function slowing(second: number): Look {
  return { submitted: Math.min(second, 100) * 100_000 + second + 5, pending: 5 }
}

describe('nextMove', () => {
  test('reads while there is room', () => {
    assert.equal(nextMove(behind(5), 1, 0), 'read')
    assert.equal(nextMove(behind(5), 1, PENDING_BYTES_HIGH - 1), 'read')
    assert.equal(nextMove(behind(5), 1, PENDING_BYTES_HIGH), 'wait')
  })

  test('is overtaken when what is next has been dropped', () => {
    assert.equal(nextMove(behind(5), 6, 0), 'read')
    assert.equal(nextMove(behind(5), 7, 0), 'overtaken')
    assert.equal(nextMove(behind(5), 7, PENDING_BYTES_HIGH), 'overtaken')
  })

  test('is not overtaken by a jump of seq while it waits at the tip', () => {
    assert.equal(nextMove({ afterSeq: 5, atTip: true }, 1_000, 0), 'read')
  })
})

describe('observe', () => {
  test('a reader that stands still is stalled after 30 s of waiting bytes', () => {
    const still = watch((second) => (second < 10 ? {} : { submitted: 9_000, pending: 9_000 }), 200)
    assert.deepEqual(still, [40, 'stalled'])
  })

  test('a reader that takes its bytes in time is not', () => {
    // Every 29 s one write is taken, and each is large enough for the rate.
    const slow = watch((second) => {
      const taken = Math.floor(second / 29) * 600_000
      return { submitted: taken + 600_000, pending: 600_000 }
    }, 3_000)
    assert.equal(slow, null)
  })

  test('one that takes a byte now and then is trickling after 60 s', () => {
    const trickle = watch((second) => ({ submitted: 500_000 + second, pending: 500_000 }), 300)
    assert.deepEqual(trickle, [61, 'trickling'])
  })

  test('the least rate is exactly that', () => {
    const rate = SESSION_LIMITS.slowBytesPerSecondMin
    assert.equal(atRate(rate), null)
    assert.deepEqual(atRate(rate - 1), [61, 'trickling'])
  })

  test('one that slows down is found in a later window', () => {
    const late = watch(slowing, 600)
    assert.deepEqual(late, [181, 'trickling'])
  })

  test('a backlog that is cleared now and then is none', () => {
    const bursts = watch((second) => {
      const pending = second % 50 === 0 ? 0 : 10
      return { submitted: second + pending, pending }
    }, 1_000)
    assert.equal(bursts, null)
  })

  test('one large frame over a slow line is seen to move inside its write', () => {
    const size = 5_000_000
    const left = (second: number) => Math.max(1, size - second * 20_000)
    const shown = watch((second) => ({ submitted: size, pending: size, queue: left(second) }), 200)
    assert.equal(shown, null)
    const hidden = watch(() => ({ submitted: size, pending: size }), 200)
    assert.deepEqual(hidden, [31, 'stalled'])
  })

  test('what was counted inside a write is not counted again when it ends', () => {
    let pace = newPace(0)
    const look = (
      nowMs: number,
      submittedBytes: number,
      pendingBytes: number,
      queueBytes: number,
    ) => {
      const sample = { nowMs, submittedBytes, pendingBytes, queueBytes }
      pace = observe(pace, sample, SESSION_LIMITS).pace
      return pace.movedBytes
    }
    assert.equal(look(1_000, 1_000, 1_000, 1_000), 0)
    assert.equal(look(2_000, 1_000, 1_000, 400), 600)
    assert.equal(look(3_000, 3_000, 2_000, 2_000), 1_000)
    assert.equal(look(4_000, 3_000, 2_000, 500), 2_500)
    assert.equal(look(5_000, 3_000, 0, 0), 3_000)
  })

  test('an idle peer is pinged every 30 s and is silent after 90 s', () => {
    let pace = newPace(0)
    const verdicts: [number, PaceVerdict][] = []
    for (let second = 1; second <= 90; second++) {
      const idle = { nowMs: second * 1_000, submittedBytes: 0, pendingBytes: 0, queueBytes: 0 }
      const result = observe(pace, idle, SESSION_LIMITS)
      pace = result.pace
      if (result.verdict !== 'fine') verdicts.push([second, result.verdict])
    }
    assert.deepEqual(verdicts, [
      [30, 'ping'],
      [60, 'ping'],
      [90, 'silent'],
    ])
  })

  test('a peer that never pongs but takes data is left alone', () => {
    assert.equal(
      watch((second) => ({ submitted: Math.floor(second / 80) }), 5_000),
      null,
    )
  })
})

test('countInbound bounds messages and bytes within a window', () => {
  let inbound = { sinceMs: 0, count: 0, bytes: 0 }
  const say = (bytes: number, nowMs: number): boolean => {
    const result = countInbound(inbound, bytes, nowMs, SESSION_LIMITS)
    inbound = result.inbound
    return result.excessive
  }
  for (let i = 0; i < SESSION_LIMITS.inboundCountMax; i++) assert.equal(say(1, i), false)
  assert.equal(say(1, 1_000), true)
  assert.equal(say(SESSION_LIMITS.inboundBytesMax, INBOUND_WINDOW_MS), false)
  assert.equal(say(1, INBOUND_WINDOW_MS + 1), true)
})
