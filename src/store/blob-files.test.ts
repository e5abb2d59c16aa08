/** What of a blob is on the disk, and when: nothing that a running process could tell. */
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TemporaryDirectory } from '../ops/temporary-directory.ts'
import { BlobFiles } from './blob-files.ts'

/** Notes what is written, synced and renamed from now on, in order, when it is done. */
async function watchDisk(t: TestContext, path: string): Promise<string[]> {
  const done: string[] = []
  const handle = await open(path, 'r')
  // Every file is a handle of this kind; the methods of a running one can be watched here alone.
  const kind = Object.getPrototypeOf(handle) as typeof handle
  await handle.close()
  const write = kind['writeFile']
  t.mock.method(kind, 'writeFile', async function watched(this: typeof handle, data: Uint8Array) {
    await write.call(this, data)
    done.push(`write ${data.length}`)
  })
  const sync = kind['datasync']
  t.mock.method(kind, 'datasync', async function watched(this: typeof handle) {
    await sync.call(this)
    done.push('sync file')
  })
  const { fsyncSync, renameSync } = fs
  t.mock.method(fs, 'fsyncSync', (file: number) => {
    fsyncSync(file)
    done.push('sync folder')
  })
  t.mock.method(fs, 'renameSync', (from: string, to: string) => {
    renameSync(from, to)
    done.push('rename')
  })
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  return done
}

async function* inTwo(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(3)
  yield new Uint8Array(2)
}

test('I1: a blob’s bytes are durable when it has been received, its name when it is kept', async (t) => {
  await using directory = await TemporaryDirectory.create('skein-blobs-')
  const files = new BlobFiles(join(directory.path, 'blobs'), 0)
  const done = await watchDisk(t, directory.path)
  const received = await files.receive(inTwo(), 100)
  assert(typeof received === 'object')
  assert.deepEqual(done.splice(0), ['write 3', 'write 2', 'sync file'])
  received.keep()
  assert.deepEqual(done, ['sync folder', 'rename', 'sync folder'], 'a new folder has a name too')
})
