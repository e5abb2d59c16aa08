/** A consumer of a real relay that reads a real host: writes go in, records come out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStore } from '../src/client/consumer/memory-store.ts'
import { runConsumer } from '../src/client/consumer/run-consumer.ts'
import { PrivateKey } from '../src/crypto/private-key.ts'
import { createIdentityResolver } from '../src/identity/create-identity-resolver.ts'
import { startHost } from '../src/server/start-host.ts'
import { startRelay } from '../src/server/start-relay.ts'
import { FakePlc } from './support/fake-plc.ts'
import { eventually } from './support/waiting.ts'

const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const key = PrivateKey.generate('k256')

test('records that are written at a host reach the handler of a consumer of a relay', async () => {
  await using host = await startHost()
  await using plc = await FakePlc.start()
  plc.set(did, { key: key.publicKey, endpoint: host.url.replace('127.0.0.1', 'localhost') })
  await using relay = await startRelay({
    plc: [plc.url],
    hosts: [host.url.replace('127.0.0.1', 'localhost')],
    allowPrivateNetwork: true,
  })
  await using identities = createIdentityResolver({
    userAgent: 'skein-test',
    plcDirectories: [plc.url],
    allowPrivateNetwork: true,
  })
  await host.host.createAccount({ did, key, handle: 'alice.test' })
  await host.host.putRecord(did, 'org.example.note/1', { record: { text: 'one' } })

  const records = new Map<string, unknown>()
  const store = new MemoryStore()
  const options = {
    service: `http://${relay.address}`,
    cursor: 'oldest',
    store,
    identities,
    backfill: 'seen',
    allowPrivateNetwork: true,
    limits: { saveMs: 5 },
  } as const
  const start = () =>
    runConsumer({
      ...options,
      handler: (delivery) => {
        if (delivery.kind !== 'commit') return
        assert.equal(delivery.verdict, 'verified')
        for (const { path, record } of delivery.ops) {
          if (record === null) records.delete(path)
          else if (record.valid) records.set(path, record.value['text'])
        }
      },
    })
  const texts = (): string => [...records].map(([path, text]) => `${path} ${String(text)}`).join()
  {
    await using consumer = start()
    await eventually(
      () => (records.size === 1 ? true : null),
      () => JSON.stringify(consumer.stats),
    )
  }
  await host.host.putRecord(did, 'org.example.note/2', { record: { text: 'two' } })
  await host.host.putRecord(did, 'org.example.note/1', { record: { text: 'changed' } })
  await host.host.deleteRecord(did, 'org.example.note/2')
  await using consumer = start()
  await eventually(
    () => (texts() === 'org.example.note/1 changed' ? true : null),
    () => `${texts()} ${JSON.stringify(consumer.stats)}`,
  )
  assert.deepEqual(consumer.stats.refused, {})
  assert.equal(consumer.stats.repairs.done, 0, 'it went on where it was')
})
