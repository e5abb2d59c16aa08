import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Clock } from '../lib/clock.ts'
import { type PacedLog, ReplayPacer } from './replay-pacer.ts'

/** Time that stands still until it is moved on. */
class StillClock implements Clock {
  #nowMs = 0
  #due: { readonly atMs: number; readonly callback: () => void } | null = null

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): { cancel: () => void } {
    assert.equal(this.#due, null, 'one timer at a time')
    const entry = { atMs: this.#nowMs + delayMs, callback }
    this.#due = entry
    return { cancel: () => void (this.#due === entry && (this.#due = null)) }
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    while (this.#due !== null && this.#due.atMs <= endMs) {
      const { atMs, callback } = this.#due
      this.#due = null
      this.#nowMs = atMs
      callback()
    }
    this.#nowMs = endMs
  }

  get isIdle(): boolean {
    return this.#due === null
  }
}

class Log implements PacedLog {
  publishedSeq = 0
  sentSeq = 0
  readonly lastSeq: number

  constructor(lastSeq: number) {
    this.lastSeq = lastSeq
  }

  publish(seq: number): void {
    assert.ok(seq >= this.publishedSeq && seq <= this.lastSeq)
    this.publishedSeq = seq
  }
}

function network(): { clock: StillClock; logs: readonly [Log, Log]; pacer: ReplayPacer } {
  const clock = new StillClock()
  const logs = [new Log(9_000), new Log(1_000)] as const
  return { clock, logs, pacer: new ReplayPacer(logs, clock) }
}

const publishedOf = (logs: readonly Log[]): number[] => logs.map((log) => log.publishedSeq)

test('events go at the rate, by how many each host has, and no further than released', () => {
  const { clock, logs, pacer } = network()
  assert.equal(pacer.release(100, 1_000), 100)
  assert.deepEqual(publishedOf(logs), [0, 0])
  clock.advance(50)
  assert.deepEqual(publishedOf(logs), [45, 5])
  clock.advance(1_000)
  assert.deepEqual(publishedOf(logs), [90, 10])
  assert.ok(clock.isIdle)
  // The pause in between is not made up for.
  assert.equal(pacer.release(200, 100), 300)
  clock.advance(1_000)
  assert.deepEqual(publishedOf(logs), [180, 20])
  clock.advance(1_000)
  assert.deepEqual(publishedOf(logs), [270, 30])
})

test('as they are taken: never more than so many events wait, and each host waits for the rest', () => {
  const { clock, logs, pacer } = network()
  assert.equal(pacer.release(20_000, 'taken'), 10_000)
  const [first, second] = logs
  const waiting = first.publishedSeq + second.publishedSeq
  assert.ok(waiting > 500 && waiting < 2_000)
  clock.advance(100)
  assert.equal(first.publishedSeq + second.publishedSeq, waiting, 'nobody has taken any')
  first.sentSeq = first.publishedSeq
  clock.advance(100)
  assert.ok(second.publishedSeq < 200, 'the second host is not left behind')
  for (let i = 0; i < 50; i++) {
    for (const log of logs) log.sentSeq = log.publishedSeq
    clock.advance(2)
  }
  assert.deepEqual(publishedOf(logs), [9_000, 1_000])
  assert.ok(clock.isIdle)
})

test('at once: whoever reads; what is left goes with the next release; a stop ends it', () => {
  const { clock, logs, pacer } = network()
  assert.equal(pacer.release(15, 'at-once'), 14, 'hosts have whole events')
  assert.deepEqual(publishedOf(logs), [13, 1])
  assert.equal(pacer.release(9_985, 'at-once'), 10_000)
  assert.deepEqual(publishedOf(logs), [9_000, 1_000])
  const slow = network()
  slow.pacer.release(1_000, 10)
  slow.clock.advance(1_000)
  slow.pacer.release(0, 'at-once')
  assert.deepEqual(publishedOf(slow.logs), [900, 100])
  slow.pacer.release(1_000, 10)
  slow.pacer.stop()
  slow.clock.advance(1_000)
  assert.deepEqual(publishedOf(slow.logs), [900, 100])
  assert.ok(clock.isIdle && slow.clock.isIdle)
})
