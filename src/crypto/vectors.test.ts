import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findSharedDirectory } from '../../test/vectors/suite-result.ts'
import { run } from '../../test/vectors/suite-crypto.ts'

test('interoperability vectors: crypto', async (t) => {
  const directory = findSharedDirectory()
  if (directory === null) return t.skip('../shared is absent')
  const results = await run(directory)
  assert.ok(results.length >= 6, 'two key suites and at least two implementations a curve')
  for (const result of results) {
    await t.test(result.name, () => {
      assert.ok(result.total > 0)
      assert.deepEqual(result.failures, [])
    })
  }
})
