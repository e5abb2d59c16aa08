/** The log on a real file system: kills, a full disk, a read-only one. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../lib/clock.ts'
import { SkeinError } from '../lib/errors.ts'
import { seededRandom } from '../lib/random.ts'
import { EventLog } from './event-log.ts'
import type { LogOptions } from './log-limits.ts'
import {
  batchOf,
  eventOf,
  frameOf,
  framesOf,
  put,
  readAll,
  sameBytes,
} from './testing/log-fixtures.ts'

let base = ''

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'skein-log-'))
})

after(() => rm(base, { recursive: true, force: true }))

function open(directory: string, options: Partial<LogOptions> = {}): Promise<EventLog> {
  return EventLog.open(directory, { clock: systemClock, segmentAgeMsMax: 1e15, ...options })
}

async function openFiles(directory: string): Promise<number> {
  const names = await readdir('/proc/self/fd')
  const links = await Promise.all(
    names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')),
  )
  return links.filter((link) => link.startsWith(directory)).length
}

test('a log on disk: append, read, purge, retain, reopen; no file stays open', async () => {
  const directory = join(base, 'plain')
  const options = { segmentBytesMax: 20_000, retainBytes: 60_000, tailBytesMax: 0 }
  const log = await open(directory, options)
  for (let round = 0; round < 30; round++)
    await put(log, 10, { length: 300, did: `did:plc:${round}` })
  assert.equal((await readAll(log)).length, 300 * 300)
  log.purge('did:plc:29', 300)
  await log.purgesSettled()
  assert.equal((await readAll(log)).length, 291 * 300)
  await log.retain()
  const { firstSeq } = log
  assert.ok(firstSeq > 100)
  const left = await readAll(log)
  await log.close()
  assert.equal(await openFiles(directory), 0)
  const names = (await readdir(join(directory, 'log'))).filter((name) => name.endsWith('.frames'))
  const oldest = await readFile(join(directory, 'log', names.sort()[0] ?? ''))
  assert.deepEqual(oldest.subarray(0, 300), Buffer.from(frameOf(firstSeq, 300)))
  const again = await open(directory, options)
  assert.deepEqual([again.firstSeq, again.nextSeq], [firstSeq, 301])
  sameBytes(await readAll(again), left)
  await assert.rejects(open(directory), { code: 'DATA_DIRECTORY_LOCKED' })
  await again.close()
})

/**
 * Runs the appending process until `delayMs` after its first line; returns the last seq printed.
 */
async function appendUntilKilled(
  directory: string,
  seed: number,
  delayMs: number,
): Promise<number> {
  const script = new URL('testing/append-until-killed.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, directory, '200000', String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  await once(child.stdout, 'data')
  systemClock.after(delayMs, () => child.kill('SIGKILL'))
  const [, signal] = await once(child, 'close')
  assert.equal(signal, 'SIGKILL', 'the process was killed, it did not end')
  const lines = printed.slice(0, printed.lastIndexOf('\n')).split('\n')
  return Number(lines.at(-1))
}

test('I1, I2: kill -9 at any moment loses no durable event and repeats no seq', async () => {
  const directory = join(base, 'killed')
  const random = seededRandom(42)
  let seen: Buffer = Buffer.alloc(0)
  let last = 0
  for (let life = 0; life < 15; life++) {
    const printed = await appendUntilKilled(directory, life, random.next() * 40)
    assert.ok(printed > last)
    const log = await open(directory)
    assert.ok(log.durableSeq >= printed, `durable ${log.durableSeq}, printed ${printed}`)
    let seq = 1
    for await (const { entry, frame } of log.entriesAfter(0)) {
      assert.equal(entry.seq, seq)
      sameBytes(frame, frameOf(seq, frame.length))
      seq++
    }
    assert.equal(seq - 1, log.durableSeq)
    const bytes = await readAll(log)
    assert.ok(bytes.subarray(0, seen.length).equals(seen), 'what was there has not changed')
    seen = bytes
    last = log.durableSeq
    await log.close()
  }
})

/** Mounts a small file system, or skips where that is not allowed. */
function mountTiny(directory: string, size: string): string | null {
  spawnSync('mkdir', ['-p', directory])
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory])
  return status === 0 ? null : 'needs the right to mount a tmpfs'
}

test('a full disk refuses the batch, loses nothing, and room lets the log go on', async (t) => {
  const directory = join(base, 'full')
  const skip = mountTiny(directory, '1m')
  if (skip !== null) return t.skip(skip)
  t.after(() => spawnSync('umount', [directory]))
  const options = { segmentBytesMax: 200_000, retainBytes: 400_000 }
  const log = await open(directory, options)
  const full = async (): Promise<never> => {
    for (;;) await put(log, 20, { length: 1_500 })
  }
  await assert.rejects(full(), (error) => {
    assert.ok(error instanceof SkeinError)
    assert.equal(error.code, 'LOG_WRITE_FAILED')
    assert.equal(error.fields['cause'], 'ENOSPC')
    return true
  })
  const { durableSeq } = log
  assert.ok(durableSeq > 400)
  await assert.rejects(log.append(batchOf(log, 1)), { code: 'LOG_WRITE_FAILED' })
  await log.close()
  const again = await open(directory, options)
  assert.equal(again.durableSeq, durableSeq)
  const expected = framesOf(
    Array.from({ length: durableSeq }, (_, at) => eventOf(at + 1, { length: 1_500 })),
  )
  sameBytes(await readAll(again), expected)
  await again.retain()
  await put(again, 20, { length: 1_500 })
  assert.equal(again.durableSeq, durableSeq + 20)
  await again.close()
})

test('a read-only file system is unusable, not locked and not damaged', async (t) => {
  const directory = join(base, 'read-only')
  const skip = mountTiny(directory, '1m')
  if (skip !== null) return t.skip(skip)
  t.after(() => spawnSync('umount', [directory]))
  const log = await open(directory)
  await put(log, 3)
  await log.close()
  spawnSync('mount', ['-o', 'remount,ro', directory])
  await assert.rejects(open(directory), { code: 'DATA_DIRECTORY_UNUSABLE' })
  spawnSync('mount', ['-o', 'remount,rw', directory])
  const again = await open(directory)
  assert.equal(again.durableSeq, 3)
  await again.close()
})
