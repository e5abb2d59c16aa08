import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { fromUtf8 } from '../lib/bytes.ts'
import { utf8End } from './utf8.ts'

/** The runtime's strict decoder is the other opinion. */
function agree(bytes: Uint8Array): boolean {
  const valid = fromUtf8(bytes) !== null
  assert.equal(utf8End(bytes, 0, bytes.length), valid ? bytes.length : -1, [...bytes].join(' '))
  const framed = Uint8Array.of(0x80, ...bytes, 0x80)
  assert.equal(utf8End(framed, 1, bytes.length), valid ? bytes.length + 1 : -1)
  return valid
}

test('every sequence of one and two bytes', () => {
  let valid = 0
  for (let first = 0; first < 256; first++) {
    if (agree(Uint8Array.of(first))) valid++
    for (let second = 0; second < 256; second++) if (agree(Uint8Array.of(first, second))) valid++
  }
  assert.equal(valid, 128 + 128 * 128 + 1_920)
})

test('the edges of three and four bytes', () => {
  const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
  for (let first = 0xe0; first < 256; first++) {
    for (const second of edges) {
      for (const third of edges) {
        agree(Uint8Array.of(first, second, third))
        for (const fourth of edges) agree(Uint8Array.of(first, second, third, fourth))
      }
    }
  }
})

test('text, whole and damaged', () => {
  const text = fc.string({ unit: 'binary', maxLength: 20 })
  fc.assert(
    fc.property(text, fc.nat(), fc.nat(255), (value, at, byte) => {
      const bytes = new TextEncoder().encode(value)
      assert.ok(agree(bytes))
      if (bytes.length > 0) bytes[at % bytes.length] = byte
      agree(bytes)
    }),
    { numRuns: 2_000 },
  )
})

test('a range that leaves the bytes is refused', () => {
  assert.equal(utf8End(Uint8Array.of(0x61), 0, 2), -1)
  assert.equal(utf8End(Uint8Array.of(0x61, 0xc3), 0, 1), 1)
  assert.equal(utf8End(Uint8Array.of(0x61, 0xc3, 0xa9), 0, 2), -1)
  assert.equal(utf8End(new Uint8Array(0), 0, 0), 0)
})
