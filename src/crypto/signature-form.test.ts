import assert from 'node:assert/strict'
import { test } from 'node:test'

import { must } from '../lib/assert.ts'
import { fromHex } from '../lib/bytes.ts'
import { type Curve, CURVES } from './curve.ts'
import { checkSignatureForm } from './signature-form.ts'

/** Orders from SEC 2 (2.4.1, 2.4.2), and their halves by long division. */
const NUMBERS: Readonly<Record<Curve, Readonly<Record<string, string>>>> = {
  k256: {
    order: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
    belowOrder: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140',
    aboveOrder: 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142',
    half: '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0',
    aboveHalf: '7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1',
  },
  p256: {
    order: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    belowOrder: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550',
    aboveOrder: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632552',
    half: '7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8',
    aboveHalf: '7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9',
  },
}
const ONE = '01'.padStart(64, '0')
const ZERO = '0'.repeat(64)
const ALL_ONES = 'f'.repeat(64)

for (const curve of CURVES) {
  const { order = '', belowOrder = '', aboveOrder = '', half = '', aboveHalf = '' } = NUMBERS[curve]
  const form = (r: string, s: string): string =>
    checkSignatureForm(curve, must(fromHex(r + s), 'hex'))

  test(`${curve}: both halves are in 1..n-1`, () => {
    assert.equal(form(ONE, ONE), 'ok')
    assert.equal(form(belowOrder, ONE), 'ok')
    for (const bad of [ZERO, order, aboveOrder, ALL_ONES]) {
      assert.equal(form(bad, ONE), 'signature-malformed', `r=${bad}`)
      assert.equal(form(ONE, bad), 'signature-malformed', `s=${bad}`)
    }
    assert.equal(form(ZERO, aboveHalf), 'signature-malformed')
  })

  test(`${curve}: s is at most half the order`, () => {
    assert.equal(form(ONE, half), 'ok')
    assert.equal(form(ONE, aboveHalf), 'signature-high-s')
    assert.equal(form(ONE, belowOrder), 'signature-high-s')
  })

  test(`${curve}: every size but 64 is malformed`, () => {
    for (let length = 0; length <= 130; length++) {
      const verdict = checkSignatureForm(curve, new Uint8Array(length).fill(1))
      assert.equal(verdict, length === 64 ? 'ok' : 'signature-malformed', `length=${length}`)
    }
  })
}
