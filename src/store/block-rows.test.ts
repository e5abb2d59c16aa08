/** Blocks with counts of their uses, held against a plain model. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { CODEC_DAG_CBOR, cidEquals, cidOf, cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { concatBytes, utf8 } from '../lib/bytes.ts'
import { seededRandom } from '../lib/random.ts'
import { BlockRows } from './block-rows.ts'
import { openDatabase } from './database.ts'
import { BATCH_BLOCKS_MAX, SnapshotPool } from './repo-snapshot.ts'
import { RepoStore } from './repo-store.ts'
import { HOST_SCHEMA } from './schemas.ts'

interface World {
  readonly store: RepoStore
  readonly blocks: BlockRows
  readonly pool: SnapshotPool
}

async function open(t: TestContext): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'skein-blocks-'))
  const file = join(directory, 'host.sqlite')
  const database = await openDatabase(file, HOST_SCHEMA, { survives: 'power' })
  const { connection } = database
  const pool = new SnapshotPool(file, 2)
  t.after(() => {
    pool.close()
    database.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return { store: new RepoStore(connection), blocks: new BlockRows(connection), pool }
}

const contents = Array.from({ length: 12 }, (_, n) => utf8(`block ${n}`))
const cids = contents.map((block) => cidOf(CODEC_DAG_CBOR, block))
const revOf = (n: number): string => `3k${String(n).padStart(11, '0')}`

test('counts and revs are those of a model, however calls are put together', async (t) => {
  const { store, blocks, pool } = await open(t)
  const random = seededRandom(9)
  const uses = contents.map(() => 0)
  const since = contents.map(() => '')
  for (let round = 1; round <= 200; round++) {
    store.transaction(() => {
      for (let i = Math.floor(random.next() * 8); i >= 0; i--) {
        const n = Math.floor(random.next() * contents.length)
        const [cid, block] = [must(cids[n], 'cid'), must(contents[n], 'block')]
        const count = uses[n] ?? 0
        if (count > 0 && random.next() < 0.5) {
          blocks.remove(1, cid, revOf(round))
          uses[n] = count - 1
        } else {
          if (count === 0) since[n] = revOf(round)
          blocks.add(1, cid, block, revOf(round))
          uses[n] = count + 1
        }
        assert.deepEqual(blocks.get(2, cid), null)
      }
      blocks.flush()
    })
    const snapshot = must(pool.open(1), 'snapshot')
    for (const [n, cid] of cids.entries()) {
      const rev = snapshot.blockRev(cid)
      assert.equal(rev !== null, (uses[n] ?? 0) > 0, `round ${round} block ${n}`)
      assert.deepEqual(snapshot.block(cid), rev === null ? null : contents[n])
      if (rev === null) continue
      // Never older than it is; newer when it was used less and more in one transaction.
      assert(rev >= (since[n] ?? ''), `round ${round} block ${n}`)
      assert(rev <= revOf(round))
    }
    snapshot.close()
  }
})

test('what is rolled back leaves nothing, and a use that is not there is a defect', async (t) => {
  const { store, blocks } = await open(t)
  const [cid, block] = [must(cids[0], 'cid'), must(contents[0], 'block')]
  assert.throws(() =>
    store.transaction(() => {
      blocks.add(1, cid, block, revOf(1))
      blocks.flush()
      throw new Error('no')
    }),
  )
  blocks.discard()
  assert.equal(blocks.has(1, cid), false)
  assert.throws(() =>
    store.transaction(() => {
      blocks.remove(1, cid, revOf(1))
      blocks.flush()
    }),
  )
})

test('a snapshot keeps its state, and there are so many and no more', async (t) => {
  const { store, blocks, pool } = await open(t)
  const add = (n: number): void =>
    store.transaction(() => {
      blocks.add(1, must(cids[n], 'cid'), must(contents[n], 'block'), revOf(n))
      blocks.flush()
    })
  add(0)
  const first = must(pool.open(1), 'snapshot')
  add(1)
  const second = must(pool.open(1), 'snapshot')
  assert.equal(pool.open(1), null)
  assert.equal(first.block(must(cids[1], 'cid')), null)
  assert.notEqual(second.block(must(cids[1], 'cid')), null)
  first.close()
  first.close()
  const third = must(pool.open(1), 'snapshot')
  assert.notEqual(third.block(must(cids[1], 'cid')), null)
})

test('staged blocks without a use are swept in steps', async (t) => {
  const { store, blocks } = await open(t)
  const all = cids.map((cid, n) => ({ cid, block: must(contents[n], 'block') }))
  store.transaction(() => blocks.stage(1, [...all, ...all]))
  store.transaction(() => {
    for (const { cid, block } of all.slice(0, 4)) blocks.add(1, cid, block, revOf(1))
    blocks.flush()
  })
  let steps = 0
  for (let after: Uint8Array | null = new Uint8Array(0); after !== null; steps++) {
    after = blocks.sweepUnused(1, after, 5)
  }
  assert(steps >= 2)
  const left = cids.filter((cid) => blocks.has(1, cid))
  assert.equal(left.length, 4)
  for (const [n, cid] of left.entries()) assert(cidEquals(cid, must(cids[n], 'cid')))
})

test('a batch gives small blocks in the order asked for, and leaves large ones', async (t) => {
  const { store, blocks, pool } = await open(t)
  const random = seededRandom(3)
  // Every byte value stands in them, zero bytes at their edges too; one is empty.
  const sizes = Array.from(
    { length: BATCH_BLOCKS_MAX },
    (_, n) => [0, 1, 300, 4_096, 4_097, 100_000][n % 50] ?? Math.floor(random.next() * 600),
  )
  const stored = sizes.map((size, n) => {
    const block = Uint8Array.from({ length: size }, (_, i) => (i * (n + 1)) & 0xff)
    return { cid: cidOf(CODEC_DAG_CBOR, concatBytes([utf8(`${n}`), block])), block }
  })
  store.transaction(() => {
    for (const { cid, block } of stored) blocks.add(1, cid, block, revOf(1))
    blocks.add(2, must(cids[0], 'cid'), must(contents[0], 'block'), revOf(1))
    blocks.flush()
  })
  const snapshot = must(pool.open(1), 'snapshot')
  const asked = stored.map(({ cid }) => cid).sort(() => random.next() - 0.5)
  const expected = new Map(stored.map(({ cid, block }) => [cidToString(cid), block]))
  const twice = [...asked.slice(0, 100), ...asked.slice(0, 100)]
  for (const wanted of [asked, twice, asked.slice(7, 8)]) {
    const given = snapshot.blocks(wanted)
    assert.equal(given.length, wanted.length)
    for (const [i, cid] of wanted.entries()) {
      const block = must(expected.get(cidToString(cid)), 'block')
      assert.deepEqual(given[i], block.length > 4_096 ? null : block)
      assert.deepEqual(snapshot.block(cid), block)
    }
  }
  // One of another repository, which this one lacks.
  const lacking = [...asked.slice(0, 5), must(cids[0], 'cid')]
  assert.deepEqual(snapshot.blocks(lacking), Array.from({ length: 6 }).fill(null))
  assert.throws(() => snapshot.blocks([]))
  snapshot.close()
})
