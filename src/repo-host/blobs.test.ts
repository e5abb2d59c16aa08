/** Uploads, references, and what is collected when. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { CidLinkWrapper } from '@atcute/cid'
import { CODEC_RAW, cidOf, cidToString } from '../data/cid.ts'
import { concatBytes } from '../lib/bytes.ts'
import { must } from '../lib/assert.ts'
import { BLOB_GRACE_MS, type UploadedBlob } from './host-options.ts'
import type { RepoHost } from './repo-host.ts'
import { didOf, good, HandClock, keyOf, openTestHost, piecesOf } from './testing/test-host.ts'

const did = didOf('a')
const other = didOf('b')
const path = (n: number): string => `org.example.note/${n}`

interface World {
  readonly host: RepoHost
  readonly clock: HandClock
  readonly directory: string
}

async function open(t: TestContext, blobBytesMax = 100_000): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-blobs-'))
  const clock = new HandClock()
  const host = await openTestHost({ directory, clock, blobBytesMax })
  t.after(async () => {
    await host.close()
    await rm(directory, { recursive: true, force: true })
  })
  for (const one of [did, other]) good(await host.createAccount({ did: one, key: keyOf(one) }))
  return { host, clock, directory }
}

const bytesOf = (n: number): Uint8Array => new Uint8Array(10_000 + n).fill(n)

async function upload({ host }: World, n: number, of = did): Promise<UploadedBlob> {
  return good(await host.uploadBlob(of, piecesOf(bytesOf(n)), 'image/png'))
}

const refer = ({ cid, mimeType, size }: UploadedBlob) => ({
  record: {
    picture: { $type: 'blob', ref: new CidLinkWrapper(cid), mimeType, size },
  },
})

function listed({ host }: World, since: string | null = null, of = did): string[] {
  const page = host.listBlobs(of, { limit: 100, cursor: null, since })
  assert(page !== 'invalid-cursor')
  return page.items.map(cidToString)
}

function fileOf({ directory }: World, { cid }: UploadedBlob): string {
  const name = cidToString(cid)
  return join(directory, 'blobs', name.slice(-2), name)
}

test('a blob is served from when a record refers to it until none does', async (t) => {
  const world = await open(t)
  const { host } = world
  const blob = await upload(world, 1)
  assert.deepEqual(blob.cid, cidOf(CODEC_RAW, bytesOf(1)))
  assert.equal(blob.size, 10_001)
  assert.equal(host.blob(did, blob.cid), null)
  assert.deepEqual(listed(world), [])
  good(await host.putRecord(did, path(1), refer(blob)))
  good(await host.putRecord(did, path(2), refer(blob)))
  const served = must(host.blob(did, blob.cid), 'blob')
  assert.equal(served.mimeType, 'image/png')
  const pieces: Uint8Array[] = []
  for await (const piece of served.read(5, 9_000)) pieces.push(piece)
  assert.deepEqual(concatBytes(pieces), bytesOf(1).subarray(5, 9_000))
  assert.equal(host.blob(other, blob.cid), null)
  good(await host.deleteRecord(did, path(1)))
  assert.deepEqual(listed(world), [cidToString(blob.cid)])
  good(await host.putRecord(did, path(2), { record: {} }))
  assert.equal(host.blob(did, blob.cid), null)
  assert.deepEqual(listed(world), [])
})

test('a blob that two records refer to stays when one of them goes, whatever the grace', async (t) => {
  const world = await open(t)
  const { host, clock } = world
  const blob = await upload(world, 1)
  for (const n of [1, 2]) good(await host.putRecord(did, path(n), refer(blob)))
  good(await host.deleteRecord(did, path(1)))
  clock.advance(BLOB_GRACE_MS * 2)
  assert.equal((await host.collectGarbage()).blobs, 0)
  assert.equal(existsSync(fileOf(world, blob)), true)
  assert.deepEqual(listed(world), [cidToString(blob.cid)])
  good(await host.deleteRecord(did, path(2)))
  clock.advance(BLOB_GRACE_MS)
  assert.equal((await host.collectGarbage()).blobs, 1)
})

test('a record may refer to nothing that its account has not uploaded', async (t) => {
  const world = await open(t)
  const { host } = world
  const blob = await upload(world, 1, other)
  const refused = await host.putRecord(did, path(1), refer(blob))
  assert.equal(refused.ok ? 'ok' : refused.reason, 'BlobNotFound')
  good(await host.putRecord(other, path(1), refer(blob)))
})

test('what nothing refers to goes after the grace, and not before', async (t) => {
  const world = await open(t)
  const { host, clock } = world
  const [never, once, always] = [
    await upload(world, 1),
    await upload(world, 2),
    await upload(world, 3),
  ]
  await upload(world, 3, other)
  good(await host.putRecord(did, path(2), refer(once)))
  good(await host.putRecord(did, path(3), refer(always)))
  clock.advance(BLOB_GRACE_MS - 1)
  assert.equal((await host.collectGarbage()).blobs, 0)
  good(await host.deleteRecord(did, path(2)))
  clock.advance(1)
  // The one of the other account goes; its bytes stay, for they are those of one that is used.
  assert.equal((await host.collectGarbage()).blobs, 2)
  assert.equal(existsSync(fileOf(world, never)), false)
  assert.equal(existsSync(fileOf(world, once)), true)
  assert.equal(existsSync(fileOf(world, always)), true)
  // A new reference within the grace keeps it.
  good(await host.putRecord(did, path(2), refer(once)))
  clock.advance(BLOB_GRACE_MS * 2)
  assert.equal((await host.collectGarbage()).blobs, 0)
  assert.equal(listed(world).length, 2)
  good(await host.setStatus(did, 'deleted'))
  await host.collectGarbage()
  await host.collectGarbage()
  assert.equal(existsSync(fileOf(world, always)), false)
})

test('listBlobs pages by CID, and since a rev', async (t) => {
  const world = await open(t)
  const { host, clock } = world
  const cids: string[] = []
  const revs: string[] = []
  for (let n = 0; n < 7; n++) {
    const blob = await upload(world, n)
    clock.advance(1)
    cids.push(cidToString(blob.cid))
    revs.push(good(await host.putRecord(did, path(n), refer(blob))).commit?.rev ?? '')
  }
  const paged: string[] = []
  let cursor: string | null = null
  do {
    const page = host.listBlobs(did, { limit: 3, cursor, since: null })
    assert(page !== 'invalid-cursor')
    paged.push(...page.items.map(cidToString))
    cursor = page.cursor ?? null
  } while (cursor !== null)
  assert.equal(paged.length, 7)
  assert.deepEqual([...paged].sort(), [...cids].sort())
  assert.deepEqual(listed(world, revs[4]).sort(), cids.slice(5).sort())
  assert.equal(host.listBlobs(did, { limit: 3, cursor: 'x', since: null }), 'invalid-cursor')
})

test('uploads are bounded, and those that fail leave nothing', async (t) => {
  const world = await open(t, 10_000)
  const { host } = world
  const large = await host.uploadBlob(did, piecesOf(bytesOf(1)), 'image/png')
  assert.equal(large.ok ? 'ok' : large.reason, 'BlobTooLarge')
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield bytesOf(0).subarray(0, 100)
    await Promise.resolve()
    throw new Error('gone')
  }
  await assert.rejects(host.uploadBlob(did, broken(), 'image/png'), /gone/)
  const nobody = await host.uploadBlob(didOf('z'), piecesOf(bytesOf(0)), 'image/png')
  assert.equal(nobody.ok ? 'ok' : nobody.reason, 'RepoNotFound')
  good(await host.setStatus(did, 'takendown'))
  const inactive = await host.uploadBlob(did, piecesOf(bytesOf(0)), 'image/png')
  assert.equal(inactive.ok ? 'ok' : inactive.reason, 'RepoInactive')
  const empty = good(await host.uploadBlob(other, piecesOf(new Uint8Array(0)), 'a\r\nb: c'))
  assert.deepEqual([empty.size, empty.mimeType], [0, 'application/octet-stream'])
})
