import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
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

test('one that nobody disposed of goes when the process exits, however it does', () => {
  const module = new URL('./temporary-directory.ts', import.meta.url).href
  for (const end of ['process.exit(3)', "throw new Error('nobody catches this')", '']) {
    const script = `
      const { TemporaryDirectory } = await import('${module}')
      const gone = await TemporaryDirectory.create('skein-test-')
      const kept = await TemporaryDirectory.create('skein-test-')
      await gone[Symbol.asyncDispose]()
      process.stdout.write(kept.path + '\\n')
      ${end}`
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    const path = run.stdout.toString().trim()
    assert(path.includes('skein-test-'), run.stderr.toString())
    assert(!existsSync(path), end)
  }
})
