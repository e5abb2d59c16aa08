/**
 * A consumer in a process of its own, which may be killed at any moment. It appends one line to a
 * file for every delivery, which is all that its handler makes durable.
 *
 * Arguments: service, host of repositories, store, output, seeds of accounts by commas.
 */
import { appendFileSync } from 'node:fs'
import { SignedRepo } from '../../../test/support/signed-repo.ts'
import { must } from '../../lib/assert.ts'
import { openConsumerStore } from '../../store/consumer-store.ts'
import { runConsumer } from '../consumer/run-consumer.ts'
import { KitIdentities } from './consumer-kit.ts'

const [service, endpoint, file, output, seeds] = process.argv.slice(2)
const identities = new KitIdentities()
for (const seed of must(seeds, 'seeds').split(',')) {
  identities.set(new SignedRepo({ seed }), must(endpoint, 'endpoint'))
}
const consumer = runConsumer({
  service: must(service, 'service'),
  cursor: 'oldest',
  store: await openConsumerStore(must(file, 'file')),
  identities,
  allowPrivateNetwork: true,
  policies: { margin: 'passive', reconnectMaxMs: 20 },
  limits: { saveEvents: 7, saveMs: 3, repairPollMs: 20, repairPauseMs: 5 },
  handler: async (delivery) => {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (delivery.kind !== 'commit') return
    const { did, rev, ops } = delivery
    const told = ops.map(({ path, cid }) => [path, cid])
    appendFileSync(must(output, 'output'), `${JSON.stringify([did, rev, told])}\n`)
  },
})
await consumer.finished
