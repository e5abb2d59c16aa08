import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { OrderedRecords } from './ordered-records.ts'

const key = fc.integer({ min: 0, max: 3_000 }).map((n) => `a.b.c/${n}`)
const change = fc.tuple(key, fc.boolean())

/** All of it, page by page. */
function read(records: OrderedRecords, limit: number): [string, number][] {
  const found: [string, number][] = []
  for (let after = ''; ;) {
    const page = records.page(after, limit)
    assert.ok(page.length <= limit)
    for (const { path, cid } of page) found.push([path, cid[0] as number])
    const last = page.at(-1)
    if (last === undefined) return found
    after = last.path
  }
}

it('holds what a map holds, in order, whatever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 5_000, size: 'max' }),
      fc.integer({ min: 1, max: 700 }),
      (changes, limit) => {
        const records = new OrderedRecords()
        const model = new Map<string, number>()
        for (const [n, [path, isThere]] of changes.entries()) {
          if (isThere) {
            records.set(path, Uint8Array.of(n))
            model.set(path, n & 255)
          } else {
            records.delete(path)
            model.delete(path)
          }
        }
        assert.equal(records.size, model.size)
        assert.deepEqual(
          read(records, limit),
          [...model].toSorted(([a], [b]) => (a < b ? -1 : 1)),
        )
      },
    ),
    { numRuns: 60 },
  )
})

it('goes on after a path that is not there any more', () => {
  const records = new OrderedRecords()
  for (let n = 10_000; n < 12_000; n++) records.set(`a.b.c/${n}`, Uint8Array.of(1))
  for (let n = 10_500; n < 11_500; n++) records.delete(`a.b.c/${n}`)
  assert.deepEqual(
    records.page('a.b.c/10700', 2).map(({ path }) => path),
    ['a.b.c/11500', 'a.b.c/11501'],
  )
  assert.deepEqual(records.page('a.b.c/11999', 5), [])
  assert.deepEqual(records.page('z', 5), [])
})
