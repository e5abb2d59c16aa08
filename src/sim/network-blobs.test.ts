import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { decode } from '@atcute/cbor'
import { fromString } from '@atcute/cid'

import { must } from '../lib/assert.ts'
import { cidFromString, cidToString } from '../data/cid.ts'
import type { SimAccount } from './sim-account.ts'
import { type SimNetwork, startNetwork } from './network.ts'

const START_MS = Date.UTC(2026, 0, 1)

function start(): Promise<SimNetwork> {
  const options = { hosts: 2, accounts: 6, records: 150, blobBytes: 300, changes: 0 }
  return startNetwork({ ...options, startMs: START_MS, gate: async () => {} })
}

interface Reference {
  readonly mimeType: string
  readonly size: number
}

/** Blobs in decoded JSON or CBOR, found by another reader than the network's. */
function collect(value: unknown, into: Map<string, Reference>): void {
  if (typeof value !== 'object' || value === null) return
  const map = value as Readonly<Record<string, unknown>>
  if (map['$type'] === 'blob') {
    const { $link } = map['ref'] as { readonly $link: string }
    into.set($link, { mimeType: String(map['mimeType']), size: Number(map['size']) })
    return
  }
  for (const item of Object.values(map)) collect(item, into)
}

/** What the records of a repository refer to, of those that `wanted` picks by their paths. */
function referred(
  { repo }: SimAccount,
  wanted: (path: string, cid: string) => boolean = () => true,
): Map<string, Reference> {
  const found = new Map<string, Reference>()
  for (const [path, cid] of repo.records()) {
    const text = cidToString(cid)
    if (wanted(path, text)) collect(decode(repo.block(cid)), found)
  }
  return found
}

async function get(network: SimNetwork, host: number, path: string, init = {}): Promise<Response> {
  return fetch(`${must(network.hosts[host], 'host').endpoint}/xrpc/com.atproto.sync.${path}`, init)
}

/** Every CID of a listing, page by page. */
async function listed(network: SimNetwork, account: SimAccount, since = ''): Promise<string[]> {
  const cids: string[] = []
  for (let cursor = ''; ;) {
    const path = `listBlobs?did=${account.did}&limit=7${since}${cursor}`
    const answer = await get(network, account.host, path)
    assert.equal(answer.status, 200)
    const page = (await answer.json()) as { readonly cids: string[]; readonly cursor?: string }
    assert.ok(page.cids.length <= 7)
    cids.push(...page.cids)
    if (page.cursor === undefined) return cids
    cursor = `&cursor=${page.cursor}`
  }
}

test('the world knows the blobs that records refer to, and forgets them with these', async () => {
  await using network = await start()
  const { accounts } = network.simulation
  const before = accounts.map(({ did }) => network.world.blobs(did))
  await network.run({ events: 500, pace: 'free' })
  let gone = 0
  let came = 0
  for (const [i, account] of accounts.entries()) {
    const now = network.world.blobs(account.did)
    assert.deepEqual(Object.fromEntries(now), Object.fromEntries(referred(account)))
    const then = must(before[i], 'blobs')
    gone += [...then.keys()].filter((cid) => !now.has(cid)).length
    came += [...now.keys()].filter((cid) => !then.has(cid)).length
  }
  assert.ok(gone >= 3 && came >= 20, `${gone} gone, ${came} new`)
})

test('a blob that two records share stays until both are gone', async () => {
  await using network = await start()
  const account = must(network.simulation.accounts[0], 'account')
  const random = { next: () => 0.5 }
  const blob = account.album.next(random)
  const write = (rkey: string): void => {
    const path = `app.bsky.feed.post/${rkey}`
    const record = { text: rkey }
    network.simulation.commit(account, [{ action: 'create', path, record, blobs: [blob] }])
  }
  const remove = (rkey: string): void => {
    const path = `app.bsky.feed.post/${rkey}`
    network.simulation.commit(account, [{ action: 'delete', path }])
  }
  const path = `getBlob?did=${account.did}&cid=${blob.text}`
  const isThere = async (): Promise<boolean> => {
    const { status } = await get(network, account.host, path)
    const isListed = (await listed(network, account)).includes(blob.text)
    assert.equal(isListed, status === 200)
    assert.equal(network.world.blobs(account.did).has(blob.text), isListed)
    return isListed
  }
  assert.equal(await isThere(), false)
  write('one')
  write('two')
  remove('one')
  assert.equal(await isThere(), true)
  remove('two')
  assert.equal(await isThere(), false)
})

test('listBlobs and getBlob serve what the world says, with every byte', async () => {
  await using network = await start()
  await network.run({ events: 120, pace: 'free' })
  let served = 0
  for (const account of network.simulation.accounts) {
    const { did, host } = account
    const cids = await listed(network, account)
    const bytes = cids.map((cid) => Buffer.from(must(cidFromString(cid), 'CID')))
    assert.deepEqual(
      bytes,
      bytes.toSorted((a, b) => Buffer.compare(a, b)),
      'in order of their bytes',
    )
    const blobs = network.world.blobs(did)
    assert.deepEqual(cids.toSorted(), [...blobs.keys()].toSorted())
    for (const cid of cids) {
      const answer = await get(network, host, `getBlob?did=${did}&cid=${cid}`)
      const body = Buffer.from(await answer.arrayBuffer())
      const { mimeType, size } = must(blobs.get(cid), 'blob')
      const { digest } = fromString(cid)
      assert.deepEqual(createHash('sha256').update(body).digest(), Buffer.from(digest.contents))
      assert.deepEqual([answer.headers.get('content-type'), body.length], [mimeType, size])
      served++
    }
    const [cid = ''] = cids
    const range = { headers: { range: 'bytes=5-9' } }
    const part = await get(network, host, `getBlob?did=${did}&cid=${cid}`, range)
    assert.deepEqual([part.status, (await part.arrayBuffer()).byteLength], [206, 5])
    const elsewhere = await get(network, 1 - host, `getBlob?did=${did}&cid=${cid}`)
    assert.match(await elsewhere.text(), /RepoNotFound/)
    const bad = await get(network, host, `listBlobs?did=${did}&cursor=7`)
    assert.equal(bad.status, 400)
  }
  assert.ok(served > 60, `${served} blobs`)
  const [account] = network.simulation.accounts
  const { did, head } = must(network.world.account(must(account, 'account').did), 'account')
  const record = await get(network, 0, `getBlob?did=${did}&cid=${head?.commit}`)
  assert.match(await record.text(), /BlobNotFound/)
})

test('since: the blobs of records that were written after a rev', async () => {
  await using network = await start()
  const { accounts } = network.simulation
  for (let round = 0; round < 3; round++) {
    const revs = accounts.map(({ repo }) => must(repo.head, 'head').rev)
    const then = accounts.map(({ did }) => network.world.records(did))
    await network.run({ events: 60, pace: 'free' })
    let count = 0
    for (const [i, account] of accounts.entries()) {
      const records = must(then[i], 'records')
      const wanted = referred(account, (path, cid) => records.get(path) !== cid)
      const cids = await listed(network, account, `&since=${revs[i]}`)
      assert.deepEqual(cids.toSorted(), [...wanted.keys()].toSorted())
      count += cids.length
      const newest = must(account.repo.head, 'head').rev
      assert.deepEqual(await listed(network, account, `&since=${newest}`), [])
      assert.equal(
        (await listed(network, account, '&since=2222222222222')).length,
        network.world.blobs(account.did).size,
      )
    }
    assert.ok(count > 3, `${count} blobs`)
  }
})
