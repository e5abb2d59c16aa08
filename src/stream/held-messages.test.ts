import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HeldMessages } from './held-messages.ts'

const message = (n: number, length = 1): Uint8Array => new Uint8Array(length).fill(n)

/** What is delivered, and what happens at each delivery. */
function holder(bytesMax: number, onDelivery: (n: number, held: HeldMessages) => void = () => {}) {
  const out: number[] = []
  const held: HeldMessages = new HeldMessages(bytesMax, (bytes) => {
    const n = bytes?.[0] ?? -1
    out.push(n)
    onDelivery(n, held)
  })
  return { held, out }
}

test('messages pass while nobody pauses, and wait in order while somebody does', () => {
  const { held, out } = holder(10_000)
  assert.ok(held.take(message(1)))
  held.pause()
  assert.ok(held.take(message(2)) && held.take(null) && held.take(message(4)))
  assert.deepEqual(out, [1])
  assert.ok(held.resume())
  assert.deepEqual(out, [1, 2, -1, 4])
  assert.ok(held.take(message(5)))
  assert.deepEqual(out, [1, 2, -1, 4, 5])
})

test('a pause from within a delivery stops the rest; what comes later stays behind it', () => {
  const { held, out } = holder(10_000, (n, self) => {
    if (n === 2) self.pause()
  })
  held.pause()
  for (const n of [1, 2, 3]) held.take(message(n))
  assert.equal(held.resume(), false)
  assert.deepEqual(out, [1, 2])
  held.take(message(4))
  assert.ok(held.resume())
  assert.deepEqual(out, [1, 2, 3, 4])
})

test('pausing and resuming from within a delivery repeats and loses nothing', () => {
  const { held, out } = holder(10_000, (_n, self) => {
    self.pause()
    self.resume()
  })
  held.pause()
  for (const n of [1, 2, 3]) held.take(message(n))
  assert.ok(held.resume())
  assert.deepEqual(out, [1, 2, 3])
})

test('what arrives while held messages are given out comes after them', () => {
  const { held, out } = holder(10_000, (n, self) => {
    if (n === 1) assert.ok(self.take(message(4)))
  })
  held.pause()
  for (const n of [1, 2, 3]) held.take(message(n))
  assert.ok(held.resume())
  assert.deepEqual(out, [1, 2, 3, 4])
})

test('the bound counts bytes and 128 for each message, and frees what was given out', () => {
  const { held, out } = holder(3 * 128 + 30)
  held.pause()
  for (const n of [1, 2, 3]) assert.ok(held.take(message(n, 10)))
  assert.equal(held.take(message(4, 1)), false)
  assert.equal(held.take(null), false)
  assert.ok(held.resume())
  held.pause()
  for (const n of [5, 6, 7]) assert.ok(held.take(message(n, 10)))
  assert.equal(held.take(message(8, 10)), false)
  assert.ok(held.resume())
  assert.deepEqual(out, [1, 2, 3, 5, 6, 7])
})

test('after a drop nothing comes, also from within a delivery', () => {
  const { held, out } = holder(10_000, (n, self) => {
    if (n === 1) self.drop()
  })
  held.pause()
  for (const n of [1, 2]) held.take(message(n))
  assert.equal(held.resume(), false)
  assert.ok(held.take(message(3)))
  assert.deepEqual(out, [1])
})
