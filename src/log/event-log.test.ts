import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SkeinError } from '../lib/errors.ts'
import { hashDid } from './did-hash.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import {
  batchOf,
  eventOf,
  framesOf,
  manualClock,
  openLog,
  sameBytes,
} from './testing/log-fixtures.ts'
import { put, readAll, readChunks } from './testing/log-fixtures.ts'

const stopped = (error: unknown): boolean => error instanceof SkeinError && error.code === 'STOPPED'

test('a new log is empty and begins with the seq that was asked for', async () => {
  const log = await openLog(new MemoryStorage(), { firstSeq: 500 })
  assert.deepEqual(
    [log.firstSeq, log.durableSeq, log.publishedSeq, log.nextSeq],
    [500, 499, 499, 500],
  )
  assert.equal(log.read(0, 1_000), null)
  assert.equal(log.read(10_000, 1_000), null)
  await put(log, 3)
  assert.deepEqual([log.firstSeq, log.durableSeq, log.nextSeq], [500, 502, 503])
  const [chunk] = await readChunks(log, 0)
  assert.equal(chunk?.firstSeq, 500)
  await log.close()
})

test('I1: readers see only what is published', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage)
  const events = batchOf(log, 4)
  await log.append(events)
  assert.equal(log.durableSeq, 4)
  assert.equal(log.read(0, 1_000), null)
  let calls = 0
  const end = log.onPublish(() => calls++)
  log.publish(2)
  assert.equal(calls, 1)
  sameBytes(await readAll(log), framesOf(events.slice(0, 2)))
  log.publish(2)
  assert.equal(calls, 1)
  end()
  log.publish(4)
  assert.equal(calls, 1)
  sameBytes(await readAll(log, 1), framesOf(events.slice(1)))
  assert.throws(() => log.publish(3), /below/)
  assert.throws(() => log.publish(5), /above durable/)
  await log.close()
})

test('I1: what is unsynced when an append resolves is nothing', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage)
  let unsynced = 0
  storage.hook = (step) => {
    if (step === 'write') unsynced++
    if (step === 'sync') unsynced--
  }
  await put(log, 5)
  assert.equal(unsynced, 0)
  await log.close()
})

test('what was durable is published at the next open with the same bytes', async () => {
  const storage = new MemoryStorage()
  const first = await openLog(storage)
  const events = batchOf(first, 10)
  await first.append(events.slice(0, 6))
  await first.append(events.slice(6))
  await first.close()
  const log = await openLog(storage)
  assert.equal(log.publishedSeq, 10)
  assert.equal(log.nextSeq, 11)
  const chunk = log.read(0, 100)
  assert.ok(chunk instanceof Promise)
  assert.equal((await chunk).firstSeq, 1)
  sameBytes(await readAll(log), framesOf(events))
  await log.close()
})

test('the tail is served at once and shared; a reader keeps its bytes', async () => {
  const log = await openLog(new MemoryStorage(), { tailBytesMax: 4_000 })
  await put(log, 10)
  const one = log.read(3, 500)
  const other = log.read(3, 500)
  assert.ok(one !== null && !(one instanceof Promise))
  assert.ok(other !== null && !(other instanceof Promise))
  assert.equal(one.bytes.buffer, other.bytes.buffer)
  const kept = Buffer.from(one.bytes)
  for (let round = 0; round < 50; round++) await put(log, 10)
  sameBytes(Buffer.from(one.bytes), kept)
  const late = log.read(3, 500)
  assert.ok(late instanceof Promise, 'the tail has moved on')
  sameBytes(Buffer.from((await late).bytes.subarray(0, kept.length)), kept)
  await log.close()
})

test('I9: the tail stays within its bound, save for one block', async () => {
  const log = await openLog(new MemoryStorage(), { tailBytesMax: 100_000 })
  for (let round = 0; round < 100; round++) {
    await put(log, 3, { length: 9_000 })
    assert.ok(log.stats.tailBytes <= 120_000, String(log.stats.tailBytes))
  }
  await put(log, 1, { length: 3_000_000 })
  await put(log, 1)
  assert.equal((await readAll(log, 300)).length, 3_000_000 + eventOf(302).frame.length)
  await log.close()
})

test('a chunk has at least one frame and otherwise fits', async () => {
  const storage = new MemoryStorage()
  const first = await openLog(storage)
  await put(first, 5, { length: 1_000 })
  for (const log of [first, null]) {
    if (log === null) await first.close()
    const open = log ?? (await openLog(storage))
    const sizes = async (bytesMax: number): Promise<number[]> =>
      (await readChunks(open, 0, bytesMax)).map((chunk) => chunk.bytes.length)
    assert.deepEqual(await sizes(10), [1_000, 1_000, 1_000, 1_000, 1_000])
    assert.deepEqual(await sizes(2_500), [2_000, 2_000, 1_000])
    assert.deepEqual(await sizes(5_000), [5_000])
    if (log === null) await open.close()
  }
})

test('an append must continue the log', async () => {
  const log = await openLog(new MemoryStorage())
  await put(log, 2)
  await assert.rejects(log.append([eventOf(2)]), /append seq 2 where 3 must follow/)
  await assert.rejects(log.append([eventOf(4)]), /append seq 4 where 3 must follow/)
  await assert.rejects(log.append([eventOf(3), eventOf(5)]), /append seq 5 where 4 must follow/)
  await assert.rejects(log.append([{ ...eventOf(3), frame: new Uint8Array(0) }]), /frame/)
  await log.append([])
  const [one, two] = [log.append([eventOf(3)]), log.append([eventOf(4)])]
  await assert.rejects(two, /one at a time/)
  await one
  assert.equal(log.nextSeq, 4)
  await log.close()
})

test('the caller has its buffers back when append returns', async () => {
  const log = await openLog(new MemoryStorage())
  const event = eventOf(1)
  const expected = Buffer.from(event.frame)
  const appended = log.append([event])
  event.frame.fill(0)
  await appended
  log.publish(1)
  sameBytes(await readAll(log), expected)
  await log.close()
})

test('a segment ends by size and by age', async () => {
  const clock = manualClock()
  const storage = new MemoryStorage()
  const log = await openLog(storage, { clock, segmentBytesMax: 1_000, segmentAgeMsMax: 5_000 })
  await put(log, 3, { length: 300, timeMs: clock.nowMs() })
  assert.equal(log.stats.segments, 1)
  await put(log, 1, { length: 300, timeMs: clock.nowMs() })
  assert.equal(log.stats.segments, 2)
  clock.set(clock.nowMs() + 4_999)
  await put(log, 1, { length: 300, timeMs: clock.nowMs() })
  assert.equal(log.stats.segments, 2)
  clock.set(clock.nowMs() + 1)
  await put(log, 1, { length: 300, timeMs: clock.nowMs() })
  assert.equal(log.stats.segments, 3)
  assert.equal((await readAll(log)).length, 6 * 300)
  await log.close()
})

test('entries go backwards, and forwards with their frames', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage, { segmentBytesMax: 3_000 })
  const events = batchOf(log, 2_500)
  for (let at = 0; at < 2_500; at += 50) await log.append(events.slice(at, at + 50))
  const backwards = []
  for await (const entry of log.indexBackwards()) backwards.push(entry)
  assert.deepEqual(
    backwards.map((entry) => entry.seq),
    events.map((event) => event.seq).reverse(),
  )
  const forwards = []
  for await (const record of log.entriesAfter(1_000)) forwards.push(record)
  assert.equal(forwards.length, 1_500)
  for (const { entry, frame } of forwards) {
    const event = eventOf(entry.seq)
    sameBytes(frame, event.frame)
    assert.deepEqual(
      [entry.kind, entry.timeMs, entry.hostId, entry.hostEpoch, entry.hostSeq, entry.didHash],
      ['commit', event.timeMs, event.hostId, event.hostEpoch, event.hostSeq, hashDid(event.did)],
    )
  }
  await log.close()
})

test('a flipped bit in an old frame does not get past entriesAfter', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage)
  await put(log, 10)
  const frames = storage.get('data/log/00000001.frames')
  assert.ok(frames !== null)
  frames[100] = (frames[100] ?? 0) ^ 4
  await assert.rejects(async () => {
    for await (const record of log.entriesAfter(0)) assert.ok(record.entry.seq < 5)
  }, /LOG_DAMAGED|does not match/)
  await log.close()
})

test('an index entry that is damaged while the log is open stops the reader', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage, { tailBytesMax: 0 })
  await put(log, 10)
  await put(log, 10)
  const index = storage.get('data/log/00000001.index')
  assert.ok(index !== null)
  index[64 * 5] = 0xff
  await assert.rejects(Promise.resolve(log.read(2, 1_000)), { code: 'LOG_DAMAGED' })
  await log.close()
})

test('the numbers of the log', async () => {
  const clock = manualClock()
  const log = await openLog(new MemoryStorage(), { clock, segmentBytesMax: 1_000 })
  assert.deepEqual([log.stats.firstTimeMs, log.stats.lastTimeMs], [null, null])
  await put(log, 2, { length: 900, timeMs: 5 })
  await put(log, 1, { length: 900, timeMs: 9 })
  const { stats } = log
  assert.equal(stats.segments, 2)
  assert.equal(stats.bytes, 3 * 900 + 3 * 64 + 2 * 64)
  assert.deepEqual([stats.firstTimeMs, stats.lastTimeMs], [5, 9])
  assert.equal(stats.failed, false)
  await log.close()
})

test('after close everything is refused, and the directory is free', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage, { tailBytesMax: 0 })
  await put(log, 2)
  await put(log, 2)
  const pending = log.read(0, 100)
  await Promise.all([log.close(), log.close()])
  if (pending instanceof Promise) await pending.catch((error) => assert.ok(stopped(error)))
  await assert.rejects(log.append([eventOf(5)]), stopped)
  await assert.rejects(log.retain(), stopped)
  await assert.rejects(Promise.resolve(log.read(0, 100)), stopped)
  await (await openLog(storage)).close()
})

test('options out of range are refused', async () => {
  const code = { code: 'OPTION_INVALID' }
  await assert.rejects(openLog(new MemoryStorage(), { firstSeq: 0 }), code)
  await assert.rejects(openLog(new MemoryStorage(), { retainBytes: -1 }), code)
  await assert.rejects(openLog(new MemoryStorage(), { tailBytesMax: Number.NaN }), code)
})
