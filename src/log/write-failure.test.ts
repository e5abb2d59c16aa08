import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SkeinError } from '../lib/errors.ts'
import type { EventLog } from './event-log.ts'
import type { StorageHook } from './testing/memory-storage.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import {
  batchOf,
  eventOf,
  framesOf,
  openLog,
  put,
  readAll,
  sameBytes,
} from './testing/log-fixtures.ts'

const refused = (error: unknown): boolean =>
  error instanceof SkeinError && error.code === 'LOG_WRITE_FAILED'

/** Fails step `nth` (from 0) of those that `matches` accepts, and all later ones if `forever`. */
function failing(
  nth: number,
  code: string,
  matches: (step: string, path: string) => boolean,
  lasting: 'once' | 'forever' = 'once',
): { hook: StorageHook; fired: () => number } {
  let seen = 0
  let fired = 0
  const hook: StorageHook = (step, path) => {
    if (!matches(step, path)) return
    const at = seen++
    if (at < nth || (at > nth && lasting === 'once')) return
    fired++
    throw Object.assign(new Error(`${code}: injected`), { code })
  }
  return { hook, fired: () => fired }
}

const events = Array.from({ length: 9 }, (_, at) => eventOf(at + 1))

/** A log with seqs 1-5, durable and published. */
async function started(storage: MemoryStorage): Promise<EventLog> {
  const log = await openLog(storage)
  await put(log, 5)
  return log
}

for (const step of ['write', 'sync'] as const) {
  for (const file of ['frames', 'index'] as const) {
    for (const code of ['ENOSPC', 'EIO']) {
      test(`${code} at the ${step} of ${file}: the batch leaves nothing`, async () => {
        const storage = new MemoryStorage()
        const log = await started(storage)
        const fault = failing(0, code, (each, path) => each === step && path.includes(`.${file}`))
        storage.hook = fault.hook
        await assert.rejects(log.append(batchOf(log, 4)), refused)
        assert.equal(fault.fired(), 1)
        await assert.rejects(log.append(batchOf(log, 1)), refused)
        assert.deepEqual([log.durableSeq, log.nextSeq, log.stats.failed], [5, 6, true])
        sameBytes(await readAll(log), framesOf(events.slice(0, 5)))
        await log.close()
        const again = await openLog(storage)
        assert.equal(again.durableSeq, 5)
        await put(again, 1, { length: 99 })
        const expected = framesOf([...events.slice(0, 5), eventOf(6, { length: 99 })])
        sameBytes(await readAll(again), expected)
        await again.close()
      })
    }
  }
}

test('when not even cutting back works, only whole events of the batch stay', async () => {
  for (const file of ['.frames', '.index', '']) {
    const storage = new MemoryStorage()
    const log = await started(storage)
    const fault = failing(
      0,
      'EIO',
      (step, path) => step !== 'read' && path.includes(file),
      'forever',
    )
    storage.hook = fault.hook
    await assert.rejects(log.append(batchOf(log, 4)), refused)
    assert.ok(fault.fired() > 0)
    await log.close()
    storage.hook = () => undefined
    const again = await openLog(storage)
    const { durableSeq } = again
    assert.ok(durableSeq >= 5 && durableSeq < 9, `${file}: ${durableSeq}`)
    sameBytes(await readAll(again), framesOf(events.slice(0, durableSeq)))
    await put(again, 1, { length: 99 })
    await again.close()
  }
})

test('a new segment that cannot be made is a write failure, at whichever step', async () => {
  for (let nth = 0; ; nth++) {
    const storage = new MemoryStorage()
    const log = await openLog(storage, { segmentBytesMax: 50 })
    await put(log, 1)
    const fault = failing(nth, 'ENOSPC', (step) => step !== 'read')
    storage.hook = fault.hook
    const outcome = await log.append(batchOf(log, 1)).catch((error: unknown) => error)
    const fired = fault.fired()
    storage.hook = () => undefined
    await log.close()
    const again = await openLog(storage)
    assert.equal(again.durableSeq, outcome === undefined ? 2 : 1, `step ${nth}`)
    await put(again, 1)
    sameBytes(await readAll(again), framesOf(events.slice(0, again.durableSeq)))
    await again.close()
    if (fired === 0) {
      assert.ok(nth > 10, 'every step of a new segment has failed once')
      return
    }
    assert.ok(refused(outcome), `step ${nth}`)
  }
})

test('a failure while opening has a code and frees the directory', async () => {
  const whole = new MemoryStorage()
  const first = await openLog(whole, { segmentBytesMax: 50 })
  for (let round = 0; round < 3; round++) await put(first, 1)
  await first.close()
  for (let nth = 0; ; nth++) {
    const storage = whole.copy()
    const fault = failing(nth, 'EIO', () => true)
    storage.hook = fault.hook
    const outcome = await openLog(storage).catch((error: unknown) => error)
    storage.hook = () => undefined
    if (fault.fired() === 0) {
      assert.ok(nth > 10)
      return
    }
    assert.ok(outcome instanceof SkeinError, `step ${nth}: ${String(outcome)}`)
    assert.match(outcome.code, /^LOG_(READ|WRITE)_FAILED$/)
    const log = await openLog(storage)
    sameBytes(await readAll(log), framesOf(events.slice(0, 3)))
    await log.close()
  }
})

test('a read that fails says so, and the next one is tried afresh', async () => {
  const storage = new MemoryStorage()
  const first = await started(storage)
  await first.close()
  const log = await openLog(storage)
  for (const step of ['open', 'read']) {
    const fault = failing(0, 'EMFILE', (each) => each === step)
    storage.hook = fault.hook
    await assert.rejects(readAll(log), { code: 'LOG_READ_FAILED' })
    assert.equal(fault.fired(), 1)
    sameBytes(await readAll(log), framesOf(events.slice(0, 5)))
    storage.hook = () => undefined
  }
  await log.close()
})

test('retention that fails keeps the log whole and can be repeated', async () => {
  for (let nth = 0; ; nth++) {
    const storage = new MemoryStorage()
    const log = await openLog(storage, { segmentBytesMax: 50, retainBytes: 0 })
    for (let round = 0; round < 4; round++) await put(log, 1)
    const fault = failing(nth, 'EIO', () => true)
    storage.hook = fault.hook
    const outcome = await log.retain().catch((error: unknown) => error)
    if (fault.fired() === 0) break
    assert.ok(refused(outcome), `step ${nth}`)
    const left = framesOf(events.slice(log.firstSeq - 1, 4))
    sameBytes(await readAll(log), left)
    const crashed = storage.copy()
    const reopened = await openLog(crashed)
    assert.equal(reopened.durableSeq, 4)
    assert.equal(reopened.firstSeq, log.firstSeq)
    await reopened.close()
    await log.retain()
    assert.equal(log.firstSeq, 4)
    await log.close()
  }
})
