import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { SkeinError } from '../lib/errors.ts'
import { DirectoryLock } from './directory-lock.ts'

let base = ''

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'skein-lock-'))
})

after(() => rm(base, { recursive: true, force: true }))

function lockedBy(pid: number, directory: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SkeinError)
    assert.equal(error.code, 'DATA_DIRECTORY_LOCKED')
    assert.deepEqual(error.fields, { directory, pid })
    assert.ok(error.message.includes(directory) && !error.message.includes('\n'))
    return true
  }
}

test('two locks of one directory exclude each other within a process', async () => {
  const directory = join(base, 'a', 'b')
  const lock = await DirectoryLock.acquire(directory)
  await assert.rejects(DirectoryLock.acquire(directory), lockedBy(process.pid, directory))
  await assert.rejects(DirectoryLock.acquire(`${directory}/../b`), {
    code: 'DATA_DIRECTORY_LOCKED',
  })
  const other = await DirectoryLock.acquire(join(base, 'c'))
  other.release()
  lock.release()
  lock.release()
  const again = await DirectoryLock.acquire(directory)
  again.release()
})

test('a lock excludes other processes and dies with a killed holder', async () => {
  const directory = join(base, 'held')
  const module = new URL('directory-lock.ts', import.meta.url).href
  const script = `
    const { DirectoryLock } = await import(${JSON.stringify(module)})
    globalThis.lock = await DirectoryLock.acquire(${JSON.stringify(directory)})
    process.stdout.write('held')
    setInterval(() => globalThis.lock, 1000)
  `
  const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  await assert.rejects(DirectoryLock.acquire(directory), lockedBy(holder.pid ?? 0, directory))
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  const lock = await DirectoryLock.acquire(directory)
  lock.release()
})

test('a directory that cannot be made or written is unusable', async () => {
  await writeFile(join(base, 'file'), '')
  for (const directory of [join(base, 'file'), join(base, 'file', 'below')]) {
    await assert.rejects(DirectoryLock.acquire(directory), { code: 'DATA_DIRECTORY_UNUSABLE' })
  }
})
