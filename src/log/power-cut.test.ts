import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../lib/random.ts'
import { eventOf, manualClock, openLog, sameBytes } from './testing/log-fixtures.ts'
import { MemoryStorage } from './testing/memory-storage.ts'
import type { LogAppend } from './log-types.ts'

const bounds = { segmentBytesMax: 4_000, retainBytes: 20_000 }

/**
 * The power goes at a random step of a random run, and comes back over what chance has kept of the
 * unsynced sectors and names. Then: every durable event is there with its bytes, nothing is there
 * that was not appended, no durable purge has come back, and the log goes on.
 */
async function run(seed: number): Promise<'cut' | 'survived'> {
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random.next() * limit)
  let storage = new MemoryStorage()
  let durable: LogAppend[] = []
  let cuts = 0
  // Purges that were asked for, and those that had been carried out before the power went.
  const purgedBelow = new Map<string, number>()
  let confirmed = new Map<string, number>()
  for (let life = 0; life < 4; life++) {
    const power: { after: MemoryStorage | null } = { after: null }
    let left = 5 + below(60)
    let pending: LogAppend[] = []
    let confirmedAtCut = confirmed
    let durableAtCut = durable.length
    const log = await openLog(storage, { clock: manualClock(0), ...bounds })
    const disk = storage
    disk.hook = (step) => {
      if (step === 'read' || --left !== 0) return
      power.after = disk.powerCut(random)
      durableAtCut = durable.length
      confirmedAtCut = new Map(confirmed)
    }
    const appended = [...durable]
    while (power.after === null) {
      pending = Array.from({ length: 1 + below(30) }, (_, at) =>
        eventOf(log.nextSeq + at, {
          did: `did:plc:${below(4)}`,
          length: 20 + below(900) ** 2 / 900,
          timeMs: 1,
        }),
      )
      appended.push(...pending)
      await log.append(pending)
      durable = [...appended]
      if (below(4) === 0) await log.retain()
      if (below(3) === 0) {
        const did = `did:plc:${below(4)}`
        const beforeSeq = 1 + below(log.nextSeq)
        purgedBelow.set(did, Math.max(beforeSeq, purgedBelow.get(did) ?? 0))
        log.purge(did, beforeSeq)
        await log.purgesSettled()
        confirmed.set(did, Math.max(beforeSeq, confirmed.get(did) ?? 0))
      }
    }
    await log.close()
    cuts++
    storage = power.after
    const again = await openLog(storage, { clock: manualClock(0), ...bounds })
    assert.ok(again.durableSeq >= durableAtCut, `${again.durableSeq} of ${durableAtCut}`)
    assert.ok(again.durableSeq <= appended.length)
    await again.purgesSettled()
    durable = appended.slice(0, again.durableSeq)
    assert.ok(again.firstSeq <= log.firstSeq)
    let { firstSeq: seq } = again
    for await (const { entry, frame } of again.entriesAfter(0)) {
      const event = appended[seq - 1]
      assert.ok(event !== undefined && entry.seq === seq++)
      if (entry.purged) assert.ok(entry.seq < (purgedBelow.get(event.did) ?? 0))
      else assert.ok(entry.seq >= (confirmedAtCut.get(event.did) ?? 0), 'a purge has come back')
      if (!entry.purged) sameBytes(frame, event.frame)
    }
    assert.equal(seq - 1, again.durableSeq)
    confirmed = confirmedAtCut
    await again.close()
  }
  return cuts === 4 ? 'cut' : 'survived'
}

test('I1, I2: power cuts lose and change nothing durable and invent nothing', async () => {
  for (let seed = 1; seed <= 250; seed++) {
    try {
      assert.equal(await run(seed), 'cut')
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
})
