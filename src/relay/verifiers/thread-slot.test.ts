import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFakeClock, type FakeClock } from '../../identity/testing/fake-clock.ts'
import { fail } from '../../lib/result.ts'
import { OutcomeWriter, unpackJobs } from './batch-codec.ts'
import type { FrameVerifier, VerifyJob } from './frame-verifier.ts'
import type { ThreadListener, VerifierThread } from './start-thread.ts'
import { ThreadSlot } from './thread-slot.ts'
import type { ThreadBatch } from './thread-messages.ts'

/** A thread that a test drives: what it was given, and what it says. */
class FakeThread implements VerifierThread {
  readonly listener: ThreadListener
  readonly batches: ThreadBatch[] = []
  terminated = false

  constructor(listener: ThreadListener) {
    this.listener = listener
  }

  post(batch: ThreadBatch): void {
    this.batches.push(batch)
  }

  terminate(): void {
    this.terminated = true
  }

  /** Answers the oldest batch: each event is refused with its own number as detail. */
  answer(): void {
    const batch = this.batches.shift()
    assert.ok(batch !== undefined)
    const { request, results, count } = batch
    const writer = new OutcomeWriter(results)
    for (const [at, { frame }] of [...unpackJobs(request, count)].entries()) {
      writer.write(at, { verdict: fail('frame-malformed', `${frame[0]}`), tookMs: 0 })
    }
    const { extras } = writer
    this.listener.onAnswer({ kind: 'outcomes', request, results, extras, defects: [] })
  }
}

interface Fake {
  readonly slot: ThreadSlot
  readonly clock: FakeClock
  readonly threads: FakeThread[]
  /** Numbers of events, in the order of their outcomes; `?` where verification did not finish. */
  readonly outcomes: string[]
  readonly told: string[]
  give(number: number, length?: number): void
  last(): FakeThread
}

function create(): Fake {
  const clock = createFakeClock()
  const threads: FakeThread[] = []
  const outcomes: string[] = []
  const told: string[] = []
  const numbers = new Map<VerifyJob, number>()
  const inline: FrameVerifier = {
    backlog: { events: 0, bytes: 0 },
    verify: (job) => ({
      verdict: fail('frame-malformed', `inline ${numbers.get(job)}`),
      tookMs: 0,
    }),
  }
  const slot = new ThreadSlot({
    start(_settings, listener) {
      const thread = new FakeThread(listener)
      threads.push(thread)
      return thread
    },
    settings: { checks: {} },
    inline,
    clock,
    onOutcome(_job, { verdict }) {
      outcomes.push(verdict?.ok === false ? verdict.detail : '?')
    },
    onDefect: (text) => void told.push(`defect: ${text}`),
    onThreadEnded: (why, lost) => void told.push(`ended: ${why}, ${lost} lost`),
    onWithoutThread: (why) => void told.push(`without: ${why}`),
  })
  return {
    slot,
    clock,
    threads,
    outcomes,
    told,
    give(number, length = 1_000) {
      const bytes = new Uint8Array(length).fill(number)
      const job = {
        frame: { bytes, did: 'did:plc:x' },
        key: { curve: 'k256', bytes: new Uint8Array(33) },
        nowMs: 0,
        hostId: 1,
        onVerified: () => undefined,
      } as unknown as VerifyJob
      numbers.set(job, number)
      const outcome = slot.verify(job)
      if (outcome?.verdict?.ok === false) outcomes.push(outcome.verdict.detail)
    },
    last: () => threads.at(-1) ?? assert.fail('no thread'),
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const counts = (thread: FakeThread): number[] => thread.batches.map(({ count }) => count)

/** A slot whose thread is ready, and an event that went before it was. */
function createReady(): Fake {
  const fake = create()
  fake.give(99)
  fake.last().listener.onAnswer({ kind: 'ready' })
  assert.deepEqual(fake.outcomes.splice(0), ['inline 99'])
  return fake
}

test('what comes in one turn goes in one batch; two are with the thread at once', async () => {
  const fake = createReady()
  for (const number of [1, 2, 3]) fake.give(number)
  assert.deepEqual(counts(fake.last()), [])
  await settle()
  assert.deepEqual(counts(fake.last()), [3])
  fake.give(4)
  await settle()
  for (const number of [5, 6]) fake.give(number)
  await settle()
  assert.deepEqual(counts(fake.last()), [3, 1], 'the rest waits')
  fake.last().answer()
  assert.deepEqual(fake.outcomes, ['1', '2', '3'])
  assert.deepEqual(counts(fake.last()), [1, 2])
  fake.last().answer()
  fake.last().answer()
  assert.deepEqual(fake.outcomes, ['1', '2', '3', '4', '5', '6'])
})

test('I9: a batch has a bound in events and bytes; a larger event goes alone', async () => {
  const fake = createReady()
  for (let i = 0; i < 100; i++) fake.give(i, 1_000)
  await settle()
  assert.deepEqual(counts(fake.last()), [64, 36])
  fake.last().answer()
  fake.last().answer()
  for (let i = 0; i < 4; i++) fake.give(i, 400_000)
  fake.give(5, 4_000_000)
  await settle()
  assert.deepEqual(counts(fake.last()), [1, 1])
  for (let i = 0; i < 5; i++) fake.last().answer()
  assert.deepEqual(fake.outcomes.slice(100), ['0', '1', '2', '3', '5'])
})

test('I6: a thread that dies is replaced, and what it had is verified again in order', async () => {
  const fake = createReady()
  for (const number of [1, 2]) fake.give(number)
  await settle()
  fake.give(3)
  await settle()
  fake.give(4)
  fake.last().listener.onEnd('out of memory')
  assert.deepEqual(fake.told, ['ended: out of memory, 3 lost'])
  fake.give(5)
  assert.deepEqual(fake.outcomes, [], 'nobody overtakes what waits')
  fake.clock.advance(1_000)
  assert.equal(fake.threads.length, 2)
  fake.last().listener.onAnswer({ kind: 'ready' })
  for (const expected of [[1], [1], [1, 2], [2]]) {
    assert.deepEqual(counts(fake.last()), expected, 'suspects go alone, nothing before them')
    fake.last().answer()
  }
  assert.deepEqual(fake.outcomes, ['1', '2', '3', '4', '5'])
})

test('I5: an event that kills its thread is given up, and only that one', async () => {
  const fake = createReady()
  for (const number of [1, 2, 3]) fake.give(number)
  await settle()
  /** Thread after thread; each dies of event 2. */
  for (let life = 0; fake.outcomes.length < 3; life++) {
    assert.ok(life < 10, 'it ends')
    const thread = fake.last()
    if (life > 0) thread.listener.onAnswer({ kind: 'ready' })
    while (thread.batches.length > 0) {
      const [batch] = thread.batches
      assert.ok(batch !== undefined)
      const kills = [...unpackJobs(batch.request, batch.count)].some(({ frame }) => frame[0] === 2)
      if (kills) break
      thread.answer()
    }
    if (thread.batches.length > 0) thread.listener.onEnd('killed')
    fake.clock.advance(1_000)
  }
  assert.deepEqual(fake.outcomes, ['1', '?', '3'])
  assert.deepEqual(
    fake.told.filter((line) => line.startsWith('defect')),
    ['defect: an event ends the thread that verifies it: killed'],
  )
})

test('I9: a thread that does not come back is ended; one that works is not', async () => {
  const fake = createReady()
  fake.give(1)
  await settle()
  for (let i = 0; i < 29; i++) fake.slot.tick()
  assert.equal(fake.last().terminated, false)
  fake.last().answer()
  for (let i = 0; i < 100; i++) fake.slot.tick()
  assert.equal(fake.last().terminated, false, 'it has nothing to do')
  fake.give(2)
  await settle()
  for (let i = 0; i < 30; i++) fake.slot.tick()
  assert.equal(fake.last().terminated, true)
})

test('where no thread can be started, events are verified by who brings them', async () => {
  const fake = createReady()
  for (const number of [1, 2]) fake.give(number)
  await settle()
  fake.last().listener.onEnd('killed')
  fake.give(3)
  for (let i = 0; i < 3; i++) {
    fake.clock.advance(1_000)
    fake.last().listener.onEnd('no memory')
  }
  assert.deepEqual(fake.outcomes, ['inline 1', 'inline 2', 'inline 3'])
  fake.give(4)
  assert.deepEqual(fake.outcomes.at(-1), 'inline 4')
  fake.clock.advance(100_000)
  assert.equal(fake.threads.length, 4, 'nobody tries for ever')
  assert.equal(fake.told.at(-1), 'without: no memory')
})

test('a closed slot tells nothing any more', async () => {
  const fake = createReady()
  fake.give(1)
  await settle()
  fake.slot.close()
  assert.equal(fake.last().terminated, true)
  fake.last().answer()
  fake.last().listener.onEnd('terminated')
  assert.deepEqual([fake.outcomes, fake.told], [[], []])
})
