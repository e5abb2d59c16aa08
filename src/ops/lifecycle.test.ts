import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Clock } from '../lib/clock.ts'
import { codeOf } from '../lib/errors.ts'
import { Lifecycle } from './lifecycle.ts'
import { silentLogger } from './logger.ts'

/** Timers fire at once when `after` asks for at most `firesBelowMs`, and else never. */
function fakeClock(firesBelowMs: number): Clock {
  return {
    nowMs: () => 0,
    monotonicMs: () => 0,
    after(delayMs, callback) {
      if (delayMs <= firesBelowMs) setImmediate(callback)
      return { cancel: () => {} }
    },
  }
}

function lifecycle(firesBelowMs = 0): Lifecycle {
  return new Lifecycle({ clock: fakeClock(firesBelowMs), logger: silentLogger })
}

test('parts close in reverse order, once', async () => {
  const life = lifecycle()
  const closed: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const part = await life.open(
      name,
      () => name,
      (n) => void closed.push(n),
    )
    assert.equal(part, name)
  }
  const [first, second] = await Promise.all([life.close(), life.close()])
  assert.deepEqual(closed, ['c', 'b', 'a'])
  assert.equal(first, second)
  assert.deepEqual(first, [])
})

test('a part that fails to open closes those before it', async () => {
  const life = lifecycle()
  const closed: string[] = []
  await life.open(
    'a',
    () => 1,
    () => void closed.push('a'),
  )
  const failure = new Error('no')
  await assert.rejects(
    life.open(
      'b',
      () => Promise.reject(failure),
      () => void closed.push('b'),
    ),
    failure,
  )
  assert.deepEqual(closed, ['a'])
})

test('a part that throws or hangs does not keep the others open', async () => {
  const life = lifecycle(5)
  const closed: string[] = []
  const failure = new Error('no')
  await life.open(
    'a',
    () => 1,
    () => void closed.push('a'),
  )
  await life.open(
    'hangs',
    () => 1,
    () => new Promise<void>(() => {}),
    { closeTimeoutMs: 5 },
  )
  await life.open(
    'throws',
    () => 1,
    () => {
      throw failure
    },
  )
  const problems = await life.close()
  assert.deepEqual(problems, [
    { part: 'throws', cause: failure },
    { part: 'hangs', cause: null },
  ])
  assert.deepEqual(closed, ['a'])
})

test('a part that opens after the stop began is closed again', async () => {
  const life = lifecycle()
  const { promise, resolve } = Promise.withResolvers<number>()
  const closed: number[] = []
  const opening = life.open(
    'late',
    () => promise,
    (n) => void closed.push(n),
  )
  await life.close()
  resolve(7)
  await assert.rejects(opening, (error) => codeOf(error) === 'STOPPED')
  assert.deepEqual(closed, [7])
  await assert.rejects(
    life.open(
      'later',
      () => 1,
      () => {},
    ),
    (error) => codeOf(error) === 'STOPPED',
  )
})

test('await using closes', async () => {
  const closed: string[] = []
  {
    await using life = lifecycle()
    await life.open(
      'a',
      () => 1,
      () => void closed.push('a'),
    )
  }
  assert.deepEqual(closed, ['a'])
})
