import assert from 'node:assert/strict'
import { test } from 'node:test'

import { bundle, bundleFaults } from './bundle.ts'

/** What runs anywhere, by its entry point. */
const ENTRIES = {
  client: 'src/client/index.ts',
  repo: 'src/repo/index.ts',
  data: 'src/data/index.ts',
  syntax: 'src/syntax/index.ts',
  crypto: 'src/crypto/index.ts',
  lib: 'src/lib/index.ts',
  stream: 'src/stream/index.web.ts',
}

test('what runs anywhere can be bundled for browsers, and asks nothing of Node', async () => {
  const { files, inputs, externals } = await bundle(ENTRIES)
  for (const name of Object.keys(ENTRIES)) assert.ok(files.has(`${name}.js`), name)
  assert.deepEqual(externals, [])
  assert.deepEqual(
    inputs.filter((path) => /\.node\.|^node:|\/ws\/|better-sqlite3|undici/.test(path)),
    [],
  )
  for (const path of ['src/crypto/runtime.web.ts', 'src/stream/web-transport.ts']) {
    assert.ok(inputs.includes(path), path)
  }
  for (const [name, text] of files) {
    assert.doesNotMatch(text, /(?:from|import\(|require\()\s*["']node:/, name)
  }
})

test('a module of Node in the graph is an error that names it', async () => {
  const log = bundle({ log: 'src/log/index.ts' })
  await assert.rejects(log, (thrown) => {
    const faults = bundleFaults(thrown)
    assert.ok(faults.some((fault) => /^src\/log\/[\w-]+\.ts: .*"node:/.test(fault)))
    return true
  })
})
