import assert from 'node:assert/strict'
import { test } from 'node:test'
import { must } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { CursorTracker } from './cursor-tracker.ts'

test('I7: the cursor stands before the first undecided event, whatever the order of outcomes', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seededRandom(seed)
    const tracker = new CursorTracker(100)
    let seq = 100
    const undecided = new Set<number>()
    const begun: number[] = []
    for (let step = 0; step < 200; step++) {
      if (undecided.size === 0 || random.next() < 0.5) {
        seq += 1 + Math.floor(random.next() * 3)
        assert.equal(tracker.begin(seq), 'new')
        undecided.add(seq)
        begun.push(seq)
      } else {
        const open = [...undecided]
        const done = must(open[Math.floor(random.next() * open.length)], 'undecided seq')
        undecided.delete(done)
        tracker.done(done, random.next() < 0.5 ? done * 10 : null)
      }
      const first = undecided.size === 0 ? Infinity : Math.min(...undecided)
      assert.equal(tracker.cursor, Math.max(100, ...begun.filter((each) => each < first)))
      assert.equal(tracker.pending, undecided.size)
    }
  }
})

test('an event that is decided, or is being so, is known', () => {
  const tracker = new CursorTracker(10)
  assert.equal(tracker.begin(10), 'known')
  assert.equal(tracker.begin(11), 'new')
  assert.equal(tracker.begin(12), 'new')
  assert.equal(tracker.begin(11), 'known')
  tracker.done(12, 7)
  assert.equal(tracker.begin(12), 'known', 'behind one that is undecided')
  assert.equal(tracker.cursor, 10)
  tracker.done(11, null)
  assert.equal(tracker.cursor, 12)
  tracker.done(11, null)
  tracker.done(99, null)
  assert.equal(tracker.pending, 0)
})

test('I7: what was decided before a restart is not decided again, and passes the cursor on', () => {
  const ahead = new Map([
    [12, 500],
    [13, 400],
  ])
  const tracker = new CursorTracker(10, ahead)
  assert.equal(tracker.aheadFromSeq, 400)
  assert.equal(tracker.begin(11), 'new')
  assert.equal(tracker.begin(12), 'known')
  assert.equal(tracker.begin(13), 'known')
  assert.equal(tracker.begin(14), 'new')
  assert.equal(tracker.cursor, 10)
  assert.equal(tracker.aheadFromSeq, 400, 'another restart has to find them again')
  tracker.done(11, 600)
  assert.equal(tracker.cursor, 13)
  assert.equal(tracker.aheadFromSeq, null)
  tracker.done(14, 601)
  assert.equal(tracker.cursor, 14)
})

test('I7: the least log seq over the cursor is told for as long as the cursor is below it', () => {
  const tracker = new CursorTracker(0)
  for (const seq of [1, 2, 3]) tracker.begin(seq)
  tracker.done(3, 30)
  tracker.done(2, 31)
  assert.equal(tracker.aheadFromSeq, 30)
  tracker.done(1, null)
  assert.equal(tracker.aheadFromSeq, null)
  assert.equal(tracker.cursor, 3)
})

test('a stream that is joined live begins before its first event', () => {
  const tracker = new CursorTracker(null)
  assert.equal(tracker.cursor, null)
  assert.equal(tracker.begin(1_000), 'new')
  assert.equal(tracker.cursor, 999)
  tracker.done(1_000, 1)
  assert.equal(tracker.cursor, 1_000)
})

test('many thousand events pass through without being kept', () => {
  const tracker = new CursorTracker(0)
  for (let seq = 1; seq <= 50_000; seq++) {
    tracker.begin(seq)
    if (seq > 3) tracker.done(seq - 3, seq)
  }
  assert.equal(tracker.cursor, 49_997)
  assert.equal(tracker.pending, 3)
})
