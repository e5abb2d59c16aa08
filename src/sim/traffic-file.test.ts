import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { RelayClient } from '../../test/support/relay-client.ts'
import { parseDidDocument } from '../identity/did-document.ts'
import { must } from '../lib/assert.ts'
import { recordTraffic } from './record-traffic.ts'
import { startReplay } from './replay-traffic.ts'
import { Simulation } from './simulation.ts'
import { TrafficFile } from './traffic-file.ts'
import { decodeBlockHead, BLOCK_HEAD_BYTES } from './traffic-format.ts'
import { TrafficWriter } from './traffic-writer.ts'

const OPTIONS = {
  seed: 3,
  accounts: 6,
  records: 20,
  rate: 50,
  startMs: Date.UTC(2026, 0, 1),
} as const
const HOSTS = 2
const EVENTS = 50

let directory = ''
let path = ''

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'skein-traffic-'))
  path = join(directory, 'traffic')
  assert.equal(await recordTraffic(path, { ...OPTIONS, hosts: HOSTS, events: EVENTS }), EVENTS)
})

after(() => rm(directory, { recursive: true, force: true }))

/** A file whose bytes are at hand. */
function over(bytes: Uint8Array): TrafficFile {
  const read = (at: number, length: number): Uint8Array => {
    assert.ok(at + length <= bytes.length, 'only what is there is read')
    return bytes.slice(at, at + length)
  }
  return TrafficFile.over({ size: bytes.length, read, close: () => undefined }, 'x')
}

/** Every frame of a host. */
function framesOf(traffic: TrafficFile, host: number): Uint8Array[] {
  return [...traffic.frames(host)]
}

test('the file holds what the simulation sends, host by host in order', () => {
  const sim = new Simulation({ ...OPTIONS, endpoints: ['http://a.test', 'http://b.test'] })
  for (let i = 0; i < EVENTS; i++) {
    sim.advanceTo(sim.nextArrivalMs())
    sim.traffic()
  }
  using traffic = TrafficFile.open(path)
  assert.equal(traffic.header.accounts.length, OPTIONS.accounts)
  for (const { index, log } of sim.hosts) {
    assert.equal(traffic.frameCount(index), log.publishedSeq)
    for (const [i, frame] of framesOf(traffic, index).entries()) {
      assert.deepEqual(frame, log.after(i)?.data)
    }
  }
})

test('hosts whose frames fill many blocks keep their order, large frames included', async () => {
  const large = join(directory, 'large')
  const header = { seed: 1, hosts: 3, accounts: [] }
  const sizes = [0, 125, 126, 65_535, 65_536, 300_000, 5_000_000]
  const sent: Uint8Array[][] = [[], [], []]
  {
    await using writer = await TrafficWriter.create(large, header)
    for (let i = 0; i < 60; i++) {
      const frame = new Uint8Array(must(sizes[i % sizes.length], 'size')).fill(i)
      must(sent[i % 2], 'host').push(frame)
      await writer.add(i % 2, frame)
    }
    assert.equal(writer.frames, 60)
    await writer.finish()
  }
  using traffic = TrafficFile.open(large)
  assert.deepEqual(
    [0, 1, 2].map((host) => traffic.frameCount(host)),
    [30, 30, 0],
  )
  for (const host of [0, 1, 2]) {
    const equal = framesOf(traffic, host).every(
      (frame, i) => Buffer.compare(frame, must(sent[host]?.[i], 'frame')) === 0,
    )
    assert.ok(equal, `host ${host}`)
  }
  const seqs = [30, 1, 17].map((seq) => {
    const { firstSeq, ends } = traffic.block(0, seq)
    return firstSeq <= seq && seq < firstSeq + ends.length
  })
  assert.deepEqual(seqs, [true, true, true])
})

test('a file that is cut anywhere, or is none, is refused', () => {
  const bytes = new Uint8Array(readFileSync(path))
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => over(bytes.subarray(0, length)), { code: 'OPTION_INVALID' })
  }
  assert.equal(framesOf(over(bytes), 0).length + framesOf(over(bytes), 1).length, EVENTS)
  assert.throws(() => over(new Uint8Array(100)), { code: 'OPTION_INVALID' })
  const firstBlock = 12 + new DataView(bytes.buffer).getUint32(8, true)
  const head = decodeBlockHead(bytes.subarray(firstBlock, firstBlock + BLOCK_HEAD_BYTES))
  assert.ok('host' in head && head.frames > 1)
  const changed = (at: number, value: number): Uint8Array => {
    const copy = bytes.slice()
    copy[at] = value
    return copy
  }
  assert.throws(() => over(changed(firstBlock + 8, 9)), /host that is not there/)
  assert.throws(() => over(changed(bytes.length - 8, 1)), /its end does not fit/)
  assert.throws(() => over(changed(12, 0)), /header cannot be read/)
  // What is inside of a block shows when it is read.
  const damaged = over(changed(firstBlock + BLOCK_HEAD_BYTES, 0))
  assert.throws(() => framesOf(damaged, head.host), { code: 'OPTION_INVALID' })
  assert.ok(framesOf(damaged, 1 - head.host).length > 0)
  const none = join(directory, 'none')
  assert.throws(() => TrafficFile.open(none), { code: 'DATA_DIRECTORY_UNUSABLE' })
})

test('a recording that failed is no traffic file', async () => {
  const broken = join(directory, 'broken')
  {
    await using writer = await TrafficWriter.create(broken, { seed: 1, hosts: 1, accounts: [] })
    await writer.add(0, new Uint8Array(300_000))
  }
  assert.throws(() => TrafficFile.open(broken), /it is cut off/)
  await assert.rejects(recordTraffic(directory, { ...OPTIONS, hosts: 1, events: 1 }), {
    code: 'DATA_DIRECTORY_UNUSABLE',
  })
})

test('a replay serves the frames and the documents', async () => {
  using traffic = TrafficFile.open(path)
  for (const rate of [null, 1_000]) {
    await using replay = await startReplay({ traffic, rate })
    assert.deepEqual([replay.frames, replay.published()], [EVENTS, 0])
    replay.start()
    for (const [host, endpoint] of replay.endpoints.entries()) {
      const wanted = framesOf(traffic, host)
      await using client = await RelayClient.connect(endpoint.slice('http://'.length), 0)
      await client.reached(wanted.length)
      assert.deepEqual(
        client.frames.map(({ bytes }) => bytes),
        wanted,
      )
    }
    assert.equal(replay.published(), EVENTS)
    for (const { did, host } of traffic.header.accounts) {
      const answer = await fetch(`${replay.plcUrl}/${did}`)
      const parsed = parseDidDocument(did, new Uint8Array(await answer.arrayBuffer()))
      assert(parsed.ok)
      assert.equal(`http://${parsed.value.pdsHostname}`, replay.endpoints[host])
    }
    const status = await fetch(
      `${replay.endpoints[0]}/xrpc/com.atproto.sync.getRepoStatus?did=${traffic.header.accounts[0]?.did}`,
    )
    assert.equal(((await status.json()) as { readonly active: boolean }).active, true)
    assert.equal((await fetch(`${replay.plcUrl}/did:plc:none`)).status, 404)
  }
})
