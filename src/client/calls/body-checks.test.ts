import assert from 'node:assert/strict'
import { test } from 'node:test'

import { encodeCar, encodeCarBlock, encodeCarHeader } from '../../data/car-stream.ts'
import { CODEC_RAW, cidOf } from '../../data/cid.ts'
import { CarEndCheck, HashCheck } from './body-checks.ts'
import type { ByteCheck } from './byte-stream.ts'
import { isCallError } from './call-error.ts'

const TARGET = { nsid: 'com.atproto.sync.getRepo', service: 'https://pds.example' }

/** What a check says of bytes that come in pieces. */
function verdict(check: ByteCheck, bytes: Uint8Array, size: number): string {
  try {
    for (let at = 0; at < bytes.length; at += size) check.piece(bytes.subarray(at, at + size))
    check.end()
    return 'ok'
  } catch (error) {
    assert(isCallError(error))
    return error.code
  }
}

test('a CAR may end after a part and nowhere else, whatever pieces it comes in', () => {
  const blocks = [0, 1, 200, 20_000].map((length) => {
    const block = new Uint8Array(length)
    return { cid: cidOf(CODEC_RAW, block), block }
  })
  const root = cidOf(CODEC_RAW, new Uint8Array(1))
  const car = encodeCar([root], blocks)
  const ends = new Set<number>()
  let end = encodeCarHeader([root]).length
  ends.add(end)
  for (const { cid, block } of blocks) ends.add((end += encodeCarBlock(cid, block).length))
  assert.equal(end, car.length)
  const lengths = [...Array.from({ length: 600 }, (_, i) => i), end - 20_000, end - 1, end]
  for (const length of lengths) {
    const expected = ends.has(length) ? 'ok' : 'Truncated'
    for (const size of [1, 7, 4_096]) {
      const cut = car.subarray(0, length)
      assert.equal(verdict(new CarEndCheck(TARGET), cut, size), expected, `${length} by ${size}`)
    }
  }
})

test('what is no CAR is told from one that is cut', () => {
  const texts = ['<!doctype html>', '{"error":"x"}', '\u0000', 'x'.repeat(300), '\u007f\u007f']
  for (const text of texts) {
    const bytes = new TextEncoder().encode(text)
    assert.equal(verdict(new CarEndCheck(TARGET), bytes, 1), 'InvalidResponse', text.slice(0, 9))
  }
  const endless = new Uint8Array(10).fill(0xff)
  assert.equal(verdict(new CarEndCheck(TARGET), endless, 10), 'InvalidResponse')
})

test('a blob is what its CID names, or Unverified', () => {
  const bytes = new Uint8Array(1_000).fill(3)
  const cid = cidOf(CODEC_RAW, bytes)
  for (const size of [1, 64, 999, 1_000]) {
    assert.equal(verdict(new HashCheck(TARGET, cid), bytes, size), 'ok')
    assert.equal(verdict(new HashCheck(TARGET, cid), bytes.subarray(1), size), 'Unverified')
  }
})
