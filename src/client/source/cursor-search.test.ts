import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type CursorSearch, type Sighting, sight, startSearch } from './cursor-search.ts'

/** Answers as a service with these events does: the first one after the cursor. */
function search(
  events: readonly Sighting[],
  targetMs: number,
  toleranceMs: number,
  liveNext: Sighting | null,
): { found: CursorSearch; looked: (number | null)[] } {
  let found = startSearch(targetMs, toleranceMs)
  const looked: (number | null)[] = []
  while (found.next.kind === 'look') {
    const { cursor } = found.next
    assert(looked.length < 50, 'the search is bounded')
    looked.push(cursor)
    const seen = cursor === null ? liveNext : (events.find(({ seq }) => seq > cursor) ?? null)
    found = sight(found, seen)
  }
  return { found, looked }
}

function answer({ next }: CursorSearch): { cursor: number; tooLateMs: number | null } {
  assert(next.kind === 'found')
  return next
}

test('nothing after the moment lies before the place that is found', () => {
  const sequences = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 0, max: 10_000 })), {
      minLength: 1,
      maxLength: 60,
    })
    .map((steps) => {
      let seq = 0
      let timeMs = 0
      return steps.map(([gap, pauseMs]) => {
        seq += gap
        timeMs += pauseMs
        return { seq, timeMs }
      })
    })
  fc.assert(
    fc.property(
      sequences,
      fc.integer({ min: 0, max: 700_000 }),
      fc.integer({ min: 0, max: 50_000 }),
      fc.boolean(),
      (events, targetMs, toleranceMs, quiet) => {
        const last = events.at(-1) as Sighting
        const live = quiet ? null : { seq: last.seq + 5, timeMs: last.timeMs + 5 }
        const all = live === null ? events : [...events, live]
        const { found, looked } = search(events, targetMs, toleranceMs, live)
        const { cursor, tooLateMs } = answer(found)
        assert(looked.length <= 17)
        const skipped = all.filter((event) => event.seq <= cursor)
        assert(skipped.every(({ timeMs }) => timeMs <= targetMs))
        const firstMs = (events[0] as Sighting).timeMs
        assert.equal(tooLateMs, firstMs > targetMs ? firstMs - targetMs : null)
      },
    ),
    { numRuns: 500 },
  )
})

test('three days of a busy network are searched with a few looks', () => {
  const DAY_MS = 86_400_000
  const tipMs = 1_800_000_000_000
  // By day twice as many events as at night.
  const timeOf = (seq: number): number => {
    const share = (seq - 30_000_000_000) / 100_000_000
    return tipMs - 3 * DAY_MS + 3 * DAY_MS * (share + Math.sin(share * 6 * Math.PI) / 40)
  }
  for (const hours of [0.2, 1, 5, 23, 47, 70]) {
    const targetMs = tipMs - hours * 3_600_000
    let found = startSearch(targetMs, 300_000)
    let looks = 0
    while (found.next.kind === 'look') {
      const { cursor } = found.next
      const seq = cursor === null ? 30_100_000_000 : Math.max(30_000_000_001, cursor + 1)
      found = sight(found, { seq, timeMs: timeOf(seq) })
      looks++
    }
    const foundMs = timeOf(answer(found).cursor)
    assert(foundMs <= targetMs && foundMs > targetMs - 300_001, `${hours} h: ${targetMs - foundMs}`)
    assert(looks <= 12, `${looks} looks`)
  }
})

test('a hole in the sequence does not hide the place', () => {
  const dense = Array.from({ length: 1_000 }, (_, i) => ({ seq: i + 1, timeMs: (i + 1) * 1_000 }))
  const live = { seq: 1_000_000, timeMs: 10_000_000 }
  const { found } = search([...dense, live], 900_000, 10_000, live)
  const { cursor } = answer(found)
  assert(cursor >= 889 && cursor < 900, String(cursor))
})

test('a service that lies about times is searched to an end', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.option(
          fc.record({ seq: fc.nat(Number.MAX_SAFE_INTEGER), timeMs: fc.double({ noNaN: true }) }),
        ),
        { minLength: 60, maxLength: 60 },
      ),
      (answers) => {
        let found = startSearch(1_000, 100)
        for (const seen of answers) {
          if (found.next.kind === 'found') break
          found = sight(found, seen)
        }
        const { cursor } = answer(found)
        assert(Number.isSafeInteger(cursor) && cursor >= 0)
      },
    ),
    { numRuns: 500 },
  )
})

test('without an answer, or without traffic, it begins at the oldest event', () => {
  const none = sight(startSearch(1_000, 100), null)
  assert.deepEqual(none.next, { kind: 'found', cursor: 0, tooLateMs: null })
  const quiet = sight(sight(startSearch(1_000, 100), { seq: 7, timeMs: 500 }), null)
  assert.deepEqual(quiet.next, { kind: 'found', cursor: 0, tooLateMs: null })
})

test('a service whose newest event is before the moment is joined at its newest', () => {
  const floor = sight(startSearch(10_000, 100), { seq: 7, timeMs: 500 })
  const tip = sight(floor, { seq: 900, timeMs: 9_000 })
  assert.deepEqual(tip.next, { kind: 'found', cursor: 899, tooLateMs: null })
})
