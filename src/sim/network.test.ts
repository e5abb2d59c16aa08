import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { encode } from '@atcute/cbor'
import { toBase32 } from '@atcute/multibase'
import { readCarWithRoot } from '@atproto/repo'

import { RelayClient } from '../../test/support/relay-client.ts'
import { within } from '../../test/support/waiting.ts'
import { parseDidKey } from '../crypto/public-key.ts'
import { loadVerifier } from '../crypto/verifier.ts'
import { must } from '../lib/assert.ts'
import { systemClock } from '../lib/clock.ts'
import { parseDidDocument } from '../identity/did-document.ts'
import { CHANGES } from './account-changes.ts'
import { FAULTS, QUIET_FAULTS, STREAM_FAULTS } from './faults.ts'
import type { NetworkOptions } from './network-options.ts'
import { type SimNetwork, startNetwork } from './network.ts'

const START_MS = Date.UTC(2026, 0, 1)

function start(options: NetworkOptions = {}): Promise<SimNetwork> {
  const small = { hosts: 2, accounts: 8, records: 20, startMs: START_MS, gate: async () => {} }
  return startNetwork({ ...small, ...options })
}

async function digestOf(seed: number): Promise<string> {
  await using network = await start({ seed, lies: 0.2, faults: 0.1, changes: 0.1 })
  await network.run({ events: 100, pace: 'free' })
  assert.ok(network.simulation.ledger.count > 10)
  return network.simulation.digest()
}

test('two networks of one seed send the same bytes, lies, faults and all', async () => {
  const [first, second, other] = [await digestOf(5), await digestOf(5), await digestOf(6)]
  assert.equal(first, second)
  assert.notEqual(first, other)
})

test('the pace is that of the clock', async () => {
  await using network = await start({ rate: 200, changes: 0, startMs: systemClock.nowMs() })
  const startedMs = systemClock.monotonicMs()
  await network.run({ events: 60, pace: 'clock' })
  const tookMs = systemClock.monotonicMs() - startedMs
  assert.ok(tookMs > 100 && tookMs < 3_000, `${tookMs} ms for 300`)
  const abort = new AbortController()
  const running = network.run({ pace: 'clock', signal: abort.signal })
  abort.abort()
  await within(running, 'the end of a run')
})

test('a subscriber is sent the backlog, then what follows', async () => {
  await using network = await start({ changes: 0 })
  await network.run({ events: 40, pace: 'free' })
  const [front] = network.hosts
  await using client = await RelayClient.connect(must(front, 'host').hostname, 3)
  const { log } = network.simulation.host(0)
  await client.reached(log.publishedSeq)
  assert.equal(client.frames[0]?.seq, 4)
  await network.run({ events: 40, pace: 'free' })
  await client.reached(log.publishedSeq)
  assert.deepEqual(
    client.frames.map(({ seq }) => seq),
    Array.from({ length: log.publishedSeq - 3 }, (_, i) => i + 4),
  )
})

test('each fault of the stream happens to who reads it', async () => {
  await using network = await start({ hosts: 1, changes: 0 })
  const front = must(network.hosts[0], 'host')
  const { log } = network.simulation.host(0)
  for (const kind of [...STREAM_FAULTS, ...QUIET_FAULTS]) {
    await network.run({ events: 10, pace: 'free' })
    if (kind.startsWith('plc-')) continue
    const client = await RelayClient.connect(front.hostname, Math.max(0, log.publishedSeq - 8))
    if (kind.startsWith('seq-')) {
      const before = log.publishedSeq
      const struck = network.fault(kind)
      await client.untilClosed()
      await using again = await RelayClient.connect(front.hostname)
      await struck
      assert.ok(log.publishedSeq < before, kind)
      assert.equal(again.ended, null)
    } else {
      await network.fault(kind)
      await network.run({ events: 3, pace: 'free' })
      if (kind.startsWith('upgrade-')) {
        await client.untilClosed()
        await assert.rejects(RelayClient.connect(front.hostname), kind)
      }
      if (kind === 'disconnect' || kind === 'error-frame') await client.untilClosed()
    }
    await client[Symbol.asyncDispose]()
    assert.equal(network.faults.fired().get(kind), 1, kind)
  }
})

test('a silent host answers no ping and sends nothing', async () => {
  await using network = await start({ hosts: 1, changes: 0 })
  const front = must(network.hosts[0], 'host')
  await network.run({ events: 10, pace: 'free' })
  await using client = await RelayClient.connect(front.hostname, 0)
  await client.reached(5)
  await network.fault('silent')
  const received = client.frames.length
  await network.run({ events: 10, pace: 'free' })
  assert.ok(front.isSilent)
  assert.equal(client.frames.length, received)
})

function call(network: SimNetwork, path: string): Promise<Response> {
  const { endpoint } = must(network.hosts[0], 'host')
  return fetch(`${endpoint}/xrpc/com.atproto.${path}`, { redirect: 'manual' })
}

describe('HTTP', () => {
  test('a host answers as hosts do', async () => {
    await using network = await start()
    const account = must(network.simulation.accounts[0], 'account')
    const head = must(network.world.account(account.did)?.head, 'head')
    const latest = await call(network, `sync.getLatestCommit?did=${account.did}`)
    assert.deepEqual(await latest.json(), { cid: head.commit, rev: head.rev })
    const car = new Uint8Array(
      await (await call(network, `sync.getRepo?did=${account.did}`)).arrayBuffer(),
    )
    assert.equal(String((await readCarWithRoot(car)).root), head.commit)
    const listed = (await (await call(network, 'sync.listRepos?limit=3')).json()) as {
      readonly repos: readonly { readonly did: string }[]
      readonly cursor: string
    }
    assert.equal(listed.repos.length, 3)
    const rest = (await (await call(network, `sync.listRepos?cursor=${listed.cursor}`)).json()) as {
      readonly repos: readonly { readonly did: string }[]
    }
    const dids = [...listed.repos, ...rest.repos].map(({ did }) => did)
    const own = network.simulation.accounts.filter(({ host }) => host === 0).map(({ did }) => did)
    assert.deepEqual(dids, own)
    const elsewhere = must(
      network.simulation.accounts.find(({ host }) => host === 1),
      'other',
    )
    const refused = await call(network, `sync.getRepo?did=${elsewhere.did}`)
    assert.equal(((await refused.json()) as { readonly error: string }).error, 'RepoNotFound')
    assert.equal((await call(network, 'server.describeServer')).status, 200)
    const [path] = must([...network.world.records(account.did)][0], 'record')
    const [collection, rkey] = path.split('/')
    const proof = `did=${account.did}&collection=${collection}&rkey=${rkey}`
    assert.equal((await call(network, `sync.getRecord?${proof}`)).status, 200)
    const once = `sync.getBlocks?did=${account.did}&cids=${head.commit}`
    const blocks = await call(network, once)
    assert.equal(blocks.status, 200)
    const twice = await call(network, `${once}&cids=${head.commit}`)
    assert.equal((await twice.bytes()).length, (await blocks.bytes()).length, 'each block once')
  })

  test('each fault happens to one request', async () => {
    await using network = await start({ records: 400 })
    const front = must(network.hosts[0], 'host')
    const { did } = must(network.simulation.accounts[0], 'account')
    const path = `sync.getRepo?did=${did}`
    const whole = (await (await call(network, path)).arrayBuffer()).byteLength
    const plain = [
      ['http-429', 429],
      ['http-429-headers', 429],
      ['http-500', 500],
      ['http-503', 503],
      ['http-redirect', 302],
    ] as const
    for (const [kind, status] of plain) {
      front.inject(kind)
      const answer = await call(network, path)
      await answer.body?.cancel()
      assert.equal(answer.status, status, kind)
      assert.equal(answer.headers.get('retry-after'), kind === 'http-429-headers' ? '1' : null)
    }
    front.inject('repo-slow')
    const startedMs = systemClock.monotonicMs()
    const slow = await (await call(network, path)).arrayBuffer()
    assert.equal(slow.byteLength, whole)
    assert.ok(systemClock.monotonicMs() - startedMs > 200)
    front.inject('repo-truncated')
    await assert.rejects(async () => (await call(network, path)).arrayBuffer())
    front.inject('http-hang')
    const endpoint = `${front.endpoint}/xrpc/com.atproto.${path}`
    await assert.rejects(fetch(endpoint, { signal: AbortSignal.timeout(200) }))
    assert.equal((await call(network, path)).status, 200)
    assert.deepEqual(network.faults.pending(), [])
  })
})

describe('the directory', () => {
  test('documents of both formats are read, and DIDs follow from their first operation', async () => {
    await using network = await start({ accounts: 30 })
    const verifier = await loadVerifier()
    const types = new Set<string>()
    for (const { did, repo, host } of network.simulation.accounts) {
      const answer = await fetch(`${network.plc.url}/${did}`)
      const bytes = new Uint8Array(await answer.arrayBuffer())
      types.add(/"type":"([A-Z]\w+)","controller"/.exec(Buffer.from(bytes).toString())?.[1] ?? '')
      const parsed = parseDidDocument(did, bytes)
      assert(parsed.ok, did)
      assert.deepEqual(parsed.value.signingKey?.bytes, repo.key.publicKey.bytes)
      assert.equal(parsed.value.pdsHostname, network.hosts[host]?.hostname)
      const log = (await (await fetch(`${network.plc.url}/${did}/log/audit`)).json()) as {
        readonly operation: Record<string, unknown> & { sig: string; rotationKeys: [string] }
      }[]
      const first = must(log[0], 'genesis').operation
      const hash = createHash('sha256').update(encode(first)).digest()
      assert.equal(did, `did:plc:${toBase32(hash).slice(0, 24)}`)
      for (const { operation } of log) {
        const { sig, ...unsigned } = operation
        const key = must(parseDidKey(operation.rotationKeys[0]), 'rotation key')
        const verdict = verifier.verify(key, encode(unsigned), Buffer.from(sig, 'base64url'))
        assert.equal(verdict, 'ok')
      }
    }
    assert.ok(types.has('Multikey') && types.size >= 2, [...types].join())
  })

  test('data, export, and DIDs that are not there', async () => {
    await using network = await start()
    const { did } = must(network.simulation.accounts[0], 'account')
    const data = (await (await fetch(`${network.plc.url}/${did}/data`)).json()) as object
    assert.deepEqual(Object.keys(data).toSorted(), [
      'alsoKnownAs',
      'did',
      'rotationKeys',
      'services',
      'verificationMethods',
    ])
    const lines = (await (await fetch(`${network.plc.url}/export?count=1000`)).text()).split('\n')
    assert.equal(lines.length, 16)
    assert.equal((await fetch(`${network.plc.url}/did:plc:${'a'.repeat(24)}`)).status, 404)
    assert.equal((await fetch(`${network.plc.url}/${did}/nothing`)).status, 404)
    network.plc.inject('plc-503')
    network.plc.inject('plc-404')
    const statuses = [503, 404, 200]
    for (const status of statuses) {
      assert.equal((await fetch(`${network.plc.url}/${did}`)).status, status)
    }
    network.plc.inject('plc-hang')
    await assert.rejects(fetch(`${network.plc.url}/${did}`, { signal: AbortSignal.timeout(200) }))
  })
})

test('without a gate of its own a network waits a moment, and goes on', async () => {
  await using network = await startNetwork({ hosts: 2, accounts: 8, records: 20 })
  for (const kind of CHANGES.slice(0, 2)) assert.equal(await network.change(kind), true)
  assert.ok(Object.keys(FAULTS).length > 20)
})
