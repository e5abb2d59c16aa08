import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { AssertionError } from '../lib/assert.ts'
import type { Clock } from '../lib/clock.ts'
import {
  compareTids,
  createTid,
  isTid,
  nextTid,
  parseTid,
  type Tid,
  TID_CLOCK_ID_MAX,
  TID_MICROS_MAX,
  tidClockId,
  tidMicros,
  tidOf,
  toTid,
} from './tid.ts'

const ALPHABET = '234567abcdefghijklmnopqrstuvwxyz'
const CHARACTERS = ALPHABET.split('')

/** The 64-bit number of a TID, by arithmetic that knows nothing of the code under test. */
function numberOf(tid: string): bigint {
  let value = 0n
  for (const character of tid) value = value * 32n + BigInt(ALPHABET.indexOf(character))
  return value
}

function clockAt(nowMs: number): Clock {
  return { nowMs: () => nowMs, monotonicMs: () => 0, after: () => ({ cancel() {} }) }
}

const anyMicros = fc.maxSafeNat()
const anyClockId = fc.nat(TID_CLOCK_ID_MAX)
const anyTid = fc
  .tuple(
    fc.constantFrom(...CHARACTERS.slice(0, 16)),
    fc.string({ unit: fc.constantFrom(...CHARACTERS), minLength: 12, maxLength: 12 }),
  )
  .map(([first, rest]) => toTid(first + rest))

test('a TID is the number of its microseconds and clock identifier', () => {
  fc.assert(
    fc.property(anyMicros, anyClockId, (micros, clockId) => {
      const tid = tidOf(micros, clockId)
      assert.equal(numberOf(tid), BigInt(micros) * 1_024n + BigInt(clockId))
      assert.equal(tidMicros(tid), micros)
      assert.equal(tidClockId(tid), clockId)
    }),
  )
  assert.equal(tidOf(0, 0), '2222222222222')
  assert.equal(tidMicros(toTid('3jzfcijpj2z2a')), 1_688_137_381_887_007)
})

test('every TID reads back to the number nearest its time, and orders by number', () => {
  fc.assert(
    fc.property(anyTid, anyTid, (a, b) => {
      assert.equal(tidMicros(a), Number(numberOf(a) / 1_024n))
      assert.equal(tidClockId(a), Number(numberOf(a) % 1_024n))
      const difference = numberOf(a) - numberOf(b)
      assert.equal(Math.sign(compareTids(a, b)), Number(difference > 0n) - Number(difference < 0n))
      if (a <= b) assert.ok(tidMicros(a) <= tidMicros(b))
    }),
  )
})

test('a new TID is of the clock, and a following one is strictly greater', () => {
  assert.equal(tidMicros(createTid(clockAt(1_700_000_000_000), 5)), 1_700_000_000_000_000)
  assert.equal(tidMicros(createTid(clockAt(1.2345), 5)), 1_234)
  fc.assert(
    fc.property(fc.nat(2 ** 41), fc.nat(2 ** 41), anyClockId, anyClockId, (before, now, x, y) => {
      const previous = createTid(clockAt(before), x)
      const next = nextTid(previous, clockAt(now), y)
      assert.equal(compareTids(next, previous), 1)
      assert.equal(tidClockId(next), y)
      assert.equal(tidMicros(next), Math.max(now * 1_000, before * 1_000 + 1))
    }),
  )
  assert.equal(nextTid(null, clockAt(1), 0), tidOf(1_000, 0))
})

test('many in the same millisecond rise', () => {
  let last: Tid | null = null
  for (let i = 0; i < 2_000; i++) {
    const tid: Tid = nextTid(last, clockAt(1_700_000_000_000), 1_023 - (i % 1_024))
    if (last !== null) assert.ok(tid > last)
    last = tid
  }
})

test('nothing follows the end of time', () => {
  const last = tidOf(TID_MICROS_MAX, 0)
  assert.equal(tidMicros(last), TID_MICROS_MAX)
  for (const previous of [last, toTid('jzzzzzzzzzzzz')]) {
    assert.throws(() => nextTid(previous, clockAt(0), 0), { code: 'SYNTAX_INVALID' })
  }
  const before = tidOf(TID_MICROS_MAX - 1, 1_023)
  assert.equal(nextTid(before, clockAt(0), 0), last)
})

test('times and clock identifiers out of range are programming errors', () => {
  for (const micros of [-1, 1.5, Number.NaN, TID_MICROS_MAX + 1, Number.POSITIVE_INFINITY]) {
    assert.throws(() => tidOf(micros, 0), AssertionError)
  }
  for (const clockId of [-1, 1_024, 0.5, Number.NaN]) {
    assert.throws(() => tidOf(0, clockId), AssertionError)
  }
})

test('thirteen characters of the alphabet, the first below k', () => {
  const good = '3jzfcijpj2z2a'
  for (let length = 0; length < 13; length++) assert.equal(parseTid(good.slice(0, length)), null)
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code)
    const inAlphabet = ALPHABET.includes(character)
    for (let i = 0; i < 13; i++) {
      const text = good.slice(0, i) + character + good.slice(i + 1)
      const expected = inAlphabet && (i > 0 || ALPHABET.indexOf(character) < 16)
      assert.equal(isTid(text), expected, text)
    }
  }
})
