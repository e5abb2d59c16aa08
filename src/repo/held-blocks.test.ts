/** Held blocks against a Map, and what they cost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CODEC_DAG_CBOR, cidOf, cidToString } from '../data/cid.ts'
import { HeldBlocks } from './held-blocks.ts'

function blockOf(number: number, length: number): Uint8Array {
  const block = new Uint8Array(length)
  new DataView(block.buffer).setUint32(0, number)
  return block
}

const ROOM = 64 * 1_024 * 1_024

test('as a Map does, through any puts and takes', () => {
  const step = fc.record({
    what: fc.constantFrom('waiting', 'spare', 'once', 'again'),
    number: fc.nat(300),
    length: fc.constantFrom(4, 200, 3_000, 400_000, 1_500_000),
  })
  const run = fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
    const held = new HeldBlocks(Number.MAX_SAFE_INTEGER)
    const model = new Map<string, Uint8Array>()
    for (const { what, number, length } of steps) {
      const block = blockOf(number, length)
      const cid = cidOf(CODEC_DAG_CBOR, block)
      const key = cidToString(cid)
      assert.equal(held.has(cid), model.has(key))
      if (what === 'once' || what === 'again') {
        assert.deepEqual(held.take(cid, what), model.get(key) ?? null)
        if (what === 'once') model.delete(key)
      } else if (!held.has(cid)) {
        assert.ok(held.put(cid, block, what))
        model.set(key, block)
      }
      assert.equal(held.size, model.size)
    }
  })
  fc.assert(run, { numRuns: 30 })
})

test('many small blocks cost little more than their bytes, and nothing when they are gone', () => {
  const held = new HeldBlocks(ROOM)
  const cids: Uint8Array[] = []
  for (let i = 0; i < 100_000; i++) {
    const block = blockOf(i, 250)
    const cid = cidOf(CODEC_DAG_CBOR, block)
    assert.ok(held.put(cid, block, 'waiting'))
    cids.push(cid)
  }
  assert.ok(held.bytes < 100_000 * (250 + 64), `${held.bytes} bytes`)
  for (const [i, cid] of cids.entries()) assert.deepEqual(held.take(cid, 'once'), blockOf(i, 250))
  assert.equal(held.size, 0)
  // The buffer that is being written stays.
  assert.ok(held.bytes < 2 * 1_024 * 1_024, `${held.bytes} bytes`)
})

test('spare blocks make room for waiting ones, and waiting ones for none', () => {
  const held = new HeldBlocks(100_000)
  const put = (number: number, state: 'waiting' | 'spare'): boolean => {
    const block = blockOf(number, 1_000)
    return held.put(cidOf(CODEC_DAG_CBOR, block), block, state)
  }
  const isHeld = (number: number): boolean =>
    held.has(cidOf(CODEC_DAG_CBOR, blockOf(number, 1_000)))
  let waiting = 0
  for (let i = 0; i < 40; i++) assert.ok(put(i, 'spare'))
  for (let i = 100; put(i, 'waiting'); i++) {
    waiting++
    assert.ok(held.bytes <= 100_000)
  }
  assert.ok(waiting > 75, `${waiting} waiting`)
  for (let i = 0; i < 40; i++) assert.ok(!isHeld(i))
  for (let i = 0; i < waiting; i++) assert.ok(isHeld(100 + i))
  assert.ok(!put(1_000, 'waiting'))
  for (let i = 0; i < waiting / 4; i++) {
    const block = blockOf(100 + i, 1_000)
    assert.deepEqual(held.take(cidOf(CODEC_DAG_CBOR, block), 'once'), block)
  }
  assert.ok(put(1_000, 'waiting'), 'what was taken makes room')
  assert.ok(held.bytes < 90_000, `${held.bytes} bytes`)
})
