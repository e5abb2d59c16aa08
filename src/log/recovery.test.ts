import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { SkeinError } from '../lib/errors.ts'
import { ENTRY_BYTES, HEADER_BYTES } from './entry-codec.ts'
import type { LogAppend } from './log-types.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import { batchOf, eventOf, framesOf, openLog, readAll, sameBytes } from './testing/log-fixtures.ts'

const INDEX = 'data/log/00000001.index'
const FRAMES = 'data/log/00000001.frames'

/** Three batches: seqs 1-4, 5-7, 8-11. */
const BATCHES = [4, 3, 4]
const LAST_BATCH_FIRST = 8
const events: LogAppend[] = Array.from({ length: 11 }, (_, at) => eventOf(at + 1))
const whole = new MemoryStorage()

before(async () => {
  const log = await openLog(whole)
  for (const count of BATCHES) await log.append(batchOf(log, count))
  await log.close()
})

function bytesAt(storage: MemoryStorage, path: string): Uint8Array {
  const bytes = storage.get(path)
  assert.ok(bytes !== null, path)
  return bytes
}

function framesEnd(seq: number): number {
  return framesOf(events.slice(0, seq)).length
}

/**
 * Opens what a fault left. Null when it is LOG_DAMAGED, else the last seq recovered: then the log
 * must hold exactly the events up to it, take the next one, and still hold it all when reopened.
 */
async function openAfterFault(storage: MemoryStorage): Promise<number | null> {
  let log
  try {
    log = await openLog(storage)
  } catch (error) {
    assert.ok(error instanceof SkeinError, String(error))
    assert.equal(error.code, 'LOG_DAMAGED')
    assert.match(error.message, /file=data\/log\/\d{8}\.(index|frames) offset=\d+/)
    assert.match(error.message, /restore|backup/)
    return null
  }
  const recovered = log.durableSeq
  assert.ok(recovered <= events.length)
  sameBytes(await readAll(log), framesOf(events.slice(0, recovered)))
  const next = eventOf(recovered + 1, { length: 77 })
  await log.append([next])
  await log.close()
  const again = await openLog(storage)
  const expected = framesOf([...events.slice(0, recovered), next])
  sameBytes(await readAll(again), expected)
  await again.close()
  return recovered
}

function cut(path: string, length: number): MemoryStorage {
  const storage = whole.copy()
  storage.put(path, bytesAt(storage, path).slice(0, length))
  return storage
}

function flipped(path: string, bit: number): MemoryStorage {
  const storage = whole.copy()
  const bytes = bytesAt(storage, path)
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return storage
}

describe('a log that was cut', () => {
  test('at every byte of its index: the whole entries before the cut are there', async () => {
    const size = bytesAt(whole, INDEX).length
    for (let length = 0; length <= size; length++) {
      const recovered = await openAfterFault(cut(INDEX, length))
      const expected =
        length < HEADER_BYTES ? null : Math.floor((length - HEADER_BYTES) / ENTRY_BYTES)
      assert.equal(recovered, expected, `cut at ${length}`)
    }
  })

  test('at every byte of its frames: the last batch is cut, an earlier one damage', async () => {
    for (let length = 0; length <= framesEnd(11); length++) {
      const recovered = await openAfterFault(cut(FRAMES, length))
      let complete = 0
      while (complete < 11 && framesEnd(complete + 1) <= length) complete++
      const expected = complete >= LAST_BATCH_FIRST - 1 ? complete : null
      assert.equal(recovered, expected, `cut at ${length}`)
    }
  })

  test('in both files, at every pair of event and byte of the last batch', async () => {
    for (let entries = 7; entries <= 11; entries++) {
      for (let length = framesEnd(7); length <= framesEnd(11); length++) {
        const storage = cut(FRAMES, length)
        const index = bytesAt(storage, INDEX)
        storage.put(INDEX, index.slice(0, HEADER_BYTES + entries * ENTRY_BYTES + (length % 64)))
        let complete = 7
        while (complete < entries && framesEnd(complete + 1) <= length) complete++
        assert.equal(await openAfterFault(storage), complete)
      }
    }
  })

  test('and padded with zeros or noise, as file systems do', async () => {
    for (const fill of [0, 0xa5]) {
      for (const extra of [1, 63, 64, 65, 1_000, 70_000]) {
        for (const path of [INDEX, FRAMES]) {
          const storage = whole.copy()
          const tail = new Uint8Array(extra).fill(fill)
          storage.put(path, Buffer.concat([bytesAt(storage, path), tail]))
          assert.equal(await openAfterFault(storage), 11)
        }
      }
    }
  })
})

describe('a log with one flipped bit', () => {
  test('in an entry: of the last batch it is cut there, of an earlier one damage', async () => {
    for (let seq = 5; seq <= 11; seq++) {
      const base = HEADER_BYTES + (seq - 1) * ENTRY_BYTES
      for (let bit = base * 8; bit < (base + ENTRY_BYTES) * 8; bit++) {
        const recovered = await openAfterFault(flipped(INDEX, bit))
        assert.equal(recovered, seq >= LAST_BATCH_FIRST ? seq - 1 : null, `seq ${seq} bit ${bit}`)
      }
    }
  })

  test('in a frame: of the last batch it is cut there, of an earlier one damage', async () => {
    for (let seq = 6; seq <= 11; seq++) {
      for (let bit = framesEnd(seq - 1) * 8; bit < framesEnd(seq) * 8; bit++) {
        const recovered = await openAfterFault(flipped(FRAMES, bit))
        assert.equal(recovered, seq >= LAST_BATCH_FIRST ? seq - 1 : null, `seq ${seq} bit ${bit}`)
      }
    }
  })

  test('in the header: damage', async () => {
    for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
      assert.equal(await openAfterFault(flipped(INDEX, bit)), null)
    }
  })
})

function exchange(storage: MemoryStorage): void {
  for (const kind of ['index', 'frames']) {
    const [one, two] = [`data/log/00000001.${kind}`, `data/log/00000002.${kind}`]
    const bytes = bytesAt(storage, one)
    storage.put(one, bytesAt(storage, two))
    storage.put(two, bytes)
  }
}

function creating(storage: MemoryStorage): void {
  storage.put('data/log/00000005.frames', new Uint8Array(0))
  storage.put('data/log/00000005.index.new', new Uint8Array(13))
}

describe('a log of several segments', () => {
  const several = new MemoryStorage()

  before(async () => {
    const log = await openLog(several, { segmentBytesMax: 120 })
    for (const event of events) await log.append([event])
    assert.equal(log.stats.segments, 4)
    await log.close()
  })

  async function opens(fault: (storage: MemoryStorage) => void): Promise<number | null> {
    const storage = several.copy()
    fault(storage)
    return openAfterFault(storage)
  }

  test('opens whole', async () => {
    assert.equal(await opens(() => undefined), 11)
  })

  test('with a missing file or a missing segment between others is damaged', async () => {
    for (const path of several.paths()) {
      assert.equal(await opens((storage) => storage.delete(path)), null, path)
    }
    const storage = several.copy()
    for (const kind of ['index', 'frames']) storage.delete(`data/log/00000002.${kind}`)
    assert.equal(await openAfterFault(storage), null)
  })

  test('with a sealed segment cut anywhere is damaged', async () => {
    for (const path of ['data/log/00000002.index', 'data/log/00000002.frames']) {
      for (let length = 0; length < bytesAt(several, path).length; length++) {
        const cutHere = (storage: MemoryStorage): void =>
          storage.put(path, bytesAt(storage, path).slice(0, length))
        assert.equal(await opens(cutHere), null, `${path} at ${length}`)
      }
    }
  })

  test('with two segments exchanged is damaged', async () => {
    assert.equal(await opens(exchange), null)
  })

  test('goes on when a segment was being created or removed', async () => {
    assert.equal(await opens(creating), 11)
    const storage = several.copy()
    storage.put('data/log/00000001.index.dropped', bytesAt(storage, 'data/log/00000001.index'))
    storage.delete('data/log/00000001.index')
    const log = await openLog(storage)
    assert.equal(log.durableSeq, 11)
    assert.ok(log.firstSeq > 1)
    sameBytes(await readAll(log), framesOf(events.slice(log.firstSeq - 1)))
    assert.ok(!storage.paths().some((path) => path.includes('00000001')))
    await log.close()
  })

  test('I2: an empty newest segment still says which seq is next', async () => {
    const storage = several.copy()
    const newest = 'data/log/00000004'
    storage.put(`${newest}.index`, bytesAt(storage, `${newest}.index`).slice(0, HEADER_BYTES))
    storage.put(`${newest}.frames`, new Uint8Array(0))
    const log = await openLog(storage, { retainBytes: 0 })
    const { nextSeq } = log
    await log.retain()
    assert.equal(log.stats.segments, 1)
    assert.deepEqual([log.firstSeq, log.nextSeq], [nextSeq, nextSeq])
    await log.close()
    const again = await openLog(storage)
    assert.deepEqual([again.firstSeq, again.nextSeq], [nextSeq, nextSeq])
    await again.append([eventOf(nextSeq)])
    await again.close()
  })
})

test('a log of a later version is left alone', async () => {
  const { crc32c } = await import('./crc32c.ts')
  const storage = whole.copy()
  const bytes = bytesAt(storage, INDEX)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  view.setUint32(8, 2, true)
  view.setUint32(60, crc32c(bytes, 0, 60), true)
  await assert.rejects(openLog(storage), { code: 'STORE_TOO_NEW' })
})

test('what recovery accepts it makes durable before it publishes', async () => {
  const storage = whole.copy()
  const synced = new Set<string>()
  storage.hook = (step, path) => {
    if (step === 'sync') synced.add(path)
  }
  const log = await openLog(storage)
  assert.deepEqual([...synced].sort(), [FRAMES, INDEX])
  await log.close()
})
