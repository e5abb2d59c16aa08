import assert from 'node:assert/strict'
import { test } from 'node:test'

import { judge, SUITES } from './all-suites.ts'
import { KNOWN_DIFFERENCES } from './known-differences.ts'
import { findSharedDirectory } from './suite-result.ts'

/** The fewest cases that each suite must find: a suite that reads nothing passes nothing. */
const CASES_MIN: Readonly<Record<string, number>> = {
  syntax: 300,
  crypto: 20,
  'data-model': 20,
  dasl: 100,
  'interop-mst': 490,
  'mst-diff': 6 * 16_384,
  'legacy-commits': 8,
  'relay-frames': 200,
  'pds-capture': 65,
}

const directory = findSharedDirectory()
const skip = directory === null ? '../shared/vectors is absent' : false

for (const [name, run] of Object.entries(SUITES)) {
  test(`vectors: ${name}`, { skip }, async (t) => {
    const results = await run(directory ?? '')
    const total = results.reduce((sum, result) => sum + result.total, 0)
    assert.ok(total >= (CASES_MIN[name] ?? Infinity), `${total} cases`)
    for (const result of results.map(judge)) {
      await t.test(`${result.name} (${result.total})`, () => {
        assert.ok(result.total > 0)
        assert.deepEqual(result.unexpected, [])
        assert.equal(result.passed + result.known.length, result.total)
      })
    }
  })
}

test('every known difference is of a suite that was run', { skip }, async () => {
  const names = new Set<string>()
  for (const run of [SUITES['dasl']]) {
    for (const result of (await run?.(directory ?? '')) ?? []) names.add(result.name)
  }
  for (const { suite } of KNOWN_DIFFERENCES) assert.ok(names.has(suite), suite)
})

test('a failure that is not listed, and a listed one that passes, are unexpected', () => {
  const [listed] = KNOWN_DIFFERENCES
  assert.ok(listed)
  const base = { name: listed.suite, passed: 0, total: 1 }
  const [known = ''] = listed.cases
  assert.deepEqual(judge({ ...base, failures: [`${known}: refused`] }).unexpected, [])
  assert.deepEqual(judge({ ...base, failures: [`${known}: refused`, 'another: bad'] }).unexpected, [
    'another: bad',
  ])
  assert.equal(judge({ ...base, failures: [] }).unexpected.length, listed.cases.length)
})
