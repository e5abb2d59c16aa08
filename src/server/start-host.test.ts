import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { WebSocket } from 'ws'
import { PrivateKey } from '../crypto/private-key.ts'
import { parseCar } from '../data/car.ts'
import { parseFrame } from '../stream/frame.ts'
import { startHost } from './start-host.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'

/** The types of the first events of a host's stream, from the oldest. */
async function firstEvents(address: string, count: number): Promise<string[]> {
  const socket = new WebSocket(`ws://${address}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`)
  const types: string[] = []
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.on('error', reject)
  socket.on('message', (data: Buffer) => {
    const frame = parseFrame(data)
    types.push(frame.ok && frame.value.kind === 'message' ? frame.value.type : 'other')
    if (types.length === count) resolve()
  })
  await promise
  socket.close()
  return types
}

test('startHost gives a host in memory that serves at once, and goes without a trace', async (t) => {
  const running = await startHost({ hostname: 'pds.example' })
  t.after(() => running.stop())
  await running.host.createAccount({ did, key: PrivateKey.generate('k256'), handle: 'a.test' })
  await running.host.putRecord(did, 'org.example.note/1', { record: { text: 'hello' } })
  assert.deepEqual(await firstEvents(running.address, 5), [
    '#identity',
    '#account',
    '#commit',
    '#sync',
    '#commit',
  ])
  const described = await fetch(`${running.url}/xrpc/com.atproto.server.describeServer`)
  const { did: ofHost } = (await described.json()) as { did: string }
  assert.equal(ofHost, 'did:web:pds.example')
  const repo = await fetch(`${running.url}/xrpc/com.atproto.sync.getRepo?did=${did}`)
  assert.equal(repo.status, 200)
  const car = parseCar(new Uint8Array(await repo.arrayBuffer()), { blocksMax: 10 })
  assert(car.ok && car.value.blocks.size === 3, 'commit, node and record')
  const directory = running.host.directory
  assert(existsSync(directory))
  await running.stop()
  assert(!existsSync(directory))
  await assert.rejects(fetch(running.url))
})

test('startHost on a directory finds there what it left, and refuses a second holder', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'skein-start-host-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const key = PrivateKey.generate('p256')
  let rev: string | undefined
  {
    await using running = await startHost({ directory })
    await running.host.createAccount({ did, key })
    rev = running.host.latestCommit(did)?.rev
    await assert.rejects(startHost({ directory }), { code: 'DATA_DIRECTORY_LOCKED' })
  }
  await using again = await startHost({ directory })
  assert.equal(again.host.latestCommit(did)?.rev, rev)
  const written = await again.host.putRecord(did, 'org.example.note/1', { record: {} })
  assert.equal(written.ok, true)
  assert.equal((await firstEvents(again.address, 5)).length, 5)
})

test('a start that fails says why, and leaves nothing open or behind', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'skein-start-host-'))
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = parent
  t.after(async () => {
    if (TMPDIR === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = TMPDIR
    await rm(parent, { recursive: true, force: true })
  })
  await using running = await startHost()
  const before = await readdir(parent)
  assert.equal(before.length, 1)
  const taken = { host: '127.0.0.1', port: Number(running.address.split(':')[1]) }
  for (const [options, error] of [
    [{ bind: taken }, { code: 'ADDRESS_UNAVAILABLE' }],
    [{ metricsBind: taken }, { code: 'ADDRESS_UNAVAILABLE' }],
    [{ trustedProxies: ['no network'] }, { code: 'OPTION_INVALID' }],
    [{ clockId: 1_024 }, /clock id: 1024/],
  ] as const) {
    await assert.rejects(startHost(options), error)
    assert.deepEqual(await readdir(parent), before)
  }
})

test('a host that state refuses to write for is not well until it has written', async (t) => {
  const running = await startHost()
  t.after(() => running.stop())
  const { host, url } = running
  const { ok } = await host.createAccount({ did, key: PrivateKey.generate('k256') })
  assert(ok)
  const health = async (): Promise<number> => (await fetch(`${url}/xrpc/_health`)).status
  assert.equal(await health(), 200)
  // Another writer has the database: as on a full disk, the write is refused and nothing happens.
  const other = new Database(join(host.directory, 'host.sqlite'))
  other.exec('BEGIN IMMEDIATE')
  const refused = host.putRecord(did, 'org.example.note/1', { record: {} })
  await assert.rejects(refused, { code: 'STORE_FAILED' })
  assert.equal(await health(), 503)
  other.close()
  assert.equal((await host.putRecord(did, 'org.example.note/1', { record: {} })).ok, true)
  assert.equal(await health(), 200)
})

test('what happens at a host shows in its metrics', async (t) => {
  const metricsBind = { host: '127.0.0.1', port: 0 }
  const running = await startHost({ metricsBind, exportsMax: 1, unreferencedBlobsMax: 1 })
  t.after(() => running.stop())
  const { host, url } = running
  const sync = (call: string): string => `${url}/xrpc/com.atproto.sync.${call}did=${did}`
  const exports = 'endpoint="com.atproto.sync.getRepo"'
  const lines = async (): Promise<string[]> => {
    const page = await fetch(`http://${running.metricsAddress}/metrics`)
    return (await page.text()).split('\n')
  }
  assert((await lines()).includes('skein_writes_total{outcome="committed"} 0'))
  await host.createAccount({ did, key: PrivateKey.generate('k256') })
  for (let i = 0; i < 2; i++) await host.putRecord(did, 'org.example.note/1', { record: {} })
  await host.putRecord(did, 'no path', { record: {} })
  const broken = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('gone')) }),
  }
  await assert.rejects(host.uploadBlob(did, broken, 'a/b'))
  for (const text of ['one', 'another']) {
    const bytes = new Blob([text]).stream()
    await host.uploadBlob(did, bytes, 'text/plain')
  }
  const { length } = new Uint8Array(await (await fetch(sync('getRepo?'))).arrayBuffer())
  const held = host.repoCar(did, null)
  assert(held !== null && held !== 'busy')
  assert.equal((await fetch(sync('getRepo?'))).status, 503)
  const cut = host.importRepo(did, new Blob(['no CAR']).stream())
  assert.equal((await cut).ok, false)
  const found = await lines()
  for (const line of [
    'skein_writes_total{outcome="committed"} 1',
    'skein_writes_total{outcome="unchanged"} 1',
    'skein_writes_total{outcome="PathInvalid"} 1',
    'skein_write_queue_calls 0',
    'skein_imports_total{outcome="car-malformed"} 1',
    'skein_uploads_total{outcome="failed"} 1',
    'skein_uploads_total{outcome="stored"} 1',
    'skein_uploads_total{outcome="BlobQuotaExceeded"} 1',
    'skein_uploaded_bytes_total 3',
    'skein_exports 1',
    'skein_exports_refused_total{limit="host"} 1',
    `skein_bodies_ended_total{${exports},end="complete"} 1`,
    `skein_body_bytes_total{${exports}} ${length}`,
    `skein_http_requests_total{${exports},status="503"} 1`,
    'skein_log_last_seq 5',
    'skein_subscribers 0',
  ]) {
    assert(found.includes(line), line)
  }
  held.close()
  await host.setStatus(did, 'deleted')
  // The first call may join a collection that was under way before.
  for (let i = 0; i < 2; i++) await host.collectGarbage()
  assert((await lines()).includes('skein_garbage_removed_total{kind="blob"} 1'))
})
