import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { encodeVarint, readVarint, varintValue } from './varint.ts'

const EDGES = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 2 ** 28 - 1]

/** The definition: groups of seven bits, the lowest first, each but the last marked. */
function varintOf(value: number): number[] {
  const groups = value.toString(2).padStart(28, '0').match(/.{7}/g) ?? []
  const needed = groups.slice(Math.min(3, groups.findIndex((group) => group.includes('1')) >>> 0))
  return needed
    .toReversed()
    .map((group, i) => Number.parseInt(group, 2) + (i < needed.length - 1 ? 128 : 0))
}

test('known values', () => {
  assert.deepEqual([...encodeVarint(0)], [0])
  assert.deepEqual([...encodeVarint(58)], [0x3a])
  assert.deepEqual([...encodeVarint(300)], [0xac, 0x02])
  assert.deepEqual([...encodeVarint(2 ** 28 - 1)], [0xff, 0xff, 0xff, 0x7f])
})

test('values are written and read by the definition', () => {
  const integers = fc.oneof(fc.constantFrom(...EDGES), fc.nat(2 ** 28 - 1))
  fc.assert(
    fc.property(integers, fc.nat(5), (value, before) => {
      const written = encodeVarint(value)
      assert.deepEqual([...written], varintOf(value))
      const bytes = new Uint8Array(before + written.length + 2).fill(0xff)
      bytes.set(written, before)
      assert.equal(readVarint(bytes, before), before + written.length)
      assert.equal(varintValue(), value)
    }),
  )
})

test('cut at every offset: the end of the bytes', () => {
  for (const value of EDGES) {
    const written = encodeVarint(value)
    for (let end = 0; end < written.length; end++) {
      assert.equal(readVarint(written.subarray(0, end), 0), 0, `${value} cut at ${end}`)
    }
  }
  assert.equal(readVarint(Uint8Array.of(1), 1), 0)
})

test('longer forms than needed and longer than four bytes are refused', () => {
  const refused = [
    [0x80, 0x00],
    [0x81, 0x00],
    [0xff, 0xff, 0x00],
    [0x80, 0x80, 0x80, 0x00],
    [0xff, 0xff, 0xff, 0xff],
    [0x80, 0x80, 0x80, 0x80, 0x01],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  ]
  for (const bytes of refused)
    assert.equal(readVarint(Uint8Array.from(bytes), 0), -1, bytes.join(' '))
})

test('never a negative value or an offset outside, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 6 }), (bytes) => {
      const end = readVarint(bytes, 0)
      if (end <= 0) return
      assert.ok(end <= bytes.length && varintValue() >= 0 && varintValue() < 2 ** 28)
      assert.deepEqual(encodeVarint(varintValue()), bytes.slice(0, end))
    }),
    { numRuns: 5_000 },
  )
})
