import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { EventKind, LogAppend } from './log-types.ts'
import { eventOf, openLog, readChunks, sameBytes } from './testing/log-fixtures.ts'
import { MemoryStorage } from './testing/memory-storage.ts'

const KINDS: readonly EventKind[] = ['commit', 'sync', 'identity', 'account']
const did = fc.integer({ min: 0, max: 4 }).map((n) => `did:plc:${n}`)

type Step =
  | {
      readonly do: 'append'
      readonly shapes: readonly { did: string; kind: EventKind; length: number }[]
    }
  | { readonly do: 'publish' | 'retain' | 'reopen' | 'settle' }
  | { readonly do: 'hide' | 'purge'; readonly did: string; readonly back: number }
  | { readonly do: 'unhide'; readonly did: string }
  | { readonly do: 'read'; readonly back: number; readonly bytesMax: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      shapes: fc.array(
        fc.record({
          did,
          kind: fc.constantFrom(...KINDS),
          length: fc.oneof(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 3_000 })),
        }),
        { minLength: 1, maxLength: 40 },
      ),
    }),
  },
  { weight: 5, arbitrary: fc.constant({ do: 'publish' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'retain' as const }, { do: 'settle' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('hide' as const, 'purge' as const),
      did,
      back: fc.integer({ min: 0, max: 60 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unhide' as const), did }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      back: fc.integer({ min: 0, max: 200 }),
      bytesMax: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 20_000 })),
    }),
  },
)

const settings = fc.record({
  segmentBytesMax: fc.integer({ min: 1, max: 8_000 }),
  tailBytesMax: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 60_000 })),
  retainBytes: fc.integer({ min: 0, max: 40_000 }),
})

/** The log as an array, in the most obvious way. */
class Model {
  readonly events: LogAppend[] = []
  readonly hidden = new Map<string, number>()
  readonly purged = new Map<string, number>()

  visible(afterSeq: number, lastSeq: number): LogAppend[] {
    return this.events.filter((event) => {
      if (event.seq <= afterSeq || event.seq > lastSeq) return false
      if (event.kind === 'account') return true
      if (event.seq < (this.purged.get(event.did) ?? 0)) return false
      return event.kind === 'identity' || event.seq >= (this.hidden.get(event.did) ?? 0)
    })
  }
}

function raise(map: Map<string, number>, key: string, value: number): void {
  map.set(key, Math.max(value, map.get(key) ?? 0))
}

test('reads give what an array gives, whatever sizes, purges, hides and retention', async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(step, { maxLength: 40 }), async (options, steps) => {
      const storage = new MemoryStorage()
      const model = new Model()
      let log = await openLog(storage, options)
      for (const each of steps) {
        if (each.do === 'append') {
          const first = log.nextSeq
          const batch = each.shapes.map((shape, at) => eventOf(first + at, shape))
          await log.append(batch)
          model.events.push(...batch)
        } else if (each.do === 'publish') log.publish(log.durableSeq)
        else if (each.do === 'retain') await log.retain()
        else if (each.do === 'settle') await log.purgesSettled()
        else if (each.do === 'unhide') {
          log.unhide(each.did)
          model.hidden.delete(each.did)
        } else if (each.do === 'reopen') {
          await log.purgesSettled()
          await log.close()
          log = await openLog(storage, options)
          model.hidden.clear()
        } else if (each.do === 'read') {
          const afterSeq = Math.max(0, log.publishedSeq - each.back)
          const expected = model.visible(Math.max(afterSeq, log.firstSeq - 1), log.publishedSeq)
          const chunks = await readChunks(log, afterSeq, each.bytesMax)
          const bytes = Buffer.concat(chunks.map((chunk) => chunk.bytes))
          sameBytes(bytes, Buffer.concat(expected.map((event) => event.frame)))
          for (const [at, chunk] of chunks.entries()) {
            assert.ok(chunk.bytes.length <= each.bytesMax || chunk.count === 1)
            const before = chunks[at - 1]
            if (before !== undefined) assert.equal(chunk.firstSeq, before.lastSeq + 1)
            assert.equal(chunk.count, model.visible(chunk.firstSeq - 1, chunk.lastSeq).length)
          }
          assert.equal(chunks.at(-1)?.lastSeq ?? log.publishedSeq, log.publishedSeq)
        } else if (each.do === 'hide' || each.do === 'purge') {
          const beforeSeq = Math.max(0, log.nextSeq - each.back)
          if (each.do === 'hide') log.hide(each.did, beforeSeq)
          else log.purge(each.did, beforeSeq)
          raise(each.do === 'hide' ? model.hidden : model.purged, each.did, beforeSeq)
        }
      }
      await log.close()
    }),
    { numRuns: 300 },
  )
})
