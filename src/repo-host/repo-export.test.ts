/** Exports of what is new after a rev, held against what was there at that rev. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockMap, readCarWithRoot, verifyRepo } from '@atproto/repo'
import { formatDidKey } from '../crypto/public-key.ts'
import { parseCar } from '../data/car.ts'
import { cidToString } from '../data/cid.ts'
import { must } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { streamOrder } from '../repo/tree-walk.ts'
import { Tree } from '../repo/tree.ts'
import { nextTid, toTid } from '../syntax/tid.ts'
import type { RepoHost } from './repo-host.ts'
import type { RepoWrite } from './record-writes.ts'
import { didOf, exportOf, good, HandClock, keyOf, openTestHost } from './testing/test-host.ts'

const did = didOf('a')
const key = keyOf('a')

/** The CIDs in a CAR, in order. */
function cidsOf(car: Uint8Array): string[] {
  const parsed = parseCar(car, { blocksMax: 100_000 })
  assert(parsed.ok)
  const { blocks } = parsed.value
  return Array.from({ length: blocks.size }, (_, i) => cidToString(blocks.cid(i)))
}

async function hostWithAccount(clock = new HandClock()): Promise<RepoHost> {
  const host = await openTestHost({ clock })
  good(await host.createAccount({ did, key }))
  return host
}

const headOf = (host: RepoHost) => must(host.latestCommit(did), 'head')
const path = (n: number): string => `org.example.note/${n}`

/** What stood at a rev: the blocks, and what each path held. */
interface Moment {
  readonly rev: string
  readonly cids: ReadonlySet<string>
  readonly blocks: BlockMap
  readonly records: ReadonlyMap<string, string>
}

test('with what a reader has since a rev, an export is the whole repository', async () => {
  const random = seededRandom(11)
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  const records = new Map<string, string>()
  const moments: Moment[] = []
  for (let round = 0; round < 60; round++) {
    const writes = new Map<string, RepoWrite>()
    for (let i = 0; i < 3; i++) {
      const at = path(Math.floor(random.next() * 60))
      const record = { n: Math.floor(random.next() * 5) }
      if (!records.has(at)) writes.set(at, { action: 'create', path: at, record })
      else writes.set(at, { action: 'delete', path: at })
    }
    clock.advance(5)
    for (const written of good(await host.applyWrites(did, [...writes.values()])).records) {
      if (written.cid === null) records.delete(written.path)
      else records.set(written.path, cidToString(written.cid))
    }
    const car = await exportOf(host, did)
    const { blocks } = await readCarWithRoot(car)
    const cids = new Set(cidsOf(car))
    moments.push({ rev: headOf(host).rev, cids, blocks, records: new Map(records) })
    const now = must(moments.at(-1), 'moment')
    for (const then of [moments[0], moments.at(-3), moments[Math.floor(random.next() * round)]]) {
      if (then === undefined) continue
      const since = await exportOf(host, did, then.rev)
      const given = new Set(cidsOf(since))
      // Nothing that is new is missing, and nothing is given that is not part of the repository.
      for (const cid of now.cids) assert(then.cids.has(cid) || given.has(cid), cid)
      for (const cid of given) assert(now.cids.has(cid), cid)
      // Records that moved or came back are new where they stand, though their blocks are not.
      for (const [at, cid] of now.records) {
        if (then.records.get(at) !== cid) assert(given.has(cid), `${at} ${cid}`)
      }
      const held = new BlockMap()
      held.addMap(then.blocks)
      const update = await readCarWithRoot(since)
      held.addMap(update.blocks)
      await verifyRepo(held, update.root, did, formatDidKey(key.publicKey))
    }
  }
})

test('a rev that was never given out stands for the one before it', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  const revs: string[] = []
  for (let n = 0; n < 3; n++) {
    clock.advance(1_000)
    revs.push(good(await host.putRecord(did, path(n), { record: { n } })).commit?.rev ?? '')
  }
  const [, second = '', third = ''] = revs
  const between = nextTid(toTid(second), new HandClock(), 3)
  assert.deepEqual(await exportOf(host, did, between), await exportOf(host, did, second))
  assert.deepEqual(await exportOf(host, did, '2222222222222'), await exportOf(host, did))
  const head = cidToString(headOf(host).commit)
  for (const late of [third, 'jzzzzzzzzzzzz']) {
    assert.deepEqual(cidsOf(await exportOf(host, did, late)), [head])
  }
})

test('before its first rev a repository is new as a whole, its empty root too', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  assert.deepEqual(await exportOf(host, did, '2222222222222'), await exportOf(host, did))
  assert.equal(cidsOf(await exportOf(host, did, headOf(host).rev)).length, 1)
  const { rev } = headOf(host)
  good(await host.setStatus(did, 'deleted'))
  clock.advance(1_000)
  good(await host.createAccount({ did, key }))
  assert.deepEqual(await exportOf(host, did, rev), await exportOf(host, did), 'one that came back')
})

test('what went and came back is given to those who saw it gone', async () => {
  const clock = new HandClock()
  await using host = await hostWithAccount(clock)
  const step = async (write: RepoWrite): Promise<string> => {
    clock.advance(1)
    return good(await host.applyWrites(did, [write])).commit?.rev ?? ''
  }
  const record = { text: 'the same' }
  await step({ action: 'create', path: path(1), record })
  // Called at once, the deletion and the return share a transaction.
  const [gone] = await Promise.all([
    step({ action: 'delete', path: path(1) }),
    step({ action: 'create', path: path(1), record }),
  ])
  const full = cidsOf(await exportOf(host, did))
  assert.deepEqual(cidsOf(await exportOf(host, did, gone)), full)
})

test('an export is in streamable order, and closing one early gives its place back', async () => {
  await using host = await hostWithAccount()
  const writes = Array.from({ length: 150 }, (_, n) => ({
    action: 'create' as const,
    path: path(n),
    record: { n, text: 'x'.repeat(1_000) },
  }))
  good(await host.applyWrites(did, writes))
  const car = await exportOf(host, did)
  const parsed = parseCar(car, { blocksMax: 1_000 })
  assert(parsed.ok)
  assert.deepEqual(parsed.value.roots, [headOf(host).commit])
  const [first, second] = cidsOf(car)
  assert.equal(first, cidToString(headOf(host).commit))
  assert.equal(second, cidToString(headOf(host).data))
  for (let i = 0; i < 20; i++) {
    const opened = host.repoCar(did, null)
    assert(opened !== null && opened !== 'busy')
    for await (const piece of opened.chunks) {
      assert(piece.length >= 65_536)
      break
    }
    const other = host.repoCar(did, null)
    assert(other !== null && other !== 'busy')
    other.close()
    const rest: Uint8Array[] = []
    for await (const piece of other.chunks) rest.push(piece)
    assert(rest.length <= 1)
  }
})

test('records of every size come at their places', async () => {
  await using host = await hostWithAccount()
  const random = seededRandom(4)
  // Batches, what is too large for one, and pieces that a single record overflows.
  const size = (n: number): number =>
    n % 97 === 5 ? 200_000 : n % 11 === 3 ? 4_000 + (n % 200) : Math.floor(random.next() * 500)
  for (let start = 0; start < 1_200; start += 200) {
    const writes = Array.from({ length: 200 }, (_, i) => {
      const text = 'x'.repeat(size(start + i))
      return { action: 'create' as const, path: path(start + i), record: { n: start + i, text } }
    })
    good(await host.applyWrites(did, writes))
  }
  const parsed = parseCar(await exportOf(host, did), { blocksMax: 10_000 })
  assert(parsed.ok)
  const { blocks } = parsed.value
  const given = Array.from({ length: blocks.size }, (_, i) => cidToString(blocks.cid(i)))
  const head = headOf(host)
  const tree = new Tree(
    {
      block(cid) {
        const found = host.blocks(did, [cid])
        return found.kind === 'found' ? must(found.blocks[0], 'block').block : null
      },
    },
    head.data,
  )
  const expected = [cidToString(head.commit)]
  for (const item of streamOrder(tree)) {
    expected.push(cidToString(item.kind === 'node' ? must(item.node.cid, 'CID') : item.value))
  }
  assert.deepEqual(given, expected)
})
