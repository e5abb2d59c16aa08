import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Slab } from './slab.ts'

test('pieces have the size asked for, are zero, and never overlap', () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 200 })
  fc.assert(
    fc.property(lengths, (list) => {
      const slab = new Slab(256)
      const pieces = list.map((length, i) => {
        const piece = slab.take(length)
        assert.equal(piece.length, length)
        assert.ok(piece.every((byte) => byte === 0))
        return piece.fill((i % 255) + 1)
      })
      for (const [i, piece] of pieces.entries()) {
        assert.ok(piece.every((byte) => byte === (i % 255) + 1))
      }
    }),
  )
})

test('small pieces share an array, large ones do not', () => {
  const slab = new Slab(256)
  const [a, b, large, c] = [slab.take(64), slab.take(10), slab.take(65), slab.take(10)]
  assert.equal(a.buffer, b.buffer)
  assert.equal(c.buffer, a.buffer)
  assert.notEqual(large.buffer, a.buffer)
  assert.equal(large.buffer.byteLength, 65)
})
