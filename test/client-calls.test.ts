/** The client's calls against the services that this repository has: a host and a relay. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

import { CidLinkWrapper } from '@atcute/cid'

import { codeOf, FixedIdentities } from '../src/client/testing/service-kit.ts'
import { SyncClient } from '../src/client/calls/sync-client.ts'
import { PrivateKey } from '../src/crypto/private-key.ts'
import { CODEC_RAW, cidOf, cidToString } from '../src/data/cid.ts'
import { must } from '../src/lib/assert.ts'
import { utf8 } from '../src/lib/bytes.ts'
import { type RunningHost, startHost } from '../src/server/start-host.ts'
import { FakePlc } from './support/fake-plc.ts'
import { readCarBlocks } from './support/read-car.ts'
import { TestRelay } from './support/test-relay.ts'
import { eventually } from './support/waiting.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const OTHER = 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'
const COLLECTION = 'org.example.note'

async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes)
}

async function hostWithRecords(
  t: TestContext,
  key: PrivateKey,
  count: number,
): Promise<RunningHost> {
  const running = await startHost()
  t.after(() => running.stop())
  await running.host.createAccount({ did: DID, key, handle: 'alice.test' })
  for (let i = 0; i < count; i++) {
    const collection = i % 5 === 0 ? 'org.example.like' : COLLECTION
    const path = `${collection}/key${i}`
    const written = await running.host.putRecord(DID, path, { record: { n: i } })
    assert(written.ok)
  }
  return running
}

test('every call of com.atproto.sync has a method', () => {
  const folder = new URL('lexicons/types/com/atproto/sync/', import.meta.resolve('@atcute/atproto'))
  const calls = readdirSync(fileURLToPath(folder))
    .filter((name) => name.endsWith('.js') && name !== 'defs.js')
    .map((name) => name.slice(0, -3))
  assert(calls.length >= 16, calls.join())
  const methods = Object.getOwnPropertyNames(SyncClient.prototype)
  assert.deepEqual(
    calls.filter((call) => !methods.includes(call)),
    [],
  )
})

test('a repository host: every call that it serves', async (t) => {
  const key = PrivateKey.generate('k256')
  const running = await hostWithRecords(t, key, 60)
  const client = new SyncClient(running.address, { identities: new FixedIdentities(key.publicKey) })
  const head = must(running.host.latestCommit(DID), 'head')
  const commit = cidToString(head.commit)
  assert.deepEqual(await client.getLatestCommit({ did: DID }), { cid: commit, rev: head.rev })
  assert.deepEqual(await client.getHead({ did: DID }), { root: commit })
  const status = await client.getRepoStatus({ did: DID })
  assert.deepEqual(status, { did: DID, active: true, rev: head.rev })
  const repos = await allOf(client.listRepos())
  assert.deepEqual(repos, [{ did: DID, head: commit, rev: head.rev, active: true }])

  const whole = readCarBlocks(await (await client.getRepo({ did: DID })).bytes())
  const checkout = await (await client.getCheckout({ did: DID })).bytes()
  assert.deepEqual(readCarBlocks(checkout), whole)
  const since = readCarBlocks(await (await client.getRepo({ did: DID, since: head.rev })).bytes())
  assert(since.blocks.length < whole.blocks.length)
  const cids = whole.blocks.slice(0, 3).map(({ cid }) => cidToString(cid))
  const some = readCarBlocks(await (await client.getBlocks({ did: DID, cids })).bytes())
  assert.deepEqual(some.blocks.map(({ cid }) => cidToString(cid)).toSorted(), cids.toSorted())
  const absent = cidToString(cidOf(CODEC_RAW, utf8('nowhere')))
  assert.equal(await codeOf(client.getBlocks({ did: DID, cids: [absent] })), 'BlockNotFound')

  assert.equal(await codeOf(client.getRepo({ did: OTHER })), 'RepoNotFound')
  assert.equal(
    await codeOf(client.getHostStatus({ hostname: 'x.example' })),
    'MethodNotImplemented',
  )
  assert.equal(await codeOf(client.requestCrawl({ hostname: 'x.example' })), 'MethodNotImplemented')
})

test('a repository host: records and repositories, proven', async (t) => {
  const key = PrivateKey.generate('p256')
  const running = await hostWithRecords(t, key, 60)
  const identities = new FixedIdentities(key.publicKey)
  const { verified } = new SyncClient(running.address, { identities })
  const proven = await verified.getRecord({ did: DID, collection: COLLECTION, rkey: 'key1' })
  assert.deepEqual(proven.record, { valid: true, value: { n: 1 } })
  const absence = await verified.getRecord({ did: DID, collection: COLLECTION, rkey: 'nothing' })
  assert.deepEqual(absence, { rev: proven.rev, cid: null, bytes: null, record: null })

  const repo = await verified.getRepo({ did: DID })
  assert.equal(repo.rev, running.host.latestCommit(DID)?.rev)
  const values: unknown[] = []
  const paths: string[] = []
  for await (const { path, collection, rkey, record } of repo.records) {
    assert.equal(path, `${collection}/${rkey}`)
    assert(record.valid)
    values.push(record.value['n'])
    paths.push(path)
  }
  assert.deepEqual(paths, paths.toSorted())
  assert.equal(new Set(values).size, 60)
  const likes = await verified.getRepo({ did: DID }, { collections: ['org.example.like'] })
  assert.equal((await allOf(likes.records)).length, 12)
  const group = await verified.getRepo({ did: DID }, { collections: ['org.example.*'] })
  assert.equal((await allOf(group.records)).length, 60)
  const other = await verified.getRepo({ did: DID }, { collections: ['org.example.*', 'a.b.c'] })
  other.cancel()
  const strange = new FixedIdentities(PrivateKey.generate('p256').publicKey)
  const doubting = new SyncClient(running.address, { identities: strange })
  assert.equal(await codeOf(doubting.verified.getRepo({ did: DID })), 'Unverified')
  assert.equal(strange.refreshes, 1)
})

test('a repository host: blobs, and the stream of events over one connection', async (t) => {
  const key = PrivateKey.generate('k256')
  const running = await hostWithRecords(t, key, 0)
  const client = new SyncClient(running.address)
  const bytes = new Uint8Array(300_000).fill(7)
  const uploaded = await running.host.uploadBlob(DID, inOnePiece(bytes), 'image/png')
  assert(uploaded.ok)
  const { mimeType, size } = uploaded.value
  const ref = new CidLinkWrapper(uploaded.value.cid)
  const blob = { $type: 'blob', ref, mimeType, size }
  const cid = cidToString(cidOf(CODEC_RAW, bytes))
  await running.host.putRecord(DID, `${COLLECTION}/picture`, { record: { blob } })
  assert.deepEqual(await allOf(client.listBlobs({ did: DID })), [cid])
  const stream = await client.getBlob({ did: DID, cid })
  assert.equal(stream.contentType, 'image/png')
  assert.equal(stream.contentLength, bytes.length)
  assert.deepEqual(await stream.bytes(), bytes)
  const absent = cidToString(cidOf(CODEC_RAW, utf8('nowhere')))
  assert.equal(await codeOf(client.getBlob({ did: DID, cid: absent })), 'BlobNotFound')

  const types: string[] = []
  for await (const event of client.subscribeRepos({ cursor: 0 })) {
    types.push(event.type)
    if (event.type === '#commit' && event.ops.length > 0) {
      assert.equal(event.ops[0]?.path, `${COLLECTION}/picture`)
      break
    }
  }
  assert.deepEqual(types, ['#identity', '#account', '#commit', '#sync', '#commit'])
  const future = client.subscribeRepos({ cursor: 10 ** 9 })[Symbol.asyncIterator]()
  assert.equal(await codeOf(future.next()), 'FutureCursor')
})

test('a relay: what it knows, and what it sends to the host for', async (t) => {
  const key = PrivateKey.generate('k256')
  const running = await hostWithRecords(t, key, 20)
  await using plc = await FakePlc.start()
  const endpoint = running.url.replace('127.0.0.1', 'localhost')
  plc.set(DID, { key: key.publicKey, endpoint })
  await using relay = await TestRelay.start({ plc: [plc.url] })
  const identities = new FixedIdentities(key.publicKey)
  const client = new SyncClient(relay.address, { identities, allowPrivateNetwork: true })
  const hostname = endpoint.slice('http://'.length)
  await client.requestCrawl({ hostname })
  await running.host.putRecord(DID, `${COLLECTION}/late`, { record: { n: 1 } })
  const head = must(running.host.latestCommit(DID), 'head')
  await eventually(async () => {
    const repos = await allOf(client.listRepos())
    return repos.some(({ rev }) => rev === head.rev) ? true : null
  }, 'the relay has the newest commit')
  const commit = cidToString(head.commit)
  assert.deepEqual(await client.getLatestCommit({ did: DID }), { cid: commit, rev: head.rev })
  const status = await client.getHostStatus({ hostname })
  assert.equal(status.hostname, hostname)
  assert.equal(status.status, 'active')
  const hosts = await allOf(client.listHosts())
  assert.deepEqual(
    hosts.map((host) => host.hostname),
    [hostname],
  )
  assert.equal((await client.getRepoStatus({ did: DID })).active, true)
  assert.equal(await codeOf(client.getHostStatus({ hostname: 'no.example' })), 'HostNotFound')
  // Answered with a redirect to the host.
  const repo = await client.verified.getRepo({ did: DID })
  assert.equal(repo.commit, commit)
  assert.equal((await allOf(repo.records)).length, 21)
  const strict = new SyncClient(relay.address, { identities })
  assert.equal(await codeOf(strict.getRepo({ did: DID })), 'Blocked')
  for await (const event of client.subscribeRepos({ cursor: 0 })) {
    assert.equal(event.type, '#identity')
    break
  }
})
