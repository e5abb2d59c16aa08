import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { concatBytes } from '../lib/bytes.ts'
import type { MessageFrame } from './frame-types.ts'
import { parseFrame } from './frame.ts'
import { type PeekedFrame, peekedOf, peekFrame } from './peek-frame.ts'
import { commitFrame, HAS_VECTORS, vectorFrames } from './support.test.ts'

/** What strict parsing says of the same bytes: null where it refuses them, or of other kinds. */
function parsed(bytes: Uint8Array): PeekedFrame | null {
  const result = parseFrame(bytes)
  if (!result.ok || result.value.kind !== 'message') return null
  const frame: MessageFrame = result.value
  return frame.type === '#commit' || frame.type === '#sync' ? peekedOf(frame) : null
}

const FILES = HAS_VECTORS ? ['relay-frames/frames.bin.gz', 'pds-capture/frames-live.bin'] : []

for (const file of FILES) {
  test(`a peek says what parsing says: ${file}`, () => {
    let peeked = 0
    for (const bytes of vectorFrames(file)) {
      assert.deepEqual(peekFrame(bytes), parsed(bytes))
      if (peekFrame(bytes) !== null) peeked++
    }
    assert.ok(peeked >= 20, `only ${peeked} frames were peeked at`)
  })
}

test('whatever is changed in a frame, a peek never says other than parsing accepts', () => {
  const good = commitFrame(5)
  assert.ok(peekFrame(good) !== null)
  let accepted = 0
  for (let at = 0; at < good.length; at++) {
    for (const bit of [1, 0x20, 0x80]) {
      const changed = good.slice()
      changed[at] = (changed[at] as number) ^ bit
      const strict = parsed(changed)
      const peeked = peekFrame(changed)
      if (strict === null || peeked === null) continue
      assert.deepEqual(peeked, strict)
      accepted++
    }
  }
  assert.ok(accepted > 100, 'most bits of blocks may be anything to a parser')
})

test('a frame that is cut anywhere, or is noise, is peeked at without harm', () => {
  const good = commitFrame(5)
  for (let end = 0; end < good.length; end++) peekFrame(good.slice(0, end))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      peekFrame(noise)
      peekFrame(concatBytes([good.subarray(0, 15), noise]))
    }),
    { numRuns: 2_000 },
  )
})

const frame = (header: unknown, body: unknown): Uint8Array =>
  concatBytes([encodeDrisl(header), encodeDrisl(body)])

test('other messages, other headers and bodies without a field are left to the parser', () => {
  const whole = { seq: 1, did: 'did:plc:x', rev: 'r', time: 't', blocks: new Uint8Array(3) }
  assert.equal(peekFrame(frame({ op: 1, t: '#sync' }, whole))?.did, 'did:plc:x')
  for (const field of ['seq', 'did', 'rev', 'time']) {
    const { [field]: _, ...rest } = whole as Record<string, unknown>
    assert.equal(peekFrame(frame({ op: 1, t: '#sync' }, rest)), null, `without ${field}`)
  }
  assert.equal(peekFrame(frame({ op: 1, t: '#sync' }, { ...whole, seq: 0 })), null)
  assert.equal(peekFrame(frame({ op: 1, t: '#sync' }, { ...whole, seq: 'x' })), null)
  assert.equal(peekFrame(frame({ op: 1, t: '#identity' }, whole)), null)
  assert.equal(peekFrame(frame({ op: 1, t: '#sync', x: 1 }, whole)), null)
  assert.equal(peekFrame(frame({ op: 1, t: '#sync' }, [whole])), null)
})

test('a length bomb and deep nesting cost no more than their bytes', () => {
  const header = encodeDrisl({ op: 1, t: '#commit' })
  const nested = new Uint8Array(1_000_000).fill(0x81)
  // {"a": [[[[...
  const deep = concatBytes([header, Uint8Array.of(0xa2, 0x61, 0x61), nested])
  // A map, and an array in it, of 2^53 - 1 items.
  const huge = [0x1b, 0, 0x1f, 255, 255, 255, 255, 255, 255]
  const bomb = Uint8Array.from([
    ...header,
    ...huge.map((byte, i) => (i === 0 ? 0xbb : byte)),
    0x61,
    0x61,
    ...huge.map((byte, i) => (i === 0 ? 0x9b : byte)),
  ])
  assert.equal(peekFrame(deep), null)
  assert.equal(peekFrame(bomb), null)
})
