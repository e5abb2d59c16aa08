/** Imports, good and bad, and accounts that move from one host to another. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { BytesWrapper } from '@atcute/cbor'
import { CidLinkWrapper } from '@atcute/cid'
import { verifyRepoCar } from '@atproto/repo'
import { formatDidKey } from '../crypto/public-key.ts'
import { loadVerifier } from '../crypto/verifier.ts'
import { type CarBlock, encodeCar } from '../data/car-stream.ts'
import { parseCar } from '../data/car.ts'
import { CODEC_DAG_CBOR, CODEC_RAW, cidEquals, cidOf, cidToString } from '../data/cid.ts'
import { encodeDrisl } from '../data/drisl-encode.ts'
import { must } from '../lib/assert.ts'
import { utf8 } from '../lib/bytes.ts'
import { seededRandom } from '../lib/random.ts'
import { signCommit } from '../repo/commit.ts'
import { EMPTY_TREE_BLOCK, EMPTY_TREE_CID } from '../repo/tree-node.ts'
import { Tree } from '../repo/tree.ts'
import { verifyCommit, verifySync } from '../repo/verify.ts'
import { tidOf } from '../syntax/tid.ts'
import type { RepoHost } from './repo-host.ts'
import {
  brief,
  didOf,
  eventsOf,
  exportOf,
  good,
  HandClock,
  keyOf,
  openTestHost,
  piecesOf,
  StateReader,
} from './testing/test-host.ts'

const did = didOf('a')
const oldKey = keyOf('old')
const newKey = keyOf('new', 'p256')
const verifier = await loadVerifier()
const path = (n: number): string => `org.example.note/${n}`

/** A host with an account of some hundred records and a blob. */
async function oldHost(clock: HandClock): Promise<RepoHost> {
  const host = await openTestHost({ clock })
  good(await host.createAccount({ did, key: oldKey, handle: 'a.test' }))
  const blob = good(await host.uploadBlob(did, piecesOf(new Uint8Array(5_000)), 'image/png'))
  const writes = Array.from({ length: 180 }, (_, n) => ({
    action: 'create' as const,
    path: path(n),
    record: { n: n % 100, text: 'x'.repeat(n) },
  }))
  good(await host.applyWrites(did, writes))
  const { $link } = { $link: cidToString(blob.cid) }
  const record = { avatar: { cid: $link, mimeType: 'image/png' } }
  good(await host.putRecord(did, 'org.example.profile/self', { record }))
  return host
}

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-moving-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

test('an account moves: created inactive, imported, its blobs fetched, activated', async () => {
  const clock = new HandClock()
  await using from = await oldHost(clock)
  await using to = await openTestHost({ clock, clockId: 9 })
  good(await to.createAccount({ did, key: newKey, handle: 'a.test', status: 'deactivated' }))
  const car = await exportOf(from, did)
  const signedBy = { key: oldKey.publicKey, verifier }
  const imported = good(await to.importRepo(did, piecesOf(car, 777), { signedBy }))
  assert.equal(imported.records, 181)
  const head = must(from.latestCommit(did), 'head')
  assert(cidEquals(imported.data, head.data))
  assert(imported.rev > head.rev)
  for (const cid of to.missingBlobs(did, 100)) {
    const blob = must(from.blob(did, cid), 'blob')
    good(await to.uploadBlob(did, blob.read(0, blob.size), blob.mimeType))
  }
  assert.deepEqual(to.missingBlobs(did, 100), [])
  assert.equal(to.log.publishedSeq, 0)
  good(await to.setStatus(did, 'active'))
  good(await from.setStatus(did, 'deactivated'))
  assert.deepEqual(brief(await eventsOf(to)), ['#identity a.test', '#account active', '#sync'])
  good(await to.putRecord(did, path(500), { record: { n: 500 } }))
  // What is emitted there verifies under the new key, and goes on from the commit of the import.
  const nowMs = clock.nowMs()
  const [, , sync, commit] = await eventsOf(to)
  assert(sync?.type === '#sync' && commit?.type === '#commit')
  assert.equal(verifySync(sync.body, { key: newKey.publicKey, verifier, nowMs }).ok, true)
  assert.equal(verifyCommit(commit.body, { key: newKey.publicKey, verifier, nowMs }).ok, true)
  assert.equal(commit.body.since, sync.body.rev)
  // The import of an active account shows in the listing at once, as it does in the head.
  good(await to.importRepo(did, piecesOf(car)))
  const { commit: listed, rev } = must(to.latestCommit(did), 'head')
  assert.deepEqual(to.listRepos(10, null), { items: [{ did, head: listed, rev, active: true }] })
  good(await to.putRecord(did, path(500), { record: { n: 500 } }))
  assert.equal(commit.body.prevData?.$link, cidToString(head.data))
  const page = to.listBlobs(did, { limit: 10, cursor: null, since: null })
  assert(page !== 'invalid-cursor' && page.items.length === 1)
  const { creates } = await verifyRepoCar(
    await exportOf(to, did),
    did,
    formatDidKey(newKey.publicKey),
  )
  assert.equal(creates.length, 182)
})

test('the blocks of an import may come in any order, repeated, and among others', async (t) => {
  const clock = new HandClock()
  await using from = await oldHost(clock)
  const parsed = parseCar(await exportOf(from, did), { blocksMax: 10_000 })
  assert(parsed.ok)
  const { blocks, roots } = parsed.value
  const random = seededRandom(3)
  const junk = encodeDrisl({ nobody: 'needs this' })
  const all: CarBlock[] = [{ cid: cidOf(CODEC_DAG_CBOR, junk), block: junk }]
  for (let i = 0; i < blocks.size; i++) all.push({ cid: blocks.cid(i), block: blocks.block(i) })
  all.push(...all.slice(5, 25))
  all.sort(() => random.next() - 0.5)
  const directory = await temporary(t)
  await using to = await openTestHost({ clock, directory })
  good(await to.createAccount({ did, key: newKey }))
  const seq = to.log.publishedSeq
  good(await to.importRepo(did, piecesOf(encodeCar(roots, all), 64)))
  assert.deepEqual(brief(await eventsOf(to, seq)), ['#sync'])
  // Each block once, less the junk, less the imported commit, plus ours.
  await to.collectGarbage()
  using reader = new StateReader(directory)
  const unique = new Set(all.map(({ cid }) => cidToString(cid)))
  assert.equal(reader.blocks(did).size, unique.size - 1)
  assert.equal(reader.count('block'), unique.size - 1)
  assert.equal(reader.count('record'), 181)
  assert.equal(reader.count('repo'), 1)
})

function nodeOf(value: unknown): CarBlock {
  const block = encodeDrisl(value)
  return { cid: cidOf(CODEC_DAG_CBOR, block), block }
}

/** Repositories with trees that break a rule, and the reason for each. */
function hostileTrees(sign: (data: Uint8Array) => CarBlock): [string, Uint8Array][] {
  const carOf = (data: Uint8Array, blocks: readonly CarBlock[]): Uint8Array => {
    const commit = sign(data)
    return encodeCar([commit.cid], [commit, ...blocks])
  }
  // The bytes of a record under a CID of the other kind, in a tree that is sound otherwise.
  const record = encodeDrisl({ n: 1 })
  const raw = { cid: cidOf(CODEC_RAW, record), block: record }
  const blocks: CarBlock[] = [raw]
  const tree = Tree.empty()
  tree.put(path(1), raw.cid)
  const rawRoot = tree.write((cid, block) => void blocks.push({ cid, block }))
  // Nodes without keys, one below the other.
  const chain: CarBlock[] = [{ cid: EMPTY_TREE_CID, block: EMPTY_TREE_BLOCK }]
  const below = (): CidLinkWrapper => new CidLinkWrapper(must(chain.at(-1), 'node').cid)
  for (let i = 0; i < 500; i++) chain.push(nodeOf({ e: [], l: below() }))
  const entry = { k: new BytesWrapper(utf8(path(1))), p: 0, t: null, v: below() }
  const overChain = nodeOf({ e: [entry], l: below() })
  return [
    ['op-record-malformed', carOf(rawRoot, blocks)],
    ['mst-height', carOf(overChain.cid, [overChain, ...chain])],
    ['mst-malformed', carOf(must(chain.at(-1), 'node').cid, chain)],
  ]
}

test('a repository that breaks a rule is refused, and nothing of it stays', async (t) => {
  const clock = new HandClock()
  await using from = await oldHost(clock)
  const car = await exportOf(from, did)
  const parsed = parseCar(car, { blocksMax: 10_000 })
  assert(parsed.ok)
  const { blocks } = parsed.value
  const all = Array.from({ length: blocks.size }, (_, i) => ({
    cid: blocks.cid(i),
    block: blocks.block(i),
  }))
  const head = must(from.latestCommit(did), 'head')
  const signed = (content: { did?: string; rev?: string; data?: Uint8Array }): CarBlock =>
    signCommit({ did, rev: head.rev, data: head.data, ...content }, oldKey)
  const withCommit = (commit: CarBlock): Uint8Array => encodeCar([commit.cid], [commit, ...all])
  const flipped = car.slice()
  flipped[car.length - 10] = (flipped[car.length - 10] ?? 0) ^ 1
  const future = tidOf((clock.nowMs() + 3_600_000) * 1_000, 1)
  const trees = hostileTrees((data) => signed({ data }))
  const cases: [string, Uint8Array][] = [
    ...trees,
    ['commit-malformed', encodeCar([head.data], all)],
    ['car-malformed', car.subarray(0, car.length - 1)],
    ['car-malformed', new Uint8Array(0)],
    ['car-hash-mismatch', flipped],
    ['car-root-missing', encodeCar([head.commit], all.slice(1))],
    ['commit-did-mismatch', withCommit(signed({ did: didOf('b') }))],
    ['rev-future', withCommit(signed({ rev: future }))],
    ['mst-block-missing', encodeCar([head.commit], [...all.slice(0, 1), ...all.slice(2)])],
    ['op-record-missing', encodeCar([head.commit], all.slice(0, -1))],
    ['mst-malformed', withCommit(signed({ data: must(all.at(-1), 'record').cid }))],
    ['signature-invalid', withCommit(signCommit({ did, ...head }, newKey))],
  ]
  const directory = await temporary(t)
  await using to = await openTestHost({ clock, directory })
  good(await to.createAccount({ did, key: newKey }))
  const before = to.latestCommit(did)
  for (const [reason, bytes] of cases) {
    const signedBy = { key: oldKey.publicKey, verifier }
    const result = await to.importRepo(did, piecesOf(bytes), { signedBy })
    assert.equal(result.ok ? 'ok' : result.reason, reason)
  }
  const limited = await to.importRepo(did, piecesOf(car), { blocksMax: 100 })
  assert.equal(limited.ok ? 'ok' : limited.reason, 'car-too-many-blocks')
  await assert.rejects(to.importRepo(did, failing(car), {}), /the connection went away/)
  assert.deepEqual(to.latestCommit(did), before)
  await to.collectGarbage()
  using reader = new StateReader(directory)
  assert.equal(reader.count('block'), 2)
  assert.equal(reader.count('record'), 0)
  assert.equal(reader.count('repo'), 1)
  good(await to.putRecord(did, path(1), { record: { n: 1 } }))
})

async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield* piecesOf(bytes.subarray(0, bytes.length / 2))
  throw new Error('the connection went away')
}

test('a CAR that is cut anywhere is refused', async () => {
  const clock = new HandClock()
  await using from = await openTestHost({ clock })
  good(await from.createAccount({ did, key: oldKey }))
  good(await from.putRecord(did, path(1), { record: { n: 1 } }))
  const car = await exportOf(from, did)
  await using to = await openTestHost({ clock })
  good(await to.createAccount({ did, key: newKey }))
  for (let end = 0; end < car.length; end += 7) {
    const result = await to.importRepo(did, piecesOf(car.subarray(0, end)))
    assert.equal(result.ok, false, `cut at ${end}`)
  }
  good(await to.importRepo(did, piecesOf(car)))
})

test('during an import nothing else is written to the repository, once it is over it is', async () => {
  const clock = new HandClock()
  await using from = await oldHost(clock)
  const car = await exportOf(from, did)
  await using to = await openTestHost({ clock })
  good(await to.createAccount({ did, key: newKey }))
  good(await to.putRecord(did, path(1_000), { record: { n: 1 } }))
  const gate = Promise.withResolvers<void>()
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield* piecesOf(car.subarray(0, 3_000))
    await gate.promise
    yield* piecesOf(car.subarray(3_000))
  }
  const importing = to.importRepo(did, slow())
  const refused = [
    await to.putRecord(did, path(1), { record: {} }),
    await to.rotateKey(did, oldKey),
    await to.importRepo(did, piecesOf(car)),
  ]
  for (const one of refused) assert.equal(one.ok ? 'ok' : one.reason, 'RepoBusy')
  gate.resolve()
  good(await importing)
  assert.equal(must(to.recordProof(did, path(1_000)), 'proof').present, false)
  good(await to.putRecord(did, path(1_000), { record: { n: 1 } }))
})

test('an account that is deleted during its import cannot come back before that is over', async () => {
  await using from = await oldHost(new HandClock())
  const car = await exportOf(from, did)
  await using to = await openTestHost()
  good(await to.createAccount({ did, key: newKey }))
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* piecesOf(car)
    good(await to.setStatus(did, 'deleted'))
    const early = await to.createAccount({ did, key: oldKey })
    assert.equal(early.ok ? 'ok' : early.reason, 'RepoBusy')
  }
  const imported = await to.importRepo(did, source())
  assert.equal(imported.ok ? 'ok' : imported.reason, 'RepoNotFound')
  const head = good(await to.createAccount({ did, key: oldKey }))
  // What was imported for the one that is gone is not the new one's, whose revs go on.
  assert.deepEqual(to.latestCommit(did), head)
  assert.equal(must(to.recordProof(did, path(1)), 'proof').present, false)
  assert.deepEqual(brief(await eventsOf(to)).slice(-4), [
    '#identity -',
    '#account active',
    '#commit',
    '#sync',
  ])
})

test('what an account was before its deletion stays gone, whatever the host lives through', async (t) => {
  const directory = await temporary(t)
  const record = { n: 1 }
  for (const then of ['active', 'deactivated', 'takendown'] as const) {
    const host = await openTestHost({ directory })
    good(await host.createAccount({ did, key: oldKey }))
    good(await host.putRecord(did, path(1), { record }))
    // As if it were killed right after its answers.
    host.log.purge = () => undefined
    good(await host.setStatus(did, 'deleted'))
    good(await host.createAccount({ did, key: newKey, status: 'deactivated' }))
    if (then !== 'deactivated') good(await host.setStatus(did, then))
    await host.close()
    await using again = await openTestHost({ directory })
    await again.log.purgesSettled()
    const events = brief(await eventsOf(again))
    assert(!events.includes(`#commit create ${path(1)}`), then)
    assert.equal(events.filter((event) => event === '#commit').length, then === 'active' ? 1 : 0)
    good(await again.setStatus(did, 'deleted'))
  }
})

test('what a crash leaves of an import is swept up at the next start', async (t) => {
  const clock = new HandClock()
  await using from = await oldHost(clock)
  const car = await exportOf(from, did)
  const directory = await temporary(t)
  const to = await openTestHost({ clock, directory })
  good(await to.createAccount({ did, key: newKey }))
  const gate = Promise.withResolvers<void>()
  async function* stopping(): AsyncGenerator<Uint8Array> {
    yield* piecesOf(car.subarray(0, car.length - 100))
    await gate.promise
    yield car.subarray(car.length - 100)
  }
  const importing = to.importRepo(did, stopping())
  await to.close()
  gate.resolve()
  await assert.rejects(importing, { code: 'STORE_FAILED' })
  await using again = await openTestHost({ clock, directory })
  await again.collectGarbage()
  using reader = new StateReader(directory)
  assert.equal(reader.count('block'), 2)
  assert.equal(reader.count('repo'), 1)
})
