import assert from 'node:assert/strict'
import { test } from 'node:test'
import { payloadRange, wireHeaderBytes, wrapFrame } from './wire-frame.ts'

/** Headers written out by hand from RFC 6455, section 5.2. */
const HEADERS: [number, string][] = [
  [0, '8200'],
  [1, '8201'],
  [125, '827d'],
  [126, '827e007e'],
  [255, '827e00ff'],
  [256, '827e0100'],
  [65_535, '827effff'],
  [65_536, '827f0000000000010000'],
  [5_000_000, '827f00000000004c4b40'],
]

test('a wrapped frame has the header of its length, then the payload', () => {
  for (const [length, header] of HEADERS) {
    const payload = new Uint8Array(length).fill(7)
    const wire = wrapFrame(payload)
    const size = header.length / 2
    assert.equal(wireHeaderBytes(length), size)
    assert.equal(Buffer.from(wire.subarray(0, size)).toString('hex'), header)
    assert.deepEqual(wire.subarray(size), payload)
  }
})

test('payloadRange finds frames one after another', () => {
  const parts = [0, 3, 125, 126, 65_535, 65_536, 1].map((length) => new Uint8Array(length).fill(1))
  const wire = Buffer.concat(parts.map((part) => wrapFrame(part)))
  let offset = 0
  for (const part of parts) {
    const range = payloadRange(wire, offset)
    assert.ok(range !== null)
    assert.equal(range.end - range.start, part.length)
    offset = range.end
  }
  assert.equal(offset, wire.length)
  assert.equal(payloadRange(wire, offset), null)
})

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

test('payloadRange refuses cut frames, other frames and long forms', () => {
  for (const length of [3, 126, 65_536]) {
    const wire = wrapFrame(new Uint8Array(length))
    for (let end = 0; end < Math.min(wire.length, 300); end++) {
      assert.equal(payloadRange(wire.subarray(0, end), 0), null)
    }
    assert.equal(payloadRange(wire.subarray(0, wire.length - 1), 0), null)
  }
  assert.equal(payloadRange(hex('8101ff'), 0), null, 'text')
  assert.equal(payloadRange(hex('0201ff'), 0), null, 'first fragment')
  assert.equal(payloadRange(hex('8281000000001f'), 0), null, 'masked')
  assert.equal(payloadRange(hex('827e0001ff'), 0), null, 'length in a longer form')
  assert.equal(payloadRange(hex('827fffffffffffffffff00'), 0), null, 'absurd length')
})
