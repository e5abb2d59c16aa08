import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findSharedDirectory } from '../../test/vectors/suite-result.ts'
import { CHECKS, run } from '../../test/vectors/suite-syntax.ts'

test('interoperability vectors: syntax', async (t) => {
  const directory = findSharedDirectory()
  if (directory === null) return t.skip('../shared is absent')
  const results = await run(directory)
  for (const kind of Object.keys(CHECKS)) {
    const files = results.filter((result) => result.name.includes(` ${kind}_syntax_`))
    assert.equal(files.length, 2, `${kind} has a valid and an invalid file`)
  }
  for (const result of results) {
    await t.test(result.name, () => {
      assert.ok(result.total > 0)
      assert.deepEqual(result.failures, [])
    })
  }
})
