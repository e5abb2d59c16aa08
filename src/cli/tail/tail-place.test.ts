import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import { PlaceFile } from './tail-place.ts'

const cursor = { service: 'https://relay.example', seq: 7, timeMs: null }

test('a place that cannot be kept is the fault of the disk, not of the call', async () => {
  await using folder = await TemporaryDirectory.create('skein-place-')
  const place = new PlaceFile(join(folder.path, 'missing', 'place.json'))
  assert.deepEqual(await place.load(), [])
  await assert.rejects(place.save(cursor), {
    code: 'FILE_FAILED',
    message: /no such file or folder/,
  })
  // One that failed does not stand in the way of the next.
  const good = new PlaceFile(join(folder.path, 'place.json'))
  await good.save(cursor)
  assert.deepEqual(JSON.parse(readFileSync(good.path, 'utf8')), { cursors: [cursor] })
  assert.deepEqual(await new PlaceFile(good.path).load(), [cursor])
})
