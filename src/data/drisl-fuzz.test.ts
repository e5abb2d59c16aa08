/** DRISL held against @atcute/cbor, over made-up values and over damaged bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { BytesWrapper, decode, encode } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import * as fc from 'fast-check'

import { bytesEqual, toHex } from '../lib/bytes.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidOf } from './cid.ts'
import { checkDrisl, decodeDrisl } from './drisl.ts'
import { encodeDrisl } from './drisl-encode.ts'

// Not "constructor": a map that has this key is written wrongly by the encoder held against.
const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('$type', '__proto__', 'toString', 'a', 'aa', 'é', '\uFEFF', '😀', '\uFFFF'),
)

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, 0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 300 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => new BytesWrapper(bytes)),
  fc
    .tuple(fc.constantFrom(CODEC_DAG_CBOR, CODEC_RAW), fc.uint8Array({ maxLength: 4 }))
    .map(([codec, block]) => new CidLinkWrapper(cidOf(codec, block))),
)

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
  ),
}))

test('values are written as @atcute/cbor writes them, and read back', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = encodeDrisl(value)
      assert.equal(toHex(bytes), toHex(encode(value)))
      const decoded = decodeDrisl(bytes)
      assert.ok(decoded.ok)
      assert.deepEqual(decoded.value, value)
      assert.deepEqual(decoded.value, decode(bytes))
      assert.equal(checkDrisl(bytes), bytes.length)
    }),
    { numRuns: 1_000 },
  )
})

/**
 * What is accepted must be what @atcute/cbor reads, and writes the same. Returns whether it was.
 */
function agrees(bytes: Uint8Array): boolean {
  const decoded = decodeDrisl(bytes)
  if (!decoded.ok) return false
  assert.ok(bytesEqual(encode(decode(bytes)), bytes), toHex(bytes))
  assert.ok(bytesEqual(encodeDrisl(decoded.value), bytes), toHex(bytes))
  return true
}

const SAMPLE = {
  $type: 'org.example.record',
  text: 'häuser 😀 in the middle',
  numbers: [0, -1, 23, 24, -25, 256, 65_536, 2 ** 40, Number.MIN_SAFE_INTEGER],
  flags: [true, false, null],
  bytes: new BytesWrapper(new Uint8Array(30).fill(7)),
  link: new CidLinkWrapper(cidOf(CODEC_RAW, new Uint8Array(0))),
  inner: { a: [], b: {}, cc: { é: 1 } },
}

test('a sample cut at every offset is refused', () => {
  const bytes = encodeDrisl(SAMPLE)
  assert.ok(agrees(bytes))
  for (let end = 0; end < bytes.length; end++) {
    const decoded = decodeDrisl(bytes.subarray(0, end))
    assert.equal(decoded.ok ? 'accepted' : decoded.reason, 'truncated', `cut at ${end}`)
  }
})

test('a sample with any one bit flipped is refused, or reads as @atcute/cbor reads it', () => {
  const bytes = encodeDrisl(SAMPLE)
  let accepted = 0
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    if (agrees(flipped)) accepted++
  }
  // Bits of text, byte strings, digests and integers may well flip into other valid values.
  assert.ok(accepted > 100 && accepted < bytes.length * 8, `${accepted} accepted`)
})

test('random bytes never throw, and are accepted only if @atcute/cbor agrees', () => {
  const heads = fc.uint8Array({ maxLength: 24 })
  fc.assert(
    fc.property(heads, (bytes) => void agrees(bytes)),
    { numRuns: 20_000 },
  )
})

test('damaged values never throw, and are accepted only if @atcute/cbor agrees', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
  fc.assert(
    fc.property(anyValue, damage, (value, changes) => {
      const bytes = encodeDrisl(value)
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      agrees(bytes)
    }),
    { numRuns: 3_000 },
  )
})
