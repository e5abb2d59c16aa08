import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from './testing/memory-storage.ts'
import { frameOf, manualClock, openLog, put, readAll, sameBytes } from './testing/log-fixtures.ts'

const HOUR = 60 * 60_000

test('segments go by the time of their last event, the newest never', async () => {
  const clock = manualClock(100 * HOUR)
  const storage = new MemoryStorage()
  const log = await openLog(storage, { clock, segmentAgeMsMax: HOUR, retainMs: 3 * HOUR })
  for (let hour = 0; hour < 6; hour++) {
    clock.set((100 + hour) * HOUR)
    await put(log, 10, { timeMs: clock.nowMs() })
  }
  assert.equal(log.stats.segments, 6)
  await log.retain()
  // Events at 102 h are exactly three hours old, which is not older.
  assert.equal(log.firstSeq, 21)
  assert.equal(log.stats.firstTimeMs, 102 * HOUR)
  clock.set(10_000 * HOUR)
  await log.retain()
  assert.deepEqual([log.stats.segments, log.firstSeq, log.durableSeq], [1, 51, 60])
  assert.deepEqual(
    storage.paths().map((path) => path.slice(9)),
    ['00000006.frames', '00000006.index'],
  )
  await log.close()
})

test('a segment stays for as long as its last event is wanted, however old its first is', async () => {
  const clock = manualClock(100 * HOUR)
  const storage = new MemoryStorage()
  const log = await openLog(storage, { clock, segmentAgeMsMax: 4 * HOUR, retainMs: 3 * HOUR })
  for (const hour of [100, 103, 104]) {
    clock.set(hour * HOUR)
    await put(log, 10, { timeMs: clock.nowMs() })
  }
  assert.equal(log.stats.segments, 2, 'the third batch begins a new one')
  clock.set(106 * HOUR)
  await log.retain()
  assert.equal(log.firstSeq, 1, 'its first event is six hours old, its last one three')
  clock.set(106 * HOUR + 1)
  await log.retain()
  assert.equal(log.firstSeq, 21)
  await log.close()
})

test('segments go while the log is too large', async () => {
  const log = await openLog(new MemoryStorage(), { segmentBytesMax: 1_000, retainBytes: 3_500 })
  for (let round = 0; round < 20; round++) await put(log, 1, { length: 900 })
  await log.retain()
  assert.ok(log.stats.bytes <= 3_500, String(log.stats.bytes))
  assert.equal(log.stats.segments, 3)
  assert.equal((await readAll(log)).length, 3 * 900)
  await log.close()
})

test('I2: seqs go on after retention and a restart, also when little is left', async () => {
  const storage = new MemoryStorage()
  let expected = 1
  for (let round = 0; round < 5; round++) {
    const log = await openLog(storage, { segmentBytesMax: 100, retainBytes: 0 })
    assert.equal(log.nextSeq, expected)
    for (let each = 0; each < 4; each++) await put(log, 3)
    await log.retain()
    assert.equal(log.stats.segments, 1)
    expected = log.nextSeq
    await log.close()
  }
  assert.equal(expected, 61)
})

test('a reader that retention overtakes goes on at the oldest event and can tell', async () => {
  const log = await openLog(new MemoryStorage(), {
    segmentBytesMax: 1_000,
    retainBytes: 2_000,
    tailBytesMax: 0,
  })
  for (let round = 0; round < 10; round++) await put(log, 10, { length: 100 })
  const first = await log.read(0, 500)
  assert.deepEqual([first?.firstSeq, first?.lastSeq], [1, 5])
  await log.retain()
  const next = await log.read(5, 500)
  assert.equal(next?.firstSeq, log.firstSeq)
  assert.ok(log.firstSeq > 6)
  assert.deepEqual(
    Buffer.from(next?.bytes.subarray(0, 100) ?? []),
    Buffer.from(frameOf(log.firstSeq, 100)),
  )
  await log.close()
})

test('slow readers during appends and retention get whole frames and know the gaps', async () => {
  const storage = new MemoryStorage()
  const log = await openLog(storage, {
    segmentBytesMax: 2_000,
    retainBytes: 12_000,
    tailBytesMax: 2_000,
  })
  let done = false
  let gaps = 0
  const reader = async (pauses: number): Promise<number> => {
    let position = 0
    let frames = 0
    for (;;) {
      const chunk = await log.read(position, 700)
      if (chunk === null) {
        if (done) return frames
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      assert.ok(chunk.firstSeq > position)
      if (chunk.firstSeq > position + 1) gaps++
      assert.equal(chunk.bytes.length, chunk.count * 100)
      for (let at = 0; at < chunk.count; at++) {
        const expected: Buffer = Buffer.from(frameOf(chunk.firstSeq + at, 100))
        sameBytes(Buffer.from(chunk.bytes.subarray(at * 100, at * 100 + 100)), expected)
      }
      frames += chunk.count
      position = chunk.lastSeq
      for (let pause = 0; pause < pauses; pause++) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }
  const readers = [reader(0), reader(1), reader(40)]
  for (let round = 0; round < 300; round++) {
    await put(log, 5, { length: 100 })
    if (round % 10 === 0) await log.retain()
    await new Promise((resolve) => setImmediate(resolve))
  }
  done = true
  const [fast] = await Promise.all(readers)
  assert.equal(fast, 1_500)
  assert.ok(gaps > 0, 'the slow reader was overtaken')
  assert.ok(log.stats.openSegments <= 32)
  await log.close()
})
