/** A repository host behind its public server: what others make of what it serves. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test, type TestContext } from 'node:test'

import { CidLinkWrapper } from '@atcute/cid'
import Database from 'better-sqlite3'
import { readCar, readCarWithRoot, verifyProofs, verifyRepoCar } from '@atproto/repo'

import { PrivateKey } from '../src/crypto/private-key.ts'
import { formatDidKey } from '../src/crypto/public-key.ts'
import { cidToString } from '../src/data/cid.ts'
import { startHostHttp } from '../src/http/host-http.ts'
import { DESCRIPTION, syncPath } from '../src/http/testing/host-server.ts'
import { must } from '../src/lib/assert.ts'
import { utf8 } from '../src/lib/bytes.ts'
import { systemClock } from '../src/lib/clock.ts'
import { silentLogger } from '../src/ops/logger.ts'
import { detachedRelayMetrics } from '../src/ops/relay-metrics.ts'
import { EXPORTS_MAX } from '../src/repo-host/host-options.ts'
import { RepoHost } from '../src/repo-host/repo-host.ts'
import { Broadcaster } from '../src/stream/broadcaster.ts'
import { RelayClient } from './support/relay-client.ts'
import { eventually } from './support/waiting.ts'

const DID = 'did:web:alice.example.com'
const COLLECTION = 'org.example.note'

interface Running {
  readonly host: RepoHost
  readonly address: string
  readonly didKey: string
  readonly bytes: (name: string, params?: Record<string, string>) => Promise<Uint8Array>
  readonly json: (name: string, params?: Record<string, string>) => Promise<unknown>
}

async function start(t: TestContext): Promise<Running> {
  const host = await RepoHost.open({ directory: null, clock: systemClock })
  const broadcaster = new Broadcaster({ source: host.log, clock: systemClock })
  const http = await startHostHttp(
    {
      bind: { host: '127.0.0.1', port: 0 },
      trustedProxies: [],
      requestsPerMinute: 10_000,
      subscribersMax: 10,
    },
    {
      view: host,
      description: DESCRIPTION,
      accept: (request, socket, head) => broadcaster.accept(request, socket, head),
      metrics: detachedRelayMetrics(),
      clock: systemClock,
      logger: silentLogger,
    },
  )
  t.after(async () => {
    await broadcaster.stop()
    await http.stop(0)
    await host.close()
  })
  const key = PrivateKey.generate('k256')
  const created = await host.createAccount({ did: DID, key, handle: 'alice.example.com' })
  assert(created.ok)
  const get = async (name: string, params: Record<string, string> = {}): Promise<Response> => {
    const answer = await fetch(`http://${http.address}${syncPath(name, { did: DID, ...params })}`)
    if (!answer.ok) assert.fail(`${name}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  return {
    host,
    address: http.address,
    didKey: formatDidKey(key.publicKey),
    bytes: async (name, params) => new Uint8Array(await (await get(name, params)).arrayBuffer()),
    json: async (name, params) => (await get(name, params)).json(),
  }
}

async function write(host: RepoHost, records: number): Promise<void> {
  for (let i = 0; i < records; i += 100) {
    const writes = Array.from({ length: Math.min(100, records - i) }, (_, n) => {
      return {
        action: 'create',
        path: `${COLLECTION}/r${i + n}`,
        record: { text: `note ${i + n}` },
      } as const
    })
    const answer = await host.applyWrites(DID, writes)
    assert(answer.ok, answer.ok ? '' : answer.reason)
  }
}

test('exports, changes and proofs of a host are what the reference verifies', async (t) => {
  const { host, didKey, bytes, json } = await start(t)
  await write(host, 1_500)
  const whole = await bytes('getRepo')
  const verified = await verifyRepoCar(whole, DID, didKey)
  assert.equal(verified.creates.length, 1_500)
  const { root, blocks } = await readCarWithRoot(whole)
  assert.equal(String(blocks.cids()[0]), String(root))
  const head = must(host.latestCommit(DID), 'head')
  assert.deepEqual(await json('getLatestCommit'), { cid: cidToString(head.commit), rev: head.rev })
  assert.deepEqual(await bytes('getCheckout'), whole)

  const change = await host.putRecord(DID, `${COLLECTION}/later`, { record: { text: 'later' } })
  assert(change.ok)
  const news = await readCarWithRoot(await bytes('getRepo', { since: head.rev }))
  const now = await readCarWithRoot(await bytes('getRepo'))
  assert.equal(String(news.root), String(now.root))
  for (const cid of now.blocks.cids()) {
    assert.equal(news.blocks.has(cid), !blocks.has(cid), String(cid))
  }

  for (const rkey of ['r0', 'r777', 'later', 'absent']) {
    const car = await bytes('getRecord', { collection: COLLECTION, rkey })
    const proof = await readCarWithRoot(car)
    assert.equal(String(proof.blocks.cids()[0]), String(now.root), 'commit first')
    const cid = rkey === 'absent' ? null : must(proof.blocks.cids().at(-1), 'record')
    const claim = { collection: COLLECTION, rkey, cid }
    const verdict = await verifyProofs(car, [claim], DID, didKey)
    assert.equal(verdict.unverified.length, 0, rkey)
    if (cid === null) continue
    const single = await readCar(await bytes('getBlocks', { cids: String(cid) }))
    assert.deepEqual(single.roots, [])
    assert.deepEqual(single.blocks.get(cid), proof.blocks.get(cid))
  }
})

test('blobs of a host, and its stream', async (t) => {
  const { host, address, bytes, json } = await start(t)
  const content = utf8('a picture')
  const uploaded = await host.uploadBlob(DID, Readable.from([content]), 'image/png')
  assert(uploaded.ok)
  const cid = cidToString(uploaded.value.cid)
  assert.deepEqual(await json('listBlobs'), { cids: [] }, 'nothing refers to it')
  const refused = await fetch(`http://${address}${syncPath('getBlob', { did: DID, cid })}`)
  assert.match(await refused.text(), /"BlobNotFound"/)

  const image = {
    $type: 'blob',
    ref: new CidLinkWrapper(uploaded.value.cid),
    mimeType: 'image/png',
    size: content.length,
  }
  const answer = await host.putRecord(DID, `${COLLECTION}/picture`, { record: { image } })
  assert(answer.ok, answer.ok ? '' : answer.detail)
  assert.deepEqual(await json('listBlobs'), { cids: [cid] })
  assert.deepEqual(await bytes('getBlob', { cid }), content)
  await using client = await RelayClient.connect(address, 0)
  await client.reached(host.log.publishedSeq)
  assert.equal(client.frames.at(-1)?.body['rev'], host.latestCommit(DID)?.rev)
})

test('exports that are left or cut give their snapshots back', async (t) => {
  const { host, address, bytes } = await start(t)
  for (let i = 0; i < 24; i++) {
    const record = { text: String(i).padEnd(900_000, 'x') }
    assert((await host.putRecord(DID, `${COLLECTION}/large${i}`, { record })).ok)
  }
  const url = `http://${address}${syncPath('getRepo', { did: DID })}`
  // More than a host gives out at once.
  for (let i = 0; i < EXPORTS_MAX + 2; i++) {
    const answer = await fetch(url)
    assert.equal(answer.status, 200, `export ${i}`)
    const reader = must(answer.body, 'body').getReader()
    await reader.read()
    await reader.cancel()
    // The host learns of it a moment later.
    await eventually(async () => {
      const next = await fetch(url)
      if (next.status !== 200) return null
      return (await next.arrayBuffer()).byteLength > 20_000_000 ? true : null
    }, 'a whole export')
  }
  const cut = await fetch(url)
  assert((await host.setStatus(DID, 'takendown')).ok)
  await assert.rejects(cut.arrayBuffer(), 'the body is seen to be cut')
  const refused = await fetch(url)
  assert.match(await refused.text(), /"RepoTakendown"/)
  assert((await host.setStatus(DID, 'active')).ok)
  assert((await bytes('getRepo')).length > 20_000_000)
})

test('an account without a commit has a status and nothing else', async (t) => {
  const { host, address } = await start(t)
  const did = 'did:web:moving.example.com'
  const key = PrivateKey.generate('k256')
  assert((await host.createAccount({ did, key, status: 'deactivated' })).ok)
  const cid = cidToString(must(host.latestCommit(DID), 'head').commit)
  const calls: Record<string, Record<string, string>> = {
    getRepo: {},
    getCheckout: {},
    getHead: {},
    getLatestCommit: {},
    getRecord: { collection: COLLECTION, rkey: 'a' },
    getBlocks: { cids: cid },
    getBlob: { cid },
    listBlobs: {},
  }
  const ask = async (name: string, params = {}): Promise<unknown> => {
    const answer = await fetch(`http://${address}${syncPath(name, { did, ...params })}`)
    return answer.json()
  }
  const expectAll = async (error: string, ofHead: string): Promise<void> => {
    for (const [name, params] of Object.entries(calls)) {
      const answer = (await ask(name, params)) as { readonly error: string }
      assert.equal(answer.error, name === 'getHead' ? ofHead : error, name)
    }
    const { repos } = (await ask('listRepos')) as { readonly repos: readonly { did: string }[] }
    assert.deepEqual(
      repos.map((repo) => repo.did),
      [DID],
    )
  }
  await expectAll('RepoDeactivated', 'RepoDeactivated')
  assert.deepEqual(await ask('getRepoStatus'), { did, active: false, status: 'deactivated' })
  // No call of the host leads here: activation makes a commit. A restored database might.
  const database = new Database(join(host.directory, 'host.sqlite'))
  database.prepare("update account set status = 'active' where did = ?").run(did)
  database.close()
  await expectAll('RepoNotFound', 'HeadNotFound')
  assert.deepEqual(await ask('getRepoStatus'), { did, active: true })
})
