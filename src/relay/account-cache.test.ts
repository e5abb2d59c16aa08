import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import type { AccountRow } from '../store/relay-store.ts'
import { AccountCache } from './account-cache.ts'
import { accountRow } from './testing/fixtures.ts'

const MIB = 1024 * 1024

const CID = fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }))
const ROW: fc.Arbitrary<AccountRow> = fc.record(
  {
    id: fc.nat(),
    did: fc.string(),
    hostId: fc.nat(),
    active: fc.boolean(),
    status: fc.option(fc.string()),
    takendown: fc.boolean(),
    inactiveSeq: fc.option(fc.maxSafeNat()),
    rev: fc.option(fc.string()),
    commit: CID,
    data: CID,
  },
  { noNullPrototype: true },
)

test('a row comes back as it was put in', () => {
  fc.assert(
    fc.property(ROW, (row) => {
      const cache = new AccountCache(MIB)
      assert.equal(cache.get(row.did), undefined)
      cache.set(row)
      assert.deepEqual(cache.get(row.did), row)
      cache.delete(row.did)
      assert.equal(cache.get(row.did), undefined)
      assert.equal(cache.bytes, 0)
    }),
  )
})

/** A text of its own, in one piece. */
function text(of: string): string {
  return Buffer.from(of).toString('latin1')
}

/** A row as it comes from the database: nothing of it is shared with another. */
function rowOf(n: number): AccountRow {
  return accountRow({
    id: n,
    did: text(`did:plc:${String(n).padStart(24, 'a')}`),
    rev: text(`3k${String(n).padStart(11, '2')}`),
    commit: new Uint8Array(36).fill(n),
    data: new Uint8Array(36).fill(n + 1),
  })
}

test('I9: the cache holds to its bytes, and they are those that it takes', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = (): number => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const bytesMax = 24 * MIB
  const cache = new AccountCache(bytesMax)
  const before = used()
  // Twice as many as it has room for.
  for (let n = 0; n < 120_000; n++) cache.set(rowOf(n))
  const taken = used() - before
  assert.ok(cache.bytes <= bytesMax && cache.bytes > bytesMax * 0.99, String(cache.bytes))
  assert.equal(cache.get(rowOf(0).did), undefined)
  assert.deepEqual(cache.get(rowOf(119_999).did), rowOf(119_999))
  const share = taken / cache.bytes
  assert.ok(share > 0.75 && share < 1.25, `takes ${taken} bytes, says ${cache.bytes}`)
})
