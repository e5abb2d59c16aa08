import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { TemporaryDirectory } from './temporary-directory.ts'

test('a temporary directory is one’s own, and goes with all that is in it', async () => {
  const directory = await TemporaryDirectory.create('skein-test-')
  await using other = await TemporaryDirectory.create('skein-test-')
  assert.notEqual(directory.path, other.path)
  assert.equal(dirname(directory.path), tmpdir())
  assert(basename(directory.path).startsWith('skein-test-'))
  assert.equal(statSync(directory.path).mode & 0o077, 0, 'others cannot read it')
  await mkdir(join(directory.path, 'a'))
  await writeFile(join(directory.path, 'a', 'b'), 'text')
  await directory[Symbol.asyncDispose]()
  assert(!existsSync(directory.path))
  await directory[Symbol.asyncDispose]()
  assert(existsSync(other.path))
})
