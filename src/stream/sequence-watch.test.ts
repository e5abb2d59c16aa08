import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SEQ_MAX } from '../lib/limits.ts'
import { SequenceWatch } from './sequence-watch.ts'

const NOW = 1_800_000_000_000
const DAY_MS = 86_400_000

/** Connected with a cursor. */
function open(cursor: number | null): SequenceWatch {
  const watch = new SequenceWatch()
  watch.connect(cursor)
  watch.opened()
  return watch
}

const kinds = (watch: SequenceWatch, ...seqs: number[]): string[] =>
  seqs.map((seq) => watch.arrive(seq, NOW).kind)

test('seqs that rise are next, whatever the jump; others are dropped', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 90 }), (seqs) => {
      const watch = open(null)
      let highest = 0
      for (const seq of seqs) {
        assert.equal(watch.arrive(seq, NOW).kind, seq > highest ? 'next' : 'drop')
        highest = Math.max(highest, seq)
        assert.equal(watch.lastSeq, highest)
      }
    }),
  )
})

test('a first seq below the cursor, and a hundred falling ones, are a restart', () => {
  assert.deepEqual(kinds(open(100), 100), ['next'], 'a server may send the cursor’s own event')
  assert.deepEqual(kinds(open(100), 99), ['restarted'])
  assert.deepEqual(kinds(open(null), 99, 3), ['next', 'drop'])
  const watch = open(100)
  kinds(watch, 200)
  const falls = kinds(watch, ...Array.from({ length: 100 }, (_, i) => 100 + i))
  assert.deepEqual([falls.indexOf('restarted'), falls.length], [99, 100])
})

test('seqs that fall now and then are never a restart, however many they are', () => {
  const watch = open(100)
  kinds(watch, 200)
  for (let i = 0; i < 250; i++) {
    assert.deepEqual(kinds(watch, 150, 201 + i), ['drop', 'next'], `after ${i} falls`)
  }
})

test('restarts are followed a bounded number of times a day', () => {
  const watch = new SequenceWatch()
  const restart = (nowMs: number): string => {
    watch.connect(100)
    watch.opened()
    return watch.future(nowMs).kind
  }
  const results = Array.from({ length: 30 }, (_, i) => restart(NOW + i))
  assert.equal(results.filter((kind) => kind === 'restarted').length, 24)
  assert.equal(restart(NOW + DAY_MS + 30), 'restarted')
})

test('a message that ends every connection is stepped over in growing steps', () => {
  const watch = new SequenceWatch()
  const asked: (number | null)[] = []
  for (let i = 0; i < 6; i++) {
    asked.push(watch.connect(50))
    watch.opened()
    if (i === 0) kinds(watch, 51, 60)
    watch.stepOver()
  }
  assert.deepEqual(asked, [50, 61, 62, 63, 67, 83])
  watch.connect(50)
  watch.opened()
  assert.deepEqual(kinds(watch, 1_000), ['next'])
  assert.equal(watch.connect(70), 70, 'a message has arrived: the cursor counts again')
})

test('stepping over the newest event is no restart', () => {
  const refused = open(50)
  kinds(refused, 60)
  refused.stepOver()
  assert.equal(refused.connect(50), 61)
  assert.equal(refused.future(NOW).kind, 'drop')
  assert.equal(refused.connect(50), null, 'there is nothing beyond yet: what comes next')
  const ignored = open(50)
  for (let i = 0; i < 5; i++) {
    ignored.opened()
    ignored.stepOver()
    ignored.connect(50)
  }
  assert.equal(ignored.cursorSent, 50 + 1 + 1 + 4 + 16 + 64)
  ignored.opened()
  assert.deepEqual(kinds(ignored, 55), ['next'], 'beyond what was known, if not beyond the step')
})

test('without a seq there is nothing to step over, and no step goes beyond the last seq', () => {
  assert.equal(open(null).stepOver(), null)
  const watch = open(SEQ_MAX)
  assert.equal(watch.stepOver(), SEQ_MAX)
  assert.equal(watch.connect(null), SEQ_MAX)
})
