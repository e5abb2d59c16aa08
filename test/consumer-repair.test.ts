/** Consumers that mend repositories by what is new alone, at a host and at a simulated one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsumerIdentities } from '../src/client/consumer/consumer-types.ts'
import { MemoryStore } from '../src/client/consumer/memory-store.ts'
import { runConsumer } from '../src/client/consumer/run-consumer.ts'
import { PrivateKey } from '../src/crypto/private-key.ts'
import { cidToString } from '../src/data/cid.ts'
import { createIdentityResolver } from '../src/identity/create-identity-resolver.ts'
import { must } from '../src/lib/assert.ts'
import { startHost } from '../src/server/start-host.ts'
import { startNetwork } from '../src/sim/network.ts'
import { FakePlc } from './support/fake-plc.ts'
import { eventually } from './support/waiting.ts'

/** Records by account and path: what a consumer was told, over several lives. */
class Reader {
  readonly #options: { readonly service: string; readonly identities: ConsumerIdentities }
  readonly store = new MemoryStore()
  readonly records = new Map<string, Map<string, string>>()
  readonly faults: string[] = []

  constructor(service: string, identities: ConsumerIdentities) {
    this.#options = { service, identities }
  }

  start() {
    return runConsumer({
      ...this.#options,
      cursor: 'oldest',
      store: this.store,
      backfill: 'seen',
      allowPrivateNetwork: true,
      policies: { margin: 'passive' },
      limits: { saveMs: 5, repairPollMs: 10, repairPauseMs: 10 },
      handler: (delivery) => {
        if (delivery.kind !== 'commit') return
        const records = this.records.get(delivery.did) ?? new Map<string, string>()
        this.records.set(delivery.did, records)
        for (const { action, path, cid } of delivery.ops) {
          if ((action === 'create') === records.has(path)) this.faults.push(`${action} ${path}`)
          if (cid === null) records.delete(path)
          else records.set(path, cid)
        }
      },
    })
  }

  /** Runs until everything is there, then stops; gives the statistics. */
  async until(isThere: (reader: Reader) => boolean, seq: () => number) {
    await using consumer = this.start()
    await eventually(
      () => {
        const isRead = (consumer.stats.saved?.seq ?? 0) >= seq()
        const isMended = this.store.due(Number.MAX_SAFE_INTEGER, 1).length === 0
        return isRead && isMended && isThere(this) ? true : null
      },
      () => JSON.stringify([consumer.stats, [...this.records].map(([, { size }]) => size)]),
      20_000,
    )
    return consumer.stats
  }

  /** As if the events up to `seq` had been lost. */
  loseUpTo(seq: number): void {
    const { service } = must(this.store.cursors()[0], 'cursor')
    this.store.apply({
      forgotten: [],
      records: [],
      repos: [],
      quarantined: [],
      released: [],
      forgottenCursors: [],
      cursors: [{ service, seq, timeMs: null }],
    })
  }
}

test('a repository of a host is mended by what is new', async () => {
  const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  const key = PrivateKey.generate('k256')
  await using host = await startHost()
  await using plc = await FakePlc.start()
  const service = host.url.replace('127.0.0.1', 'localhost')
  plc.set(did, { key: key.publicKey, endpoint: service })
  await using identities = createIdentityResolver({
    userAgent: 'skein-test',
    plcDirectories: [plc.url],
    allowPrivateNetwork: true,
  })
  await host.host.createAccount({ did, key, handle: 'alice.test' })
  const truth = new Map<string, string>()
  const put = async (name: string, text: string): Promise<void> => {
    const path = `org.example.note/${name}`
    const written = await host.host.putRecord(did, path, { record: { text } })
    assert.ok(written.ok)
    truth.set(path, cidToString(must(written.value.records[0]?.cid, 'CID')))
  }
  for (let i = 0; i < 60; i++) await put(`k${i}`, 'first')
  const reader = new Reader(service, identities)
  const isThere = (): boolean => {
    const records = [...(reader.records.get(did) ?? [])]
    return records.length === truth.size && records.every(([path, cid]) => truth.get(path) === cid)
  }
  await reader.until(isThere, () => 0)
  const seq = must(reader.store.cursors()[0], 'cursor').seq
  for (let i = 10; i < 20; i++) await put(`k${i}`, 'second')
  await put('more', 'first')
  // The same content as another record, and one that goes and comes back.
  await put('same', 'first')
  await host.host.deleteRecord(did, 'org.example.note/k30')
  await host.host.deleteRecord(did, 'org.example.note/k31')
  truth.delete('org.example.note/k31')
  await put('k30', 'first')
  reader.loseUpTo(seq + 14)
  await put('last', 'second')
  const { repairs } = await reader.until(isThere, () => seq + 16)
  assert.deepEqual([repairs.update, repairs.whole, repairs.fellBack], [1, 0, {}])
  assert.deepEqual(reader.faults, [])
})

test('repositories of a simulated host are mended by what is new', async () => {
  await using network = await startNetwork({
    hosts: 1,
    accounts: 5,
    records: 150,
    changes: 0,
    startMs: Date.UTC(2026, 0, 1),
  })
  await using identities = createIdentityResolver({
    userAgent: 'skein-test',
    plcDirectories: [network.plc.url.replace('localhost', '127.0.0.1')],
    allowPrivateNetwork: true,
  })
  const { endpoint } = must(network.hosts[0], 'host')
  const { accounts } = network.simulation
  const reader = new Reader(endpoint, identities)
  const isThere = (): boolean =>
    accounts.every(({ did }) => {
      const truth = network.world.records(did)
      const records = [...(reader.records.get(did) ?? [])]
      return (
        records.length === truth.size && records.every(([path, cid]) => truth.get(path) === cid)
      )
    })
  const lastSeq = (): number => must(network.simulation.hosts[0], 'host').log.publishedSeq
  await network.run({ events: 60, pace: 'free' })
  await reader.until(isThere, lastSeq)
  await network.run({ events: 100, pace: 'free' })
  reader.loseUpTo(lastSeq())
  await network.run({ events: 60, pace: 'free' })
  const { repairs } = await reader.until(isThere, lastSeq)
  assert.ok(repairs.update > 0, JSON.stringify(repairs))
  assert.deepEqual([repairs.whole, repairs.fellBack], [0, {}])
  assert.deepEqual(reader.faults, [])
})
