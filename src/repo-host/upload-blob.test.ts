/** How much may be uploaded that nothing refers to, and what crashes leave of uploads. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { CidLinkWrapper } from '@atcute/cid'
import Database from 'better-sqlite3'
import { CODEC_RAW, cidOf, cidToString } from '../data/cid.ts'
import { utf8 } from '../lib/bytes.ts'
import { must } from '../lib/assert.ts'
import { seededRandom } from '../lib/random.ts'
import { blobReferences } from './blob-references.ts'
import { BLOB_GRACE_MS, type RepoHostOptions, type UploadedBlob } from './host-options.ts'
import type { HostResult } from './outcomes.ts'
import type { RepoHost } from './repo-host.ts'
import { didOf, good, HandClock, keyOf, openTestHost, piecesOf } from './testing/test-host.ts'

const did = didOf('a')
const other = didOf('b')
const path = (n: number): string => `org.example.note/${n}`

async function temporary(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-uploads-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

async function open(options: Partial<RepoHostOptions>): Promise<RepoHost> {
  const host = await openTestHost(options)
  for (const one of [did, other]) {
    const key = keyOf(one)
    if (host.status(one) === null) good(await host.createAccount({ did: one, key }))
  }
  return host
}

/** 1,000 bytes that differ by `n`. */
const bytesOf = (n: number, size = 1_000): Uint8Array =>
  new Uint8Array(size).fill(1).map((_, i) => (i < 4 ? (n >> (8 * i)) & 0xff : 1))

const upload = (host: RepoHost, n: number, of = did): Promise<HostResult<UploadedBlob>> =>
  host.uploadBlob(of, piecesOf(bytesOf(n)), 'image/png')

const outcomeOf = (result: HostResult<unknown>): string => (result.ok ? 'ok' : result.reason)

const refer = ({ cid, mimeType, size }: UploadedBlob) => ({
  record: { picture: { $type: 'blob', ref: new CidLinkWrapper(cid), mimeType, size } },
})

/** The names of all files of blobs, those on their way too. */
async function files(directory: string): Promise<string[]> {
  const names: string[] = []
  for (const folder of await readdir(join(directory, 'blobs'))) {
    names.push(...(await readdir(join(directory, 'blobs', folder))))
  }
  return names.sort()
}

/** An upload that stands still until it is told to end. */
function heldUpload(host: RepoHost, n: number) {
  const begun = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  async function* source(): AsyncGenerator<Uint8Array> {
    yield bytesOf(n).subarray(0, 500)
    begun.resolve()
    await gate.promise
    yield bytesOf(n).subarray(500)
  }
  const answer = host.uploadBlob(did, source(), 'image/png')
  return { begun: begun.promise, end: gate.resolve, answer }
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytesOf(0))
  throw new Error('gone')
}

test('so many blobs may wait for a record; references and collections make room', async () => {
  const clock = new HandClock()
  await using host = await open({ clock, unreferencedBlobsMax: 3 })
  const blobs = [0, 1, 2].map((n) => upload(host, n))
  const [first] = (await Promise.all(blobs)).map(good)
  assert.equal(outcomeOf(await upload(host, 3)), 'BlobQuotaExceeded')
  assert.equal(outcomeOf(await upload(host, 3, other)), 'ok', 'each account has its own')
  assert.equal(outcomeOf(await upload(host, 0)), 'ok', 'the same again takes no room')
  good(await host.putRecord(did, path(0), refer(must(first, 'blob'))))
  assert.equal(outcomeOf(await upload(host, 3)), 'ok')
  assert.equal(outcomeOf(await upload(host, 4)), 'BlobQuotaExceeded')
  // What loses its record counts again, and takes no room from what has one.
  good(await host.deleteRecord(did, path(0)))
  assert.equal(outcomeOf(await upload(host, 4)), 'BlobQuotaExceeded')
  clock.advance(BLOB_GRACE_MS)
  assert.equal((await host.collectGarbage()).blobs, 5)
  for (const n of [4, 5, 6]) assert.equal(outcomeOf(await upload(host, n)), 'ok')
  assert.equal(outcomeOf(await upload(host, 7)), 'BlobQuotaExceeded')
})

test('so many bytes may wait, uploads at once included', async (t) => {
  const directory = await temporary(t)
  await using host = await open({ directory, unreferencedBlobBytesMax: 3_500 })
  const all = await Promise.all(Array.from({ length: 8 }, (_, n) => upload(host, n)))
  const outcomes = all.map(outcomeOf).sort()
  assert.deepEqual(outcomes, [...Array<string>(5).fill('BlobQuotaExceeded'), 'ok', 'ok', 'ok'])
  assert.equal((await files(directory)).length, 3, 'nothing is left of those refused')
  const small = await host.uploadBlob(did, piecesOf(bytesOf(9, 500)), 'image/png')
  assert.equal(outcomeOf(small), 'ok')
})

test('blobs that a moved repository refers to do not count', async () => {
  await using from = await open({})
  const blobs: UploadedBlob[] = []
  for (let n = 0; n < 4; n++) {
    const blob = good(await upload(from, n))
    good(await from.putRecord(did, path(n), refer(blob)))
    blobs.push(blob)
  }
  await using to = await openTestHost({ unreferencedBlobsMax: 1 })
  good(await to.createAccount({ did, key: keyOf('new'), status: 'deactivated' }))
  const opened = from.repoCar(did, null)
  assert(opened !== null && opened !== 'busy')
  good(await to.importRepo(did, opened.chunks))
  for (let n = 0; n < 4; n++) good(await upload(to, n))
  assert.deepEqual(to.missingBlobs(did, 10), [])
  good(await upload(to, 10))
  assert.equal(outcomeOf(await upload(to, 11)), 'BlobQuotaExceeded')
})

test('uploads of one account at once are bounded, and failed ones give their place back', async () => {
  await using host = await open({ uploadsPerAccountMax: 2 })
  const held = [heldUpload(host, 0), heldUpload(host, 1)]
  for (const { begun } of held) await begun
  assert.equal(outcomeOf(await upload(host, 2)), 'HostBusy')
  assert.equal(outcomeOf(await upload(host, 2, other)), 'ok')
  for (const { end } of held) end()
  for (const { answer } of held) good(await answer)
  for (let i = 0; i < 3; i++) await assert.rejects(host.uploadBlob(did, broken(), 'a/b'), /gone/)
  assert.equal(outcomeOf(await upload(host, 2)), 'ok')
})

test('I11: an upload that ends when its account is not there any more is not kept', async (t) => {
  const directory = await temporary(t)
  const host = await open({ directory })
  t.after(() => host.close())
  for (const [n, status, refusal] of [
    [1, 'takendown', 'RepoInactive'],
    [2, 'deleted', 'RepoNotFound'],
  ] as const) {
    const { begun, end, answer } = heldUpload(host, n)
    await begun
    good(await host.setStatus(did, status))
    end()
    assert.equal(outcomeOf(await answer), refusal)
    assert.deepEqual(await files(directory), [], status)
    if (status === 'takendown') good(await host.setStatus(did, 'active'))
  }
})

test('a file whose row a crash has kept away is swept up, and nothing else', async (t) => {
  const directory = await temporary(t)
  const clock = new HandClock()
  let kept: string
  {
    await using host = await open({ directory, clock })
    const blob = good(await upload(host, 1))
    good(await host.putRecord(did, path(1), refer(blob)))
    kept = cidToString(blob.cid)
  }
  // As a kill between the two leaves it: a whole file under its name. Others are not ours.
  const strays = Array.from({ length: 120 }, (_, n) =>
    cidToString(cidOf(CODEC_RAW, bytesOf(n + 9))),
  )
  const from = join(directory, 'blobs', kept.slice(-2), kept)
  for (const name of strays) {
    await mkdir(join(directory, 'blobs', name.slice(-2)), { recursive: true })
    await copyFile(from, join(directory, 'blobs', name.slice(-2), name))
  }
  await writeFile(join(directory, 'blobs', kept.slice(-2), 'notes.txt'), 'of the operator')
  await using host = await open({ directory, clock })
  assert.equal((await files(directory)).length, 122)
  assert.deepEqual(await host.collectGarbage(), { blobs: 0, rows: 0, files: 120 })
  assert.deepEqual(await files(directory), [kept, 'notes.txt'].sort())
  assert.deepEqual(await host.collectGarbage(), { blobs: 0, rows: 0, files: 0 })
})

test('what is left by an upload whose row cannot be written is swept up', async (t) => {
  const directory = await temporary(t)
  await using host = await open({ directory })
  await host.collectGarbage()
  // The database refuses rows of blobs, as it does on a full disk.
  const database = new Database(join(directory, 'host.sqlite'))
  t.after(() => database.close())
  database.exec(`create trigger full before insert on blob begin select raise(abort, 'full'); end`)
  await assert.rejects(upload(host, 1), { code: 'STORE_FAILED' })
  assert.equal((await files(directory)).length, 1)
  database.exec('drop trigger full')
  assert.equal((await host.collectGarbage()).files, 1)
  assert.deepEqual(await files(directory), [])
  good(await upload(host, 1))
})

test('uploads under way and those that end meanwhile are never swept', async (t) => {
  const directory = await temporary(t)
  const random = seededRandom(8)
  for (let round = 0; round < 10; round++) {
    // Each start looks for strays once.
    await using host = await open({ directory })
    const stray = utf8(`stray ${round}`)
    const name = cidToString(cidOf(CODEC_RAW, stray))
    await mkdir(join(directory, 'blobs', name.slice(-2)), { recursive: true })
    await writeFile(join(directory, 'blobs', name.slice(-2), name), stray)
    const held = Array.from({ length: 12 }, (_, n) => heldUpload(host, 100 * round + n))
    for (const { begun } of held) await begun
    const collected = host.collectGarbage()
    for (const { end } of held) {
      if (random.next() < 0.5) await Promise.resolve()
      end()
    }
    for (const { answer } of held) {
      const blob = good(await answer)
      good(await host.putRecord(did, path(round), refer(blob)))
      let bytes = 0
      for await (const piece of must(host.blob(did, blob.cid), 'blob').read(0, blob.size)) {
        bytes += piece.length
      }
      assert.equal(bytes, 1_000)
    }
    assert.equal((await collected).files, 1)
  }
  assert.equal((await files(directory)).length, 120)
})

test('blobs leave room on the disk for what is written', async (t) => {
  const directory = await temporary(t)
  const { bavail, bsize } = await statfs(directory)
  await using host = await open({ directory, diskReserveBytes: bavail * bsize * 2 })
  assert.equal(outcomeOf(await upload(host, 1)), 'StorageFull')
  assert.deepEqual(await files(directory), [])
  good(await host.putRecord(did, path(1), { record: { n: 1 } }))
})

test('ten thousand references are gathered in one go, each once', () => {
  const names = Array.from({ length: 10_000 }, (_, n) =>
    cidToString(cidOf(CODEC_RAW, bytesOf(n, 4))),
  )
  const found = blobReferences([...names, ...names].map((cid) => ({ cid, mimeType: 'a/b' })))
  assert.deepEqual(
    found.map(({ cid }) => cidToString(cid)),
    names,
  )
})
