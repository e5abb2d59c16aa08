/** What reaches the disk and when: nothing that a running process could tell from outside. */
import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { TemporaryDirectory } from '../ops/temporary-directory.ts'
import { nodeStorage } from './node-storage.ts'

test('I1: a sync of a file and of a folder is one of the system’s, done when it resolves', async (t) => {
  await using directory = await TemporaryDirectory.create('skein-storage-')
  const handle = await open(directory.path, 'r')
  // Every file is a handle of this kind; the methods of a running one can be watched here alone.
  const kind = Object.getPrototypeOf(handle) as typeof handle
  await handle.close()
  const done: string[] = []
  for (const name of ['sync', 'datasync'] as const) {
    const original = kind[name]
    t.mock.method(kind, name, async function watched(this: typeof handle): Promise<void> {
      await original.call(this)
      done.push(name)
    })
  }
  const folder = join(directory.path, 'log')
  await nodeStorage.ensureDirectory(folder)
  assert.deepEqual(done, ['sync'], 'the name of the new folder')
  const file = await nodeStorage.open(join(folder, 'a'), 'create')
  try {
    await file.write(Uint8Array.of(1, 2, 3), 0)
    assert.deepEqual(done, ['sync'])
    await file.sync()
    assert.deepEqual(done, ['sync', 'datasync'])
  } finally {
    await file.close()
  }
  await nodeStorage.syncDirectory(folder)
  assert.deepEqual(done, ['sync', 'datasync', 'sync'])
})
