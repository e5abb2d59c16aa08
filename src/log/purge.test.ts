import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SkeinError } from '../lib/errors.ts'
import { hashDid } from './did-hash.ts'
import type { EventLog } from './event-log.ts'
import type { EventKind, LogAppend } from './log-types.ts'
import { decodePurges, encodePurges } from './purge-journal.ts'
import type { LogStorage } from './storage.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import {
  eventOf,
  framesOf,
  openLog,
  readAll,
  readChunks,
  sameBytes,
} from './testing/log-fixtures.ts'

const KINDS: readonly EventKind[] = ['commit', 'sync', 'identity', 'account']
const A = 'did:plc:a'
const B = 'did:plc:b'
const C = 'did:plc:c'

/** 24 events: every kind of every DID, twice. */
const events: LogAppend[] = Array.from({ length: 24 }, (_, at) =>
  eventOf(at + 1, {
    did: [A, B, C][at % 3] ?? '',
    kind: KINDS[Math.floor(at / 3) % 4] ?? 'commit',
  }),
)

async function started(
  storage: MemoryStorage,
  options: Parameters<typeof openLog>[1] = {},
): Promise<EventLog> {
  const log = await openLog(storage, { segmentBytesMax: 200, ...options })
  for (let at = 0; at < events.length; at += 4) await log.append(events.slice(at, at + 4))
  log.publish(log.durableSeq)
  return log
}

/** What readers get once `did` is purged below `beforeSeq`. */
function without(did: string, beforeSeq: number, from = events): LogAppend[] {
  return from.filter((e) => e.did !== did || e.seq >= beforeSeq || e.kind === 'account')
}

function everyByte(storage: MemoryStorage): Buffer {
  const paths = storage.paths().filter((path) => path.endsWith('.frames'))
  return Buffer.concat(paths.map((path) => storage.get(path) ?? new Uint8Array(0)))
}

test('I11: hiding keeps #commit and #sync of an account back until it is undone', async () => {
  for (const tailBytesMax of [1_000_000, 0]) {
    const storage = new MemoryStorage()
    const log = await started(storage, { tailBytesMax })
    const visible = (before: number): LogAppend[] =>
      events.filter((e) => e.did !== A || e.seq >= before || !['commit', 'sync'].includes(e.kind))
    log.hide(A, 14)
    for (const bytesMax of [1, 90, 10_000]) {
      sameBytes(await readAll(log, 0, bytesMax), framesOf(visible(14)))
    }
    log.hide(A, 5)
    sameBytes(await readAll(log), framesOf(visible(14)), 'the higher bound stays')
    log.hide(A, Number.MAX_SAFE_INTEGER)
    sameBytes(await readAll(log), framesOf(visible(1_000)))
    assert.equal(log.stats.hiddenDids, 1)
    log.unhide(A)
    sameBytes(await readAll(log), framesOf(events))
    await log.close()
  }
})

test('a chunk of which all is hidden is empty, and the reader gets on', async () => {
  for (const tailBytesMax of [1_000_000, 0]) {
    const log = await started(new MemoryStorage(), { tailBytesMax })
    for (const did of [A, B, C]) log.hide(did, 7)
    const [first] = await readChunks(log, 0, 10)
    assert.ok(first !== undefined)
    // The tail holds all events together, so that it finds the next visible one at once.
    assert.equal(first.count, tailBytesMax === 0 ? 0 : 1)
    assert.equal(first.bytes.length === 0, tailBytesMax === 0)
    assert.ok(first.lastSeq >= 4)
    sameBytes(await readAll(log, 0, 10), framesOf(events.slice(6)))
    await log.close()
  }
})

test('I11: a purge hides at once, then blanks every event but #account on disk', async () => {
  for (const tailBytesMax of [1_000_000, 0]) {
    const storage = new MemoryStorage()
    const log = await started(storage, { tailBytesMax })
    log.purge(A, 17)
    log.purge(C, 5)
    const left = without(C, 5, without(A, 17))
    assert.equal(log.stats.purgesPending, 2)
    sameBytes(await readAll(log), framesOf(left))
    await log.purgesSettled()
    assert.equal(log.stats.purgesPending, 0)
    sameBytes(await readAll(log), framesOf(left))
    const disk = everyByte(storage)
    assert.equal(disk.length, framesOf(events).length)
    for (const event of events)
      assert.equal(disk.includes(Buffer.from(event.frame)), left.includes(event))
    assert.equal(storage.get('data/log/purges'), null)
    await log.close()
    const again = await openLog(storage)
    sameBytes(await readAll(again), framesOf(left))
    for await (const { entry, frame } of again.entriesAfter(0)) {
      const kept = left.some((event) => event.seq === entry.seq)
      assert.equal(entry.purged, !kept)
      assert.equal(frame.length > 0, kept)
    }
    await again.close()
  }
})

test('one sweep serves many purges, and those made meanwhile get the next', async () => {
  const storage = new MemoryStorage()
  const log = await started(storage)
  let journals = 0
  storage.hook = (step, path) => {
    if (step === 'rename' && path.includes('purges')) journals++
    if (step === 'write' && path.includes('00000002.index')) log.purge(C, 25)
  }
  log.purge(A, 25)
  log.purge(B, 25)
  await log.purgesSettled()
  const left = events.filter((event) => event.kind === 'account')
  sameBytes(await readAll(log), framesOf(left))
  assert.equal(journals, 3, 'at the beginning, when C came, for the second pass')
  assert.equal(log.stats.purgesPending, 0)
  await log.close()
})

test('a purge that reaches into an append waits for it', async () => {
  const storage = new MemoryStorage()
  const log = await started(storage)
  const more = [25, 26].map((seq) => eventOf(seq, { did: A }))
  const appending = log.append(more)
  log.purge(A, 26)
  await appending
  log.publish(26)
  sameBytes(await readAll(log), framesOf(without(A, 26, [...events, ...more])))
  await log.purgesSettled()
  sameBytes(await readAll(log), framesOf(without(A, 26, [...events, ...more])))
  assert.equal(log.stats.purgesPending, 0)
  await log.close()
})

test('a sweep that a crash interrupts anywhere is resumed at the next open', async () => {
  const whole = new MemoryStorage()
  await (await started(whole)).close()
  const left = without(B, 25, without(A, 15))
  for (let nth = 0; ; nth++) {
    const storage = whole.copy()
    let crashed: MemoryStorage | null = null
    let seen = 0
    const log = await openLog(storage)
    storage.hook = (step) => {
      if (step !== 'read' && seen++ === nth) crashed = storage.copy()
    }
    log.purge(A, 15)
    log.purge(B, 25)
    await log.purgesSettled()
    await log.close()
    if (crashed === null) {
      assert.ok(nth > 30, `steps: ${nth}`)
      return
    }
    const copy: MemoryStorage = crashed
    const again = await openLog(copy)
    assert.equal(again.durableSeq, 24)
    const began = again.stats.purgesPending > 0 || (await readAll(again)).equals(framesOf(left))
    const expected = began ? framesOf(left) : framesOf(events)
    sameBytes(await readAll(again), expected, `step ${nth}`)
    await again.purgesSettled()
    sameBytes(await readAll(again), expected, `step ${nth}`)
    if (began) {
      const disk = everyByte(copy)
      for (const event of events)
        assert.equal(disk.includes(Buffer.from(event.frame)), left.includes(event))
    } else {
      assert.ok(nth < 6, 'only before the journal is there')
    }
    await again.close()
  }
})

test('a sweep that fails leaves the events hidden, tells, and is tried again', async () => {
  const storage = new MemoryStorage()
  const errors: SkeinError[] = []
  const log = await started(storage, { onPurgeError: (error) => errors.push(error) })
  storage.hook = (step, path) => {
    if (step === 'write' && path.endsWith('.frames')) throw new Error('injected')
  }
  log.purge(A, 25)
  await log.purgesSettled()
  assert.deepEqual(
    errors.map((error) => error.code),
    ['LOG_WRITE_FAILED'],
  )
  sameBytes(await readAll(log), framesOf(without(A, 25)))
  assert.equal(log.stats.purgesPending, 1)
  storage.hook = () => undefined
  await log.retain()
  await log.purgesSettled()
  assert.equal(log.stats.purgesPending, 0)
  sameBytes(await readAll(log), framesOf(without(A, 25)))
  await log.close()
})

test('a reader under way while a sweep runs never gets a blank frame', async () => {
  const storage = new MemoryStorage()
  const log = await started(storage, { tailBytesMax: 0 })
  const left = framesOf(without(A, 25))
  const reads: Promise<Buffer>[] = []
  storage.hook = () => {
    if (reads.length < 40) reads.push(readAll(log, 0, 100))
  }
  log.purge(A, 25)
  await log.purgesSettled()
  for (const read of reads) sameBytes(await read, left)
  assert.equal(reads.length, 40)
  await log.close()
})

/** A storage whose readers of some files are held up, `before` they read or `after` it. */
function heldReads(
  memory: MemoryStorage,
  pathEnd: string,
  moment: 'before' | 'after',
): { readonly storage: LogStorage; readonly arrived: Promise<void>; readonly letGo: () => void } {
  const arrived = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const storage: LogStorage = {
    lock: () => memory.lock(),
    ensureDirectory: () => memory.ensureDirectory(),
    list: (path) => memory.list(path),
    rename: (from, to) => memory.rename(from, to),
    remove: (path) => memory.remove(path),
    syncDirectory: (path) => memory.syncDirectory(path),
    async open(path, mode) {
      const file = await memory.open(path, mode)
      if (mode !== 'read' || !path.endsWith(pathEnd)) return file
      const read = file.read.bind(file)
      file.read = async (target, position) => {
        const early = moment === 'after' ? await read(target, position) : null
        arrived.resolve()
        await gate.promise
        return early ?? read(target, position)
      }
      return file
    },
  }
  return { storage, arrived: arrived.promise, letGo: gate.resolve }
}

test('a reader that began before a sweep and ends after it gets no blank frame', async () => {
  const memory = new MemoryStorage()
  await (await started(memory)).close()
  // Recovery has its own way in: only readers read the second segment as readers.
  const { storage, arrived, letGo } = heldReads(memory, '2.frames', 'before')
  const log = await openLog(storage)
  const reading = readAll(log, log.firstSeq + 3)
  await arrived
  for (const did of [A, B, C]) log.purge(did, 25)
  await log.purgesSettled()
  assert.equal(log.stats.purgesPending, 0)
  letGo()
  const left = events.filter((event) => event.seq > 4 && event.kind === 'account')
  sameBytes(await reading, framesOf(left))
  await log.close()
})

test('I11: an index that was read before a sweep and comes after it is not kept', async () => {
  const memory = new MemoryStorage()
  const first = await openLog(memory)
  const many = Array.from({ length: 2_500 }, (_, at) =>
    eventOf(at + 1, { did: [A, B][at % 2] ?? '' }),
  )
  await first.append(many)
  await first.close()
  const { storage, arrived, letGo } = heldReads(memory, '.index', 'after')
  const log = await openLog(storage)
  const reading = readAll(log)
  await arrived
  log.purge(A, 2_501)
  await log.purgesSettled()
  assert.equal(log.stats.purgesPending, 0)
  letGo()
  const left = framesOf(without(A, 2_501, many))
  sameBytes(await reading, left)
  sameBytes(await readAll(log), left)
  await log.close()
})

test('a purge reaches what readers have cached of an index', async () => {
  const log = await openLog(new MemoryStorage(), { tailBytesMax: 0 })
  const many = Array.from({ length: 2_500 }, (_, at) =>
    eventOf(at + 1, { did: [A, B][at % 2] ?? '' }),
  )
  await log.append(many)
  await log.append([eventOf(2_501)])
  log.publish(2_501)
  // The batch of one took the large block's place in the tail.
  assert.ok(log.read(0, 1_000) instanceof Promise)
  assert.equal((await readChunks(log, 0)).at(-1)?.lastSeq, 2_501)
  log.purge(A, 2_500)
  await log.purgesSettled()
  const left = framesOf([...without(A, 2_500, many), eventOf(2_501)])
  sameBytes(await readAll(log), left)
  await log.close()
})

test('I9: beyond its bound the oldest hide becomes a purge and is counted', async () => {
  const log = await started(new MemoryStorage(), { hiddenDidsMax: 2 })
  log.hide(A, 25)
  log.hide(B, 25)
  log.hide(B, 26)
  assert.equal(log.stats.hidesOverflowed, 0)
  log.hide(C, 25)
  await log.purgesSettled()
  assert.deepEqual([log.stats.hiddenDids, log.stats.hidesOverflowed], [2, 1])
  log.unhide(A)
  log.unhide(B)
  log.unhide(C)
  sameBytes(await readAll(log), framesOf(without(A, 25)))
  await log.close()
})

test('hides of what retention has dropped are forgotten', async () => {
  const log = await started(new MemoryStorage(), { retainBytes: 0 })
  log.hide(A, 3)
  log.hide(B, 1_000)
  await log.retain()
  assert.equal(log.stats.hiddenDids, 1)
  log.hide(C, 2)
  log.purge(C, 2)
  assert.deepEqual([log.stats.hiddenDids, log.stats.purgesPending], [1, 0])
  await log.close()
})

test('a list of purges comes back; cut or flipped it does not', () => {
  const purges = new Map([
    [hashDid(A), 3],
    [hashDid(B), 2 ** 50],
  ])
  const bytes = encodePurges(purges)
  assert.deepEqual(decodePurges(bytes), purges)
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodePurges(bytes.subarray(0, length)), null)
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(decodePurges(flipped), null, `bit ${bit}`)
  }
})

test('a damaged list of purges stops the log', async () => {
  const storage = new MemoryStorage()
  storage.put('data/log/purges', new Uint8Array(20))
  await assert.rejects(openLog(storage), { code: 'LOG_DAMAGED' })
})
