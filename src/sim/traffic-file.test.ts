import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { RelayClient } from '../../test/support/relay-client.ts'
import { parseDidDocument } from '../identity/did-document.ts'
import { must } from '../lib/assert.ts'
import { recordTraffic } from './record-traffic.ts'
import { startReplay } from './replay-traffic.ts'
import { Simulation } from './simulation.ts'
import { parseTraffic, readTraffic } from './traffic-file.ts'

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

test('the file holds what the simulation sends, host by host in order', async () => {
  const sim = new Simulation({ ...OPTIONS, endpoints: ['http://a.test', 'http://b.test'] })
  for (let i = 0; i < EVENTS; i++) {
    sim.advanceTo(sim.nextArrivalMs())
    sim.traffic()
  }
  const traffic = await readTraffic(path)
  assert.equal(traffic.header.accounts.length, OPTIONS.accounts)
  const seqs = [0, 0]
  for (const { host, frame } of traffic.frames()) {
    const message = sim.host(host).log.after(must(seqs[host], 'host'))
    assert.deepEqual(frame, message?.data)
    seqs[host] = must(message, 'message').seq
  }
  assert.deepEqual(
    seqs,
    sim.hosts.map(({ log }) => log.publishedSeq),
  )
})

test('a file that is cut anywhere, or is none, is refused', async () => {
  const bytes = new Uint8Array(await readFile(path))
  const ends = new Set<number>()
  let at = 12 + new DataView(bytes.buffer).getUint32(8, true)
  for (ends.add(at); at < bytes.length; ends.add(at)) {
    at += 4 + (new DataView(bytes.buffer).getUint32(at, true) & 0xff_ffff)
  }
  assert.equal(ends.size, EVENTS + 1)
  for (let length = 0; length < bytes.length; length++) {
    const read = (): unknown => parseTraffic(bytes.subarray(0, length), 'x')
    if (ends.has(length)) read()
    else assert.throws(read, { code: 'OPTION_INVALID' })
  }
  assert.throws(() => parseTraffic(new Uint8Array(100), 'x'), { code: 'OPTION_INVALID' })
  const foreign = bytes.slice()
  foreign[must([...ends][0], 'end') + 3] = 9
  assert.throws(() => parseTraffic(foreign, 'x'), /host that is not there/)
  await assert.rejects(readTraffic(join(directory, 'none')), { code: 'DATA_DIRECTORY_UNUSABLE' })
})

test('a replay serves the frames and the documents', async () => {
  const traffic = await readTraffic(path)
  for (const rate of [null, 1_000]) {
    await using replay = await startReplay({ traffic, rate })
    assert.deepEqual([replay.frames, replay.published()], [EVENTS, 0])
    replay.start()
    for (const [host, endpoint] of replay.endpoints.entries()) {
      const wanted = [...traffic.frames()].filter((frame) => frame.host === host)
      await using client = await RelayClient.connect(endpoint.slice('http://'.length), 0)
      await client.reached(wanted.length)
      assert.deepEqual(
        client.frames.map(({ bytes }) => bytes),
        wanted.map(({ frame }) => new Uint8Array(frame)),
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
