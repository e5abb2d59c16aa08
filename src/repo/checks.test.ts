import assert from 'node:assert/strict'
import { test } from 'node:test'

import { INVALID_REASONS, type InvalidReason } from '../lib/reasons.ts'
import { ADJUSTABLE_CHECKS, type CheckModes, CheckList } from './checks.ts'

const REASONS = Object.keys(INVALID_REASONS) as InvalidReason[]

test('without modes every check refuses and nothing is remarked upon', () => {
  const checks = new CheckList({})
  for (const reason of REASONS) assert.equal(checks.refuses(reason, 'detail'), true)
  assert.deepEqual(checks.warnings, [])
})

test('enforce, warn and off', () => {
  const checks = new CheckList({
    'rev-future': 'warn',
    'op-record-missing': 'off',
    'op-prev-missing': 'enforce',
  })
  assert.equal(checks.refuses('rev-future', 'one'), false)
  assert.equal(checks.refuses('op-record-missing', 'two'), false)
  assert.equal(checks.refuses('op-prev-missing', 'three'), true)
  assert.equal(checks.refuses('rev-future', 'four'), false)
  assert.deepEqual(checks.warnings, [
    { reason: 'rev-future', detail: 'one' },
    { reason: 'rev-future', detail: 'four' },
  ])
})

test('signatures, hashes and the form of bytes are not among what can be relaxed', () => {
  for (const reason of ADJUSTABLE_CHECKS) assert.ok(REASONS.includes(reason))
  const fixed = REASONS.filter((reason) => /^(?:signature|car|frame|did)-/.test(reason))
  assert.ok(fixed.length > 10)
  for (const reason of fixed) assert.ok(!(ADJUSTABLE_CHECKS as readonly string[]).includes(reason))
  assert.equal(new Set(ADJUSTABLE_CHECKS).size, ADJUSTABLE_CHECKS.length)
})

test('a mode for a check that is not adjustable is still only a mode of that name', () => {
  const modes: CheckModes = JSON.parse('{"__proto__":{"rev-future":"off"}}')
  assert.equal(new CheckList(modes).refuses('rev-future', 'detail'), true)
})
