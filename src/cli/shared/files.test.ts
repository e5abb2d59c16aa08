import assert from 'node:assert/strict'
import { existsSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import { CliWorld } from '../testing/cli-world.ts'
import { recordFile } from '../repo/export-index.ts'
import { EXIT } from '../io.ts'
import { must } from '../../lib/assert.ts'
import { PartFile, partPathOf, writeWhole } from './files.ts'

const hasLinks = process.platform !== 'win32'

test('a file is there whole or not at all, and replaces the one before', async () => {
  await using folder = await TemporaryDirectory.create('skein-files-')
  const path = join(folder.path, 'file')
  {
    await using part = await PartFile.create(path)
    await part.write('half')
  }
  assert.equal(existsSync(path), false)
  await writeWhole(path, 'first')
  await writeWhole(path, new Uint8Array([0x32]))
  assert.equal(readFileSync(path, 'utf8'), '2')
  assert.equal(existsSync(partPathOf(path)), false)
  await assert.rejects(writeWhole(join(path, 'below'), ''), {
    code: 'FILE_FAILED',
    message: /a part of the path is no folder/,
  })
})

test('a link in the place of a file that is written is not followed', async (context) => {
  if (!hasLinks) return context.skip('no symbolic links here')
  await using folder = await TemporaryDirectory.create('skein-files-')
  const victim = join(folder.path, 'victim')
  writeFileSync(victim, 'keep')
  const path = join(folder.path, 'file')
  symlinkSync(victim, partPathOf(path))
  await assert.rejects(writeWhole(path, 'new'), {
    code: 'FILE_FAILED',
    message: /it is a symbolic link/,
  })
  assert.equal(readFileSync(victim, 'utf8'), 'keep')
})

test('an export neither follows a link in the place of a record', async (context) => {
  if (!hasLinks) return context.skip('no symbolic links here')
  await using world = await CliWorld.start({ accounts: 1 })
  const folder = world.path('export')
  const args = ['repo', 'export', world.did(), folder, '--no-blobs']
  assert.equal((await world.run(args)).code, EXIT.ok)
  const [path] = must([...world.network.simulation.world.records(world.did())][0], 'record')
  const victim = world.path('victim')
  writeFileSync(victim, '')
  const file = join(folder, recordFile(path))
  unlinkSync(file)
  unlinkSync(join(folder, 'manifest.json'))
  symlinkSync(victim, file)
  const { code, err } = await world.run(args)
  assert.equal(code, EXIT.failure)
  assert.match(err, /it is a symbolic link/)
  assert.equal(readFileSync(victim, 'utf8'), '')
})
