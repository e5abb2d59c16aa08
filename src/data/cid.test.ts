import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import { fromString } from '@atcute/cid'
import * as fc from 'fast-check'

import {
  CID_BYTES,
  CODEC_DAG_CBOR,
  CODEC_RAW,
  cidEquals,
  cidEqualsAt,
  cidFromString,
  cidOf,
  cidToString,
  hashMatches,
  isCidBytes,
} from './cid.ts'

test('the CID of a block: header and SHA-256', () => {
  const block = new TextEncoder().encode('hello\n')
  for (const codec of [CODEC_DAG_CBOR, CODEC_RAW] as const) {
    const cid = cidOf(codec, block)
    const digest = createHash('sha256').update(block).digest()
    assert.deepEqual([...cid], [1, codec, 0x12, 0x20, ...digest])
    assert.ok(isCidBytes(cid, 0))
  }
  // The empty tree, a value that everybody knows.
  const empty = cidOf(CODEC_DAG_CBOR, Uint8Array.of(0xa2, 0x61, 0x65, 0x80, 0x61, 0x6c, 0xf6))
  assert.equal(cidToString(empty), 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm')
})

test('text there and back, as @atcute/cid has it', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom(CODEC_DAG_CBOR, CODEC_RAW), (block, codec) => {
      const cid = cidOf(codec, block)
      const text = cidToString(cid)
      assert.match(text, codec === CODEC_RAW ? /^bafkrei[a-z2-7]{52}$/ : /^bafyrei[a-z2-7]{52}$/)
      assert.deepEqual(cidFromString(text), cid)
      assert.deepEqual(fromString(text).bytes, cid)
    }),
  )
})

test('texts that are no CID of the one kind', () => {
  const valid = 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm'
  assert.ok(cidFromString(valid))
  const refused = [
    '',
    'b',
    valid.slice(0, -1),
    `${valid}a`,
    valid.toUpperCase(),
    ` ${valid}`,
    valid.slice(1),
    // Version 0, another codec, another hash, another base.
    'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
    'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
    'bafkrmiacqxgzbyrsbgqv2zu3khcn4qkdvxgjhfldbclo5gawbf4elctxpe',
    'zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA',
    valid.replace(/.$/, '1'),
  ]
  for (const text of refused) assert.equal(cidFromString(text), null, text)
})

test('bytes that are no CID of the one kind', () => {
  const cid = cidOf(CODEC_RAW, new Uint8Array(3))
  const changed = (at: number, byte: number): Uint8Array => cid.with(at, byte)
  assert.equal(isCidBytes(changed(0, 0), 0), false)
  assert.equal(isCidBytes(changed(1, 0x70), 0), false)
  assert.equal(isCidBytes(changed(2, 0x1e), 0), false)
  assert.equal(isCidBytes(changed(3, 0x1f), 0), false)
  for (let end = 0; end < CID_BYTES; end++) assert.equal(isCidBytes(cid.subarray(0, end), 0), false)
  assert.equal(isCidBytes(cid, 1), false)
  assert.equal(isCidBytes(Uint8Array.of(9, 9, ...cid, 9), 2), true)
})

test('a hash matches its block and no other', () => {
  const block = Uint8Array.of(1, 2, 3)
  const cid = cidOf(CODEC_RAW, block)
  assert.ok(hashMatches(cid, 0, block))
  assert.ok(hashMatches(Uint8Array.of(7, ...cid), 1, block))
  for (let i = 4; i < CID_BYTES; i++) {
    assert.equal(hashMatches(cid.with(i, (cid[i] ?? 0) ^ 0x80), 0, block), false, `byte ${i}`)
  }
  assert.equal(hashMatches(cid, 0, Uint8Array.of(1, 2)), false)
})

test('equality looks at every byte of the digest and at the codec', () => {
  const cid = cidOf(CODEC_RAW, Uint8Array.of(1))
  assert.ok(cidEquals(cid, cid.slice()))
  for (let i = 4; i < CID_BYTES; i++) {
    assert.equal(cidEquals(cid, cid.with(i, (cid[i] ?? 0) ^ 1)), false, `byte ${i}`)
  }
  assert.equal(cidEquals(cid, cidOf(CODEC_DAG_CBOR, Uint8Array.of(1))), false)
  assert.ok(cidEqualsAt(Uint8Array.of(5, 5, ...cid), 2, Uint8Array.of(5, ...cid), 1))
  assert.equal(cidEqualsAt(Uint8Array.of(5, ...cid, 5), 2, cid, 0), false)
})
