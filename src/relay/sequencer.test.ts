import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogAppend } from '../log/log-types.ts'
import { createFakeClock } from '../identity/testing/fake-clock.ts'
import { Sequencer, type SequencerHooks, type Submission } from './sequencer.ts'

interface FakeLog {
  readonly appended: LogAppend[][]
  /** What happened, in order. */
  readonly steps: string[]
  readonly errors: unknown[]
  readonly sequencer: Sequencer
  /** When set, appending fails with it. */
  appendError: Error | null
  durableError: Error | null
  /** Resolves the append that is under way. */
  flush(): void
}

const nothing = (): void => undefined

const range = (batch: readonly { readonly seq: number }[]): string =>
  `${batch[0]?.seq}-${batch.at(-1)?.seq}`

/** By which everything takes so long that no flush need wait for its time. */
function slowClock(): SequencerHooks['clock'] {
  let nowMs = 0
  return { monotonicMs: () => (nowMs += 10), after: () => assert.fail('no flush waits') }
}

/** A sequencer over a log that keeps nothing and finishes an append when it is told to. */
function create(firstSeq = 1, clock: SequencerHooks['clock'] = slowClock()): FakeLog {
  let finish = nothing
  const fake: Omit<FakeLog, 'sequencer'> = {
    appended: [],
    steps: [],
    errors: [],
    appendError: null,
    durableError: null,
    flush: () => finish(),
  }
  const log = {
    nextSeq: firstSeq,
    append(batch: readonly LogAppend[]) {
      fake.steps.push(`append ${range(batch)}`)
      fake.appended.push([...batch])
      if (fake.appendError !== null) return Promise.reject(fake.appendError)
      return new Promise<void>((resolve) => (finish = resolve))
    },
    publish: (seq: number) => void fake.steps.push(`publish ${seq}`),
  }
  const sequencer = new Sequencer(log, {
    onDurable(batch) {
      fake.steps.push(`durable ${range(batch)}`)
      if (fake.durableError !== null) throw fake.durableError
    },
    onPublished: (batch) => void fake.steps.push(`published ${range(batch)}`),
    onFailed: (error) => void fake.errors.push(error),
    clock,
  })
  return Object.assign(fake, { sequencer })
}

const event = (bytes = 10): Submission => ({
  kind: 'identity',
  did: 'did:plc:a',
  encode: (seq) => new Uint8Array(bytes).fill(seq % 256),
  hostId: 3,
  hostEpoch: 4,
  hostSeq: 5,
  receivedAtMs: 6,
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('I1: durable first, then state, then visible', async () => {
  const fake = create(7)
  const { sequencer, steps } = fake
  assert.equal(sequencer.submit(event()), 7)
  assert.equal(sequencer.submit(event()), 8)
  assert.deepEqual([sequencer.queued, sequencer.queuedBytes], [2, 20])
  await turn()
  assert.deepEqual(steps, ['append 7-8'], 'one flush for what came in one turn')
  assert.equal(sequencer.submit(event()), 9)
  fake.flush()
  await turn()
  assert.deepEqual(steps.slice(1), ['durable 7-8', 'publish 8', 'published 7-8', 'append 9-9'])
  fake.flush()
  await sequencer.drain()
  assert.deepEqual(steps.slice(5), ['durable 9-9', 'publish 9', 'published 9-9'])
  assert.deepEqual([sequencer.queued, sequencer.queuedBytes], [0, 0])
  const [first] = fake.appended[0] ?? []
  assert.deepEqual(first, {
    seq: 7,
    kind: 'identity',
    did: 'did:plc:a',
    frame: new Uint8Array(10).fill(7),
    timeMs: 6,
    hostId: 3,
    hostEpoch: 4,
    hostSeq: 5,
  })
})

test('I9: batches are bounded in events and bytes; a large event goes alone', async () => {
  const fake = create()
  const { sequencer } = fake
  for (let i = 0; i < 1_200; i++) sequencer.submit(event())
  for (let i = 0; i < 3; i++) sequencer.submit(event(5_000_000))
  sequencer.submit(event())
  while (sequencer.queued > 0) {
    await turn()
    fake.flush()
  }
  await sequencer.drain()
  assert.deepEqual(
    fake.appended.map((batch) => batch.length),
    [500, 500, 201, 1, 2],
  )
  const seqs = fake.appended.flat().map(({ seq }) => seq)
  assert.deepEqual(
    seqs,
    Array.from({ length: 1_204 }, (_, i) => i + 1),
    'I2',
  )
})

test('I1: nothing is published of what could not be logged, nor anything after it', async () => {
  const fake = create()
  const { sequencer, steps, errors } = fake
  fake.appendError = new Error('disk full')
  sequencer.submit(event())
  await sequencer.drain()
  assert.deepEqual([steps, errors], [['append 1-1'], [fake.appendError]])
  sequencer.submit(event())
  await turn()
  await sequencer.drain()
  assert.deepEqual(steps, ['append 1-1'])
})

test('I8: nothing is published that state has not taken in', async () => {
  const fake = create()
  const { sequencer, steps, errors } = fake
  fake.durableError = new Error('state is full')
  sequencer.submit(event())
  await turn()
  fake.flush()
  await sequencer.drain()
  assert.deepEqual([steps, errors], [['append 1-1', 'durable 1-1'], [fake.durableError]])
})

const refuse = (): Uint8Array => {
  throw new Error('no')
}

test('I2: a seq whose event cannot be encoded is not lost', async () => {
  const { sequencer } = create()
  assert.throws(() => sequencer.submit({ ...event(), encode: refuse }), /no/u)
  assert.equal(sequencer.queued, 0)
  assert.equal(sequencer.submit(event()), 1)
  await turn()
})

test('a flush waits for company, but not the first, not for long, and not for a drain', async () => {
  const clock = createFakeClock()
  const fake = create(1, clock)
  const { sequencer, steps } = fake
  const appends = (): string[] => steps.filter((step) => step.startsWith('append'))
  sequencer.submit(event())
  await turn()
  assert.deepEqual(appends(), ['append 1-1'], 'nobody waits after a pause')
  fake.flush()
  await turn()
  sequencer.submit(event())
  clock.advance(2)
  sequencer.submit(event())
  await turn()
  assert.deepEqual(appends().length, 1)
  clock.advance(2)
  await turn()
  assert.deepEqual(appends().slice(1), ['append 2-3'], '4 ms after the flush before')
  fake.flush()
  await turn()
  for (let i = 0; i < 63; i++) sequencer.submit(event())
  await turn()
  assert.equal(appends().length, 2)
  sequencer.submit(event())
  await turn()
  assert.deepEqual(appends().slice(2), ['append 4-67'], 'enough of them go at once')
  fake.flush()
  await turn()
  sequencer.submit(event())
  await turn()
  const drained = sequencer.drain()
  await turn()
  assert.deepEqual(appends().slice(3), ['append 68-68'])
  fake.flush()
  await drained
})
