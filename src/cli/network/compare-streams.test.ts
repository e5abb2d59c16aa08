import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import type { MessageFrame } from '../../stream/frame-types.ts'
import { EventPairs } from './compare-streams.ts'

/** An event as far as its name goes. */
function eventOf(did: string, time: string): MessageFrame {
  const body = { seq: 1, did, time, active: true }
  const place = { bytes: new Uint8Array(), seqOffset: 0, seqLength: 1, seq: 1 }
  return { kind: 'message', type: '#account', body, ...place }
}

const ONE = eventOf('did:plc:one', '2026-01-01T00:00:00Z')
const TWO = eventOf('did:plc:one', '2026-01-01T00:00:01Z')
const THREE = eventOf('did:plc:two', '2026-01-01T00:00:01Z')

describe('events of two streams', () => {
  test('pairs whatever their order, with who was first', () => {
    const pairs = new EventPairs()
    pairs.see(0, ONE, 1_000)
    pairs.see(1, ONE, 1_030)
    pairs.see(1, TWO, 2_000)
    pairs.see(0, TWO, 2_010)
    pairs.see(0, THREE, 3_000)
    pairs.see(1, THREE, 3_050)
    pairs.settle(0, 9_000)
    const { sides, both, onlyA, onlyB, lead } = pairs.result()
    assert.deepEqual([sides, both, onlyA, onlyB], [[3, 3], 3, 0, 0])
    assert.deepEqual(lead, { medianMs: 30, p10Ms: -10, p90Ms: 50, aFirst: 2, bFirst: 1 })
  })

  test('what has no twin is alone, and named', () => {
    const pairs = new EventPairs()
    pairs.see(0, ONE, 1_000)
    pairs.see(1, THREE, 1_500)
    pairs.settle(0, 9_000)
    const { onlyA, onlyB, examples, lead } = pairs.result()
    assert.deepEqual([onlyA, onlyB, lead], [1, 1, null])
    assert.deepEqual(
      examples.map(({ side, did, type, rev }) => [side, did, type, rev]),
      [
        ['A', 'did:plc:one', 'account', null],
        ['B', 'did:plc:two', 'account', null],
      ],
    )
  })

  test('what came at the edges, where the other may be late, does not count', () => {
    const pairs = new EventPairs()
    pairs.see(0, ONE, 1_000)
    pairs.see(0, TWO, 5_000)
    pairs.see(0, THREE, 9_000)
    pairs.settle(2_000, 8_000)
    const { sides, onlyA, examples } = pairs.result()
    assert.deepEqual([sides, onlyA], [[1, 0], 1])
    assert.equal(examples[0]?.time, '2026-01-01T00:00:01Z')
  })

  test('the same event again is no news', () => {
    const pairs = new EventPairs()
    for (const side of [0, 0, 1, 1, 0] as const) pairs.see(side, ONE, 1_000)
    pairs.settle(0, 9_000)
    const { sides, both, onlyA, onlyB } = pairs.result()
    assert.deepEqual([sides, both, onlyA, onlyB], [[1, 1], 1, 0, 0])
  })
})
