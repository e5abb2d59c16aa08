import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { concatBytes, toHex } from '../lib/bytes.ts'
import { BlockIndex } from './block-index.ts'
import { CID_BYTES, CODEC_DAG_CBOR, CODEC_RAW, cidOf } from './cid.ts'

/** Lays CIDs and blocks end to end, with a byte between. */
function indexOf(entries: readonly { readonly cid: Uint8Array; readonly block: Uint8Array }[]) {
  const starts: number[] = []
  const ends: number[] = []
  const parts: Uint8Array[] = []
  let offset = 0
  for (const { cid, block } of entries) {
    parts.push(Uint8Array.of(0xee), cid, block)
    starts.push(offset + 1)
    offset += 1 + cid.length + block.length
    ends.push(offset)
  }
  return new BlockIndex(concatBytes(parts), starts, ends)
}

test('behaves as a Map from CID to the first block that has it', () => {
  const block = fc.uint8Array({ minLength: 0, maxLength: 2 })
  const codec = fc.constantFrom(CODEC_DAG_CBOR, CODEC_RAW)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(codec, block)),
      fc.array(fc.tuple(codec, block)),
      (held, asked) => {
        const entries = held.map(([kind, bytes]) => ({ cid: cidOf(kind, bytes), block: bytes }))
        const index = indexOf(entries)
        const model = new Map<string, number>()
        for (const [i, { cid }] of entries.entries()) {
          if (!model.has(toHex(cid))) model.set(toHex(cid), i)
        }
        assert.equal(index.size, entries.length)
        for (const [i, entry] of entries.entries()) {
          assert.deepEqual(index.cid(i), entry.cid)
          assert.deepEqual(index.block(i), entry.block)
        }
        for (const [kind, bytes] of [...held, ...asked]) {
          const cid = cidOf(kind, bytes)
          const expected = model.get(toHex(cid)) ?? -1
          assert.equal(index.find(cid), expected)
          assert.equal(index.find(concatBytes([Uint8Array.of(1, 2, 3), cid]), 3), expected)
          assert.deepEqual(index.get(cid), expected < 0 ? null : bytes)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('an index without blocks, and numbers out of range', () => {
  const index = new BlockIndex(new Uint8Array(0), [], [])
  assert.equal(index.size, 0)
  assert.equal(index.find(cidOf(CODEC_RAW, new Uint8Array(0))), -1)
  assert.throws(() => index.block(0), /missing: block/)
  assert.throws(() => index.cid(-1), /missing: block/)
})

test('CIDs that share all but one byte of the digest stay apart', () => {
  const base = cidOf(CODEC_RAW, new Uint8Array(0))
  const entries = Array.from({ length: CID_BYTES - 4 }, (_, i) => ({
    cid: base.with(i + 4, (base[i + 4] ?? 0) ^ 0xff),
    block: Uint8Array.of(i),
  }))
  const index = indexOf(entries)
  for (const { cid, block } of entries) assert.deepEqual(index.get(cid), block)
  assert.equal(index.get(base), null)
})

test('10,000 digests that agree in their first four bytes are still found fast', () => {
  const entries = Array.from({ length: 10_000 }, (_, i) => {
    const cid = cidOf(CODEC_RAW, Uint8Array.of(i & 255, i >> 8))
    return { cid: cid.with(4, 0).with(5, 0).with(6, 0).with(7, 0), block: Uint8Array.of(i & 255) }
  })
  const start = performance.now()
  const index = indexOf(entries)
  for (const { cid } of entries) assert.ok(index.find(cid) >= 0)
  assert.ok(performance.now() - start < 1_000)
})

test('100,000 copies of one block are put away as fast as so many blocks', () => {
  const cid = cidOf(CODEC_RAW, new Uint8Array(0))
  const copies = Array.from({ length: 100_000 }, () => ({ cid, block: new Uint8Array(0) }))
  const start = performance.now()
  const index = indexOf(copies)
  assert.equal(index.find(cid), 0)
  // Each put behind all the ones before would be five thousand million steps.
  assert.ok(performance.now() - start < 1_500)
})
